/** What a changed configuration does to messages that are queued already. */

import assert from "node:assert/strict";
import type { Deliver, DeliveryJob } from "../../../src/queue/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  computed,
  constant,
  deferred,
  delivered,
  newMessage,
  openTemporaryStore,
  openTestQueue,
  queueConfig,
  schedule,
  temporaryFolder,
  until,
} from "../../support/store.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function test(name: string, body: (store: Store, clock: FakeClock) => Promise<void>): void {
  Deno.test(name, async () => {
    await using folder = await temporaryFolder();
    const store = await openTemporaryStore(folder.path);
    try {
      await body(store, new FakeClock());
    } finally {
      await store.close();
    }
  });
}

const failing: Deliver = (job) => Promise.resolve(deferred(job));

test("recipients that wait move to the queue, the end and the pauses of their new schedule", async (store, clock) => {
  const slow = schedule("remote", { retry: [4 * HOUR], expire: 2 * DAY });
  const queue = await openTestQueue(store, clock, { config: queueConfig({ schedules: [slow] }) });
  queue.start(failing);
  const accepted = clock.now();
  await queue.enqueue(newMessage(queue, ["bob@example.net"]));
  await queue.enqueue(newMessage(queue, ["eve@example.org"]));
  await until(async () => (await queue.list()).every(({ recipients }) => recipients[0]?.attempts === 1));
  const [, second] = await queue.list();
  await queue.hold({ ids: [second?.id ?? ""] });

  const quick = schedule("quick", { queueName: "urgent", retry: [10 * MINUTE], expire: DAY });
  const changed = queueConfig({
    schedules: [slow, quick],
    schedule: computed(({ rcpt_domain }) => rcpt_domain === "example.net" ? "quick" : "remote"),
    threads: { urgent: 3, remote: 10 },
  });
  queue.reconfigure(changed);
  const find = async () => (await queue.list()).flatMap(({ recipients }) => recipients);
  await until(async () => (await find())[0]?.queue === "urgent");
  const [bob, eve] = await find();
  assert.equal(bob?.expires, new Date(accepted + DAY).toISOString());
  // Somewhere in the new pause; the random number of the test says in its middle.
  assert.equal(bob?.due, new Date(clock.now() + 5 * MINUTE).toISOString());
  assert.deepEqual([eve?.queue, eve?.state, eve?.expires], [
    "remote",
    "held",
    new Date(accepted + 2 * DAY).toISOString(),
  ]);
  await clock.advance(5 * MINUTE);
  await until(async () => {
    await clock.advance(200);
    return (await find())[0]?.attempts === 2;
  });
  await queue.close();
});

test("a time that was set by hand stays when schedules change, a FUTURERELEASE hold too", async (store, clock) => {
  const queue = await openTestQueue(store, clock);
  queue.start(failing);
  await queue.enqueue(newMessage(queue));
  await until(async () => (await queue.list())[0]?.recipients[0]?.attempts === 1);
  const time = clock.now() + 3 * DAY;
  await queue.reschedule({}, time);
  const holdUntil = clock.now() + 2 * DAY;
  await queue.enqueue(newMessage(queue, ["bob@example.net"], { holdUntil }));
  const quick = schedule("remote", { retry: [MINUTE], expire: 10 * DAY });
  queue.reconfigure(queueConfig({ schedules: [quick] }));
  const recipients = async () => (await queue.list()).flatMap(({ recipients }) => recipients);
  await until(async () => (await recipients())[0]?.expires === new Date(clock.now() + 10 * DAY).toISOString());
  assert.deepEqual((await recipients()).map(({ due }) => due), [
    new Date(time).toISOString(),
    new Date(holdUntil).toISOString(),
  ]);
  await queue.close();
});

