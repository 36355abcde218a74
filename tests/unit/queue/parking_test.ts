/** What waits for a limit of ours: in memory, without a place, without attempts, and seen by people all the same. */

import assert from "node:assert/strict";
import type { DeliveryJob, LocalWait, Outcome, Queue } from "../../../src/queue/mod.ts";
import { claimed, delivered, newMessage, queueConfig, until } from "../../support/store.ts";
import { send, withQueue } from "./watched_queue.ts";

const MINUTE = 60_000;

/** A limit that lets nobody pass until `open`, with those who wait for it. */
function limit(room = 100) {
  const waiting: (() => boolean)[] = [];
  const state = { open: false, elsewhere: false };
  const dues: number[] = [];
  const wait: LocalWait = {
    get hasRoom() {
      return waiting.length < room;
    },
    get isElsewhere() {
      return state.elsewhere;
    },
    enter({ due }, go) {
      dues.push(due);
      waiting.push(go);
      return () => {
        const at = waiting.indexOf(go);
        if (at >= 0) waiting.splice(at, 1);
      };
    },
    turn: () => 2 * MINUTE,
  };
  return {
    state,
    waiting,
    /** What those who waited were due at, which is their place among others. */
    dues,
    /** Lets one go on who wants to. */
    wake() {
      while (waiting.length > 0) if (waiting.shift()?.() === true) return;
    },
    /** What becomes of the recipients of a job that `concerned` names. */
    outcomes(job: DeliveryJob, concerned = (_address: string) => true): Outcome[] {
      return delivered(job).map((outcome, index) => {
        const { id, address } = job.recipients[index]!;
        if (state.open || !concerned(address)) return outcome;
        const text = "only so many at the same time";
        const detail = { lastError: "concurrency" as const, status: 0, enhanced: "4.4.5", text, host: "" };
        return { kind: "deferred", recipient: id, detail, waits: wait };
      });
    },
  };
}

async function historyOf(queue: Queue, id: string): Promise<readonly string[]> {
  return ((await queue.show(id))?.events ?? []).map(({ name }) => name);
}

Deno.test("what waits for a limit holds no place, goes on when it may, and a short wait leaves no trace", async () => {
  await withQueue(async ({ queue, store, clock, log, pass }) => {
    const one = limit();
    let attempts = 0;
    queue.start((job) => {
      attempts++;
      return Promise.resolve(one.outcomes(job, (address) => address.endsWith("@limited.example")));
    });
    await send(queue, ...Array.from({ length: 6 }, (_, i) => `u${i}@limited.example`));
    await until(() => one.waiting.length === 6, "six that wait");
    await send(queue, "a@free.example", "b@free.example", "c@free.example");
    await until(() => log.count("delivery.delivered") === 3, "delivery of the others");
    assert.equal(await claimed(store), 6);
    await clock.advance(2000);
    one.state.open = true;
    const ids = (await queue.list()).map(({ id }) => id);
    for (let i = 0; i < 6; i++) one.wake();
    await until(() => log.count("delivery.delivered") === 9, "delivery of all, though the clock stands still");
    assert.equal(attempts, 6 + 3 + 6);
    assert.equal(log.count("delivery.deferred"), 0);
    await pass(async () => (await queue.stats()).recipients === 0, "the end");
    assert.deepEqual(await historyOf(queue, ids[0] ?? ""), ["queued", "delivered"]);
  });
});

Deno.test("a long wait is recorded once and is no attempt; then last_error says what for", async () => {
  await withQueue(async ({ queue, clock, log, pass }) => {
    const one = limit();
    queue.start((job) => Promise.resolve(one.outcomes(job)));
    await send(queue, "a@limited.example");
    await until(() => one.waiting.length === 1, "the wait");
    const seen = async () => (await queue.list())[0]?.recipients[0];
    assert.equal((await seen())?.lastError, "none");
    await pass(async () => (await seen())?.lastError === "concurrency", "the record");
    // It is told to go on now and then, in vain.
    for (let i = 0; i < 5; i++) {
      one.wake();
      await until(() => one.waiting.length === 1, "the next wait");
      await clock.advance(20_000);
    }
    const view = await seen();
    assert.deepEqual([view?.state, view?.attempts], ["queued", 0]);
    assert.equal(view?.due, new Date(Date.UTC(2026, 0, 5, 12)).toISOString(), "it is due all the time");
    assert.equal(view?.lastText, "only so many at the same time");
    const [message] = await queue.list();
    assert.deepEqual(await historyOf(queue, message?.id ?? ""), ["queued", "deferred"]);
    assert.equal(log.count("delivery.deferred"), 1);
    one.state.open = true;
    one.wake();
    await until(() => log.count("delivery.delivered") === 1, "delivery");
  });
});

Deno.test("recipients of one message that no limit concerns do not wait for those that one does", async () => {
  await withQueue(async ({ queue, log }) => {
    const one = limit();
    const seen: string[][] = [];
    queue.start((job) => {
      seen.push(job.recipients.map(({ address }) => address));
      return Promise.resolve(one.outcomes(job, (address) => address.startsWith("limited")));
    });
    await queue.enqueue(newMessage(queue, ["limited1@x.example", "free@x.example", "limited2@x.example"]));
    await until(() => log.count("delivery.delivered") === 1, "the one");
    const states = async () => (await queue.list())[0]?.recipients.map(({ address, state }) => `${address} ${state}`);
    await until(async () => (await states())?.length === 3);
    assert.deepEqual((await states())?.sort(), [
      "free@x.example delivered",
      "limited1@x.example queued",
      "limited2@x.example queued",
    ]);
    assert.equal(one.waiting.length, 1, "both wait together");
    one.state.open = true;
    one.wake();
    await until(() => log.count("delivery.delivered") === 3, "the others");
    assert.deepEqual(seen[1], ["limited1@x.example", "limited2@x.example"]);
    await until(async () => (await queue.stats()).recipients === 0);
  });
});

