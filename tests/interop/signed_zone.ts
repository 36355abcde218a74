/** A signed zone, made with the tools of ldns, behind an unbound that validates. */

import { endProcess, freePort } from "../../scripts/bench/server.ts";
import type { TlsaRecord } from "../../src/dns/mod.ts";
import { eventually, run } from "./server.ts";

/** A zone for the tests. */
export interface TestZone {
  readonly name: string;
  /** Records in master file format; SOA and NS are added. */
  readonly records: readonly string[];
  /** Algorithm of its keys, by the name ldns has for it; unsigned without. */
  readonly algorithm?: string;
  readonly nsec3?: boolean;
  /** Further options for ldns-signzone. */
  readonly options?: readonly string[];
  /** Changes the text of the zone after it was signed. */
  readonly tamper?: (text: string) => string;
}

/** A record in master file format. */
export function tlsaLine(name: string, { usage, selector, matchingType, data }: TlsaRecord): string {
  return `${name} 300 IN TLSA ${usage} ${selector} ${matchingType} ${data.toHex()}`;
}

/** A zone in its file, with a file of the DS records by which it is trusted, if it is. */
export interface SignedZone {
  readonly name: string;
  readonly file: string;
  readonly anchor: string | undefined;
}

/** Signs a zone; gives the path of its file, and of one with its DS record. */
export async function signZone(
  folder: string,
  { name, records, algorithm, nsec3, options = [], tamper = (text) => text }: TestZone,
): Promise<{ readonly file: string; readonly anchor: string | undefined }> {
  const file = `${folder}/${name}.zone`;
  const head = [`${name}. 300 IN SOA ns.${name}. admin.${name}. 1 3600 600 86400 60`, `${name}. 300 IN NS ns.${name}.`];
  await Deno.writeTextFile(file, `${[...head, ...records].join("\n")}\n`);
  if (algorithm === undefined) return { file, anchor: undefined };
  const work = new Deno.Command("ldns-keygen", { args: ["-a", algorithm, "-k", name], cwd: folder });
  const key = new TextDecoder().decode((await work.output()).stdout).trim();
  await run("ldns-signzone", [...(nsec3 ? ["-n"] : []), ...options, "-f", `${file}.signed`, file, `${folder}/${key}`]);
  await Deno.writeTextFile(`${file}.signed`, tamper(await Deno.readTextFile(`${file}.signed`)));
  return { file: `${file}.signed`, anchor: `${folder}/${key}.ds` };
}

/** Runs an unbound that knows the zones and trusts the keys of those that are signed; `body` gets their DS records. */
export async function withUnbound(
  zones: readonly (TestZone | SignedZone)[],
  body: (port: number, anchors: readonly string[]) => Promise<void>,
  more: { readonly server?: readonly string[]; readonly clauses?: readonly string[] } = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit-unbound-" });
  const port = freePort();
  try {
    const signed = await Promise.all(
      zones.map(async (zone) => "file" in zone ? zone : { name: zone.name, ...await signZone(folder, zone) }),
    );
    const config = `server:
  interface: 127.0.0.1@${port}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  do-not-query-localhost: no
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  module-config: "validator iterator"
  infra-host-ttl: 1
${signed.flatMap(({ anchor }) => anchor === undefined ? [] : `  trust-anchor-file: "${anchor}"\n`).join("")}
${(more.server ?? []).map((line) => `  ${line}\n`).join("")}
remote-control:
  control-enable: no
${
      signed.map(({ name, file }) =>
        `auth-zone:
  name: "${name}"
  zonefile: "${file}"
  for-downstream: no
  for-upstream: yes
  fallback-enabled: no
`
      ).join("")
    }
${(more.clauses ?? []).join("\n")}
`;
    await Deno.writeTextFile(`${folder}/unbound.conf`, config);
    const child = new Deno.Command("unbound", {
      args: ["-d", "-p", "-c", `${folder}/unbound.conf`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await eventually(`unbound listens on port ${port}`, async () => {
        try {
          (await Deno.connect({ hostname: "127.0.0.1", port })).close();
          return true;
        } catch {
          return undefined;
        }
      });
      const anchors = signed.flatMap(({ anchor }) => anchor === undefined ? [] : [Deno.readTextFile(anchor)]);
      await body(port, (await Promise.all(anchors)).map((text) => text.trim()));
    } finally {
      await endProcess(child);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
