import assert from "node:assert/strict";
import type { RouteConfig } from "../../../src/config/config.ts";
import { type FakePeer, startFakePeer } from "../../support/fake_peer.ts";
import { createZone, type Zone, type ZoneEntry } from "../../support/zone.ts";
import { connection, inShort, jobFor, mxRoute, queueConfig, relay, setUp, textOf } from "./setting.ts";

type Mx = Extract<RouteConfig, { type: "mx" }>;

/** Delivers to `u@<domain>` by the MX route; peers listen on loopback addresses, all on the port of the first. */
async function deliverTo(
  domain: string,
  table: Readonly<Record<string, ZoneEntry>>,
  options: {
    readonly port?: number;
    readonly random?: () => number;
    readonly route?: Partial<Mx>;
    readonly fail?: readonly string[];
  } = {},
) {
  const tried: string[] = [];
  const { connect } = await import("../../../src/net/mod.ts");
  const zone: Zone = createZone(table);
  const route: RouteConfig = { ...mxRoute as Mx, ...options.route };
  const setup = setUp(queueConfig([route]), {
    resolver: zone,
    mxPort: options.port ?? 25,
    random: options.random ?? (() => 0),
    connect: (how) => {
      tried.push(how.ip);
      if (options.port === undefined || options.fail?.includes(how.ip)) {
        return Promise.reject(new Error(`${how.ip} refused the connection`));
      }
      // Whatever the table says, only loopback is connected to.
      return connect({ ...how, ip: "127.0.0.1" });
    },
  });
  const outcomes = await setup.deliver(jobFor([`u@${domain}`], { route: "mx" }));
  await setup.delivery.close();
  const events = setup.events.map(({ name }) => name);
  return { outcome: outcomes[0], tried, asked: zone.asked, events, told: setup.events };
}

Deno.test("hosts are tried by preference", async () => {
  const { tried, outcome, told } = await deliverTo("d.example", {
    "d.example": { mx: [[30, "c.example"], [10, "a.example"], [20, "b.example"]] },
    "a.example": { a: ["192.0.2.1"] },
    "b.example": { a: ["192.0.2.2"] },
    "c.example": { a: ["192.0.2.3"] },
  });
  assert.deepEqual(tried, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
  assert.equal(inShort(outcome), "deferred connection 0 4.4.1");
  assert.deepEqual(
    told.flatMap(({ name, fields }) => name.endsWith("-lookup") ? [[name, fields.hosts ?? fields.ips]] : []),
    [
      ["delivery.mx-lookup", ["a.example", "b.example", "c.example"]],
      ["delivery.ip-lookup", ["192.0.2.1"]],
      ["delivery.ip-lookup", ["192.0.2.2"]],
      ["delivery.ip-lookup", ["192.0.2.3"]],
    ],
  );
});

Deno.test("hosts of one preference are shuffled, preferences are not", async () => {
  const table = {
    "d.example": { mx: [[10, "a.example"], [10, "b.example"], [10, "c.example"], [20, "z.example"]] },
    "a.example": { a: ["192.0.2.1"] },
    "b.example": { a: ["192.0.2.2"] },
    "c.example": { a: ["192.0.2.3"] },
    "z.example": { a: ["192.0.2.9"] },
  } as const;
  const first = new Set<string | undefined>();
  for (let seed = 1; seed <= 30; seed++) {
    let state = seed * 7_919_777;
    const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
    const { tried } = await deliverTo("d.example", table, { random });
    assert.equal(tried[3], "192.0.2.9");
    first.add(tried[0]);
  }
  assert.equal(first.size, 3);
});

Deno.test("no more hosts and addresses are tried than the limits say", async () => {
  const { tried } = await deliverTo("d.example", {
    "d.example": { mx: [[10, "a.example"], [20, "b.example"], [30, "c.example"]] },
    "a.example": { a: ["192.0.2.1", "192.0.2.11", "192.0.2.21"] },
    "b.example": { a: ["192.0.2.2"], aaaa: ["2001:db8::2"] },
    "c.example": { a: ["192.0.2.3"] },
  }, { route: { limits: { mx: 2, multihomed: 2 } } });
  assert.deepEqual(tried, ["192.0.2.1", "192.0.2.11", "192.0.2.2", "2001:db8::2"]);
});

for (
  const [ipLookup, tried] of [
    ["ipv4_only", ["192.0.2.1"]],
    ["ipv6_only", ["2001:db8::1"]],
    ["ipv4_then_ipv6", ["192.0.2.1", "2001:db8::1"]],
    ["ipv6_then_ipv4", ["2001:db8::1", "192.0.2.1"]],
  ] as const
) {
  Deno.test(`ip-lookup ${ipLookup} tries ${tried.join(", then ")}`, async () => {
    const result = await deliverTo("d.example", {
      "d.example": { mx: [[10, "a.example"]] },
      "a.example": { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] },
    }, { route: { ipLookup } });
    assert.deepEqual(result.tried, tried);
  });
}

