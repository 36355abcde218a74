import assert from "node:assert/strict";
import type { DeliveryJob, Outcome } from "../../../src/queue/mod.ts";
import type { DialogueLine } from "../../../src/smtp/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  deferred,
  eventLog,
  newMessage,
  openTemporaryStore,
  openTestQueue,
  queueConfig,
  schedule,
  temporaryFolder,
  until,
} from "../../support/store.ts";

const SAID: readonly DialogueLine[] = [
  { at: 0, from: "server", text: "220 mx.example.net" },
  { at: 3, from: "client", text: "EHLO mx.example.org" },
  { at: 300_003, from: "note", text: "no answer within 300 s" },
];

/** Outcomes that carry {@link SAID}, or no dialogue for a limit of ours. */
function outcomes(job: DeliveryJob, kind: "failed" | "deferred" | "limited"): Outcome[] {
  const { recipients } = job;
  const detail = { lastError: "connection", status: 0, enhanced: "4.4.2", text: "silent", host: "mx" } as const;
  if (kind === "limited") {
    return recipients.map(({ id }) => ({
      kind: "deferred",
      recipient: id,
      detail: { ...detail, lastError: "rate", text: "wait" },
      retryAfter: 1000,
    }));
  }
  return recipients.map(({ id }) => ({ kind, recipient: id, detail: { ...detail, dialogue: SAID } }));
}

Deno.test("what was said stays with a recipient that waits, also while a limit of ours holds it back", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const log = eventLog();
  const queue = await openTestQueue(store, clock, { emit: log.emit });
  const answers = ["deferred", "limited"] as const;
  let jobs = 0;
  queue.start((job) => Promise.resolve(outcomes(job, answers[jobs++] ?? "limited")));
  await queue.enqueue(newMessage(queue));
  await until(() => log.count("delivery.deferred") === 1 || jobs === 1);
  const shown = async () => {
    const [listed] = await queue.list();
    assert.ok(listed);
    assert.equal(listed.recipients[0]?.dialogue, undefined, "a list has no room for it");
    return (await queue.show(listed.id))?.message.recipients[0];
  };
  await until(async () => (await shown())?.state === "queued");
  assert.deepEqual((await shown())?.dialogue, SAID);
  await until(async () => {
    await clock.advance(1000);
    return (await shown())?.lastText === "wait";
  });
  assert.deepEqual((await shown())?.dialogue, SAID);
  await queue.close();
  await store.close();
});

Deno.test("what was said with a peer that refused for good stays in the history, beside others that got it", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const log = eventLog();
  const queue = await openTestQueue(store, new FakeClock(), { emit: log.emit });
  queue.start((job) =>
    Promise.resolve(
      job.recipients.map((recipient): Outcome =>
        recipient.address.startsWith("bob")
          ? outcomes({ ...job, recipients: [recipient] }, "failed")[0]!
          : { kind: "delivered", recipient: recipient.id, host: "mx", status: 250, enhanced: "2.0.0", text: "ok" }
      ),
    )
  );
  await queue.enqueue(newMessage(queue, ["bob@example.net", "eve@example.net"]));
  await until(() => log.count("delivery.failed") === 1 && log.count("delivery.delivered") === 1);
  const [recent] = await queue.recent(1);
  const shown = await queue.show(recent?.id ?? "");
  const dialogues = Object.fromEntries(
    shown?.message.recipients.map(({ address, dialogue }) => [address, dialogue]) ?? [],
  );
  assert.deepEqual(dialogues, { "bob@example.net": SAID, "eve@example.net": undefined });
  assert.deepEqual(shown?.events.map(({ name }) => name).sort(), ["delivered", "failed", "queued"]);
  await queue.close();
  await store.close();
});

Deno.test("a recipient that is given up without another attempt is told of with the last one, after a restart too", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const first = eventLog();
  const config = queueConfig({ schedules: [schedule("remote", { retry: [86_400_000], expire: 3_600_000 })] });
  const before = await openTestQueue(store, clock, { emit: first.emit, config });
  before.start((job) => Promise.resolve(outcomes(job, "deferred")));
  await before.enqueue(newMessage(before));
  await until(() => first.count("delivery.deferred") === 1);
  await before.close();
  const log = eventLog();
  const told: (readonly DialogueLine[] | undefined)[] = [];
  const queue = await openTestQueue(store, clock, {
    emit: log.emit,
    config,
    buildNotice: (_, recipients) => {
      told.push(...recipients.map(({ detail }) => detail.dialogue));
      return undefined;
    },
  });
  queue.start(() => Promise.reject(new Error("no attempt is to be made")));
  // The store needs turns of the event loop, not time: leases must not run out while it is asked.
  await clock.advance(3_600_000);
  await until(async () => {
    await clock.advance(200);
    return log.count("queue.expired") > 0;
  });
  assert.deepEqual(told, [SAID]);
  const [recent] = await queue.recent(1);
  assert.deepEqual((await queue.show(recent?.id ?? ""))?.message.recipients[0]?.dialogue, SAID);
  assert.deepEqual((await store.read("SELECT count(*) FROM dialogues")).rows[0]?.[0], 0, "nothing is left behind");
  await queue.close();
  await store.close();
});

Deno.test("an attempt in which nothing was said forgets what was said before", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const log = eventLog();
  const queue = await openTestQueue(store, clock, { emit: log.emit });
  let attempts = 0;
  queue.start((job) => Promise.resolve(attempts++ === 0 ? outcomes(job, "deferred") : deferred(job, "refused")));
  await queue.enqueue(newMessage(queue));
  await until(async () => {
    await clock.advance(1000);
    return log.count("delivery.deferred") >= 2;
  });
  const [listed] = await queue.list();
  const shown = await queue.show(listed?.id ?? "");
  assert.equal(shown?.message.recipients[0]?.lastText, "refused");
  assert.equal(shown?.message.recipients[0]?.dialogue, undefined);
  await queue.cancel({ ids: [listed?.id ?? ""] });
  assert.deepEqual((await store.read("SELECT count(*) FROM dialogues")).rows[0]?.[0], 0);
  await queue.close();
  await store.close();
});
