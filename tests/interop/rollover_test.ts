/** RFC 5011 with keys and zones made by the tools of ldns, and unbound in between. */

import assert from "node:assert/strict";
import { createResolver } from "../../src/dns/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { eventually, run } from "./server.ts";
import { withUnbound } from "./signed_zone.ts";

const DAY = 86_400_000;
const ZONE = "rolling.example";

/** Makes a key that signs the keys of the zone. @returns its path without ending */
async function makeKey(folder: string): Promise<string> {
  const work = new Deno.Command("ldns-keygen", { args: ["-a", "ECDSAP256SHA256", "-k", ZONE], cwd: folder });
  return `${folder}/${new TextDecoder().decode((await work.output()).stdout).trim()}`;
}

async function sign(folder: string, keys: readonly string[]): Promise<string> {
  const file = `${folder}/zone`;
  await Deno.writeTextFile(
    file,
    `${ZONE}. 3600 IN SOA ns.${ZONE}. admin.${ZONE}. 1 3600 600 86400 60
${ZONE}. 3600 IN NS ns.${ZONE}.
${ZONE}. 3600 IN MX 10 mx.${ZONE}.
`,
  );
  await run("ldns-signzone", ["-e", "20400101", "-f", `${file}.signed`, file, ...keys]);
  return `${file}.signed`;
}

Deno.test("keys of a zone are followed through a rollover", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-rollover-" });
  const anchorFile = `${folder}/anchors`;
  try {
    const first = await makeKey(folder);
    const anchor = (await Deno.readTextFile(`${first}.ds`)).trim();
    const second = await makeKey(folder);
    let now = Date.now();

    /** Starts, looks once so many days later, and gives the states in the file once they are there; and a lookup. */
    const phase = async (keys: readonly string[], days: number, states: readonly string[]) => {
      now += days * DAY;
      const clock = new FakeClock(now);
      await withUnbound([{ name: ZONE, file: await sign(folder, keys), anchor: undefined }], async (port) => {
        const resolver = createResolver({
          ...{ servers: [{ protocol: "udp", ip: "127.0.0.1", port }], preserveIntermediates: true, concurrency: 1 },
          ...{ timeout: 5000, attempts: 1, tryTcpOnError: true, edns: true, dnssec: "validate" },
          ...{ trustAnchors: [anchor], anchorFile, cacheSizes: {} },
        }, { clock, random: Math.random, emit: () => {}, followsAnchors: true });
        try {
          await clock.advance(10_000);
          let found: string[] = [];
          await eventually(`the file says ${states.join(", ")}`, async () => {
            const text = await Deno.readTextFile(anchorFile).catch(() => "");
            found = [...text.matchAll(/;;state=\d \[ *(\w+) *\]/g)].map(([, state = ""]) => state).sort();
            return found.join() === states.toSorted().join() ? true : undefined;
          });
          const { security } = await resolver.mx(ZONE);
          assert.equal(security, "secure");
        } finally {
          resolver.close();
        }
      }, { server: ['module-config: "iterator"'] });
    };

    await phase([first], 0, ["VALID"]);
    await phase([first, second], 1, ["VALID", "ADDPEND"]);
    await phase([first, second], 31, ["VALID", "VALID"]);
    await run("ldns-revoke", [`${first}.key`]);
    await phase([first, second], 1, ["REVOKED", "VALID"]);
    await phase([second], 31, ["REMOVED", "VALID"]);

    // unbound takes the file as its own, and believes the zone by it.
    await withUnbound([{ name: ZONE, file: `${folder}/zone.signed`, anchor: undefined }], async (port) => {
      const theirs = createResolver({
        ...{ servers: [{ protocol: "udp", ip: "127.0.0.1", port }], preserveIntermediates: true, concurrency: 1 },
        ...{ timeout: 5000, attempts: 1, tryTcpOnError: true, edns: true, dnssec: "trust", trustAnchors: [] },
        cacheSizes: {},
      }, { clock: new FakeClock(), random: Math.random, emit: () => {} });
      assert.equal((await theirs.mx(ZONE)).security, "secure");
      theirs.close();
    }, { server: [`auto-trust-anchor-file: "${anchorFile}"`] });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
