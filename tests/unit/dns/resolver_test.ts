import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
// @ts-types="../../../src/dns/dns_packet.d.ts"
import * as packet from "dns-packet";
import type { ResolverConfig } from "../../../src/config/config.ts";
import { createResolver, DnsError, type Resolver } from "../../../src/dns/mod.ts";
import { makeCertificate } from "../../support/certificates.ts";
import { type DnsServer, type Query, record, type Reply, soa, startDnsServer } from "../../support/dns_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";

type Protocol = ResolverConfig["servers"][number]["protocol"];

function configFor(
  servers: readonly { readonly port: number; readonly protocol?: Protocol }[],
  changes: Partial<ResolverConfig> = {},
): ResolverConfig {
  return {
    servers: servers.map(({ port, protocol = "udp" }) => ({ protocol, ip: "127.0.0.1", port })),
    preserveIntermediates: true,
    concurrency: 2,
    timeout: 5000,
    attempts: 2,
    tryTcpOnError: true,
    edns: true,
    dnssec: "trust",
    trustAnchors: [],
    cacheSizes: {},
    ...changes,
  };
}

interface Setting {
  readonly resolver: Resolver & { close(): void };
  readonly server: DnsServer;
  readonly clock: FakeClock;
}

/** Runs `test` with a resolver that asks one server. */
async function withServer(
  answer: (query: Query) => Reply | Promise<Reply>,
  test: (setting: Setting) => Promise<void>,
  changes: Partial<ResolverConfig> & { readonly protocol?: Protocol; readonly tcp?: boolean } = {},
): Promise<void> {
  const { protocol = "udp", tcp = true, ...rest } = changes;
  await using server = await startDnsServer(answer, { tcp });
  const clock = new FakeClock();
  const resolver = createResolver(configFor([{ port: server.port, protocol }], rest), {
    clock,
    random: Math.random,
    emit: () => {},
  });
  try {
    await test({ resolver, server, clock });
  } finally {
    resolver.close();
  }
}

/** Lets time pass whenever something waits for it, until `promise` settles. */
async function passing<T>(clock: FakeClock, promise: Promise<T>, step = 1000): Promise<T> {
  let settled = false;
  const done = promise.finally(() => settled = true);
  done.catch(() => {});
  while (!settled) {
    // Sockets need real turns of the event loop; time itself is the fake clock's.
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
    if (clock.pending > 0) await clock.advance(step);
  }
  return await done;
}

const reason = (expected: DnsError["reason"]) => (error: unknown) => {
  assert.ok(error instanceof DnsError, String(error));
  assert.equal(error.reason, expected, error.message);
  return true;
};

Deno.test("addresses come back as they are, names in lower case without final dot", async () => {
  await withServer(
    ({ name, type }) => ({
      answers: {
        A: [record(name, "A", "192.0.2.1"), record(name, "A", "192.0.2.2")],
        AAAA: [record(name, "AAAA", "2001:db8::1")],
        NS: [record(name, "NS", "NS1.Example.NET")],
        PTR: [record(name, "PTR", "Host.Example.NET")],
      }[type] ?? [],
    }),
    async ({ resolver, server, clock }) => {
      assert.deepEqual(await resolver.a("MX.Example.net."), {
        records: ["192.0.2.1", "192.0.2.2"],
        exists: true,
        security: "insecure",
        name: "mx.example.net",
        until: clock.now() + 300_000,
      });
      assert.deepEqual((await resolver.aaaa("mx.example.net")).records, ["2001:db8::1"]);
      assert.deepEqual((await resolver.ns("example.net")).records, ["ns1.example.net"]);
      assert.deepEqual((await resolver.ptr("192.0.2.1")).records, ["host.example.net"]);
      assert.deepEqual((await resolver.ptr("2001:db8::1")).records, ["host.example.net"]);
      assert.deepEqual((await resolver.ptr("::ffff:192.0.2.9")).records, ["host.example.net"]);
      assert.deepEqual((await resolver.ptr("1.2.0.192.in-addr.arpa")).records, ["host.example.net"]);
      assert.deepEqual(server.queries.slice(3).map(({ name }) => name), [
        "1.2.0.192.in-addr.arpa",
        // RFC 3596 §2.5
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        "9.2.0.192.in-addr.arpa",
      ]);
    },
  );
});

