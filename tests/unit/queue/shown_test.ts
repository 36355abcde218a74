/** What people see of the queue while mail waits in memory and when it is done. */

import assert from "node:assert/strict";
import type { Deliver, DeliveryJob, Outcome } from "../../../src/queue/mod.ts";
import { claimed, deferred, delivered, failed, newMessage, until } from "../../support/store.ts";
import { send, withQueue } from "./watched_queue.ts";

const MINUTE = 60_000;

/** Deliveries that end when the test says so. */
function slowDelivery() {
  const jobs: { address: string; answer: (how?: (job: DeliveryJob) => Outcome[]) => void }[] = [];
  const deliver: Deliver = (job) =>
    new Promise<readonly Outcome[]>((resolve) => {
      jobs.push({
        address: job.recipients[0]?.address ?? "",
        answer: (how = delivered) => resolve(how(job)),
      });
    });
  return { jobs, deliver };
}

Deno.test("of what a node has claimed only what it is trying is delivering; the rest waits and is due", async () => {
  await withQueue(async ({ queue, outside, store, clock, pass }) => {
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await send(queue, "a@w.example", "b@x.example", "c@y.example", "d@z.example");
    await until(() => slow.jobs.length === 2, "both places taken");
    const accepted = new Date(clock.now()).toISOString();
    assert.equal(await claimed(store), 4);
    await pass(async () => (await outside.list({ state: "delivering" })).length === 2, "the attempts");
    const states = async () => (await outside.list()).map(({ state, due }) => `${state} ${due}`).sort();
    assert.deepEqual(await states(), [
      `delivering ${accepted}`,
      `delivering ${accepted}`,
      `queued ${accepted}`,
      `queued ${accepted}`,
    ]);
    const tried = (await outside.list({ state: "delivering" })).map(({ recipients }) => recipients[0]?.address);
    assert.deepEqual(tried.sort(), slow.jobs.map(({ address }) => address).sort());
    assert.deepEqual((await outside.stats()).queues, [
      { queue: "remote", state: "queued", recipients: 2, due: accepted },
      { queue: "remote", state: "delivering", recipients: 2, due: accepted },
    ]);
    assert.equal((await outside.preview("reschedule", {})).recipients, 2);
    // An attempt that ends leaves no trace of having been shown.
    slow.jobs[0]?.answer(deferred);
    await until(() => slow.jobs.length === 3, "the next attempt");
    await until(async () => (await outside.list({ state: "delivering" })).length === 1, "the end of the first");
    for (const { answer } of slow.jobs) answer();
  });
});

Deno.test("what waits in memory for a place takes the time that somebody sets, and the attempt that is asked for", async () => {
  await withQueue(async ({ queue, outside, clock, pass }) => {
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await send(queue, "a@x.example", "b@y.example", "later@x.example", "asked@x.example");
    await until(() => slow.jobs.length === 2, "both places taken");
    const later = clock.now() + 3 * MINUTE;
    assert.equal(await outside.reschedule({ recipient: "later@x.example" }, later, "ann"), 1);
    assert.equal(await outside.retry({ recipient: "asked@x.example" }), 1);
    const [message] = await outside.list({ recipient: "later@x.example" });
    assert.deepEqual([message?.state, message?.due], ["queued", new Date(later).toISOString()]);
    const own = async () => await outside.list({ recipient: "later@x.example", state: "queued" });
    // The node looks at what was asked for once a second.
    await clock.advance(3000);
    for (let asked = 0; asked < 3; asked++) await queue.stats();
    slow.jobs[0]?.answer();
    slow.jobs[1]?.answer();
    await pass(() => slow.jobs.length === 3, "the attempt that was asked for");
    assert.equal(slow.jobs[2]?.address, "asked@x.example");
    assert.equal((await own()).length, 1);
    slow.jobs[2]?.answer();
    await pass(() => slow.jobs.length === 4, "the attempt at its time");
    assert.ok(clock.now() >= later, "not before");
    slow.jobs[3]?.answer();
    await pass(async () => (await queue.stats()).recipients === 0, "the end");
  });
});

