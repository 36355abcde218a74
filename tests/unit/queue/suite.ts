/** What a queue must do on any database; run on a file by the unit tests and on a server by the interop tests. */

import assert from "node:assert/strict";
import { LookupUnavailable } from "../../../src/expression/types.ts";
import {
  type BuildNotice,
  contentOf,
  type Deliver,
  type DeliveryJob,
  type Outcome,
  type Queue,
} from "../../../src/queue/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  claimed,
  computed,
  constant,
  deferred,
  delivered,
  eventLog,
  failed,
  newMessage,
  openTestQueue,
  queueConfig,
  schedule,
  until,
} from "../../support/store.ts";

/** A database that may be opened several times, as by several processes. */
export interface TestDatabase {
  open(): Promise<Store>;
}

/** Runs `body` with an empty database; closes what it opened. */
export type WithDatabase = (body: (database: TestDatabase) => Promise<void>) => Promise<void>;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

type QueueParts = Parameters<typeof openTestQueue>[2];

/** One queue on one store, with a clock that is moved by hand. */
interface Bench {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly queue: Queue;
  readonly log: ReturnType<typeof eventLog>;
}

/** Moves time in small steps until `condition` holds. */
async function pass(clock: FakeClock, condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  await until(async () => {
    if (await condition()) return true;
    await clock.advance(200);
    return false;
  }, what);
}

async function rowCounts(store: Store): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ["messages", "recipients", "blobs", "spills"] as const) {
    counts[table] = Number((await store.read(`SELECT count(*) FROM ${table}`)).rows[0]?.[0]);
  }
  return counts;
}

const NOTHING = { messages: 0, recipients: 0, blobs: 0, spills: 0 };

async function bytesOf(job: DeliveryJob): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of job.message.content.chunks()) parts.push(part.slice());
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Collects jobs; each waits until the test answers it. */
function slowDelivery() {
  const jobs: { job: DeliveryJob; signal: AbortSignal; answer: (outcomes: readonly Outcome[]) => void }[] = [];
  const deliver: Deliver = (job, signal) =>
    new Promise((resolve) => {
      jobs.push({ job, signal, answer: resolve });
    });
  return { jobs, deliver };
}