Deno.test("MX records are sorted by preference and the null MX has an empty exchange", async () => {
  await withServer(
    ({ name }) => ({
      answers: name === "null.example" ? [record(name, "MX", { preference: 0, exchange: "." })] : [
        record(name, "MX", { preference: 20, exchange: "B.example.net" }),
        record(name, "MX", { preference: 5, exchange: "a.example.net" }),
        record(name, "MX", { preference: 20, exchange: "c.example.net" }),
      ],
    }),
    async ({ resolver }) => {
      assert.deepEqual((await resolver.mx("example.net")).records, [
        { preference: 5, exchange: "a.example.net" },
        { preference: 20, exchange: "b.example.net" },
        { preference: 20, exchange: "c.example.net" },
      ]);
      assert.deepEqual((await resolver.mx("null.example")).records, [{ preference: 0, exchange: "" }]);
    },
  );
});

Deno.test("an exchange that is no host name is left out", async () => {
  await withServer(
    ({ name }) => ({
      answers: [
        record(name, "MX", { preference: 1, exchange: "bad host\r\n.example.net" }),
        record(name, "MX", { preference: 2, exchange: "good.example.net" }),
      ],
    }),
    async ({ resolver }) => {
      assert.deepEqual((await resolver.mx("example.net")).records, [{ preference: 2, exchange: "good.example.net" }]);
    },
  );
});

Deno.test("the strings of a TXT record are joined, other bytes than UTF-8 become Latin-1", async () => {
  await withServer(
    ({ name }) => ({
      answers: [
        record(name, "TXT", [Buffer.from("v=spf1 "), Buffer.from("-all ü")]),
        record(name, "TXT", [Buffer.from([0x66, 0xfc, 0x72])]),
      ],
    }),
    async ({ resolver }) => {
      assert.deepEqual((await resolver.txt("example.net")).records, ["v=spf1 -all ü", "für"]);
    },
  );
});

Deno.test("TLSA records come with their bytes", async () => {
  await withServer(
    ({ name }) => ({
      answers: [record(name, "TLSA", { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from([1, 2, 3]) })],
    }),
    async ({ resolver, server }) => {
      assert.deepEqual((await resolver.tlsa("_25._tcp.mx.example.net")).records, [
        { usage: 3, selector: 1, matchingType: 1, data: new Uint8Array([1, 2, 3]) },
      ]);
      assert.equal(server.queries[0]?.name, "_25._tcp.mx.example.net");
    },
  );
});

Deno.test("the query asks for recursion and carries EDNS with the DO bit and a size of 1232", async () => {
  await withServer(({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }), async ({ resolver, server }) => {
    await resolver.a("example.net");
    const query = server.queries[0]?.packet;
    const opt = query?.additionals[0];
    assert.ok(query !== undefined && (query.flags & packet.RECURSION_DESIRED) !== 0);
    assert.equal(opt?.type, "OPT");
    assert.equal(opt?.udpPayloadSize, 1232);
    assert.equal((opt?.flags ?? 0) & packet.DNSSEC_OK, packet.DNSSEC_OK);
  });
});

Deno.test("without edns no OPT record is sent", async () => {
  await withServer(({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }), async ({ resolver, server }) => {
    await resolver.a("example.net");
    assert.equal(server.queries[0]?.packet.additionals.length, 0);
  }, { edns: false });
});

