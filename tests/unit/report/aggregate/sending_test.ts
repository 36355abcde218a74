import assert from "node:assert/strict";
import { LookupUnavailable } from "../../../../src/expression/types.ts";
import type { AccompanyingRows } from "../../../../src/queue/mod.ts";
import { gatherStatements, listOutgoing, showOutgoing } from "../../../../src/report/aggregate/ledger.ts";
import type { AggregatePost, MadeReport, Reporter } from "../../../../src/report/aggregate/made.ts";
import { type SendingOptions, startSending } from "../../../../src/report/aggregate/sending.ts";
import type { ReportMail } from "../../../../src/report/mod.ts";
import { type Store, StoreUnavailable } from "../../../../src/store/mod.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { eventLog, openTemporaryStore, temporaryFolder } from "../../../support/store.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const reporter: Reporter = {
  submitter: "mx.example.net",
  from: { name: "", address: "reports@example.net" },
  orgName: "Example",
  maxSize: 1e6,
  sign: ["own"],
};

const mail = (to: string): ReportMail => ({
  from: reporter.from,
  to: [to],
  subject: "Report",
  type: "multipart/mixed",
  parts: [],
});
const mailed = (...to: string[]): MadeReport => ({
  kind: "made",
  mails: to.map((address) => ({ mail: mail(address), uris: [`mailto:${address}`] })),
  posts: [],
});
const post = (url: string): AggregatePost => ({ uri: url, url: new URL(url), type: "x/y", body: new Uint8Array(3) });

interface Bench {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly log: ReturnType<typeof eventLog>;
  /** Addresses of mails that were queued. */
  readonly queued: string[];
  /** Begins to send with these parts; `run` is called after time has moved. */
  start(parts?: Partial<SendingOptions>): ReturnType<typeof startSending>;
  state(id?: number): Promise<readonly unknown[]>;
}

/** A store with reports of `domains` that are due. */
async function withReports(domains: readonly string[], use: (bench: Bench) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const period = { begins: clock.now() - 24 * HOUR, ends: clock.now() };
  await store.write(gatherStatements(
    "dmarc",
    domains.map((domain) => ({ domain, ...period, due: clock.now(), about: "{}" })),
    domains.map((domain) => ({ domain, ...period, result: '["a"]', less: "", count: 1 })),
  ));
  const log = eventLog();
  const queued: string[] = [];
  const started: ReturnType<typeof startSending>[] = [];
  try {
    await use({
      store,
      clock,
      log,
      queued,
      start(parts = {}) {
        const sending = startSending({
          store,
          clock,
          owner: "node-a",
          reporterFor: () => Promise.resolve(reporter),
          make: ({ domain }) => Promise.resolve(mailed(`r@${domain}`)),
          send: async (mails, rows: AccompanyingRows) => {
            try {
              await store.write(rows.statements);
            } catch (error) {
              throw new StoreUnavailable("not stored", false, { cause: error });
            }
            queued.push(...mails.flatMap((one) => one.mail.to));
            return mails.map(() => "id");
          },
          post: () => Promise.resolve(),
          emit: log.emit,
          ...parts,
        });
        started.push(sending);
        return sending;
      },
      async state(id = 1) {
        const report = await showOutgoing(store, id);
        return [report?.state, report?.handedTo, report?.problem];
      },
    });
  } finally {
    for (const sending of started) await sending.close();
    await store.close();
  }
}

Deno.test("what is due is sent once and noted, however many nodes look", () =>
  withReports(["a.example", "b.example", "c.example"], async ({ start, queued, state, log, clock, store }) => {
    const [one, two] = [start(), start({ owner: "node-b" })];
    await Promise.all([one.run(), two.run()]);
    await clock.advance(24 * HOUR);
    await Promise.all([one.run(), two.run()]);
    assert.deepEqual(queued.toSorted(), ["r@a.example", "r@b.example", "r@c.example"]);
    assert.deepEqual(await state(1), ["sent", ["mailto:r@a.example"], ""]);
    assert.equal(log.count("outgoing-report.dmarc-aggregate-report"), 3);
    assert.deepEqual((await store.read("SELECT count(*) FROM aggregate_results")).rows, [[0]]);
  }));