const BOTH = {
  "d.example": { mx: [[10, "a.example"]] },
  "a.example": { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] },
} as const;

for (
  const [ipLookup, first, second] of [
    ["ipv4_then_ipv6", "192.0.2.1", "2001:db8::1"],
    ["ipv6_then_ipv4", "2001:db8::1", "192.0.2.1"],
  ] as const
) {
  Deno.test(`ip-lookup ${ipLookup}: the other family delivers what the first cannot, and is left alone if it can`, async () => {
    await using peer = await startFakePeer();
    const options = { port: peer.port, route: { ipLookup } };
    const well = await deliverTo("d.example", BOTH, options);
    assert.deepEqual([well.tried, inShort(well.outcome)], [[first], "delivered"]);
    const refused = await deliverTo("d.example", BOTH, { ...options, fail: [first] });
    assert.deepEqual([refused.tried, inShort(refused.outcome)], [[first, second], "delivered"]);
  });
}

for (const [ipLookup, only] of [["ipv4_only", "192.0.2.1"], ["ipv6_only", "2001:db8::1"]] as const) {
  Deno.test(`ip-lookup ${ipLookup}: the other family is not even looked up`, async () => {
    await using peer = await startFakePeer();
    const result = await deliverTo("d.example", BOTH, { port: peer.port, route: { ipLookup }, fail: [only] });
    assert.deepEqual([result.tried, inShort(result.outcome)], [[only], "deferred connection 0 4.4.1"]);
    assert.deepEqual(result.asked, ["MX d.example", `${ipLookup === "ipv4_only" ? "A" : "AAAA"} a.example`]);
  });
}

Deno.test("a host that has only the second family is reached by it", async () => {
  await using peer = await startFakePeer();
  for (
    const [ipLookup, entry] of [
      ["ipv4_then_ipv6", { aaaa: ["2001:db8::1"] }],
      ["ipv6_then_ipv4", { a: ["192.0.2.1"] }],
    ] as const
  ) {
    const table = { "d.example": { mx: [[10, "a.example"]] }, "a.example": entry } as const;
    const { outcome, tried } = await deliverTo("d.example", table, { port: peer.port, route: { ipLookup } });
    assert.deepEqual([inShort(outcome), tried], ["delivered", [...Object.values(entry)[0] ?? []]], ipLookup);
  }
});

