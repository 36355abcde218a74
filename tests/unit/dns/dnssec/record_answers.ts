/**
 * Makes `answers.json` anew: zones signed by ldns, served by NSD, asked for through an unbound that does not validate.
 *
 *     deno run -A tests/unit/dns/dnssec/record_answers.ts
 *
 * needs `nsd`, `unbound` and `ldnsutils`. The tests put their clock where the signatures are valid.
 */

import { endProcess, freePort } from "../../../../scripts/bench/server.ts";
import { systemClock } from "../../../../src/clock/mod.ts";
import { BogusError, createValidator, readAnchors, TYPE } from "../../../../src/dns/dnssec/mod.ts";
import { createUpstream } from "../../../../src/dns/upstream.ts";
import { type SignedZone, signZone, withUnbound } from "../../../interop/signed_zone.ts";
import { CASES, SIGNED } from "./cases.ts";

const folder = await Deno.makeTempDir({ prefix: "godwit-dnssec-" });
const zones: SignedZone[] = [];

/** What each zone holds. */
function contents(zone: string): string[] {
  return [
    `${zone}. 300 IN MX 10 mx.${zone}.`,
    `mx.${zone}. 300 IN A 192.0.2.1`,
    `_25._tcp.mx.${zone}. 300 IN TLSA 3 1 1 ${"ab".repeat(32)}`,
    `Mixed.${zone}. 300 IN MX 10 MX.${zone}.`,
    `*.wild.${zone}. 300 IN A 192.0.2.2`,
    `there.wild.${zone}. 300 IN TXT "there"`,
    `leaf.empty.${zone}. 300 IN A 192.0.2.3`,
    `near.${zone}. 300 IN CNAME mx.${zone}.`,
    `far.${zone}. 300 IN CNAME mx.plain.example.`,
    `wildalias.${zone}. 300 IN CNAME q.wild.p256.example.`,
    `renamed.${zone}. 300 IN DNAME wild.p256.example.`,
  ];
}

async function add(
  name: string,
  more: { readonly algorithm?: string; readonly nsec3?: boolean; readonly options?: readonly string[] },
  records: readonly string[] = contents(name),
): Promise<string[]> {
  const signed = await signZone(folder, { name, records, ...more });
  zones.push({ name, file: signed.file, anchor: undefined });
  const delegation = [`${name}. 300 IN NS ns.${name}.`, `ns.${name}. 300 IN A 192.0.2.53`];
  return signed.anchor === undefined ? delegation : [...delegation, await Deno.readTextFile(signed.anchor)];
}

const salted = ["-a", "1", "-t", "5", "-s", "abcd"];
const children = (await Promise.all([
  add("rsa256.example", { algorithm: "RSASHA256" }),
  add("rsa512.example", { algorithm: "RSASHA512", nsec3: true, options: salted }),
  add("p256.example", { algorithm: "ECDSAP256SHA256", nsec3: true }),
  add("p384.example", { algorithm: "ECDSAP384SHA384" }),
  add("ed.example", { algorithm: "ED25519", nsec3: true }),
  add("sha1.example", { algorithm: "RSASHA1" }),
  add("costly.example", { algorithm: "ECDSAP256SHA256", nsec3: true, options: ["-t", "150"] }),
  add("optout.example", { algorithm: "ECDSAP256SHA256", nsec3: true, options: ["-p"] }, [
    ...contents("optout.example"),
    ...await add("below.optout.example", {}),
  ]),
  add("plain.example", {}),
])).flat();
// The zone above knows another key than the one that signs here.
const other = await add("broken.example", { algorithm: "ECDSAP256SHA256" });
const digest = other[2]?.replace(/([0-9a-f])\s*$/, (last) => last.trim() === "0" ? "1" : "0") ?? "";
const top = await signZone(folder, {
  name: "example",
  records: [...children, other[0] ?? "", other[1] ?? "", digest, ...contents("example")],
  algorithm: "ECDSAP256SHA256",
});
zones.push({ name: "example", file: top.file, anchor: undefined });
const anchor = (await Deno.readTextFile(top.anchor ?? "")).trim();

const answers: Record<string, string> = {};
const authority = freePort();
const lines = (name: string, file: string) => `zone:\n  name: ${name}\n  zonefile: ${file}\n`;
await Deno.writeTextFile(
  `${folder}/nsd.conf`,
  `server:
  ip-address: 127.0.0.1@${authority}
  username: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: ""
  xfrdfile: ""
  zonelistfile: "${folder}/zones"
  xfrdir: "${folder}"
  server-count: 1
remote-control:
  control-enable: no
${zones.map(({ name, file }) => lines(name, file)).join("")}`,
);
const nsd = new Deno.Command("nsd", { args: ["-d", "-c", `${folder}/nsd.conf`], stdout: "null", stderr: "null" })
  .spawn();
const stubs = zones.map(({ name }) => `stub-zone:\n  name: "${name}"\n  stub-addr: 127.0.0.1@${authority}`);
await withUnbound([], async (port) => {
  const upstream = createUpstream(
    [{ protocol: "tcp", ip: "127.0.0.1", port }],
    { concurrency: 1, timeout: 5000, attempts: 1, tryTcpOnError: true, edns: true },
    { clock: systemClock, random: Math.random },
  );
  const ask = async (name: string, type: keyof typeof TYPE) => {
    const { message } = await upstream.ask({ name, type: type as "DS", unchecked: true });
    answers[`${name} ${type}`] = message.toBase64();
    return message;
  };
  const anchors = readAnchors([anchor]);
  if ("unreadable" in anchors) throw new Error(`no anchor: ${anchors.unreadable}`);
  const validator = createValidator({ anchors: () => anchors, ask, now: Date.now });
  for (const { name, type, becomes } of CASES) {
    const verdict = await validator.validate({ name, type: TYPE[type] }, await ask(name, type))
      .then(({ security }) => security, (error) => {
        if (error instanceof BogusError) return `bogus: ${error.message}`;
        throw error;
      });
    if (!verdict.startsWith(becomes)) console.log(`${name} ${type}: ${verdict}, expected ${becomes}`);
  }
  // What is asked where signatures have been taken away: whether another zone begins there.
  for (const zone of SIGNED) {
    for (const name of ["mx", "_tcp.mx", "_25._tcp.mx", "none", "wild", "q.wild"]) await ask(`${name}.${zone}`, "DS");
  }
  upstream.close();
}, { server: ['module-config: "iterator"'], clauses: stubs });
await endProcess(nsd);

const file = new URL("answers.json", import.meta.url);
await Deno.writeTextFile(file, `${JSON.stringify({ recorded: Date.now(), anchor, answers }, undefined, 1)}\n`);
await Deno.remove(folder, { recursive: true });