Deno.test("a server that does not know EDNS is asked again without, and from then on", async () => {
  await withServer(
    ({ name, packet: query }) =>
      query.additionals.length > 0 ? { rcode: 1, questions: [] } : { answers: [record(name, "A", "192.0.2.1")] },
    async ({ resolver, server }) => {
      assert.deepEqual((await resolver.a("one.example")).records, ["192.0.2.1"]);
      assert.deepEqual((await resolver.a("two.example")).records, ["192.0.2.1"]);
      assert.deepEqual(server.queries.map((query) => query.packet.additionals.length), [1, 0, 0]);
    },
  );
});

Deno.test("the AD bit makes an answer secure", async () => {
  await withServer(
    ({ name }) => ({ flags: packet.AUTHENTIC_DATA, answers: [record(name, "A", "192.0.2.1")] }),
    async ({ resolver }) => {
      assert.equal((await resolver.a("example.net")).security, "secure");
    },
  );
});

Deno.test("a SERVFAIL that says DNSSEC is bogus is reported as such", async () => {
  // RFC 8914: option 15, info code 6
  const options = [{ code: 15, data: Buffer.from([0, 6]) }];
  await withServer(
    () => ({ rcode: 2, additionals: [{ name: ".", type: "OPT", udpPayloadSize: 1232, options }] }),
    async ({ resolver }) => {
      await assert.rejects(resolver.a("example.net"), reason("bogus"));
    },
  );
});

Deno.test("NXDOMAIN and NODATA are answers, told apart", async () => {
  await withServer(
    ({ name }) => ({ rcode: name === "none.example" ? 3 : 0, authorities: [soa("example", 60)] }),
    async ({ resolver }) => {
      const none = await resolver.mx("none.example");
      assert.deepEqual([none.exists, none.records], [false, []]);
      const empty = await resolver.mx("empty.example");
      assert.deepEqual([empty.exists, empty.records], [true, []]);
    },
  );
});

Deno.test("a CNAME is followed inside one answer, and on with another question where the server stopped", async () => {
  await withServer(
    ({ name }) => ({
      flags: packet.AUTHENTIC_DATA,
      answers: {
        "www.example": [record("www.example", "CNAME", "a.example"), record("a.example", "CNAME", "b.example")],
        "b.example": [record("b.example", "A", "192.0.2.7")],
      }[name] ?? [],
    }),
    async ({ resolver, server, clock }) => {
      assert.deepEqual(await resolver.a("www.example"), {
        records: ["192.0.2.7"],
        exists: true,
        security: "secure",
        name: "b.example",
        until: clock.now() + 300_000,
      });
      assert.deepEqual(server.queries.map(({ name }) => name), ["www.example", "b.example"]);
    },
  );
});

Deno.test("a chain is secure only if every response was", async () => {
  await withServer(
    ({ name }) =>
      name === "www.example"
        ? { flags: packet.AUTHENTIC_DATA, answers: [record(name, "CNAME", "b.example")] }
        : { answers: [record(name, "A", "192.0.2.7")] },
    async ({ resolver }) => {
      assert.equal((await resolver.a("www.example")).security, "insecure");
    },
  );
});

Deno.test("a dangling CNAME does not exist", async () => {
  await withServer(
    ({ name }) => ({ rcode: 3, answers: [record(name, "CNAME", "gone.example")], authorities: [soa("example", 60)] }),
    async ({ resolver, server }) => {
      const answer = await resolver.a("www.example");
      assert.deepEqual([answer.exists, answer.name, answer.records], [false, "gone.example", []]);
      assert.equal(server.queries.length, 1);
    },
  );
});

Deno.test("a loop of CNAMEs ends in an error", async () => {
  await withServer(
    ({ name }) => ({ answers: [record(name, "CNAME", name === "a.example" ? "b.example" : "a.example")] }),
    async ({ resolver, server }) => {
      await assert.rejects(resolver.a("a.example"), reason("servfail"));
      assert.ok(server.queries.length <= 20);
    },
  );
});