Deno.test("many addresses of the first family leave a place for the second", async () => {
  const table = {
    "d.example": { mx: [[10, "a.example"]] },
    "a.example": { a: ["192.0.2.1", "192.0.2.2", "192.0.2.3"], aaaa: ["2001:db8::1", "2001:db8::2"] },
  } as const;
  const triedWith = async (multihomed: number, ipLookup: Mx["ipLookup"]) =>
    (await deliverTo("d.example", table, { route: { ipLookup, limits: { mx: 5, multihomed } } })).tried;
  assert.deepEqual(await triedWith(1, "ipv4_then_ipv6"), ["192.0.2.1"]);
  assert.deepEqual(await triedWith(2, "ipv4_then_ipv6"), ["192.0.2.1", "2001:db8::1"]);
  assert.deepEqual(await triedWith(2, "ipv6_then_ipv4"), ["2001:db8::1", "192.0.2.1"]);
  assert.deepEqual(await triedWith(4, "ipv6_then_ipv4"), ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"]);
  assert.deepEqual(await triedWith(9, "ipv4_then_ipv6"), [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "2001:db8::1",
    "2001:db8::2",
  ]);
});

Deno.test("a relay by name goes on to the other family, too", async () => {
  await using peer = await startFakePeer({ ip: "127.0.0.1" });
  const tried: string[] = [];
  const { connect } = await import("../../../src/net/mod.ts");
  const { deliver, delivery } = setUp(
    queueConfig([relay(peer.port, { address: "relay.example", ipLookup: "ipv6_then_ipv4" })]),
    {
      resolver: createZone({ "relay.example": { a: ["127.0.0.1"], aaaa: ["2001:db8::1"] } }),
      connect: (how) => {
        tried.push(how.ip);
        return how.ip.includes(":") ? Promise.reject(new Error("no way to it")) : connect(how);
      },
    },
  );
  assert.deepEqual((await deliver(jobFor(["b@rcpt.example"]))).map(inShort), ["delivered"]);
  assert.deepEqual(tried, ["2001:db8::1", "127.0.0.1"]);
  await delivery.close();
});

Deno.test("a family that the source addresses lack is tried from any address", async () => {
  await using peer = await startFakePeer();
  const { connect } = await import("../../../src/net/mod.ts");
  const sources: (string | undefined)[] = [];
  const { deliver, delivery } = setUp(
    queueConfig([mxRoute], { connections: [{ ...connection, sourceIps: ["127.0.0.2"] }] }),
    {
      resolver: createZone(BOTH),
      mxPort: peer.port,
      connect: (how) => {
        sources.push(how.localIp);
        if (!how.ip.includes(":")) return Promise.reject(new Error("no way to it"));
        return connect({ ...how, ip: "127.0.0.1" });
      },
    },
  );
  assert.deepEqual((await deliver(jobFor(["u@d.example"], { route: "mx" }))).map(inShort), ["delivered"]);
  assert.deepEqual(sources, ["127.0.0.2", undefined]);
  await delivery.close();
});

Deno.test("a domain without MX is its own mail host", async () => {
  const { tried } = await deliverTo("d.example", { "d.example": { a: ["192.0.2.5"] } });
  assert.deepEqual(tried, ["192.0.2.5"]);
});

Deno.test("a domain with MX is not its own mail host", async () => {
  const { tried, outcome } = await deliverTo("d.example", {
    "d.example": { a: ["192.0.2.5"], mx: [[10, "gone.example"]] },
  });
  assert.deepEqual(tried, []);
  assert.equal(inShort(outcome), "failed dns 0 5.4.4");
});

Deno.test("null MX: the domain takes no mail", async () => {
  const { tried, outcome, events } = await deliverTo("d.example", {
    "d.example": { a: ["192.0.2.5"], mx: [[0, "."]] },
  });
  assert.deepEqual(tried, []);
  // RFC 7505 §4.2
  assert.equal(inShort(outcome), "failed dns 556 5.1.10");
  assert.ok(events.includes("delivery.null-mx"));
});

Deno.test("a domain that does not exist fails", async () => {
  const { outcome } = await deliverTo("d.example", {});
  assert.equal(inShort(outcome), "failed dns 0 5.1.2");
});

Deno.test("trouble with the MX lookup is a deferral", async () => {
  for (const error of ["timeout", "servfail", "bogus"] as const) {
    const { outcome, tried } = await deliverTo("d.example", { "d.example": { error, a: ["192.0.2.5"] } });
    assert.deepEqual([inShort(outcome), tried], ["deferred dns 0 4.4.3", []]);
  }
});

Deno.test("trouble with the addresses of one host leads to the next", async () => {
  const { outcome, tried } = await deliverTo("d.example", {
    "d.example": { mx: [[10, "a.example"], [20, "b.example"], [30, "c.example"]] },
    "a.example": { error: "servfail" },
    "c.example": { a: ["192.0.2.3"] },
  });
  assert.deepEqual(tried, ["192.0.2.3"]);
  assert.equal(outcome?.kind, "deferred");
});

Deno.test("a host without address fails only if there is no passing trouble elsewhere", async () => {
  const { outcome } = await deliverTo("d.example", {
    "d.example": { mx: [[10, "a.example"], [20, "b.example"]] },
    "a.example": { error: "timeout" },
  });
  assert.equal(inShort(outcome), "deferred dns 0 4.4.3");
});

Deno.test("our own name ends the list at its preference", async () => {
  const { tried } = await deliverTo("d.example", {
    "d.example": { mx: [[10, "a.example"], [20, "MX.sender.example"], [20, "b.example"], [30, "c.example"]] },
    "a.example": { a: ["192.0.2.1"] },
    "b.example": { a: ["192.0.2.2"] },
    "c.example": { a: ["192.0.2.3"] },
    "mx.sender.example": { a: ["192.0.2.99"] },
  });
  assert.deepEqual(tried, ["192.0.2.1"]);
});

Deno.test("mail whose best host we are loops and fails", async () => {
  for (const mx of [[[10, "mx.sender.example"], [20, "a.example"]], undefined] as const) {
    const domain = mx === undefined ? "mx.sender.example" : "d.example";
    const { tried, outcome, events } = await deliverTo(domain, {
      [domain]: { a: ["192.0.2.1"], ...(mx === undefined ? {} : { mx }) },
    });
    assert.deepEqual(tried, []);
    assert.equal(inShort(outcome), "failed dns 0 5.4.6");
    assert.ok(events.includes("delivery.loop-detected"));
  }
});

Deno.test("address literals are connected to without asking DNS", async () => {
  for (const [literal, ip] of [["[127.0.0.1]", "127.0.0.1"], ["[IPv6:2001:db8::7]", "2001:db8::7"]] as const) {
    const { tried, asked } = await deliverTo(literal, {});
    assert.deepEqual([tried, asked], [[ip], []]);
  }
});

async function failover(peer: FakePeer, fail: readonly string[] = []) {
  return await deliverTo("d.example", {
    "d.example": { mx: [[10, "a.example"], [20, "b.example"]] },
    "a.example": { a: ["192.0.2.1", "192.0.2.11"] },
    "b.example": { a: ["192.0.2.2"] },
  }, { port: peer.port, fail });
}

Deno.test("a host that refuses connections is passed over for its other address, then the next host", async () => {
  await using peer = await startFakePeer();
  const first = await failover(peer, ["192.0.2.1"]);
  assert.deepEqual([first.tried, first.outcome?.kind], [["192.0.2.1", "192.0.2.11"], "delivered"]);
  const second = await failover(peer, ["192.0.2.1", "192.0.2.11"]);
  assert.deepEqual([second.tried, second.outcome?.kind], [["192.0.2.1", "192.0.2.11", "192.0.2.2"], "delivered"]);
  assert.match(textOf(second.outcome), /^b\.example\[/);
});

for (const verb of ["greeting", "EHLO"]) {
  for (const reply of ["421 4.3.2 busy", "554 5.3.2 no"]) {
    Deno.test(`"${reply}" to ${verb} leads to the next address`, async () => {
      await using peer = await startFakePeer({
        on: (command) =>
          command.connection.number === 1 && (command.verb === verb || command.verb === "HELO") ? reply : undefined,
      });
      const { tried, outcome } = await failover(peer);
      assert.deepEqual([tried, outcome?.kind], [["192.0.2.1", "192.0.2.11"], "delivered"]);
    });
  }
}

for (const verb of ["MAIL", "RCPT", "DATA"]) {
  Deno.test(`4yz to ${verb} leads to the next host`, async () => {
    await using peer = await startFakePeer({
      on: (command) => command.connection.number === 1 && command.verb === verb ? "450 4.2.0 later" : undefined,
    });
    const { tried, outcome } = await failover(peer);
    assert.deepEqual([tried, outcome?.kind], [["192.0.2.1", "192.0.2.2"], "delivered"]);
  });

  Deno.test(`5yz to ${verb} is final`, async () => {
    await using peer = await startFakePeer({
      on: (command) => command.connection.number === 1 && command.verb === verb ? "550 5.7.1 no" : undefined,
    });
    const { tried, outcome } = await failover(peer);
    assert.deepEqual([tried, inShort(outcome)], [["192.0.2.1"], "failed unexpected-reply 550 5.7.1"]);
  });
}

Deno.test("4yz to the message itself is not tried elsewhere", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "content" ? "451 4.3.0 later" : undefined });
  const { tried, outcome } = await failover(peer);
  assert.deepEqual([tried, inShort(outcome)], [["192.0.2.1"], "deferred unexpected-reply 451 4.3.0"]);
});