test("recipients of one message still travel together when their schedule changes", async (store, clock) => {
  const slow = schedule("remote", { retry: [4 * HOUR] });
  const drawn = [0.9, 0.2, 0.6, 0.4];
  const queue = await openTestQueue(store, clock, {
    config: queueConfig({ schedules: [slow] }),
    random: () => drawn.shift() ?? 0.5,
  });
  const jobs: string[][] = [];
  queue.start((job) => {
    jobs.push(job.recipients.map(({ address }) => address));
    return failing(job, new AbortController().signal);
  });
  await queue.enqueue(newMessage(queue, ["bob@example.net", "eve@example.net"]));
  const recipients = async () => (await queue.list())[0]?.recipients ?? [];
  await until(async () => (await recipients()).every(({ attempts }) => attempts === 1));

  queue.reconfigure(queueConfig({ schedules: [schedule("remote", { retry: [10 * MINUTE] })] }));
  const inTime = (due: string | null | undefined) => Date.parse(due ?? "") <= clock.now() + 10 * MINUTE;
  await until(async () => (await recipients()).every(({ due }) => inTime(due)));
  const [bob, eve] = await recipients();
  assert.equal(bob?.due, eve?.due);
  await clock.advance(10 * MINUTE);
  await until(async () => {
    await clock.advance(200);
    return jobs.length > 1;
  });
  assert.deepEqual(jobs[1], ["bob@example.net", "eve@example.net"]);
  await queue.close();
});

test(
  "what waits in memory for its turn takes the route and the queue of the new configuration",
  async (store, clock) => {
    const queue = await openTestQueue(store, clock, { config: queueConfig({ threads: { remote: 1 } }) });
    const jobs: DeliveryJob[] = [];
    const first = Promise.withResolvers<void>();
    queue.start(async (job) => {
      jobs.push(job);
      if (jobs.length === 1) await first.promise;
      return delivered(job);
    });
    for (let i = 0; i < 4; i++) await queue.enqueue(newMessage(queue, [`r${i}@example.net`]));
    await until(() => jobs.length === 1);
    const urgent = schedule("urgent");
    queue.reconfigure(queueConfig({
      route: constant("local"),
      schedule: constant("urgent"),
      schedules: [urgent],
      threads: { urgent: 5 },
    }));
    await until(() => jobs.length === 4);
    assert.deepEqual(jobs.map(({ route, queueName }) => [route, queueName]), [
      ["mx", "remote"],
      ["local", "urgent"],
      ["local", "urgent"],
      ["local", "urgent"],
    ]);
    first.resolve();
    await until(async () => (await queue.list()).length === 0);
    await queue.close();
  },
);

test(
  "a configuration that changed while the server was stopped counts as well, and is applied once",
  async (store, clock) => {
    const config = (text: string, expire: number) => ({
      ...queueConfig({ schedules: [schedule("remote", { expire })] }),
      scheduling: text,
    });
    const first = await openTestQueue(store, clock, { config: config("a", DAY) });
    await first.enqueue(newMessage(first));
    const created = clock.now();
    await first.close();
    const second = await openTestQueue(store, clock, { config: config("b", 2 * DAY) });
    const expires = async () => (await second.list())[0]?.recipients[0]?.expires;
    await until(async () => await expires() === new Date(created + 2 * DAY).toISOString());
    const seen = async () => (await store.read("SELECT scheduling FROM nodes")).rows[0]?.[0];
    const before = await seen();
    await second.close();
    // Nothing changed: what is in the rows is not looked at again.
    await store.write([{ sql: "UPDATE recipients SET queue = 'elsewhere'", args: [] }]);
    const third = await openTestQueue(store, clock, {
      config: { ...config("b", 2 * DAY), virtual: new Map([["elsewhere", { id: "elsewhere", threadsPerNode: 1 }]]) },
    });
    assert.equal((await third.list())[0]?.recipients[0]?.queue, "elsewhere");
    assert.equal(await seen(), before);
    await third.close();
  },
);

test("time on hold stays added to the end of life after further attempts", async (store, clock) => {
  const queue = await openTestQueue(store, clock, {
    config: queueConfig({ schedules: [schedule("remote", { expire: 2 * DAY, retry: [HOUR] })] }),
  });
  queue.start(failing);
  const created = clock.now();
  await queue.enqueue(newMessage(queue));
  const recipient = async () => (await queue.list())[0]?.recipients[0];
  await until(async () => (await recipient())?.attempts === 1);
  await queue.hold({});
  await clock.advance(5 * DAY);
  await queue.release({});
  await until(async () => {
    await clock.advance(1000);
    return (await recipient())?.attempts === 2;
  });
  assert.equal((await recipient())?.expires, new Date(created + 7 * DAY).toISOString());
  await queue.close();
});
