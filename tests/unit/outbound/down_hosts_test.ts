import assert from "node:assert/strict";
import { ConnectError, type ConnectFailure } from "../../../src/net/mod.ts";
import { createDownHosts } from "../../../src/outbound/down_hosts.ts";
import type { Outcome } from "../../../src/queue/types.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { createZone } from "../../support/zone.ts";
import { connection, inShort, jobFor, queueConfig, relay, setUp, textOf, untilQuiet } from "./setting.ts";

const SECOND = 1000;

/** Delivery to a relay whose address fails as `kind` says; `connects` counts the tries. */
function deadRelay(kind: ConnectFailure) {
  const connects = { count: 0 };
  const setup = setUp(queueConfig([relay(25, { address: "192.0.2.1" })]), {
    connect: () => {
      connects.count++;
      return Promise.reject(new ConnectError(kind, `192.0.2.1 port 25: ${kind}`));
    },
  });
  return { ...setup, connects };
}

const TO = ["b@rcpt.example"];
const notBefore = (outcome: Outcome | undefined) => outcome?.kind === "deferred" ? outcome.notBefore : undefined;

Deno.test("an address that refused a connection is left alone, and the outcome says why", async () => {
  const { deliver, clock, connects } = deadRelay("refused");
  await deliver(jobFor(TO));
  await clock.advance(12 * SECOND);
  const [outcome] = await deliver(jobFor(TO));
  assert.equal(connects.count, 1);
  assert.equal(inShort(outcome), "deferred connection 0 4.4.1");
  assert.equal(textOf(outcome), "192.0.2.1[192.0.2.1]: not tried: refused a connection 12 s ago");
  // The schedule decides, but not for a time at which it would be in vain.
  assert.equal(notBefore(outcome), 18 * SECOND);
  await clock.advance(18 * SECOND);
  await deliver(jobFor(TO));
  assert.equal(connects.count, 2);
});

Deno.test("so is one that cannot be reached or does not answer, but not one where the trouble is ours", async () => {
  for (const [kind, tries] of [["unreachable", 1], ["timeout", 1], ["source-address", 2], ["aborted", 2]] as const) {
    const { deliver, connects } = deadRelay(kind);
    await deliver(jobFor(TO));
    await deliver(jobFor(TO));
    assert.equal(connects.count, tries, kind);
  }
});

Deno.test("the pause grows from 30 seconds to 5 minutes, failures that were begun together count as one", () => {
  const clock = new FakeClock();
  const down = createDownHosts(clock);
  const pauses: (number | undefined)[] = [];
  return (async () => {
    for (let round = 0; round < 6; round++) {
      down.failed("a", "refused a connection");
      down.failed("a", "refused a connection");
      const { pause = 0 } = down.ask("a") ?? {};
      pauses.push(pause / SECOND);
      await clock.advance(pause);
      assert.equal(down.ask("a"), undefined, "tried again");
    }
    assert.deepEqual(pauses, [30, 60, 120, 240, 300, 300]);
    down.answered("a");
    down.failed("a", "refused a connection");
    assert.equal(down.ask("a")?.pause, 30 * SECOND, "an answer begins it anew");
  })();
});

Deno.test("when the pause is over one attempt finds out, and the others wait a moment for it", async () => {
  const clock = new FakeClock();
  const down = createDownHosts(clock);
  down.failed("a", "gave no answer");
  await clock.advance(30 * SECOND);
  assert.equal(down.ask("a"), undefined);
  assert.equal(down.ask("a")?.probed, true);
  await clock.advance(3 * SECOND);
  assert.deepEqual(down.ask("a"), { reason: "gave no answer 33 s ago", pause: 30 * SECOND, probed: false });
  down.unknown("a");
  assert.equal(down.ask("a"), undefined, "the attempt told nothing, another one finds out");
});

Deno.test("no more addresses are remembered than the bound, the oldest go first", () => {
  const down = createDownHosts(new FakeClock());
  for (let i = 0; i <= 10_000; i++) down.failed(String(i), "refused a connection");
  assert.equal(down.ask("0"), undefined);
  assert.equal(down.ask("1")?.probed, false);
});

Deno.test("a host that accepts and says nothing is down once its greeting is overdue", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "greeting" ? "silent" : undefined });
  const setup = setUp(queueConfig([relay(peer.port)]));
  const first = setup.deliver(jobFor(TO));
  await untilQuiet(peer, setup);
  await setup.clock.advance(connection.timeout.greeting);
  await first;
  const [outcome] = await setup.deliver(jobFor(TO));
  assert.equal(textOf(outcome), "127.0.0.1[127.0.0.1]: not tried: gave no answer 0 s ago");
  assert.equal(peer.connections.length, 1);
  await setup.delivery.close();
});

Deno.test("a dead mail host does not keep mail from the next one, nor count as one that was tried", async () => {
  const tried: string[] = [];
  await using peer = await startFakePeer();
  const { connect } = await import("../../../src/net/mod.ts");
  const zone = createZone({
    "rcpt.example": { mx: [[1, "dead.example"], [2, "well.example"]] },
    "dead.example": { a: ["192.0.2.1"] },
    "well.example": { a: ["192.0.2.2"] },
  });
  const config = queueConfig([{ id: "mx", type: "mx", limits: { mx: 1, multihomed: 2 }, ipLookup: "ipv4_only" }]);
  const { deliver, delivery } = setUp(config, {
    resolver: zone,
    mxPort: peer.port,
    connect: (options) => {
      tried.push(options.ip);
      if (options.ip === "192.0.2.1") return Promise.reject(new ConnectError("refused", "refused"));
      return connect({ ...options, ip: "127.0.0.1" });
    },
  });
  await deliver(jobFor(TO, { route: "mx" }));
  const [outcome] = await deliver(jobFor(TO, { route: "mx" }));
  assert.equal(outcome?.kind, "delivered");
  assert.deepEqual(tried, ["192.0.2.1", "192.0.2.2"]);
  await delivery.close();
});