for (const extensions of [["PIPELINING"], ["PIPELINING", "CHUNKING"], []]) {
  Deno.test(`a message that was sent and not answered (${extensions.join(" ")}) is not sent to the next host at once`, async () => {
    await using peer = await startFakePeer({
      extensions,
      on: ({ verb }) => verb === "content" || verb === "BDAT" ? { then: "close" } : undefined,
    });
    const { tried, outcome } = await failover(peer);
    assert.deepEqual([tried, inShort(outcome)], [["192.0.2.1"], "deferred connection 0 4.4.2"]);
  });
}

Deno.test("only recipients without a final answer go to the next host", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, line, connection: { number } }) =>
      verb !== "RCPT" || number > 1
        ? undefined
        : line.includes("later")
        ? "450 4.2.0 later"
        : line.includes("gone")
        ? "550 5.1.1 gone"
        : undefined,
  });
  const { connect } = await import("../../../src/net/mod.ts");
  const { deliver, delivery } = setUp(queueConfig([mxRoute]), {
    resolver: createZone({
      "d.example": { mx: [[10, "a.example"], [20, "b.example"]] },
      "a.example": { a: ["192.0.2.1"] },
      "b.example": { a: ["192.0.2.2"] },
    }),
    mxPort: peer.port,
    connect: (how) => connect({ ...how, ip: "127.0.0.1" }),
  });
  const outcomes = await deliver(
    jobFor(["ok@d.example", "later@d.example", "gone@d.example"], { route: "mx" }),
  );
  assert.deepEqual(outcomes.map(inShort), ["delivered", "delivered", "failed unexpected-reply 550 5.1.1"]);
  assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt), [
    ["RCPT TO:<ok@d.example>"],
    ["RCPT TO:<later@d.example>"],
  ]);
  await delivery.close();
});

Deno.test("a source address is chosen by family, with its own EHLO name", async () => {
  await using peer = await startFakePeer();
  const { deliver, delivery } = setUp(
    queueConfig([mxRoute], {
      connections: [{ ...connection, sourceIps: ["::1", "127.0.0.2"] }],
      sourceIp: new Map([["127.0.0.2", { ehloHostname: "second.sender.example" }]]),
    }),
    { mxPort: peer.port },
  );
  const [outcome] = await deliver(jobFor(["u@[127.0.0.1]"], { route: "mx" }));
  assert.equal(outcome?.kind, "delivered", textOf(outcome));
  assert.equal(peer.connections[0]?.lines[0], "EHLO second.sender.example");
  await delivery.close();
});

Deno.test("hosts without address do not use up the limit", async () => {
  const { tried } = await deliverTo("d.example", {
    "d.example": { mx: [[10, "a.example"], [20, "b.example"], [30, "c.example"], [40, "e.example"]] },
    "c.example": { a: ["192.0.2.3"] },
    "e.example": { a: ["192.0.2.4"] },
  }, { route: { limits: { mx: 1, multihomed: 1 } } });
  assert.deepEqual(tried, ["192.0.2.3"]);
});
