/** A name server that takes updates: BIND, with one zone and one key. */

import { endProcess, freePort } from "../../scripts/bench/server.ts";
import { createResolver } from "../../src/dns/mod.ts";
import { systemClock } from "../../src/clock/mod.ts";
import { eventually } from "./server.ts";

/** A running server. */
export interface Bind {
  readonly port: number;
  /** Secret (base64) of the keys that may change TXT records. Their names are `updates-` and the algorithm. */
  readonly secret: string;
  /** TXT records of a name, with blanks between them. */
  ask(name: string, type: "TXT"): Promise<string>;
}

/** Runs BIND while `body` runs. Every name of the zone has the address 127.0.0.1. */
export async function withBind(
  settings: { readonly zone: string; readonly algorithms: readonly string[] },
  body: (bind: Bind) => Promise<void>,
): Promise<void> {
  const { zone, algorithms } = settings;
  const folder = await Deno.makeTempDir({ prefix: "godwit-bind-" });
  const port = freePort();
  const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64();
  await Deno.writeTextFile(
    `${folder}/named.conf`,
    `options {
  directory "${folder}";
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  pid-file "named.pid";
  session-keyfile none;
  recursion no;
  dnssec-validation no;
  allow-query { any; };
};
controls { };
${
      algorithms.map((algorithm) => `key "updates-${algorithm}" { algorithm ${algorithm}; secret "${secret}"; };`).join(
        "\n",
      )
    }
zone "${zone}" {
  type primary;
  file "zone";
  update-policy { ${algorithms.map((algorithm) => `grant updates-${algorithm} zonesub TXT;`).join(" ")} };
};
`,
  );
  await Deno.writeTextFile(
    `${folder}/zone`,
    `$TTL 60
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
@ IN A 127.0.0.1
* IN A 127.0.0.1
ns IN A 127.0.0.1
`,
  );
  const child = new Deno.Command("named", {
    args: ["-f", "-c", `${folder}/named.conf`],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const txt = async (name: string) => {
    const resolver = createResolver({
      servers: [{ protocol: "udp", ip: "127.0.0.1", port }],
      preserveIntermediates: true,
      concurrency: 1,
      timeout: 2000,
      attempts: 1,
      tryTcpOnError: true,
      edns: true,
      dnssec: "trust",
      trustAnchors: [],
      cacheSizes: {},
    }, { clock: systemClock, random: Math.random, emit: () => {} });
    try {
      return (await resolver.txt(name)).records.join(" ");
    } finally {
      resolver.close();
    }
  };
  try {
    await eventually("BIND answers", () => txt(zone).catch(() => undefined));
    await body({ port, secret, ask: (name) => txt(name) });
  } finally {
    await endProcess(child);
    await Deno.remove(folder, { recursive: true });
  }
}
