import assert from "node:assert/strict";
import type { OutboundLimiterConfig } from "../../../src/config/config.ts";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import type { Counters } from "../../../src/outbound/outbound_limits.ts";
import { createRateCounter, openSlotCounter } from "../../../src/throttle/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { startFakePeer } from "../../support/fake_peer.ts";
import { openTemporaryStore, temporaryFolder, until } from "../../support/store.ts";
import type { DeliveryJob, Outcome } from "../../../src/queue/mod.ts";
import { computed, constant, inShort, jobFor, queueConfig, relay, type Setup, setUp } from "./setting.ts";

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

/** Delivers as the queue does: what waits for a limit is tried again when it is told to. */
async function deliverInTurn(deliver: Setup["deliver"], job: DeliveryJob): Promise<readonly Outcome[]> {
  while (true) {
    const outcomes = await deliver(job);
    const [first] = outcomes;
    if (first?.kind !== "deferred" || first.waits === undefined) return outcomes;
    const { waits } = first;
    assert.ok(waits.hasRoom);
    const { id, priority } = job.message;
    await new Promise<void>((resolve) =>
      waits.enter({ priority, due: 0, message: { id } }, () => {
        resolve();
        return true;
      })
    );
  }
}

/** Milliseconds after which one comes back for which there is no room to wait. */
const turnOf = (outcome: Outcome | undefined) => outcome?.kind === "deferred" ? outcome.waits?.turn() : undefined;

Deno.test("an attempt that waits for a place goes on the moment one is free", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ concurrency: 1, key: ["mx"] })] });
    const { deliver, delivery } = setUp(config, { counters, clock });
    const slow = slowContent();
    const first = deliver(jobFor(TO, { message: { content: slow.content } }));
    await slow.begun;
    const others = Promise.all(Array.from({ length: 20 }, () => deliverInTurn(deliver, jobFor(TO))));
    slow.end();
    // The clock stands still: nobody waited for a time.
    assert.equal((await first)[0]?.kind, "delivered");
    assert.ok((await others).every(([outcome]) => outcome?.kind === "delivered"));
    assert.equal(peer.connections.length, 1);
    await delivery.close();
  }));

Deno.test("one over a limit is no attempt, and holds nothing while it waits", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ concurrency: 1 })] });
    const { deliver, delivery, events } = setUp(config, { counters, clock });
    const slow = slowContent();
    const first = deliver(jobFor(TO, { message: { content: slow.content } }));
    await slow.begun;
    const [second, third] = [(await deliver(jobFor(TO)))[0], (await deliver(jobFor(TO)))[0]];
    for (const outcome of [second, third]) assert.equal(inShort(outcome), "deferred concurrency 0 4.4.5");
    // Where memory has no room for more who wait, they come back one after the other.
    const turns = [turnOf(second) ?? 0, turnOf(third) ?? 0];
    assert.ok(turns[0]! >= 1000 && turns[1]! > turns[0]!, turns.join());
    assert.equal(turnOf(second), turns[0], "one time for all that is asked about it");
    assert.ok(events.some(({ name }) => name === "delivery.concurrency-limit-exceeded"));
    slow.end();
    await first;
    const before = clock.pending;
    await delivery.close();
    assert.ok(clock.pending < before, "no timer is left of the wait");
  }));

Deno.test("of those who wait for a place the most urgent goes first, then who came first", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ concurrency: 1 })] });
    const { deliver, delivery, events } = setUp(config, { counters, clock });
    const slow = slowContent();
    const first = deliver(jobFor(TO, { message: { content: slow.content } }));
    await slow.begun;
    const waiting = [[7, 0], [8, 0], [9, 4]].map(async ([id = 0, priority = 0]) => {
      const job = jobFor([`r${id}@rcpt.example`], { message: { id, priority } });
      return (await deliverInTurn(deliver, job))[0]?.kind;
    });
    // All are turned away before the place is free.
    await until(() => events.filter(({ name }) => name === "delivery.concurrency-limit-exceeded").length === 3);
    slow.end();
    await first;
    assert.deepEqual(await Promise.all(waiting), ["delivered", "delivered", "delivered"]);
    assert.deepEqual(peer.messages.slice(1).map(({ rcpt }) => /r\d/.exec(rcpt.join())?.[0]), ["r9", "r7", "r8"]);
    await delivery.close();
  }));

Deno.test("a place that another node leaves is found by looking, and all that are free then are taken", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ concurrency: 3 })] });
    let theirs = 3;
    let ours = 0;
    const acquire: Counters["slots"]["acquire"] = () => {
      if (theirs + ours >= 3) return undefined;
      ours++;
      return () => void ours--;
    };
    const { deliver, delivery, events } = setUp(config, { counters: { ...counters, slots: { acquire } }, clock });
    let done = 0;
    const all = Array.from({ length: 3 }, async () => {
      const slow = slowContent();
      const delivering = deliverInTurn(deliver, jobFor(TO, { message: { content: slow.content } }));
      await slow.begun;
      done++;
      await until(() => done === 3);
      slow.end();
      return (await delivering)[0]?.kind;
    });
    await until(() => events.filter(({ name }) => name === "delivery.concurrency-limit-exceeded").length === 3);
    theirs = 0;
    assert.equal(done, 0);
    await until(async () => {
      await clock.advance(100);
      return done === 3;
    });
    assert.deepEqual(await Promise.all(all), ["delivered", "delivered", "delivered"]);
    await delivery.close();
  }));

Deno.test("when a rate begins anew as many go on as it allows, and the others wait for the next time", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const rate = { count: 3, period: 4000 };
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [limiter({ rate })] });
    const { deliver, delivery } = setUp(config, { counters, clock });
    const all = Array.from({ length: 8 }, () => deliverInTurn(deliver, jobFor(TO)));
    const began = clock.now();
    const times: number[] = [];
    for (const one of all) void one.then(() => times.push(Math.floor((clock.now() - began) / 1000)));
    await until(async () => {
      await clock.advance(100);
      return times.length === 8;
    });
    const inPeriod = (number: number) => times.filter((time) => Math.floor(time / 4) === number).length;
    assert.deepEqual([inPeriod(0), inPeriod(1), inPeriod(2)], [3, 3, 2], times.join());
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
    assert.equal(turnOf(outcome), 60_000, "when the period is over");
    await delivery.close();
  }));

Deno.test("match sees the attempts of each recipient, and holds back those alone that it names", () =>
  withCounters(async (counters, clock) => {
    await using peer = await startFakePeer();
    const again = limiter({
      rate: { count: 1, period: 60_000 },
      match: computed("match", ({ variables }) => Number(variables.retry_num) > 0 && variables.last_error === "tls"),
    });
    const config = queueConfig([relay(peer.port)], { outboundLimiters: [again] });
    const { deliver, delivery } = setUp(config, { counters, clock });
    const job = jobFor(["new@rcpt.example", "again@rcpt.example", "other@rcpt.example"]);
    const [fresh, second, third] = job.recipients;
    const recipients = [
      fresh!,
      { ...second!, attempts: 2, lastError: "tls" as const },
      { ...third!, attempts: 5, lastError: "dns" as const },
    ];
    assert.deepEqual((await deliver({ ...job, recipients })).map(inShort), ["delivered", "delivered", "delivered"]);
    assert.deepEqual((await deliver({ ...job, recipients })).map(inShort), [
      "delivered",
      "deferred rate 0 4.4.5",
      "delivered",
    ]);
    assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt.length), [3, 2]);
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