Deno.test("a question about the CNAME itself is not followed", async () => {
  await withServer(({ name }) => ({ answers: [record(name, "CNAME", "b.example")] }), async ({ resolver, server }) => {
    assert.deepEqual((await resolver.cname("a.example")).records, ["b.example"]);
    assert.equal(server.queries.length, 1);
  });
});

Deno.test("records of other names in the answer are ignored", async () => {
  await withServer(
    ({ name }) => ({ answers: [record("other.example", "A", "203.0.113.1"), record(name, "A", "192.0.2.1")] }),
    async ({ resolver }) => {
      assert.deepEqual((await resolver.a("example.net")).records, ["192.0.2.1"]);
    },
  );
});

Deno.test("an answer is kept for its TTL and no longer", async () => {
  await withServer(
    ({ name }) => ({ answers: [record(name, "A", "192.0.2.1", 300), record(name, "A", "192.0.2.2", 60)] }),
    async ({ resolver, server, clock }) => {
      const { until } = await resolver.a("example.net");
      assert.equal(until, clock.now() + 60_000);
      await clock.advance(59_999);
      assert.equal((await resolver.a("EXAMPLE.net")).until, until);
      assert.equal(server.queries.length, 1);
      await clock.advance(1);
      await resolver.a("example.net");
      assert.equal(server.queries.length, 2);
    },
  );
});

Deno.test("a TTL of a year is cut to a day, a TTL of zero is not kept", async () => {
  await withServer(
    ({ name }) => ({ answers: [record(name, "A", "192.0.2.1", name === "zero.example" ? 0 : 31_536_000)] }),
    async ({ resolver, server, clock }) => {
      await resolver.a("long.example");
      await clock.advance(86_400_000);
      await resolver.a("long.example");
      assert.equal((await resolver.a("zero.example")).until, undefined);
      await resolver.a("zero.example");
      assert.equal(server.queries.length, 4);
    },
  );
});

Deno.test("a negative answer is kept for the lesser of the SOA's TTL and minimum, without SOA not at all", async () => {
  await withServer(
    ({ name }) => ({ rcode: 3, authorities: name === "bare.example" ? [] : [soa("example", 30, 120)] }),
    async ({ resolver, server, clock }) => {
      await resolver.a("none.example");
      await clock.advance(29_999);
      await resolver.a("none.example");
      assert.equal(server.queries.length, 1);
      await clock.advance(1);
      await resolver.a("none.example");
      assert.equal(server.queries.length, 2);
      await resolver.a("bare.example");
      await resolver.a("bare.example");
      assert.equal(server.queries.length, 4);
    },
  );
});

Deno.test("equal questions asked at once share one query", async () => {
  await withServer(({ name }) => ({ answers: [record(name, "A", "192.0.2.1", 0)] }), async ({ resolver, server }) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => resolver.a("example.net")));
    assert.equal(server.queries.length, 1);
    assert.ok(answers.every(({ records }) => records[0] === "192.0.2.1"));
  });
});

Deno.test("names that are asked for all the time stay in a cache that others pass through", async () => {
  await withServer(
    ({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }),
    async ({ resolver, server }) => {
      for (let i = 0; i < 100; i++) {
        for (const name of ["a.example", "b.example", `c${i}.example`, "a.example"]) await resolver.a(name);
      }
      assert.equal(server.queries.length, 102);
    },
    // Room for about ten entries.
    { cacheSizes: { ipv4: 2000 } },
  );
});

Deno.test("a full cache drops what was not used for longest", async () => {
  await withServer(
    ({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }),
    async ({ resolver, server }) => {
      for (const name of ["a.example", "b.example", "a.example", "c.example", "a.example"]) await resolver.a(name);
      assert.deepEqual(server.queries.map(({ name }) => name), ["a.example", "b.example", "c.example"]);
      await resolver.a("b.example");
      assert.equal(server.queries.length, 4);
    },
    // Room for two entries.
    { cacheSizes: { ipv4: 500 } },
  );
});