Deno.test("what waits for a limit can be cancelled and held, and the next one goes in its place", async () => {
  await withQueue(async ({ queue, log, pass }) => {
    const one = limit();
    queue.start((job) => Promise.resolve(one.outcomes(job)));
    await send(queue, "cancelled@x.example", "held@y.example");
    await until(() => one.waiting.length === 2, "both wait");
    await send(queue, "third@z.example");
    await until(() => one.waiting.length === 3, "so does the third");
    assert.equal((await queue.cancel({ recipient: "cancelled@x.example" })).recipients, 1);
    assert.equal((await queue.hold({ recipient: "held@y.example" })).recipients, 1);
    await pass(() => log.count("queue.cancelled") >= 1 && one.waiting.length === 1, "both gone");
    one.state.open = true;
    one.wake();
    await until(() => log.count("delivery.delivered") === 1, "delivery of the third");
    await until(async () => (await queue.stats()).recipients === 1);
    assert.equal((await queue.list())[0]?.state, "held");
  });
});

Deno.test("a sender hears of a delay, and of the end, while mail waits for a limit", async () => {
  await withQueue(async ({ queue, log, pass }) => {
    const one = limit();
    queue.start((job) => Promise.resolve(one.outcomes(job)));
    await send(queue, "a@x.example");
    const [message] = await queue.list();
    const history = () => historyOf(queue, message?.id ?? "");
    await pass(async () => (await history()).includes("delay-notice"), "the notice");
    await pass(() => log.count("queue.expired") === 1, "the end");
    assert.deepEqual((await history()).filter((name) => name !== "deferred"), ["queued", "delay-notice", "expired"]);
    assert.equal((await history()).filter((name) => name === "deferred").length, 1);
    const shown = await queue.show(message?.id ?? "");
    assert.equal(shown?.message.recipients[0]?.attempts, 0);
    const created = Date.parse(message?.created ?? "");
    assert.deepEqual(one.dues, [created, created], "its place is the same after the notice");
    const lateness = (name: string, minutes: number) =>
      Date.parse(shown?.events.find((one) => one.name === name)?.time ?? "") - created - minutes * MINUTE;
    const late = [lateness("delay-notice", 2), lateness("expired", 4)];
    assert.ok(late.every((milliseconds) => milliseconds >= 0 && milliseconds <= 2000), `late by ${late.join(", ")} ms`);
  }, { expire: 4 * MINUTE, notify: [2 * MINUTE] });
});

Deno.test("where memory has no room for more that wait they come back in their turn, without more history", async () => {
  await withQueue(async ({ queue, clock, store, log, pass }) => {
    const one = limit(1);
    let attempts = 0;
    queue.start((job) => {
      attempts++;
      return Promise.resolve(one.outcomes(job));
    });
    await send(queue, "a@x.example", "b@x.example");
    await pass(async () => await claimed(store) === 1, "one back in the store");
    const began = clock.now();
    await pass(() => attempts >= 4, "two more turns");
    assert.ok(clock.now() - began >= 3 * MINUTE);
    one.state.open = true;
    one.wake();
    await pass(() => log.count("delivery.delivered") === 2, "delivery of both");
    const ids = log.events.filter(({ name }) => name === "delivery.delivered").map(({ fields }) => String(fields.id));
    for (const id of ids) {
      const names = await historyOf(queue, id);
      assert.ok(names.filter((name) => name === "deferred").length <= 1, names.join());
    }
  });
});

Deno.test("what waits for places that only other nodes have is left to them after a while", async () => {
  await withQueue(async ({ queue, store, clock, pass }) => {
    const one = limit();
    queue.start((job) => Promise.resolve(one.outcomes(job)));
    await send(queue, "a@x.example");
    await until(() => one.waiting.length === 1, "the wait");
    await clock.advance(60_000);
    assert.equal(await claimed(store), 1, "as long as places come free here it stays");
    one.state.elsewhere = true;
    await pass(async () => {
      // That one looks now and then for a place does not put it off.
      one.wake();
      return await claimed(store) === 0;
    }, "the return");
    const [message] = await queue.list();
    assert.ok(Date.parse(message?.due ?? "") > clock.now(), "it has a time to come back");
    assert.deepEqual(await historyOf(queue, message?.id ?? ""), ["queued", "deferred"]);
    assert.equal(message?.recipients[0]?.attempts, 0);
  });
});

Deno.test("a server that stops gives back what waits for a limit, and another configuration is asked anew", async () => {
  await withQueue(async ({ queue, store, log }) => {
    const one = limit();
    let attempts = 0;
    queue.start((job) => {
      attempts++;
      return Promise.resolve(one.outcomes(job));
    });
    await send(queue, "a@x.example", "b@y.example");
    await until(() => one.waiting.length === 2, "both wait");
    queue.reconfigure(queueConfig({ threads: { remote: 2, dsn: 1 } }));
    await until(() => attempts === 4 && one.waiting.length === 2, "both tried again");
    assert.equal(await claimed(store), 2);
    await queue.drain(0);
    assert.equal(await claimed(store), 0);
    assert.equal((await queue.stats()).recipients, 2);
    assert.equal(log.count("delivery.failed"), 0);
  });
});
