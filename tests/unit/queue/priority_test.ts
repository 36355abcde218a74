/** Priority decides who goes first also among what waits in the store. */

import assert from "node:assert/strict";
import { claim } from "../../../src/queue/claim.ts";
import type { Deliver, DeliveryJob, Outcome, Queue } from "../../../src/queue/mod.ts";
import { MIGRATIONS } from "../../../src/store/migrations.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  claimed,
  deferred,
  delivered,
  newMessage,
  openTemporaryStore,
  openTestQueue,
  queueConfig,
  temporaryFolder,
  until,
} from "../../support/store.ts";

async function withStore(body: (store: Store, clock: FakeClock, folder: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path, { timeout: 30_000 });
  await body(store, new FakeClock(), folder.path);
  await store.close();
}

/** Queues messages at once, each to an address of its own. */
async function send(queue: Queue, addresses: readonly string[], priority: number, sender = "a@example.org") {
  const envelope = { sender, parameters: {} };
  await Promise.all(addresses.map((one) => queue.enqueue(newMessage(queue, [one], { priority, envelope }))));
}

const many = (count: number, domain: string) => Array.from({ length: count }, (_, i) => `u${i}@${domain}`);
const addressOf = (job: DeliveryJob) => job.recipients[0]?.address ?? "";

/** Deliveries that end when the test says so. */
function slowDelivery() {
  const jobs: { address: string; answer: (how?: typeof delivered) => void }[] = [];
  const deliver: Deliver = (job) =>
    new Promise<readonly Outcome[]>((resolve) => {
      jobs.push({ address: addressOf(job), answer: (how = delivered) => resolve(how(job)) });
    });
  return { jobs, deliver };
}

/** Lets a queue make jobs of what it has claimed: its store answers in order, and a claim asks twice. */
async function claimsMade(queue: Queue): Promise<void> {
  for (let asked = 0; asked < 3; asked++) await queue.stats();
}

Deno.test("after a restart an urgent message passes ten thousand that came before it", async () => {
  await withStore(async (store, clock) => {
    const before = await openTestQueue(store, clock);
    await send(before, many(10_000, "list.example"), 0);
    await clock.advance(1000);
    await send(before, ["urgent@slow.example"], 5);
    await before.close();

    const queue = await openTestQueue(store, clock, { config: queueConfig({ threads: { remote: 2 } }) });
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await until(() => slow.jobs.length === 2, "both places taken");
    assert.ok(
      slow.jobs.some(({ address }) => address === "urgent@slow.example"),
      slow.jobs.map((a) => a.address).join(),
    );
    for (const { answer } of slow.jobs) answer();
    await queue.close();
  });
});

Deno.test("an urgent message of another node needs no room among what was claimed before", async () => {
  await withStore(async (store, clock, folder) => {
    const queue = await openTestQueue(store, clock, { config: queueConfig({ threads: { remote: 2 } }) });
    await send(queue, Array.from({ length: 500 }, (_, i) => `u@list${i}.example`), 0);
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await until(() => slow.jobs.length === 2, "both places taken");
    await until(async () => (await queue.stats()).recipients === 500);

    const theirs = await openTemporaryStore(folder);
    // A node that accepts and does not deliver.
    const other = await openTestQueue(theirs, clock, { nodeId: "node-b" });
    await send(other, ["important@one.example"], 3);
    await send(other, ["flash@one.example"], 9);
    await until(async () => {
      await clock.advance(1000);
      return await claimed(store, "@one.example") === 2;
    }, "the claim of both");
    await claimsMade(queue);
    slow.jobs[0]?.answer();
    await until(() => slow.jobs.length === 3, "the next attempt");
    slow.jobs[1]?.answer();
    await until(() => slow.jobs.length === 4, "the one after it");
    assert.deepEqual(slow.jobs.slice(2).map(({ address }) => address), ["flash@one.example", "important@one.example"]);
    for (const { answer } of slow.jobs) answer();
    await queue.close();
    await other.close();
    await theirs.close();
  });
});