Deno.test("many reports are sent one after the other, some at a time", () =>
  withReports(Array.from({ length: 90 }, (_, index) => `d${index}.example`), async ({ start, queued }) => {
    let [now, most] = [0, 0];
    const sending = start({
      make: async ({ domain }) => {
        most = Math.max(most, ++now);
        await Promise.resolve();
        now--;
        return mailed(`r@${domain}`);
      },
    });
    await sending.run();
    assert.equal(new Set(queued).size, 90);
    assert.ok(most <= 4);
  }));

Deno.test("a report that is due while the server runs is sent when its time has come", () =>
  withReports(["a.example"], async ({ start, queued, store, clock }) => {
    await store.write([{ sql: "UPDATE aggregate_reports SET due = ?", args: [clock.now() + 5 * MINUTE] }]);
    const sending = start();
    await clock.advance(4 * MINUTE);
    await sending.run();
    assert.deepEqual(queued, []);
    await clock.advance(2 * MINUTE);
    await sending.run();
    assert.deepEqual(queued, ["r@a.example"]);
  }));

Deno.test("a report that nobody wants is noted with the reason", () =>
  withReports(["a.example"], async ({ start, state, log, queued }) => {
    await start({ make: () => Promise.resolve({ kind: "nobody", reason: "no place has agreed" }) }).run();
    assert.deepEqual(await state(), ["given-up", [], "no place has agreed"]);
    assert.equal(log.count("outgoing-report.no-recipients-found"), 1);
    assert.deepEqual(queued, []);
  }));

Deno.test("what cannot be made for now is tried again after growing pauses, for a day", () =>
  withReports(["a.example"], async ({ start, state, clock, log }) => {
    const attempts: number[] = [];
    const begin = clock.now();
    const sending = start({
      make: () => {
        attempts.push(Math.round((clock.now() - begin) / MINUTE));
        return Promise.resolve({ kind: "later", reason: "DNS is away" });
      },
    });
    await sending.run();
    assert.deepEqual(await state(), ["pending", [], "DNS is away"]);
    for (let i = 0; i < 30 * 60; i += 5) {
      await clock.advance(5 * MINUTE);
      await sending.run();
    }
    assert.deepEqual(attempts, [0, 5, 15, 35, 75, 155, 315, 555, 795, 1035, 1275]);
    assert.deepEqual(await state(), ["given-up", [], "DNS is away"]);
    assert.equal(log.count("outgoing-report.submission-error"), 1);
  }));

Deno.test("settings that cannot be looked up put a report off", () =>
  withReports(["a.example"], async ({ start, state, queued, clock }) => {
    let away = true;
    const sending = start({
      reporterFor: () => away ? Promise.reject(new LookupUnavailable("the list is away")) : Promise.resolve(reporter),
    });
    await sending.run();
    assert.deepEqual(await state(), ["pending", [], "the list is away"]);
    away = false;
    await clock.advance(6 * MINUTE);
    await sending.run();
    assert.deepEqual(queued, ["r@a.example"]);
  }));

Deno.test("mail goes out at once, and what is brought by HTTPS until it is taken, each place once", () =>
  withReports(["a.example"], async ({ start, state, queued, clock, log }) => {
    const posted: string[] = [];
    let broken = true;
    const all = [post("https://one.example/"), post("https://two.example/")];
    const sending = start({
      make: ({ handed }) => {
        const open = all.filter(({ uri }) => !handed.includes(uri));
        const mails = handed.includes("mailto:r@a.example") ? [] : ["r@a.example"];
        return Promise.resolve({ ...mailed(...mails), posts: open } as MadeReport);
      },
      post: ({ uri }) => {
        if (uri.includes("two") && broken) return Promise.reject(new Error("it answers with the status 503"));
        posted.push(uri);
        return Promise.resolve();
      },
    });
    await sending.run();
    assert.deepEqual(queued, ["r@a.example"]);
    assert.deepEqual(await state(), [
      "pending",
      ["mailto:r@a.example", "https://one.example/"],
      "two.example: it answers with the status 503",
    ]);
    broken = false;
    await clock.advance(6 * MINUTE);
    await sending.run();
    assert.deepEqual(posted, ["https://one.example/", "https://two.example/"]);
    assert.deepEqual(queued, ["r@a.example"]);
    assert.equal((await state())[0], "sent");
    assert.equal(log.count("outgoing-report.http-submission"), 2);
    assert.equal(log.count("outgoing-report.submission-error"), 1);
  }));

