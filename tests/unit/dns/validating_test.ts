/** Lookups with validation: recorded answers from a name server that validates nothing. */

import assert from "node:assert/strict";
import { createResolver } from "../../../src/dns/mod.ts";
import { type Query, type Reply, startDnsServer } from "../../support/dns_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { ANCHOR, answerTo, RECORDED, without } from "./dnssec/recorded.ts";

/** Runs `test` with a resolver over the recording. */
async function withRecording(
  test: (resolver: ReturnType<typeof createResolver>, queries: readonly Query[], clock: FakeClock) => Promise<void>,
  meddler: (response: Uint8Array, asked: string) => Uint8Array = (response) => response,
): Promise<void> {
  const respond = ({ name, type, packet }: Query): Reply => {
    const bytes = meddler(answerTo(`${name} ${type}`), `${name} ${type}`).slice();
    bytes[0] = packet.id >> 8;
    bytes[1] = packet.id & 255;
    return bytes;
  };
  await using server = await startDnsServer(respond);
  const clock = new FakeClock(RECORDED);
  const resolver = createResolver({
    servers: [{ protocol: "udp", ip: "127.0.0.1", port: server.port }],
    preserveIntermediates: true,
    concurrency: 1,
    timeout: 5000,
    attempts: 1,
    tryTcpOnError: false,
    edns: true,
    dnssec: "validate",
    trustAnchors: [ANCHOR],
    cacheSizes: {},
    // The recording repeats questions in small letters.
  }, { clock, random: () => 0, emit: () => {} });
  try {
    await test(resolver, server.queries, clock);
  } finally {
    resolver.close();
  }
}

Deno.test("signed answers are secure without the word of the server, and the way to them is asked once", async () => {
  await withRecording(async (resolver, queries, clock) => {
    const { until = 0, ...mx } = await resolver.mx("p256.example");
    assert.ok(until > clock.now());
    assert.deepEqual(mx, {
      records: [{ preference: 10, exchange: "mx.p256.example" }],
      exists: true,
      security: "secure",
      name: "p256.example",
    });
    assert.equal((await resolver.a("mx.p256.example")).security, "secure");
    assert.equal((await resolver.tlsa("_25._tcp.mx.p256.example")).security, "secure");
    assert.deepEqual(queries.map(({ name, type }) => `${name} ${type}`), [
      "p256.example MX",
      "example DNSKEY",
      "p256.example DS",
      "p256.example DNSKEY",
      "mx.p256.example A",
      "_25._tcp.mx.p256.example TLSA",
    ]);
    // RFC 4035 §3.2.2: CD asks for answers whatever the server thinks of them; DO for signatures.
    for (const { packet } of queries) {
      assert.notEqual(packet.flags & 0x0010, 0);
      assert.notEqual((packet.additionals[0]?.flags ?? 0) & 0x8000, 0);
    }
  });
});

Deno.test("unsigned zones are insecure, aliases as secure as what they lead to", async () => {
  await withRecording(async (resolver) => {
    assert.equal((await resolver.mx("plain.example")).security, "insecure");
    const far = await resolver.a("far.p256.example");
    assert.deepEqual([far.security, far.name], ["insecure", "mx.plain.example"]);
    assert.equal((await resolver.cname("far.p256.example")).security, "secure");
  });
});

Deno.test("whether a name exists is what is proven, not what the response code says", async () => {
  const asked = "mx.p256.example AAAA";
  await withRecording(
    async (resolver) => {
      const { records, exists, security } = await resolver.aaaa("mx.p256.example");
      assert.deepEqual([records, exists, security], [[], true, "secure"]);
      assert.equal((await resolver.mx("none.p256.example")).exists, false);
    },
    (message, of) => {
      if (of !== asked) return message;
      const lying = message.slice();
      lying[3] = (lying[3] ?? 0) & 0xf0 | 3;
      return lying;
    },
  );
});

Deno.test("an answer that does not hold is an error that says so, and is tried again after a while", async () => {
  let meddling = true;
  await withRecording(
    async (resolver, _queries, clock) => {
      const bogus = { name: "DnsError", reason: "bogus", message: /TLSA of _25.*DNSSEC validation failed: / };
      await assert.rejects(resolver.tlsa("_25._tcp.mx.p256.example"), bogus);
      meddling = false;
      await assert.rejects(resolver.tlsa("_25._tcp.mx.p256.example"), bogus);
      await clock.advance(5000);
      assert.equal((await resolver.tlsa("_25._tcp.mx.p256.example")).security, "secure");
    },
    (message, of) => meddling && of.endsWith("TLSA") ? without(message, ({ type }) => type === "RRSIG") : message,
  );
});