/** Registers the tests under `label`. */
export function queueSuite(label: string, withDatabase: WithDatabase): void {
  const test = (name: string, body: (database: TestDatabase) => Promise<void>) =>
    Deno.test(`${label}: ${name}`, () => withDatabase(body));

  const bench = async (database: TestDatabase, parts: QueueParts = {}, clock = new FakeClock()): Promise<Bench> => {
    const store = await database.open();
    const log = eventLog();
    const queue = await openTestQueue(store, clock, { emit: log.emit, ...parts });
    return { store, clock, queue, log };
  };

  test("a message is delivered at once from memory, and only its history stays", async (database) => {
    const { store, clock, queue, log } = await bench(database);
    const jobs: DeliveryJob[] = [];
    queue.start((job) => {
      jobs.push(job);
      return Promise.resolve(delivered(job));
    });
    const content = contentOf(new TextEncoder().encode("Subject: x\r\n\r\nbody\r\n"));
    const message = newMessage(queue, ["Bob@example.net"], { content });
    await queue.enqueue(message);
    await until(() => log.count("delivery.delivered") === 1);
    assert.equal(jobs.length, 1);
    const [job] = jobs;
    assert.equal(job?.message.content, content, "not read back");
    assert.deepEqual(
      { route: job?.route, queue: job?.queueName, created: job?.message.created, to: job?.recipients[0]?.address },
      { route: "mx", queue: "remote", created: clock.now(), to: "Bob@example.net" },
    );
    assert.deepEqual(await rowCounts(store), NOTHING);
    const [recent] = await queue.recent(10);
    assert.equal(recent?.name, "delivered");
    const shown = await queue.show(recent?.id ?? "");
    assert.equal(shown?.message.state, "delivered");
    assert.equal(shown?.message.sender, "alice@example.org");
    assert.deepEqual(shown?.events.map(({ name, recipient }) => [name, recipient]), [
      ["queued", ""],
      ["delivered", "Bob@example.net"],
    ]);
    await queue.close();
  });

  test("events tell how long an attempt and a message took, and what a report is about", async (database) => {
    const buildNotice: BuildNotice = (message, _recipients, id) =>
      message.envelope.sender === "" ? undefined : {
        ...newMessage(queue, [message.envelope.sender]),
        id,
        envelope: { sender: "", parameters: {} },
        source: "dsn",
      };
    const { clock, queue, log } = await bench(database, { buildNotice });
    queue.start(async (job) => {
      if (job.message.source === "dsn") return delivered(job);
      await clock.advance(300);
      return job.recipients.every(({ domain }) => domain === "bad.example") ? failed(job) : delivered(job);
    });
    await queue.enqueue(newMessage(queue, ["a@one.example", "b@bad.example"]));
    await until(() => log.count("delivery.completed") === 2);
    const of = (name: string) => log.events.filter((event) => event.name === name).map(({ fields }) => fields);
    const [first] = of("queue.queue-message");
    const [report] = of("queue.queue-dsn");
    assert.equal(report?.about, first?.id);
    const took = of("delivery.delivered").find(({ id }) => id === first?.id)?.elapsed;
    assert.ok(Number(took) >= 300, "as long as the attempt");
    const completed = of("delivery.completed").map(({ id }) => id);
    assert.deepEqual(completed.toSorted(), [first?.id, report?.id].toSorted());
    assert.ok(of("delivery.completed").every(({ elapsed }) => Number(elapsed) >= 0));
    assert.ok(Number(of("delivery.completed").find(({ id }) => id === first?.id)?.elapsed) >= 300);
    await queue.close();
  });

  test("everything a message came with is there again after a restart", async (database) => {
    const first = await bench(database);
    const message = newMessage(first.queue, ["bob@example.net", "carol@example.com"], {
      envelope: { sender: "", parameters: { ret: "hdrs", envid: "x y", smtputf8: true, body: "8bitmime" } },
      source: "authenticated",
      priority: 4,
    });
    await first.queue.enqueue({
      ...message,
      recipients: [
        { address: "bob@example.net", parameters: {} },
        {
          address: "carol@example.com",
          parameters: {
            notify: { never: false, success: true, failure: false, delay: true },
            orcpt: { type: "rfc822", address: "c@example.com" },
          },
        },
      ],
    });
    await first.queue.close();
    const second = await bench(database, {}, first.clock);
    const jobs: DeliveryJob[] = [];
    second.queue.start((job) => {
      jobs.push(job);
      return Promise.resolve(delivered(job));
    });
    await until(() => jobs.length === 2);
    jobs.sort((a, b) => (a.recipients[0]?.id ?? 0) - (b.recipients[0]?.id ?? 0));
    const { content, ...rest } = jobs[1]?.message ?? assert.fail();
    assert.deepEqual(rest, {
      id: message.id,
      envelope: { sender: "", parameters: { ret: "hdrs", envid: "x y", smtputf8: true, body: "8bitmime" } },
      source: "authenticated",
      priority: 4,
      created: first.clock.now(),
      size: content.size,
      receivedFromIp: "192.0.2.1",
      receivedViaPort: 25,
      allRecipients: ["bob@example.net", "carol@example.com"],
    });
    assert.deepEqual(jobs[1]?.recipients, [{
      id: 1,
      address: "carol@example.com",
      domain: "example.com",
      parameters: {
        notify: { never: false, success: true, failure: false, delay: true },
        orcpt: { type: "rfc822", address: "c@example.com" },
      },
      attempts: 0,
      notified: 0,
      lastError: "none",
      lastStatus: 0,
    }]);
    await until(async () => JSON.stringify(await rowCounts(second.store)) === JSON.stringify(NOTHING));
    await second.queue.close();
  });

  test("content larger than memory may hold is spilled, delivered whole and removed", async (database) => {
    const { store, queue, log } = await bench(database);
    const size = 3_000_000;
    const pattern = new Uint8Array(size).map((_, index) => (index * 7) % 253);
    const writer = queue.contentWriter();
    for (let at = 0; at < size; at += 60_000) await writer.write(pattern.subarray(at, at + 60_000));
    assert.equal(writer.size, size);
    const content = await writer.finish();
    assert.equal(content.complete, false);
    assert.deepEqual(content.head, pattern.subarray(0, 512 * 1024));
    const added = new TextEncoder().encode("Received: from here\r\n");
    const head = new Uint8Array([...added, ...content.head]);
    let received: Uint8Array | undefined;
    queue.start(async (job) => {
      received = await bytesOf(job);
      return delivered(job);
    });
    await queue.enqueue(newMessage(queue, ["bob@example.net"], { content: content.withHead(head) }));
    await until(() => log.count("delivery.delivered") === 1);
    assert.equal(received?.length, size + added.length);
    assert.deepEqual(received?.subarray(added.length), pattern);
    assert.deepEqual(await rowCounts(store), NOTHING);
    await queue.close();
  });

  test("content of a middling size is kept in parts and read back whole", async (database) => {
    const { store, queue, clock } = await bench(database);
    const pattern = new Uint8Array(1_000_000).map((_, index) => (index * 11) % 241);
    const writer = queue.contentWriter();
    await writer.write(pattern);
    const content = await writer.finish();
    assert.equal(content.complete, true);
    await queue.enqueue(newMessage(queue, ["bob@example.net"], { content }));
    assert.deepEqual(await rowCounts(store), { messages: 1, recipients: 1, blobs: 1, spills: 0 });
    let received: Uint8Array | undefined;
    queue.start(async (job) => {
      received = await bytesOf(job);
      return delivered(job);
    });
    await pass(clock, () => received !== undefined, "delivery");
    assert.deepEqual(received, pattern);
    await until(async () => (await rowCounts(store)).blobs === 0);
    await queue.close();
  });

  test("content that is given up leaves no rows, before and after it is complete", async (database) => {
    const { store, queue } = await bench(database);
    const part = new Uint8Array(900_000);
    const aborted = queue.contentWriter();
    for (let i = 0; i < 3; i++) await aborted.write(part);
    assert.notDeepEqual(await rowCounts(store), NOTHING);
    aborted.abort();
    const discarded = queue.contentWriter();
    for (let i = 0; i < 3; i++) void discarded.write(part);
    (await discarded.finish()).discard();
    await until(async () => JSON.stringify(await rowCounts(store)) === JSON.stringify(NOTHING));
    await queue.close();
  });

  test("content that a node left behind is removed when it starts again", async (database) => {
    const first = await bench(database);
    const writer = first.queue.contentWriter();
    for (let i = 0; i < 3; i++) await writer.write(new Uint8Array(900_000));
    assert.notDeepEqual(await rowCounts(first.store), NOTHING);
    const second = await bench(database);
    assert.deepEqual(await rowCounts(second.store), NOTHING);
    await assert.rejects(
      first.queue.enqueue(newMessage(first.queue, ["bob@example.net"], { content: await writer.finish() })),
      "content whose rows were removed is no message",
    );
    assert.equal((await rowCounts(second.store)).messages, 0);
    await first.queue.close();
    await second.queue.close();
  });

  test("recipients of one domain travel in one job, others in their own", async (database) => {
    const { queue, log } = await bench(database);
    const jobs: string[][] = [];
    queue.start((job) => {
      jobs.push(job.recipients.map(({ address }) => address));
      return Promise.resolve(delivered(job));
    });
    await queue.enqueue(newMessage(queue, ["a@one.example", "b@two.example", "c@ONE.example"]));
    await until(() => log.count("delivery.delivered") === 3);
    assert.deepEqual(jobs.sort(), [["a@one.example", "c@ONE.example"], ["b@two.example"]]);
    await queue.close();
  });

  test("recipients of a route that is not mx travel in one job whatever their domain", async (database) => {
    const config = queueConfig({
      route: computed(({ rcpt_domain }) => rcpt_domain === "far.example" ? "mx" : "local"),
    });
    const { queue, log } = await bench(database, { config });
    const jobs: [string, number][] = [];
    queue.start((job) => {
      jobs.push([job.route, job.recipients.length]);
      return Promise.resolve(delivered(job));
    });
    await queue.enqueue(newMessage(queue, ["a@one.example", "b@two.example", "c@far.example"]));
    await until(() => log.count("delivery.delivered") === 3);
    assert.deepEqual(jobs.sort(), [["local", 2], ["mx", 1]]);
    await queue.close();
  });

  test("a failed attempt is repeated after the pauses of the schedule, the last of which repeats", async (database) => {
    const config = queueConfig({ schedules: [schedule("remote", { retry: [MINUTE, 10 * MINUTE] })] });
    const { clock, queue, log } = await bench(database, { config });
    const attempts: number[] = [];
    let ended = 0;
    queue.start((job) => {
      attempts.push(job.recipients[0]?.attempts ?? -1);
      ended = clock.now();
      return Promise.resolve(deferred(job));
    });
    await queue.enqueue(newMessage(queue));
    const pauses: number[] = [];
    for (let count = 1; count <= 4; count++) {
      await pass(clock, () => log.count("delivery.deferred") === count, `deferral ${count}`);
      const [message] = await queue.list();
      const due = Date.parse(message?.due ?? "");
      pauses.push(due - ended);
      assert.equal(message?.recipients[0]?.attempts, count);
      assert.equal(message?.recipients[0]?.lastError, "unexpected-reply");
      assert.equal(message?.recipients[0]?.lastStatus, 451);
      assert.equal(message?.recipients[0]?.lastText, "greylisted");
      assert.equal(message?.state, "queued");
      await clock.advance(due - clock.now() - 500);
    }
    assert.deepEqual(pauses, [MINUTE, 10 * MINUTE, 10 * MINUTE, 10 * MINUTE]);
    assert.deepEqual(attempts, [0, 1, 2, 3]);
    await queue.close();
  });

  test("after the most attempts a recipient fails with its last error", async (database) => {
    const config = queueConfig({
      schedules: [schedule("remote", { retry: [1000], expire: undefined, maxAttempts: 2 })],
    });
    const notices: unknown[] = [];
    const buildNotice: BuildNotice = (message, recipients) => {
      notices.push([
        message.content.head.length > 0,
        recipients.map(({ action, detail, recipient }) => [
          action,
          detail.text,
          detail.enhanced,
          detail.host,
          recipient.attempts,
        ]),
      ]);
      return undefined;
    };
    const { store, clock, queue, log } = await bench(database, { config, buildNotice });
    let count = 0;
    queue.start((job) => Promise.resolve(deferred(job, `try ${++count}`)));
    await queue.enqueue(newMessage(queue));
    await pass(clock, () => log.count("queue.expired") === 1, "expiry");
    assert.deepEqual(notices, [[true, [["failed", "try 2", "4.7.1", "mx.example.net", 2]]]]);
    assert.equal(count, 2);
    assert.deepEqual(await rowCounts(store), NOTHING);
    await queue.close();
  });

  test("a recipient fails when its time is over, not at the attempt after that", async (database) => {
    const config = queueConfig({ schedules: [schedule("remote", { retry: [2 * HOUR], expire: HOUR })] });
    const failures: string[] = [];
    const buildNotice: BuildNotice = (_, recipients) => {
      failures.push(...recipients.map(({ action, detail }) => `${action} ${detail.text}`));
      return undefined;
    };
    const { clock, queue, log } = await bench(database, { config, buildNotice });
    let attempts = 0;
    queue.start((job) => {
      attempts++;
      return Promise.resolve(deferred(job));
    });
    await queue.enqueue(newMessage(queue));
    const accepted = clock.now();
    await until(() => log.count("delivery.deferred") === 1);
    await clock.advance(HOUR - MINUTE);
    assert.equal(failures.length, 0);
    await pass(clock, () => failures.length === 1, "failure");
    assert.ok(clock.now() - accepted < HOUR + MINUTE, "at the end of its time");
    assert.deepEqual(failures, ["failed greylisted"]);
    assert.equal(attempts, 1);
    await queue.close();
  });

  test("a message that waited past its time without an attempt still gets one", async (database) => {
    const { clock, queue, log } = await bench(database);
    await queue.enqueue(newMessage(queue));
    await clock.advance(30 * DAY);
    queue.start((job) => Promise.resolve(delivered(job)));
    await pass(clock, () => log.count("delivery.delivered") === 1, "delivery");
    await queue.close();
  });

  test("the sender hears of a delay at each age once, also between attempts", async (database) => {
    const config = queueConfig({
      schedules: [schedule("remote", { retry: [10 * DAY], expire: 30 * DAY, notify: [HOUR, 4 * HOUR] })],
    });
    const notices: { at: number; action: string; until: number | undefined; unattempted: boolean | undefined }[] = [];
    const clock = new FakeClock();
    const buildNotice: BuildNotice = (_, recipients) => {
      for (const { action, willRetryUntil, unattempted } of recipients) {
        notices.push({ at: clock.now(), action, until: willRetryUntil, unattempted });
      }
      return undefined;
    };
    const { queue, log } = await bench(database, { config, buildNotice }, clock);
    const noticesBefore: (number | undefined)[] = [];
    queue.start((job) => {
      noticesBefore.push(job.recipients[0]?.notified);
      return Promise.resolve(deferred(job));
    });
    const accepted = clock.now();
    await queue.enqueue(newMessage(queue));
    await until(() => log.count("delivery.deferred") === 1);
    for (const age of [HOUR, 4 * HOUR]) {
      await clock.advance(age - (clock.now() - accepted) - 1000);
      const before: number = notices.length;
      await pass(clock, () => notices.length === before + 1, `notice at ${age}`);
      const late = (notices.at(-1)?.at ?? 0) - accepted - age;
      assert.ok(late >= 0 && late < MINUTE, `late by ${late}`);
    }
    const [message] = await queue.list();
    assert.equal(Date.parse(message?.due ?? "") >= accepted + 10 * DAY, true, "the next attempt is where it was");
    await clock.advance(DAY);
    assert.deepEqual(notices.map(({ action, until, unattempted }) => [action, until, unattempted]), [
      ["delayed", accepted + 30 * DAY, true],
      ["delayed", accepted + 30 * DAY, true],
    ]);
    assert.deepEqual(noticesBefore, [0], "no attempt was made for a notice");
    assert.equal(await queue.retry({ ids: [message?.id ?? ""] }), 1);
    await pass(clock, () => noticesBefore.length === 2, "second attempt");
    assert.deepEqual(noticesBefore, [0, 2]);
    await queue.close();
  });

  test("at a deadline of mode N the sender hears that the time has expired, before it of the last attempt", async (database) => {
    const config = queueConfig({
      schedules: [schedule("remote", { retry: [10 * DAY], expire: 30 * DAY, notify: [HOUR] })],
    });
    const notices: string[] = [];
    const buildNotice: BuildNotice = (_, recipients) => {
      for (const { action, detail } of recipients) notices.push(`${action} ${detail.enhanced} ${detail.text}`);
      return undefined;
    };
    const { clock, queue, log } = await bench(database, { config, buildNotice });
    queue.start((job) => Promise.resolve(deferred(job)));
    const by = { seconds: 2 * HOUR / 1000, mode: "notify", trace: false } as const;
    await queue.enqueue(newMessage(queue, undefined, { envelope: { sender: "a@example.org", parameters: { by } } }));
    await until(() => log.count("delivery.deferred") === 1);
    await clock.advance(HOUR - 1000);
    await pass(clock, () => notices.length === 1, "notice by the schedule");
    await clock.advance(HOUR - 10_000);
    await pass(clock, () => notices.length === 2, "notice at the deadline");
    // RFC 2852 §4.1.3
    assert.deepEqual(notices, ["delayed 4.7.1 greylisted", "delayed 4.4.7 greylisted"]);
    await queue.close();
  });

  test("the notice of a failure is in the queue when the failed message is gone", async (database) => {
    const config = queueConfig({
      schedule: computed(({ source }) => source === "dsn" ? "dsn" : "remote"),
    });
    const buildNotice: BuildNotice = (message, recipients, id) => ({
      id,
      envelope: { sender: "", parameters: {} },
      recipients: [{ address: message.envelope.sender, parameters: {} }],
      content: contentOf(new TextEncoder().encode(`Subject: failed\r\n\r\n${recipients.length}\r\n`)),
      source: "dsn",
      priority: 0,
      receivedFromIp: "",
      receivedViaPort: 0,
      authenticatedAs: "",
      heloDomain: "",
    });
    const { store, queue, log } = await bench(database, { config, buildNotice });
    const seen: [string, string][] = [];
    queue.start((job) => {
      seen.push([job.queueName, job.recipients.map(({ address }) => address).join()]);
      return Promise.resolve(job.message.source === "dsn" ? delivered(job) : failed(job));
    });
    await queue.enqueue(newMessage(queue, ["x@example.net", "y@example.net"]));
    await until(() => log.count("delivery.delivered") === 1);
    assert.deepEqual(seen, [["remote", "x@example.net,y@example.net"], ["dsn", "alice@example.org"]]);
    assert.equal(log.count("queue.queue-dsn"), 1);
    assert.deepEqual(await rowCounts(store), NOTHING);
    await queue.close();
  });

  test("a success is reported when asked for, unless the next hop took that over", async (database) => {
    const actions: string[] = [];
    const config = queueConfig({
      route: computed(({ rcpt_domain }) => rcpt_domain === "here.example" ? "local" : "mx"),
    });
    const buildNotice: BuildNotice = (_, recipients) => {
      for (const { action, recipient } of recipients) actions.push(`${recipient.address} ${action}`);
      return undefined;
    };
    const { queue, log } = await bench(database, { config, buildNotice });
    queue.start((job) =>
      Promise.resolve(
        delivered(job).map((outcome) =>
          outcome.kind === "delivered" && job.message.source === "autogenerated"
            ? { ...outcome, dsnRelayed: true }
            : outcome
        ),
      )
    );
    const notify = { never: false, success: true, failure: true, delay: false };
    const asked = (address: string) => ({ address, parameters: { notify } });
    await queue.enqueue({ ...newMessage(queue), recipients: [asked("a@here.example"), asked("b@far.example")] });
    await queue.enqueue({ ...newMessage(queue), recipients: [{ address: "c@far.example", parameters: {} }] });
    await queue.enqueue({
      ...newMessage(queue),
      source: "autogenerated",
      recipients: [asked("d@far.example")],
    });
    await until(() => log.count("delivery.delivered") === 4);
    assert.deepEqual(actions.sort(), ["a@here.example delivered", "b@far.example relayed"]);
    await queue.close();
  });

  test("a message released in the future waits until then, and its life starts then", async (database) => {
    const { clock, queue, log } = await bench(database);
    queue.start((job) => Promise.resolve(delivered(job)));
    const holdUntil = clock.now() + 2 * HOUR;
    await queue.enqueue(newMessage(queue, ["bob@example.net"], { holdUntil }));
    const [message] = await queue.list();
    assert.equal(message?.due, new Date(holdUntil).toISOString());
    assert.equal(message?.recipients[0]?.expires, new Date(holdUntil + 5 * DAY).toISOString());
    await clock.advance(2 * HOUR - 1000);
    assert.equal(log.count("delivery.delivered"), 0);
    await pass(clock, () => log.count("delivery.delivered") === 1, "delivery");
    assert.ok(clock.now() >= holdUntil);
    await queue.close();
  });

  test("a held message waits for its release, and the time on hold does not shorten its life", async (database) => {
    const { clock, queue, log } = await bench(database);
    queue.start((job) => Promise.resolve(deferred(job)));
    await queue.enqueue(newMessage(queue, ["bob@example.net"], { held: true }));
    const accepted = clock.now();
    await clock.advance(10 * DAY);
    const [held] = await queue.list({ state: "held" });
    assert.equal(held?.state, "held");
    assert.equal(held?.due, null);
    assert.equal(log.count("delivery.deferred"), 0);
    const released = clock.now();
    assert.equal(await queue.release({ ids: [held?.id ?? ""] }), 1);
    const [waiting] = await queue.list();
    assert.equal(Date.parse(waiting?.recipients[0]?.expires ?? ""), accepted + 5 * DAY + (released - accepted));
    await pass(
      clock,
      () => log.events.some(({ name }) => name === "delivery.deferred" || name === "queue.expired"),
      "try",
    );
    await queue.close();
  });

  test("a message that was held and let go still waits until the time that its sender asked for", async (database) => {
    const { clock, queue, log } = await bench(database);
    queue.start((job) => Promise.resolve(delivered(job)));
    const holdUntil = clock.now() + 2 * HOUR;
    await queue.enqueue(newMessage(queue, ["bob@example.net"], { holdUntil }));
    const expires = new Date(holdUntil + 5 * DAY).toISOString();
    assert.equal((await queue.hold({})).recipients, 1);
    await clock.advance(HOUR);
    assert.equal(await queue.release({}), 1);
    const [message] = await queue.list();
    assert.deepEqual([message?.due, message?.recipients[0]?.expires], [new Date(holdUntil).toISOString(), expires]);
    await queue.hold({});
    await clock.advance(2 * HOUR);
    assert.equal(log.count("delivery.delivered"), 0);
    await queue.release({});
    const [late] = await queue.list();
    assert.equal(late?.recipients[0]?.expires, new Date(holdUntil + HOUR + 5 * DAY).toISOString());
    await pass(clock, () => log.count("delivery.delivered") === 1, "delivery");
    await queue.close();
  });

  test("what is waiting can be cancelled, held, rescheduled and retried by id and by filter", async (database) => {
    const { store, clock, queue } = await bench(database);
    const ids: string[] = [];
    for (const [to, sender] of [["a@one.example", "x@s.example"], ["b@two.example", ""], ["c@two.example", ""]]) {
      const message = newMessage(queue, [to ?? ""], { envelope: { sender: sender ?? "", parameters: {} } });
      await queue.enqueue(message);
    }
    ids.push(...(await queue.list()).map(({ id }) => id));
    assert.equal(ids.length, 3);
    assert.deepEqual((await queue.list({ sender: "" })).map(({ id }) => id), ids.slice(1));
    assert.deepEqual((await queue.list({ domain: "ONE.example" })).map(({ id }) => id), ids.slice(0, 1));
    assert.deepEqual((await queue.list({ recipient: "c@two.example" })).map(({ id }) => id), ids.slice(2));
    assert.deepEqual((await queue.list({ limit: 1, offset: 1 })).map(({ id }) => id), ids.slice(1, 2));
    assert.deepEqual(await queue.list({ state: "delivered" }), []);
    assert.deepEqual(await queue.list({ ids: ["nonsense", "00000000000"] }), []);
    const time = clock.now() + HOUR;
    assert.equal(await queue.reschedule({ domain: "two.example" }, time), 2);
    assert.deepEqual((await queue.list()).map(({ due }) => Date.parse(due ?? "")), [clock.now(), time, time]);
    await clock.advance(1000);
    assert.equal(await queue.retry({ ids: [ids[2] ?? ""] }), 1);
    assert.deepEqual((await queue.list()).map(({ due }) => Date.parse(due ?? "")), [
      clock.now() - 1000,
      time,
      clock.now(),
    ]);
    assert.equal((await queue.hold({ queue: "remote" })).recipients, 3);
    assert.deepEqual((await queue.list()).map(({ state }) => state), ["held", "held", "held"]);
    assert.equal(await queue.retry({}), 0, "what is held is not retried");
    assert.equal(await queue.release({ sender: "" }), 2);
    assert.deepEqual((await queue.list()).map(({ state }) => state), ["held", "queued", "queued"]);
    assert.equal((await queue.cancel({ domain: "two.example" })).recipients, 2);
    assert.deepEqual((await queue.list()).map(({ id }) => id), ids.slice(0, 1));
    const gone = await queue.show(ids[1] ?? "");
    assert.equal(gone?.message.state, "failed");
    assert.deepEqual(gone?.events.map(({ name }) => name), ["queued", "rescheduled", "held", "released", "cancelled"]);
    assert.equal((await queue.cancel({ ids })).recipients, 1);
    assert.deepEqual(await rowCounts(store), NOTHING);
    await queue.close();
  });

  test("one recipient of several can be cancelled; the rest of the message stays", async (database) => {
    const { queue } = await bench(database);
    await queue.enqueue(newMessage(queue, ["a@one.example", "b@two.example"]));
    assert.equal((await queue.cancel({ domain: "two.example" })).recipients, 1);
    const [message] = await queue.list();
    assert.deepEqual(message?.recipients.map(({ address, state }) => [address, state]), [
      ["a@one.example", "queued"],
      ["b@two.example", "failed"],
    ]);
    await queue.close();
  });

  test("a cancel from outside during an attempt is honoured if the attempt fails", async (database) => {
    const { store, clock, queue, log } = await bench(database);
    const slow = slowDelivery();
    queue.start(slow.deliver);
    await queue.enqueue(newMessage(queue, ["a@one.example"]));
    await queue.enqueue(newMessage(queue, ["b@two.example"]));
    await until(() => slow.jobs.length === 2);
    const other = await openTestQueue(await database.open(), clock, { nodeId: "command" });
    const under = async () => (await other.list({ state: "delivering" })).length;
    await pass(clock, async () => await under() === 2, "both attempts shown");
    const listed = await other.list();
    assert.equal((await other.cancel({ ids: listed.map(({ id }) => id) })).recipients, 2);
    for (const { job, answer } of slow.jobs) {
      answer(job.recipients[0]?.domain === "one.example" ? delivered(job) : deferred(job));
    }
    await pass(clock, () => log.count("queue.cancelled") === 1, "the cancellation");
    assert.equal(log.count("delivery.delivered"), 1, "what was delivered is reported as delivered");
    assert.deepEqual(await rowCounts(store), NOTHING);
    assert.equal(slow.jobs.length, 2, "not tried again");
    assert.deepEqual(
      (await other.show(listed[1]?.id ?? ""))?.events.map(({ name }) => name),
      ["queued", "cancel-requested", "deferred", "cancelled"],
    );
    await other.close();
    await queue.close();
  });

  test("what waits in memory for a free place can be cancelled and held from outside", async (database) => {
    const { store, clock, queue, log } = await bench(database, { config: queueConfig({ threads: { remote: 1 } }) });
    const slow = slowDelivery();
    queue.start(slow.deliver);
    for (const name of ["a", "b", "c"]) await queue.enqueue(newMessage(queue, [`${name}@${name}.example`]));
    await until(() => slow.jobs.length === 1);
    const other = await openTestQueue(await database.open(), clock, { nodeId: "command" });
    await pass(clock, async () => (await other.list()).length === 3, "three messages");
    await clock.advance(1000);
    assert.equal((await other.cancel({ domain: "b.example" })).recipients, 1);
    assert.equal((await other.hold({ domain: "c.example" })).recipients, 1);
    await pass(clock, () => log.count("queue.cancelled") === 1, "the cancellation");
    await until(async () => (await other.list({ state: "held" })).length === 1, "the hold");
    slow.jobs[0]?.answer(delivered(slow.jobs[0].job));
    await until(() => log.count("delivery.delivered") === 1);
    assert.equal(slow.jobs.length, 1);
    assert.equal((await rowCounts(store)).recipients, 1);
    await other.close();
    await queue.close();
  });

  test("a change from another process is noticed within a second", async (database) => {
    const { clock, queue, log } = await bench(database);
    let answer: typeof deferred = deferred;
    queue.start((job) => Promise.resolve(answer(job)));
    await queue.enqueue(newMessage(queue));
    await until(() => log.count("delivery.deferred") === 1);
    answer = delivered;
    const other = await openTestQueue(await database.open(), clock, { nodeId: "command" });
    await other.retry({});
    // One poll may be under way with the state from before.
    await clock.advance(1000);
    await until(async () => {
      await clock.advance(0);
      return log.count("delivery.delivered") === 1 || (await clock.advance(1000), false);
    });
    await other.close();
    await queue.close();
  });

  test("no more jobs run than the virtual queue allows, and priority goes first", async (database) => {
    const config = queueConfig({
      threads: { remote: 2, bulk: 1 },
      schedules: [schedule("remote"), schedule("bulk")],
      schedule: computed(({ sender_domain }) => sender_domain === "list.example" ? "bulk" : "remote"),
    });
    const { queue, log } = await bench(database, { config });
    const slow = slowDelivery();
    queue.start(slow.deliver);
    const send = (to: string, priority: number, sender = "a@example.org") =>
      queue.enqueue(newMessage(queue, [to], { priority, envelope: { sender, parameters: {} } }));
    for (
      const [to, priority] of [["a@a.example", 0], ["b@b.example", 0], ["c@c.example", -3], ["d@d.example", 0], [
        "e@e.example",
        5,
      ]] as const
    ) await send(to, priority);
    await send("f@f.example", 0, "news@list.example");
    await send("g@g.example", 9, "news@list.example");
    await until(() => slow.jobs.length === 3);
    const started = () => slow.jobs.map(({ job }) => job.recipients[0]?.address.slice(0, 1)).join("");
    assert.equal(started(), "abf");
    for (let next = 0; next < 7; next++) {
      await until(() => slow.jobs.length > next);
      const one = slow.jobs[next];
      one?.answer(delivered(one.job));
      await until(() => log.count("delivery.delivered") === next + 1);
    }
    assert.equal(started().replace(/[fg]/g, ""), "abedc");
    assert.equal(started().replace(/[^fg]/g, ""), "fg");
    await queue.close();
  });

  test("what exceeds the memory for fresh messages is read back from the store", async (database) => {
    const { store, clock, queue, log } = await bench(database, {
      config: queueConfig({ threads: { remote: 1 } }),
      memory: { messages: 2, bytes: 1000 },
    });
    const slow = slowDelivery();
    queue.start(slow.deliver);
    const sent: number[] = [];
    for (let i = 0; i < 6; i++) {
      const message = newMessage(queue, [`u${i}@example.net`]);
      sent.push(message.id);
      await queue.enqueue(message);
    }
    for (let next = 0; next < 6; next++) {
      await pass(clock, () => slow.jobs.length > next, `job ${next}`);
      const one = slow.jobs[next];
      one?.answer(delivered(one.job));
    }
    await until(() => log.count("delivery.delivered") === 6);
    assert.deepEqual(slow.jobs.map(({ job }) => job.message.id).sort(), sent);
    assert.deepEqual(await rowCounts(store), NOTHING);
    await queue.close();
  });

  test("a route that cannot be told for now defers the recipient with 4.3.0", async (database) => {
    const unreachable = (): string => {
      throw new LookupUnavailable("directory 'staff' does not answer");
    };
    for (const route of [computed(unreachable), computed(() => Promise.resolve().then(unreachable))]) {
      const { clock, queue, log } = await bench(database, { config: queueConfig({ route }) });
      let attempts = 0;
      queue.start((job) => {
        attempts++;
        return Promise.resolve(delivered(job));
      });
      await queue.enqueue(newMessage(queue));
      await until(() => log.count("delivery.deferred") === 1);
      const [message] = await queue.list();
      assert.match(message?.recipients[0]?.lastText ?? "", /directory 'staff' does not answer/);
      assert.equal(attempts, 0);
      queue.reconfigure(queueConfig());
      await clock.advance(MINUTE);
      await pass(clock, () => log.count("delivery.delivered") === 1, "delivery once the directory is back");
      await queue.close();
    }
  });

  test("a strategy that names what is not defined falls back to the built-in one", async (database) => {
    const config = queueConfig({ route: constant("gone"), schedule: constant("lost") });
    const { queue, log } = await bench(database, { config });
    const routes: string[] = [];
    queue.start((job) => {
      routes.push(`${job.queueName} ${job.route}`);
      return Promise.resolve(delivered(job));
    });
    await queue.enqueue(newMessage(queue));
    await until(() => routes.length === 1);
    assert.deepEqual(routes, ["remote mx"]);
    assert.equal(log.count("smtp.id-not-found"), 2);
    await queue.close();
  });

  test("strategies see the variables of the recipient, anew before each attempt", async (database) => {
    const seen: Record<string, unknown>[] = [];
    const config = queueConfig({
      route: computed((variables) => {
        seen.push({ ...variables });
        return Number(variables.retry_num) > 0 ? "local" : "mx";
      }),
      schedules: [schedule("remote"), schedule("slow", { retry: [HOUR] })],
      schedule: computed(({ retry_num }) => Number(retry_num) > 0 ? "slow" : "remote"),
      threads: { remote: 1, slow: 1 },
    });
    const { clock, queue, log } = await bench(database, { config });
    const jobs: string[] = [];
    queue.start((job) => {
      jobs.push(`${job.queueName} ${job.route}`);
      return Promise.resolve(jobs.length === 1 ? deferred(job) : delivered(job));
    });
    await queue.enqueue(newMessage(queue, ["bob@example.net", "carol@example.net"], { priority: 2 }));
    await until(() => log.count("delivery.deferred") === 2);
    await clock.advance(HOUR);
    await pass(clock, () => log.count("delivery.delivered") === 2, "delivery");
    assert.deepEqual(jobs, ["remote mx", "slow local"]);
    const [first, , third] = seen;
    assert.deepEqual(first, {
      sender: "alice@example.org",
      sender_domain: "example.org",
      priority: 2,
      rcpt: "bob@example.net",
      rcpt_domain: "example.net",
      recipients: ["bob@example.net", "carol@example.net"],
      source: "unauthenticated",
      queue_name: "remote",
      queue_age: 0,
      size: 25,
      retry_num: 0,
      notify_num: 0,
      last_error: "none",
      last_status: 0,
      received_from_ip: "192.0.2.1",
      received_via_port: 25,
    });
    assert.equal(third?.retry_num, 1);
    assert.equal(third?.last_error, "unexpected-reply");
    assert.equal(third?.last_status, 451);
    assert.equal(third?.queue_name, "slow");
    assert.ok(Number(third?.queue_age) >= 3600);
    await queue.close();
  });

  test("a limit of our own postpones without counting as an attempt", async (database) => {
    const { clock, queue, log } = await bench(database);
    const attempts: number[] = [];
    queue.start((job) => {
      attempts.push(job.recipients[0]?.attempts ?? -1);
      return Promise.resolve(
        attempts.length === 1
          ? deferred(job).map((one) => one.kind === "deferred" ? { ...one, retryAfter: 3000 } : one)
          : delivered(job),
      );
    });
    const start = clock.now();
    await queue.enqueue(newMessage(queue));
    await pass(clock, () => log.count("delivery.delivered") === 1, "delivery");
    assert.deepEqual(attempts, [0, 0]);
    assert.ok(clock.now() - start >= 3000 && clock.now() - start < 20_000);
    await queue.close();
  });

  test("an attempt that throws or answers nothing counts as deferred", async (database) => {
    const { queue, log } = await bench(database);
    let count = 0;
    queue.start(() => {
      if (++count === 1) throw new Error("a fault in delivery");
      return Promise.resolve([]);
    });
    await queue.enqueue(newMessage(queue));
    await queue.enqueue(newMessage(queue));
    await until(() => log.count("delivery.deferred") === 2);
    const list = await queue.list();
    assert.deepEqual(list.map(({ recipients }) => recipients[0]?.lastError), ["io", "io"]);
    await queue.close();
  });

  test("two nodes on one database deliver each message once", async (database) => {
    const clock = new FakeClock();
    const config = queueConfig({ threads: { remote: 5 } });
    const a = await bench(database, { nodeId: "a", config, memory: { messages: 0 } }, clock);
    const b = await bench(database, { nodeId: "b", config, memory: { messages: 0 } }, clock);
    for (let i = 0; i < 60; i++) await (i % 2 === 0 ? a : b).queue.enqueue(newMessage(a.queue));
    const ids = new Map<number, string[]>();
    for (const [name, one] of [["a", a], ["b", b]] as const) {
      one.queue.start(async (job) => {
        ids.set(job.message.id, [...ids.get(job.message.id) ?? [], name]);
        await Promise.resolve();
        return delivered(job);
      });
    }
    await pass(clock, async () => (await rowCounts(a.store)).recipients === 0, "an empty queue");
    assert.equal(ids.size, 60);
    assert.ok([...ids.values()].every((nodes) => nodes.length === 1));
    await a.queue.close();
    await b.queue.close();
  });

  test("ids of two nodes never meet", async (database) => {
    const clock = new FakeClock();
    const a = await bench(database, { nodeId: "a" }, clock);
    const b = await bench(database, { nodeId: "b" }, clock);
    const ids = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      ids.add(a.queue.nextId());
      ids.add(b.queue.nextId());
    }
    assert.equal(ids.size, 2000);
    await a.queue.close();
    await b.queue.close();
  });

  test("the work of a node that fell silent is taken over when its lease ends, not before", async (database) => {
    const clock = new FakeClock();
    const dead = await bench(database, { nodeId: "dead", lease: 2 * MINUTE }, clock);
    // Its own clock stands still: it renews nothing.
    const frozen = new FakeClock(clock.now());
    const silent = await openTestQueue(await database.open(), frozen, { nodeId: "silent", lease: 2 * MINUTE });
    const slow = slowDelivery();
    silent.start(slow.deliver);
    await silent.enqueue(newMessage(silent));
    await until(() => slow.jobs.length === 1);
    let taken = 0;
    dead.queue.start((job) => {
      taken++;
      return Promise.resolve(delivered(job));
    });
    await clock.advance(MINUTE);
    assert.equal(await claimed(dead.store), 1);
    assert.equal(taken, 0);
    await clock.advance(MINUTE - 5000);
    assert.equal(taken, 0);
    await pass(clock, () => dead.log.count("delivery.delivered") === 1, "the takeover");
    assert.equal(dead.log.count("queue.lease-taken-over"), 1);
    // The silent node wakes up and answers late: what it says cannot bring the message back.
    slow.jobs[0]?.answer(deferred(slow.jobs[0].job));
    await silent.drain(0);
    assert.deepEqual(await rowCounts(dead.store), NOTHING);
    await silent.close();
    await dead.queue.close();
  });

  for (const [how, skew] of [["fast", HOUR / 2], ["slow", -HOUR / 2]] as const) {
    test(`a node whose clock is half an hour ${how} leaves alone what others do, and takes over when they end`, async (database) => {
      const clock = new FakeClock();
      const working = await openTestQueue(await database.open(), clock, { nodeId: "working", lease: 2 * MINUTE });
      const slow = slowDelivery();
      working.start(slow.deliver);
      await working.enqueue(newMessage(working));
      await until(() => slow.jobs.length === 1);
      const wrong = new FakeClock(clock.now() + skew);
      const other = await bench(database, { nodeId: "other", lease: 2 * MINUTE }, wrong);
      let taken = 0;
      other.queue.start((job) => {
        taken++;
        return Promise.resolve(delivered(job));
      });
      // Both clocks go on for ten minutes, as fast as each other.
      for (let time = 0; time < 10 * MINUTE; time += 5000) {
        await clock.advance(5000);
        await wrong.advance(5000);
        await other.queue.stats();
      }
      assert.equal(taken, 0, "the owner is alive");
      // The owner stops, as if it had been killed.
      const died = wrong.now();
      await pass(wrong, () => other.log.count("delivery.delivered") === 1, "the takeover");
      const after = wrong.now() - died;
      assert.ok(after >= 1.5 * MINUTE && after <= 3 * MINUTE, `${after} ms after the end`);
      slow.jobs[0]?.answer(delivered(slow.jobs[0].job));
      await working.drain(0);
      assert.deepEqual(await rowCounts(other.store), NOTHING);
      await working.close();
      await other.queue.close();
    });
  }

  test("a node that starts again has its old claims back at once", async (database) => {
    const first = await bench(database);
    const slow = slowDelivery();
    first.queue.start(slow.deliver);
    await first.queue.enqueue(newMessage(first.queue));
    await until(() => slow.jobs.length === 1);
    // No close: as if the process had been killed.
    const second = await bench(database, {}, first.clock);
    const jobs: DeliveryJob[] = [];
    second.queue.start((job) => {
      jobs.push(job);
      return Promise.resolve(delivered(job));
    });
    await until(() => jobs.length === 1, "the second run's attempt without waiting for the lease");
    await until(async () => (await rowCounts(second.store)).messages === 0);
    // The first run learns that it was replaced, and neither delivers nor accepts any more.
    await pass(first.clock, () => slow.jobs[0]?.signal.aborted === true, "the first run's end");
    await assert.rejects(first.queue.enqueue(newMessage(first.queue)), /node's name/);
    slow.jobs[0]?.answer(deferred(slow.jobs[0].job));
    await first.queue.close();
    await second.queue.close();
  });

  test("a lease is renewed as long as a delivery runs", async (database) => {
    const clock = new FakeClock();
    const a = await bench(database, { nodeId: "a", lease: MINUTE }, clock);
    const b = await bench(database, { nodeId: "b", lease: MINUTE }, clock);
    const slow = slowDelivery();
    a.queue.start(slow.deliver);
    let stolen = 0;
    b.queue.start((job) => {
      stolen++;
      return Promise.resolve(delivered(job));
    });
    await a.queue.enqueue(newMessage(a.queue));
    await until(() => slow.jobs.length === 1);
    const leaseEnd = async () =>
      Number((await b.store.read("SELECT due FROM recipients WHERE state = 1")).rows[0]?.[0]);
    for (let i = 0; i < 20; i++) {
      await clock.advance(15_000);
      await until(async () => await leaseEnd() > clock.now() + 30_000, "a renewed lease");
      // Others see the new end before its owner hears that it is written. One who does not hear gives its work up, so
      // the clock waits for it: what is written behind the renewal is answered behind it.
      await a.store.write([{ sql: "UPDATE nodes SET seen = seen WHERE slot < 0", args: [] }]);
    }
    assert.equal(stolen, 0);
    assert.equal(slow.jobs[0]?.signal.aborted, false);
    slow.jobs[0]?.answer(delivered(slow.jobs[0].job));
    await until(() => a.log.count("delivery.delivered") === 1);
    await a.queue.close();
    await b.queue.close();
  });

  test("draining lets deliveries end, aborts those that do not, and gives the rest back", async (database) => {
    const { store, clock, queue } = await bench(database, { config: queueConfig({ threads: { remote: 2 } }) });
    const slow = slowDelivery();
    queue.start(slow.deliver);
    for (let i = 0; i < 5; i++) await queue.enqueue(newMessage(queue, [`u@to${i}.example`]));
    await until(() => slow.jobs.length === 2);
    const draining = queue.drain(10_000);
    slow.jobs[0]?.answer(delivered(slow.jobs[0].job));
    slow.jobs[1]?.signal.addEventListener("abort", () => {
      const one = slow.jobs[1];
      one?.answer(deferred(one.job, "stopped"));
    });
    await until(async () => (await rowCounts(store)).recipients === 4);
    assert.equal(slow.jobs[1]?.signal.aborted, false);
    await pass(clock, () => slow.jobs[1]?.signal.aborted === true, "the abort");
    await draining;
    assert.equal(slow.jobs.length, 2, "nothing new was started");
    const states = (await store.read("SELECT state, owner, attempts FROM recipients ORDER BY attempts")).rows;
    assert.deepEqual(states, [[0, null, 0], [0, null, 0], [0, null, 0], [0, null, 1]]);
    await queue.close();
  });

  test("what a removed virtual queue held moves to the fallback at the next start", async (database) => {
    const before = await bench(database, {
      config: queueConfig({
        threads: { remote: 1, old: 1 },
        schedules: [schedule("remote"), schedule("old")],
        schedule: constant("old"),
      }),
    });
    await before.queue.enqueue(newMessage(before.queue));
    await before.queue.close();
    const after = await bench(database, {}, before.clock);
    const queues: string[] = [];
    after.queue.start((job) => {
      queues.push(job.queueName);
      return Promise.resolve(delivered(job));
    });
    await pass(after.clock, () => queues.length === 1, "delivery");
    assert.deepEqual(queues, ["remote"]);
    await after.queue.close();
  });

  test("history is purged for messages that are done, by age", async (database) => {
    const { clock, queue, log } = await bench(database);
    queue.start((job) =>
      Promise.resolve(job.recipients[0]?.domain === "stuck.example" ? deferred(job) : delivered(job))
    );
    await queue.enqueue(newMessage(queue, ["a@old.example"]));
    await queue.enqueue(newMessage(queue, ["a@stuck.example"]));
    await until(() => log.count("delivery.delivered") === 1 && log.count("delivery.deferred") === 1);
    await clock.advance(10_000);
    const cut = clock.now();
    await queue.enqueue(newMessage(queue, ["a@new.example"]));
    await until(() => log.count("delivery.delivered") === 2);
    assert.equal(await queue.purge(cut), 1);
    assert.deepEqual((await queue.recent(10)).map(({ recipient }) => recipient).sort(), [
      "a@new.example",
      "a@stuck.example",
    ]);
    await queue.close();
  });

  test("statistics count recipients by queue and state", async (database) => {
    const { queue } = await bench(database);
    await queue.enqueue(newMessage(queue, ["a@example.net", "b@example.net"]));
    await queue.enqueue(newMessage(queue, ["c@example.net"], { held: true }));
    const stats = await queue.stats();
    assert.deepEqual(stats.queues.map(({ queue, state, recipients }) => [queue, state, recipients]), [
      ["remote", "queued", 2],
      ["remote", "held", 1],
    ]);
    assert.deepEqual([stats.recipients, stats.messages], [3, 2]);
    await queue.close();
  });
}