Deno.test("a truncated answer is asked for over TCP, also when errors are not", async () => {
  await withServer(
    ({ name, transport }) =>
      transport === "udp" ? { flags: packet.TRUNCATED_RESPONSE } : { answers: [record(name, "A", "192.0.2.1")] },
    async ({ resolver, server }) => {
      assert.deepEqual((await resolver.a("example.net")).records, ["192.0.2.1"]);
      assert.deepEqual(server.queries.map(({ transport }) => transport), ["udp", "tcp"]);
    },
    { tryTcpOnError: false },
  );
});

Deno.test("silence on UDP is tried over TCP", async () => {
  await withServer(
    ({ name, transport }) => transport === "udp" ? undefined : { answers: [record(name, "A", "192.0.2.1")] },
    async ({ resolver, clock }) => {
      assert.deepEqual((await passing(clock, resolver.a("example.net"))).records, ["192.0.2.1"]);
    },
  );
});

Deno.test("silence everywhere is a timeout after the configured tries", async () => {
  await withServer(() => undefined, async ({ resolver, server, clock }) => {
    const start = clock.now();
    await assert.rejects(passing(clock, resolver.a("example.net")), reason("timeout"));
    assert.deepEqual(server.queries.map(({ transport }) => transport), ["udp", "udp", "udp"]);
    assert.ok(clock.now() - start >= 6000 && clock.now() - start <= 9000);
  }, { timeout: 2000, attempts: 3, tryTcpOnError: false });
});

Deno.test("SERVFAIL and REFUSED are errors that are not kept for long", async () => {
  await withServer(
    ({ name }) => ({ rcode: name === "fail.example" ? 2 : 5 }),
    async ({ resolver, server, clock }) => {
      await assert.rejects(resolver.mx("fail.example"), reason("servfail"));
      await assert.rejects(resolver.mx("refuse.example"), reason("refused"));
      const asked = server.queries.length;
      await assert.rejects(resolver.mx("fail.example"), reason("servfail"));
      assert.equal(server.queries.length, asked);
      await clock.advance(5000);
      await assert.rejects(resolver.mx("fail.example"), reason("servfail"));
      assert.ok(server.queries.length > asked);
    },
  );
});

Deno.test("messages that answer another question or carry another id are passed over", async () => {
  await withServer(
    ({ name, packet: query }) => {
      const forged = [record(name, "A", "203.0.113.66")];
      return [
        { id: query.id ^ 1, answers: forged },
        { questions: [{ name: "other.example", type: "A", class: "IN" }], answers: forged },
        { questions: [{ name, type: "AAAA", class: "IN" }], answers: forged },
        new Uint8Array([1, 2, 3]),
        { answers: [record(name, "A", "192.0.2.1")] },
      ];
    },
    async ({ resolver, server }) => {
      assert.deepEqual((await resolver.a("example.net")).records, ["192.0.2.1"]);
      assert.equal(server.queries.length, 1);
    },
  );
});

Deno.test("a datagram from another port is passed over, even with the right id and question", async () => {
  const forger = createSocket("udp4");
  await withServer(
    async ({ name, packet: query, port }) => {
      const forged = packet.encode({
        id: query.id,
        type: "response",
        questions: query.questions,
        answers: [record(name, "A", "203.0.113.66")],
      });
      await new Promise((resolve) => forger.send(forged, port, "127.0.0.1", resolve));
      return { answers: [record(name, "A", "192.0.2.1")] };
    },
    async ({ resolver }) => {
      assert.deepEqual((await resolver.a("example.net")).records, ["192.0.2.1"]);
    },
  );
  forger.close();
});

Deno.test("every query has an id and a source port of its own", async () => {
  await withServer(
    ({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }),
    async ({ resolver, server }) => {
      for (let i = 0; i < 8; i++) await resolver.a(`n${i}.example`);
      assert.ok(new Set(server.queries.map(({ port }) => port)).size > 4);
      assert.ok(new Set(server.queries.map(({ packet }) => packet.id)).size > 6);
    },
  );
});