Deno.test("an urgent message is tried before others again when its pause is over", async () => {
  await withStore(async (store, clock) => {
    const queue = await openTestQueue(store, clock, {
      config: queueConfig({ threads: { remote: 1 } }),
      memory: { messages: 0 },
    });
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await send(queue, ["urgent@one.example"], 4);
    await until(() => slow.jobs.length === 1, "the first attempt");
    slow.jobs[0]?.answer(deferred);
    await until(async () => await claimed(store) === 0, "the deferral");
    await send(queue, many(300, "list.example"), 0);
    await until(() => slow.jobs.length === 2, "an attempt for the others");
    // The pause of the schedule is a minute; meanwhile the only place is taken.
    await until(async () => {
      await clock.advance(10_000);
      return await claimed(store, "urgent@one.example") === 1;
    }, "the claim");
    await claimsMade(queue);
    slow.jobs[1]?.answer();
    await until(() => slow.jobs.length === 3, "the next attempt");
    assert.equal(slow.jobs[2]?.address, "urgent@one.example");
    slow.jobs[2]?.answer();
    await queue.close();
  });
});

Deno.test("a low priority waits for what is there with it, not for all that ever comes", async () => {
  await withStore(async (store, clock) => {
    const queue = await openTestQueue(store, clock, { config: queueConfig({ threads: { remote: 1 } }) });
    await send(queue, ["first@low.example", "second@low.example"], -4, "news@bulk.example");
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await until(() => slow.jobs.length === 1, "the only place taken");
    // New mail arrives faster than places come free.
    let next = 0;
    for (; next < 6; next++) {
      await send(queue, [`x${next}@new.example`, `y${next}@new.example`], 0);
      slow.jobs[next]?.answer();
      await until(() => slow.jobs.length === next + 2, `attempt ${next + 2}`);
    }
    const seen = slow.jobs.map(({ address }) => address);
    assert.ok(seen.includes("second@low.example"), seen.join());
    await until(async () => {
      for (const { answer } of slow.jobs) answer();
      await clock.advance(1000);
      return (await queue.stats()).recipients === 0;
    }, "delivery of all");
    await queue.close();
  });
});

Deno.test("a claim of urgent mail takes the highest priority first, and of the last message every recipient", async () => {
  await withStore(async (store, clock) => {
    const queue = await openTestQueue(store, clock);
    const to = many(5, "one.example");
    await queue.enqueue(newMessage(queue, to, { priority: 2 }));
    await send(queue, ["plain@one.example"], 0);
    await clock.advance(1);
    await send(queue, ["seven@one.example"], 7);
    await queue.enqueue(newMessage(queue, ["later@one.example"], { priority: 9, holdUntil: clock.now() + 60_000 }));
    await send(queue, ["low@one.example"], -1);

    const take = (urgent: boolean, limit: number) =>
      claim(store, {
        queue: "remote",
        urgent,
        limit,
        now: clock.now(),
        lease: { owner: 1, until: clock.now() + 60_000 },
        onLost: () => {},
      });
    const names = ({ claimed }: Awaited<ReturnType<typeof take>>) =>
      claimed.flatMap(({ recipients }) => recipients.map(({ address }) => address)).sort();
    assert.deepEqual(names(await take(true, 1)), ["seven@one.example"]);
    const second = await take(true, 2);
    assert.deepEqual([names(second), second.more], [to, true]);
    assert.deepEqual(await take(true, 2), { claimed: [], more: false });
    assert.deepEqual(names(await take(false, 10)), ["low@one.example", "plain@one.example"]);
    await queue.close();
  });
});

Deno.test("what an earlier version has queued keeps its priority", async () => {
  await using folder = await temporaryFolder();
  const earlier = await openTemporaryStore(folder.path, {
    migrations: MIGRATIONS.filter(({ version }) => version < 9),
  });
  for (const [id, priority] of [[1, 0], [2, 6], [3, -6]] as const) {
    await earlier.write([
      {
        sql: "INSERT INTO messages (id, created, sender, size, priority, source, meta, body) " +
          "VALUES (?, 0, 'a@example.org', 0, ?, 'unauthenticated', '[{},\"192.0.2.1\",25,\"\",\"\"]', x'')",
        args: [id, priority],
      },
      {
        sql: "INSERT INTO recipients (message, seq, address, queue, state, due, attempt_at) " +
          "VALUES (?, 0, 'b@example.net', 'remote', 0, 0, 0)",
        args: [id],
      },
    ]);
  }
  await earlier.close();
  const store = await openTemporaryStore(folder.path, { migrations: MIGRATIONS });
  const { rows } = await store.read("SELECT message, priority FROM recipients ORDER BY message");
  assert.deepEqual(rows.map((row) => row.map(Number)), [[1, 0], [2, 6], [3, -6]]);
  const { claimed } = await claim(store, {
    ...{ queue: "remote", urgent: true, limit: 10, now: 1, lease: { owner: 1, until: 2 } },
    onLost: () => {},
  });
  assert.deepEqual(claimed.map(({ message }) => message.id), [2]);
  await store.close();
});