Deno.test("a report that went to one place is done when the other one has not taken it for a day", () =>
  withReports(["a.example"], async ({ start, state, clock }) => {
    const sending = start({
      make: ({ handed }) =>
        Promise.resolve(
          {
            ...mailed(...(handed.length > 0 ? [] : ["r@a.example"])),
            posts: [post("https://x.example/")],
          } as MadeReport,
        ),
      post: () => Promise.reject(new Error("refused")),
    });
    for (let i = 0; i < 30; i++) {
      await sending.run();
      await clock.advance(HOUR);
    }
    assert.deepEqual(await state(), ["sent", ["mailto:r@a.example"], "x.example: refused"]);
  }));

Deno.test("a report that was cancelled while it was made is not queued", () =>
  withReports(["a.example"], async ({ start, state, queued, store, log }) => {
    const sending = start({
      make: async () => {
        await store.write([{ sql: "UPDATE aggregate_reports SET state = 2", args: [] }]);
        return mailed("r@a.example");
      },
    });
    await sending.run();
    assert.deepEqual(queued, []);
    assert.equal((await state())[0], "cancelled");
    assert.equal(log.count("outgoing-report.locked"), 1);
  }));

Deno.test("while the queue cannot be written to nothing is lost; the report comes when its lease has ended", () =>
  withReports(["a.example"], async ({ start, state, queued, clock, store }) => {
    let away = true;
    const sending = start({
      send: async (mails, rows) => {
        if (away) throw new StoreUnavailable("gone", false);
        await store.write(rows.statements);
        queued.push(...mails.flatMap((one) => one.mail.to));
        return [];
      },
    });
    await sending.run();
    assert.equal((await state())[0], "pending");
    away = false;
    await clock.advance(16 * MINUTE);
    await sending.run();
    assert.deepEqual(queued, ["r@a.example"]);
  }));

Deno.test("a node that stops lets go of what it has claimed, and another one sends it later", () =>
  withReports(["a.example", "b.example"], async ({ start, queued, clock, store }) => {
    const closed = Promise.withResolvers<void>();
    const one: ReturnType<typeof startSending> = start({
      make: ({ domain }) => {
        if (domain === "a.example") closed.resolve(one.close());
        return Promise.resolve(mailed(`r@${domain}`));
      },
      owner: "node-b",
    });
    await one.run();
    await closed.promise;
    await clock.advance(16 * MINUTE);
    await start().run();
    assert.deepEqual(queued.toSorted(), ["r@a.example", "r@b.example"]);
    assert.deepEqual((await listOutgoing(store, { limit: 5 })).map(({ state }) => state), ["sent", "sent"]);
  }));

Deno.test("a report that cannot be made for a fault of the program holds up no other", () =>
  withReports(["a.example", "b.example"], async ({ start, queued, state, log }) => {
    const sending = start({
      make: ({ domain }) =>
        domain === "a.example" ? Promise.reject(new TypeError("broken")) : Promise.resolve(mailed(`r@${domain}`)),
    });
    await sending.run();
    assert.deepEqual(queued, ["r@b.example"]);
    assert.deepEqual(await state(1), ["pending", [], "broken"]);
    assert.equal(log.count("outgoing-report.submission-error"), 1);
  }));

Deno.test("the program does not wait for a report that waits for DNS", () =>
  withReports(["a.example"], async ({ start, queued, clock, state }) => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<MadeReport>();
    const sending = start({
      make: () => {
        asked.resolve();
        return answer.promise;
      },
    });
    const running = sending.run();
    await asked.promise;
    const closed = sending.close();
    await clock.advance(2_000);
    await closed;
    assert.deepEqual(queued, []);
    assert.equal((await state())[0], "pending");
    answer.resolve({ kind: "nobody", reason: "" });
    await running;
  }));