Deno.test("the letters of a question are large and small by chance, and have to come back as they were", async () => {
  const forger = createSocket("udp4");
  const spelled: string[] = [];
  await withServer(
    async ({ name, packet: query, port, transport }) => {
      const [question] = query.questions;
      if (transport === "udp" && question !== undefined) {
        spelled.push(question.name);
        // A forger who knows name, port and id, and not the letters.
        const forged = packet.encode({
          id: query.id,
          type: "response",
          questions: [{ ...question, name: "long.name.with.letters.example.net" }],
          answers: [record(name, "A", "203.0.113.66")],
        });
        await new Promise((resolve) => forger.send(forged, port, "127.0.0.1", resolve));
      }
      return { answers: [record(name, "A", "192.0.2.1")] };
    },
    async ({ resolver, clock }) => {
      for (let i = 0; i < 4; i++) {
        assert.deepEqual((await resolver.a("long.name.with.letters.example.net")).records, ["192.0.2.1"]);
        await clock.advance(400_000);
      }
    },
  );
  forger.close();
  assert.equal(new Set(spelled).size, 4, spelled.join(" "));
  assert.deepEqual([...new Set(spelled.map((name) => name.toLowerCase()))], ["long.name.with.letters.example.net"]);
});

Deno.test("a server that changes the letters is asked over TCP, and in small letters if it has none", async () => {
  for (const tcp of [true, false]) {
    await withServer(
      ({ name, packet: query, transport }) => {
        const raw = packet.encode({
          id: query.id,
          type: "response",
          flags: packet.RECURSION_DESIRED,
          questions: query.questions.map((question) => ({ ...question, name })),
          answers: [record(name, "A", transport === "udp" ? "192.0.2.17" : "192.0.2.6")],
        });
        return new Uint8Array(raw);
      },
      async ({ resolver, server }) => {
        const name = "some.long.name.example.net";
        assert.deepEqual((await resolver.a(name)).records, [tcp ? "192.0.2.6" : "192.0.2.17"]);
        assert.deepEqual(server.queries.map(({ transport }) => transport), tcp ? ["udp", "tcp"] : ["udp", "udp"]);
      },
      { tcp },
    );
  }
});

Deno.test("a server that changes the letters and is silent over TCP answers a single attempt, and is remembered", async () => {
  await withServer(
    ({ name, packet: query, transport }) => {
      if (transport === "tcp") return undefined;
      const questions = query.questions.map((question) => ({ ...question, name: name.toUpperCase() }));
      const answers = [record(name, "A", "192.0.2.17")];
      return new Uint8Array(packet.encode({ id: query.id, type: "response", questions, answers }));
    },
    async ({ resolver, server, clock }) => {
      const transports = () => server.queries.map(({ transport }) => transport).join(" ");
      assert.deepEqual((await passing(clock, resolver.a("some.long.name.example.net"))).records, ["192.0.2.17"]);
      assert.equal(transports(), "udp tcp udp");
      assert.deepEqual((await resolver.a("other.long.name.example.net")).records, ["192.0.2.17"]);
      assert.equal(transports(), "udp tcp udp udp");
    },
    { attempts: 1 },
  );
});

Deno.test("a broken message is malformed", async () => {
  await withServer(
    ({ packet: query }) => {
      const whole = packet.encode({
        id: query.id,
        type: "response",
        flags: packet.RECURSION_DESIRED,
        questions: query.questions,
        answers: [record(query.questions[0]!.name, "A", "192.0.2.1")],
      });
      return new Uint8Array(whole.subarray(0, whole.length - 6));
    },
    async ({ resolver }) => {
      await assert.rejects(resolver.a("example.net"), reason("malformed"));
    },
    { tcp: false },
  );
});