Deno.test("a time that is set in the first moment of an attempt is kept if the attempt fails", async () => {
  await withQueue(async ({ queue, outside, clock, pass }) => {
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await send(queue, "a@x.example");
    await until(() => slow.jobs.length === 1, "the attempt");
    const later = clock.now() + 3 * MINUTE;
    assert.equal(await outside.reschedule({}, later), 1);
    slow.jobs[0]?.answer(deferred);
    await until(async () => (await outside.list())[0]?.recipients[0]?.attempts === 1, "its failure");
    assert.equal((await outside.list())[0]?.due, new Date(later).toISOString());
    await pass(() => slow.jobs.length === 2, "the next attempt");
    assert.ok(clock.now() >= later, "not before");
    slow.jobs[1]?.answer();
  });
});

Deno.test("a recipient that is done shows its failed attempts, and what the last one failed for", async () => {
  await withQueue(async ({ queue, outside, clock, pass }) => {
    const answers = [deferred, deferred];
    const dialogue = [{ at: 0, from: "server" as const, text: "550 5.1.1 No such user" }];
    queue.start((job) => {
      const early = answers.shift();
      if (early !== undefined) return Promise.resolve(early(job));
      const { domain } = job.recipients[0] ?? {};
      if (domain === "good.example") return Promise.resolve(delivered(job));
      if (domain === "slow.example") return Promise.resolve(deferred(job));
      return Promise.resolve(
        failed(job).map((one) => one.kind === "failed" ? { ...one, detail: { ...one.detail, dialogue } } : one),
      );
    });
    const message = newMessage(queue, ["a@bad.example", "b@good.example", "c@slow.example"]);
    await queue.enqueue(message);
    const [listed] = await outside.list();
    const show = async () => (await outside.show(listed?.id ?? ""))?.message.recipients ?? [];
    await pass(async () => (await show()).filter(({ state }) => state === "delivered").length === 1, "one delivery");
    await pass(async () => (await show()).filter(({ state }) => state === "failed").length === 1, "one failure");
    assert.equal((await outside.cancel({ domain: "slow.example" })).recipients, 1);
    await pass(async () => (await show()).every(({ state }) => state !== "queued"), "the end");
    const seen = new Map((await show()).map((one) => [one.address, one]));
    const facts = (address: string) => {
      const { state, attempts, lastError, lastStatus } = seen.get(address) ?? assert.fail(address);
      return [state, attempts, lastError, lastStatus];
    };
    const [good, bad] = [facts("b@good.example"), facts("a@bad.example")];
    assert.deepEqual([good[0], good[2], good[3]], ["delivered", "none", 0]);
    assert.deepEqual([bad[0], bad[2], bad[3]], ["failed", "unexpected-reply", 550]);
    // Two of the three had one failed attempt before; a failure for good is one more.
    assert.ok(Number(good[1]) + Number(bad[1]) >= 2, `${good} ${bad}`);
    assert.deepEqual(seen.get("a@bad.example")?.dialogue, dialogue);
    assert.deepEqual(facts("c@slow.example").slice(2), ["unexpected-reply", 451]);
    assert.ok(Number(facts("c@slow.example")[1]) >= 1);

    // A message with a single recipient tells it in the entry that ends it.
    answers.push(deferred, deferred, deferred);
    await send(queue, "d@good.example");
    const [single] = await outside.list();
    await pass(async () => (await outside.show(single?.id ?? ""))?.message.state === "delivered", "its delivery");
    const done = (await outside.show(single?.id ?? ""))?.message;
    assert.deepEqual([done?.sender, done?.recipients[0]?.attempts], ["alice@example.org", 3]);
    assert.match(done?.recipients[0]?.lastText ?? "", /250 2\.0\.0 ok/);
    assert.ok(clock.now() > 0);
  });
});
