import assert from "node:assert/strict";
import type { OutboundLimiterConfig } from "../../../src/config/config.ts";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import type { Counters } from "../../../src/outbound/outbound_limits.ts";
import { createRateCounter, openSlotCounter } from "../../../src/throttle/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";
import { computed, constant, inShort, jobFor, queueConfig, relay, setUp } from "./setting.ts";

function limiter(rest: Partial<OutboundLimiterConfig>): OutboundLimiterConfig {
  const match = constant("match", true);
  return { id: "queue.limiter.outbound[0]", rate: undefined, concurrency: undefined, key: [], match, ...rest };
}

const TO = ["b@rcpt.example"];

/** Content that keeps its transaction open until `end`. */
function slowContent() {
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const content = {
    size: 10,
    head: new Uint8Array(0),
    complete: false,
    chunks: async function* () {
      begun.resolve();
      await ended.promise;
      yield new TextEncoder().encode("X: y\r\n\r\nx\r");
    },
  };
  return { content, begun: begun.promise, end: ended.resolve };
}

/** Runs `body` with counters in a database of their own. */
async function withCounters(body: (counters: Counters, clock: FakeClock) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const slots = await openSlotCounter({ store, clock, holder: "a", lease: 60_000 });
  await body({ rates: createRateCounter({ store, clock }), slots }, clock);
  await slots.close();
  await store.close();
}

Deno.test("an attempt that waits for a place goes on the moment one is free", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ concurrency: 1, key: ["mx"] })] });
    const { deliver, delivery } = setUp(config, { counters, clock });
    const slow = slowContent();
    const first = deliver(jobFor(TO, { message: { content: slow.content } }));
    await slow.begun;
    const second = deliver(jobFor(TO));
    slow.end();
    // The clock stands still: nobody waited for a time.
    assert.equal((await first)[0]?.kind, "delivered");
    assert.equal((await second)[0]?.kind, "delivered");
    assert.equal(peer.connections.length, 1);
    await delivery.close();
  }));

Deno.test("one that has waited too long goes back to the queue without an attempt", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ concurrency: 1 })] });
    const { deliver, delivery, events } = setUp(config, { counters, clock });
    const slow = slowContent();
    const first = deliver(jobFor(TO, { message: { content: slow.content } }));
    await slow.begun;
    const before = clock.pending;
    const second = deliver(jobFor(TO));
    while (clock.pending === before) await new Promise((resolve) => setTimeout(resolve, 0));
    // With no room to wait either, this one goes back at once.
    const third = await deliver(jobFor(TO));
    await clock.advance(5000);
    for (const [outcome] of [await second, third]) {
      assert.equal(inShort(outcome), "deferred concurrency 0 4.4.5");
      assert.ok(outcome?.kind === "deferred" && (outcome.retryAfter ?? 0) >= 1000);
    }
    assert.ok(events.some(({ name }) => name === "delivery.concurrency-limit-exceeded"));
    slow.end();
    await first;
    await delivery.close();
  }));

Deno.test("what is put off by one limiter is not counted by another", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const only = { count: 1, period: 1000 };
    const limiters = [
      limiter({ rate: { count: 2, period: 60_000 } }),
      limiter({
        id: "queue.limiter.outbound[1]",
        rate: only,
        match: computed("match", ({ variables }) => variables.sender === "a@sender.example"),
      }),
    ];
    const config = queueConfig([relay(peer.port)], { outboundLimiters: limiters });
    const { deliver, delivery } = setUp(config, { counters, clock });
    const other = { message: { envelope: { sender: "c@sender.example", parameters: {} } } };
    assert.equal(inShort((await deliver(jobFor(TO)))[0]), "delivered");
    for (let i = 0; i < 3; i++) assert.equal(inShort((await deliver(jobFor(TO)))[0]), "deferred rate 0 4.4.5");
    assert.equal(inShort((await deliver(jobFor(TO, other)))[0]), "delivered");
    const [outcome] = await deliver(jobFor(TO, other));
    assert.equal(inShort(outcome), "deferred rate 0 4.4.5");
    assert.equal(outcome?.kind === "deferred" && outcome.retryAfter, 60_000, "when the period is over");
    await delivery.close();
  }));

Deno.test("counters that cannot be reached put mail off, without an attempt", async () => {
  const away = () => Promise.reject(new LookupUnavailable("the database is away"));
  const counters: Counters = {
    rates: { take: away, giveBack() {}, fullUntil: () => undefined },
    slots: { acquire: away },
  };
  await using peer = await startFakePeer();
  const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ rate: { count: 1, period: 1 } })] });
  const { deliver, delivery } = setUp(config, { counters });
  const [outcome] = await deliver(jobFor(TO));
  assert.equal(inShort(outcome), "deferred io 0 4.3.0");
  assert.equal(outcome?.kind === "deferred" && outcome.retryAfter, 10_000);
  assert.equal(peer.connections.length, 0);
  await delivery.close();
});