Deno.test("a second server answers at once when the first is silent", async () => {
  await using silent = await startDnsServer(() => undefined);
  await using talking = await startDnsServer(({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }));
  const resolver = createResolver(configFor([silent, talking]), {
    clock: new FakeClock(),
    random: Math.random,
    emit: () => {},
  });
  assert.deepEqual((await resolver.a("example.net")).records, ["192.0.2.1"]);
  assert.equal(silent.queries.length <= 1, true);
  resolver.close();
});

Deno.test("with a concurrency of one the second server is asked after the first has failed", async () => {
  await using failing = await startDnsServer(() => ({ rcode: 2 }));
  await using talking = await startDnsServer(({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }));
  const resolver = createResolver(configFor([failing, talking], { concurrency: 1 }), {
    clock: new FakeClock(),
    random: Math.random,
    emit: () => {},
  });
  await resolver.a("one.example");
  assert.deepEqual([failing.queries.length, talking.queries.length], [1, 1]);
  resolver.close();
});

Deno.test("a TCP server is asked over one connection, opened again after it was closed", async () => {
  await withServer(
    ({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }),
    async ({ resolver, server, clock }) => {
      await resolver.a("one.example");
      await Promise.all([resolver.a("two.example"), resolver.a("three.example")]);
      await clock.advance(60_000);
      await resolver.a("four.example");
      const ports = server.queries.map(({ port }) => port);
      assert.equal(new Set(ports.slice(0, 3)).size, 1);
      assert.notEqual(ports[3], ports[0]);
      assert.ok(server.queries.every(({ transport }) => transport === "tcp"));
    },
    { protocol: "tcp" },
  );
});

Deno.test("DNS over TLS is used with a server whose certificate bears its address, and only with such a one", async () => {
  const authority = await makeCertificate({ names: ["authority"], authority: true });
  for (const [name, good] of [["127.0.0.1", true], ["dns.example", false]] as const) {
    const tls = await makeCertificate({ names: [name], issuer: authority });
    await using server = await startDnsServer(({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }), { tls });
    const resolver = createResolver(configFor([{ port: server.port, protocol: "tls" }]), {
      clock: new FakeClock(),
      random: Math.random,
      emit: () => {},
      caCerts: [authority.cert],
    });
    if (good) assert.deepEqual((await resolver.a("example.net")).records, ["192.0.2.1"]);
    else await assert.rejects(resolver.a("example.net"), reason("network"));
    assert.deepEqual(server.queries.map(({ transport }) => transport), good ? ["tcp"] : []);
    resolver.close();
  }
});

Deno.test("U-labels are asked for as A-labels", async () => {
  await withServer(({ name }) => ({ answers: [record(name, "A", "192.0.2.1")] }), async ({ resolver, server }) => {
    const answer = await resolver.a("Bücher.example");
    assert.equal(server.queries[0]?.name, "xn--bcher-kva.example");
    assert.equal(answer.name, "xn--bcher-kva.example");
  });
});

Deno.test("what cannot be a name does not exist and is not asked for", async () => {
  await withServer(() => undefined, async ({ resolver, server }) => {
    for (const name of ["", ".", "a..b", "a b.example", `${"x".repeat(64)}.example`, `${"x.".repeat(127)}example`]) {
      assert.deepEqual([name, (await resolver.a(name)).exists], [name, false]);
    }
    assert.equal((await resolver.ptr("not an address")).exists, false);
    assert.equal(server.queries.length, 0);
  });
});

Deno.test("localhost is loopback without asking anybody", async () => {
  await withServer(() => undefined, async ({ resolver, server }) => {
    assert.deepEqual((await resolver.a("localhost")).records, ["127.0.0.1"]);
    assert.deepEqual((await resolver.aaaa("mail.LOCALHOST.")).records, ["::1"]);
    assert.deepEqual((await resolver.mx("localhost")).records, []);
    assert.equal(server.queries.length, 0);
  });
});

Deno.test("closing ends what is under way", async () => {
  await withServer(() => undefined, async ({ resolver }) => {
    const answer = resolver.a("example.net");
    resolver.close();
    await assert.rejects(answer, reason("network"));
  });
});
