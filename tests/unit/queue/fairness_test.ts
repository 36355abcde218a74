/** One destination or sender must not hold up the others of its queue, whatever is waiting in the store. */

import assert from "node:assert/strict";
import type { DeliveryJob, Outcome } from "../../../src/queue/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  claimed,
  delivered,
  eventLog,
  newMessage,
  openTemporaryStore,
  openTestQueue,
  queueConfig,
  temporaryFolder,
  until,
} from "../../support/store.ts";

/** A queue with ten places on a store of its own. */
async function withQueue(
  memory: { messages?: number } | undefined,
  body: (parts: {
    readonly queue: Awaited<ReturnType<typeof openTestQueue>>;
    readonly store: Store;
    readonly clock: FakeClock;
    readonly log: ReturnType<typeof eventLog>;
    /** Queues messages for new addresses of a domain, many at once. */
    send(domain: string, count: number, sender?: string): Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path, { timeout: 30_000 });
  const clock = new FakeClock();
  const log = eventLog();
  const queue = await openTestQueue(store, clock, {
    config: queueConfig({ threads: { remote: 10, dsn: 5 } }),
    emit: log.emit,
    ...(memory === undefined ? {} : { memory }),
  });
  let sent = 0;
  await body({
    queue,
    store,
    clock,
    log,
    async send(domain, count, sender = "alice@example.org") {
      const envelope = { sender, parameters: {} };
      await Promise.all(
        Array.from({ length: count }, () => queue.enqueue(newMessage(queue, [`u${++sent}@${domain}`], { envelope }))),
      );
    },
  });
  await queue.close();
  await store.close();
}

const domainOf = (job: DeliveryJob) => job.recipients[0]?.domain ?? "";

const unreachable = (job: DeliveryJob): Outcome[] =>
  job.recipients.map(({ id }) => ({
    kind: "deferred",
    recipient: id,
    detail: { lastError: "connection", status: 0, enhanced: "4.4.1", text: "no answer", host: "mx.dead.example" },
  }));

for (const memory of [undefined, { messages: 0 }]) {
  const where = memory === undefined ? "memory" : "the store";

  Deno.test(`a destination that says nothing leaves places to others, all waiting in ${where}`, async () => {
    await withQueue(memory, async ({ queue, log, send }) => {
      const hanging: (() => void)[] = [];
      queue.start((job) =>
        domainOf(job) === "silent.example"
          ? new Promise((resolve) => hanging.push(() => resolve(delivered(job))))
          : Promise.resolve(delivered(job))
      );
      await send("first.example", 1);
      await send("silent.example", 40);
      await until(() => hanging.length === 8, "eight of ten places taken");
      await send("quick.example", 30);
      await until(() => log.count("delivery.delivered") === 31, "delivery of the others");
      assert.equal(hanging.length, 8);
      // Nothing was lost on the way: when the destination wakes up it gets all its mail, once.
      for (let next = 0; next < 40; next++) {
        await until(() => hanging.length > next, `attempt ${next}`);
        hanging[next]?.();
      }
      await until(() => log.count("delivery.delivered") === 71, "delivery of all");
      assert.equal(hanging.length, 40);
    });
  });
}

Deno.test("a sender of more than fits in memory lets others go in between", async () => {
  await withQueue({ messages: 25 }, async ({ queue, clock, log, send }) => {
    const order: string[] = [];
    let answer = () => {};
    const gate = new Promise<void>((resolve) => answer = resolve);
    queue.start(async (job) => {
      await gate;
      order.push(job.message.envelope.sender);
      return delivered(job);
    });
    await send("x.example", 200, "news@bulk.example");
    await send("x.example", 4, "ana@example.org");
    answer();
    await until(async () => {
      await clock.advance(200);
      return log.count("delivery.delivered") === 204;
    }, "delivery of all");
    // Eight were under way already, and then every second one is ana's.
    assert.ok(order.lastIndexOf("ana@example.org") < 25, order.join(" "));
  });
});

Deno.test("thousands of messages for a dead destination in the store do not hold up one for another", async () => {
  await withQueue({ messages: 0 }, async ({ queue, clock, log, send }) => {
    let dead = true;
    let attempts = 0;
    const hanging: (() => void)[] = [];
    queue.start(async (job) => {
      if (domainOf(job) !== "dead.example" || !dead) return delivered(job);
      attempts++;
      // The first attempts take until somebody gives up.
      await new Promise<void>((resolve) => hanging.push(resolve));
      return unreachable(job);
    });
    await send("dead.example", 2500);
    await send("fine.example", 3);
    await until(() => log.count("delivery.delivered") === 3, "delivery past the dead destination");
    assert.ok(attempts <= 10, String(attempts));
    // It comes to life: what was sent away comes back by itself.
    dead = false;
    for (const giveUp of hanging) giveUp();
    await until(async () => {
      await clock.advance(1000);
      return log.count("delivery.delivered") === 2503;
    }, "delivery of everything");
    assert.equal((await queue.stats()).recipients, 0);
  });
});

Deno.test("thousands of messages of one sender in the store do not keep those of others waiting there", async () => {
  await withQueue({ messages: 0 }, async ({ queue, store, clock, log, send }) => {
    await Promise.all(Array.from({ length: 4500 }, (_, i) => send(`d${i}.example`, 1, "news@bulk.example")));
    await clock.advance(1000);
    await send("one.example", 2, "ana@example.org");
    await Promise.all(Array.from({ length: 30 }, (_, i) => send(`e${i}.example`, 1, "eve@example.net")));
    const order: string[] = [];
    const answers: (() => void)[] = [];
    let hurry = false;
    queue.start((job) => {
      order.push(job.message.envelope.sender.slice(0, 3));
      if (hurry) return Promise.resolve(delivered(job));
      return new Promise((resolve) => answers.push(() => resolve(delivered(job))));
    });
    await until(() => answers.length === 10, "every place taken");
    // Three windows lead past the bulk, one a second.
    await until(async () => {
      await clock.advance(1000);
      return await claimed(store, "ana@example.org") === 2;
    }, "the claim of the others");
    // The store answers in order, so that by then jobs were made of what was claimed.
    for (let asked = 0; asked < 3; asked++) await queue.stats();
    for (let next = 0; next < 20; next++) {
      await until(() => answers.length > next, `attempt ${next}`);
      answers[next]?.();
    }
    await until(() => order.length === 30, "the next attempts");
    const count = (name: string) => order.filter((one) => one === name).length;
    assert.equal(count("ana"), 2, order.join());
    // Turns are taken of eight at most; one that has none waiting in memory when its turn comes is passed over.
    assert.ok(count("eve") >= 6, order.join());
    hurry = true;
    for (const answer of answers) answer();
    await until(async () => {
      await clock.advance(1000);
      return log.count("delivery.delivered") === 4532;
    }, "delivery of all");
    assert.equal(new Set(order).size, 3);
    assert.equal(order.length, 4532, "each once");
  });
});
