/** DNSSEC validated by godwit beside unbound: the same zones, the same verdicts. */

import assert from "node:assert/strict";
import type { ResolverConfig } from "../../src/config/config.ts";
import { systemClock } from "../../src/clock/mod.ts";
import { createResolver, DnsError, type Resolver } from "../../src/dns/mod.ts";
import { type SignedZone, signZone, withUnbound } from "./signed_zone.ts";

const ALGORITHMS = ["RSASHA256", "RSASHA512", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519"];
const zoneOf = (algorithm: string, nsec3: boolean) => `${algorithm.toLowerCase()}${nsec3 ? "-nsec3" : ""}.example`;
const ZONES = ALGORITHMS.flatMap((algorithm) =>
  [false, true].map((nsec3) => ({ name: zoneOf(algorithm, nsec3), algorithm, nsec3 }))
);
const NAMES = ["", "mx.", "_25._tcp.mx.", "none.", "a.b.none.", "q.wild.", "a.b.wild.", "there.wild.", "near.", "far."];
const TYPES = ["a", "mx", "tlsa", "cname"] as const;

function contents(zone: string): string[] {
  return [
    `${zone}. 300 IN MX 10 mx.${zone}.`,
    `mx.${zone}. 300 IN A 192.0.2.1`,
    `_25._tcp.mx.${zone}. 300 IN TLSA 3 1 1 ${"ab".repeat(32)}`,
    `*.wild.${zone}. 300 IN A 192.0.2.2`,
    `there.wild.${zone}. 300 IN TXT "there"`,
    `near.${zone}. 300 IN CNAME mx.${zone}.`,
    `far.${zone}. 300 IN CNAME mx.plain.example.`,
  ];
}

function resolverFor(port: number, dnssec: ResolverConfig["dnssec"], anchor: string) {
  return createResolver({
    servers: [{ protocol: "udp", ip: "127.0.0.1", port }],
    preserveIntermediates: true,
    concurrency: 1,
    timeout: 5000,
    attempts: 1,
    tryTcpOnError: true,
    edns: true,
    dnssec,
    trustAnchors: [anchor],
    cacheSizes: {},
  }, { clock: systemClock, random: Math.random, emit: () => {} });
}

async function inShort(resolver: Resolver, type: typeof TYPES[number], name: string): Promise<string> {
  try {
    const { security, records, exists } = await resolver[type](name);
    return `${security} ${JSON.stringify(records)} ${exists}`;
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    // Without extended errors a server says no more of a bogus answer than that it failed.
    return "failed";
  }
}

Deno.test("godwit finds the same answers secure, insecure and bogus as unbound does", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit-zones-" });
  const zones: SignedZone[] = [];
  const above: string[] = [];
  const add = async (zone: Parameters<typeof signZone>[1], trusted = true) => {
    const signed = await signZone(folder, zone);
    zones.push({ name: zone.name, file: signed.file, anchor: undefined });
    above.push(`${zone.name}. 300 IN NS ns.${zone.name}.`, `ns.${zone.name}. 300 IN A 192.0.2.53`);
    if (signed.anchor === undefined) return;
    const ds = await Deno.readTextFile(signed.anchor);
    above.push(trusted ? ds : ds.replace(/\S(?=\s*$)/, (last) => last === "0" ? "1" : "0"));
  };
  try {
    for (const { name, algorithm, nsec3 } of ZONES) await add({ name, algorithm, nsec3, records: contents(name) });
    // Delegations without a signature may be anywhere, and a proof that takes more rounds than anybody follows.
    for (const [name, options] of Object.entries(DOUBTFUL)) {
      await add({ name, algorithm: "ECDSAP256SHA256", nsec3: true, options, records: contents(name) });
    }
    await add({ name: "plain.example", records: contents("plain.example") });
    await add({ name: "stale.example", algorithm: "ED25519", records: contents("stale.example"), options: STALE });
    await add({ name: "broken.example", algorithm: "ED25519", records: contents("broken.example") }, false);
    const top = await signZone(folder, { name: "example", algorithm: "ECDSAP256SHA256", nsec3: true, records: above });
    zones.push({ name: "example", file: top.file, anchor: top.anchor });
    const anchor = (await Deno.readTextFile(top.anchor ?? "")).trim();
    await withUnbound(zones, async (validating) => {
      await withUnbound(zones, async (plain) => {
        const theirs = resolverFor(validating, "trust", anchor);
        const ours = resolverFor(plain, "validate", anchor);
        const seen = new Map<string, number>();
        const others = [...Object.keys(DOUBTFUL), "plain.example", "stale.example", "broken.example"];
        for (const zone of [...ZONES.map(({ name }) => name), ...others]) {
          for (const label of NAMES) {
            for (const type of TYPES) {
              const [expected, found] = [
                await inShort(theirs, type, label + zone),
                await inShort(ours, type, label + zone),
              ];
              assert.equal(found, expected, `${type} of ${label}${zone}`);
              const verdict = found.split(" ")[0] ?? "";
              seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
            }
          }
        }
        theirs.close();
        ours.close();
        // All kinds were there: ten zones are secure but for three lookups each, two in part, one is not signed, two do
        // not hold.
        assert.deepEqual(Object.fromEntries(seen), { secure: 397, insecure: 123, failed: 80 });
      }, { server: ['module-config: "iterator"'] });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Zones with NSEC3 of which not everything is secure, and the options that make them so. */
const DOUBTFUL = { "optout.example": ["-p"], "costly.example": ["-t", "200"] } as const;

/** Signatures that ended long ago. */
const STALE = ["-i", "20200101", "-e", "20200201"];
