import assert from "node:assert/strict";
import { LookupUnavailable } from "../../../../src/expression/types.ts";
import { createGatherer, type GathererOptions } from "../../../../src/report/aggregate/gatherer.ts";
import {
  cancelOutgoing,
  claimDue,
  dropResults,
  gatherStatements,
  handOver,
  listOutgoing,
  overflowOf,
  postponement,
  purgeAggregates,
  readResults,
  showOutgoing,
} from "../../../../src/report/aggregate/ledger.ts";
import { type Store, StoreUnavailable } from "../../../../src/store/mod.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../../support/store.ts";

const SECOND = 1000;
const DAY = 86_400_000;

type About = Readonly<Record<string, unknown>>;

const gatherer = (store: Store, clock: FakeClock, more: Partial<GathererOptions<About>> = {}) =>
  createGatherer<About>({
    kind: "dmarc",
    store,
    clock,
    intervalOf: () => "daily",
    reporter: "example.net",
    describe: (about) => JSON.stringify(about),
    shorten: () => "",
    pause: 5 * SECOND,
    ...more,
  });

async function withStore(use: (store: Store, clock: FakeClock) => Promise<void>) {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  try {
    await use(store, new FakeClock());
  } finally {
    await store.close();
  }
}

async function resultsOf(store: Store, report: number): Promise<Record<string, number>> {
  const all: Record<string, number> = {};
  for await (const page of readResults(store, report)) for (const { result, count } of page) all[result] = count;
  return all;
}

const claim = (store: Store, now: number, owner = "node-a", limit = 10) =>
  claimDue(store, { owner, now, until: now + 600_000, limit });

Deno.test("results are added up by domain and period, of all nodes", () =>
  withStore(async (store, clock) => {
    const [one, two] = [gatherer(store, clock), gatherer(store, clock)];
    for (let i = 0; i < 3; i++) one.count("d.example", { p: "none" }, '["a"]');
    one.count("d.example", { p: "none" }, '["b"]');
    one.count("e.example", {}, '["a"]');
    two.count("d.example", { p: "reject" }, '["a"]');
    await one.close();
    await two.close();
    const reports = await listOutgoing(store, { limit: 10 });
    assert.deepEqual(
      reports.map(({ kind, domain, begins, ends, state, results }) => [
        kind,
        domain,
        begins,
        ends,
        state,
        results,
      ]),
      [
        ["dmarc", "d.example", "2026-01-05T00:00:00.000Z", "2026-01-06T00:00:00.000Z", "pending", 2],
        ["dmarc", "e.example", "2026-01-05T00:00:00.000Z", "2026-01-06T00:00:00.000Z", "pending", 1],
      ],
    );
    assert.deepEqual(await resultsOf(store, reports[0]!.id), { '["a"]': 4, '["b"]': 1 });
    // What a report is about is what was said of it last.
    const [due] = await claim(store, clock.now() + 2 * DAY);
    assert.deepEqual(JSON.parse(due!.about), { p: "reject" });
  }));

Deno.test("what was counted before midnight belongs to the day before, even if it is written after", () =>
  withStore(async (store, clock) => {
    await clock.advance(12 * 3600 * SECOND - SECOND);
    const one = gatherer(store, clock);
    one.count("d.example", {}, '["a"]');
    await clock.advance(2 * SECOND);
    one.count("d.example", {}, '["b"]');
    await one.close();
    const reports = await listOutgoing(store, { limit: 10 });
    assert.deepEqual(reports.map(({ begins }) => begins.slice(0, 10)), ["2026-01-05", "2026-01-06"]);
    assert.deepEqual(await resultsOf(store, reports[0]!.id), { '["a"]': 1 });
    assert.deepEqual(await resultsOf(store, reports[1]!.id), { '["b"]': 1 });
  }));

Deno.test("results are written some seconds after they were counted, many different ones at once", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock);
    one.count("d.example", {}, '["a"]');
    await clock.advance(5 * SECOND - 1);
    assert.equal((await listOutgoing(store, { limit: 10 })).length, 0);
    await clock.advance(1);
    await one.flush();
    assert.equal((await listOutgoing(store, { limit: 10 })).length, 1);
    for (let i = 0; i < 5_000; i++) one.count("d.example", {}, `["${i}"]`);
    await one.flush();
    assert.equal((await listOutgoing(store, { limit: 10 }))[0]?.results, 5_001);
    await one.close();
  }));

Deno.test("a domain that is to get nothing costs no row, and one that nobody can tell about is told daily", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock, {
      intervalOf: (domain) => {
        if (domain === "never.example") return "never";
        if (domain === "weekly.example") return "weekly";
        return Promise.reject(new LookupUnavailable("gone"));
      },
    });
    for (const domain of ["never.example", "weekly.example", "other.example"]) one.count(domain, {}, '["a"]');
    await one.close();
    const reports = await listOutgoing(store, { limit: 10 });
    assert.deepEqual(reports.map(({ domain, ends }) => [domain, ends.slice(0, 10)]), [
      ["weekly.example", "2026-01-12"],
      ["other.example", "2026-01-06"],
    ]);
  }));

Deno.test("results wait for a store that is gone, and count once", () =>
  withStore(async (store, clock) => {
    let writes = 0;
    const shaky: Store = {
      read: (sql, args) => store.read(sql, args),
      // The second write of a flush fails: what the first has written must not be written again.
      write: (statements) =>
        ++writes === 2 ? Promise.reject(new StoreUnavailable("gone", false)) : store.write(statements),
      close: () => store.close(),
    };
    const one = gatherer(shaky, clock);
    for (let i = 0; i < 1_500; i++) one.count("d.example", {}, `["${i}"]`);
    await one.flush();
    one.count("d.example", {}, '["7"]');
    await one.flush();
    await one.close();
    const results = await resultsOf(store, 1);
    assert.equal(Object.keys(results).length, 1_500);
    assert.equal(results['["7"]'], 2);
    assert.equal(Object.values(results).reduce((sum, count) => sum + count), 1_501);
  }));

Deno.test("memory is bounded: while the store is gone, results beyond it lose their details but are counted", () =>
  withStore(async (store, clock) => {
    let gone = true;
    const shaky: Store = {
      read: (sql, args) => store.read(sql, args),
      write: (statements) => gone ? Promise.reject(new StoreUnavailable("gone", false)) : store.write(statements),
      close: () => store.close(),
    };
    const one = gatherer(shaky, clock);
    for (let i = 0; i < 30_000; i++) {
      one.count("d.example", {}, `["${i}"]`);
      if (i % 5_000 === 0) await one.flush();
    }
    gone = false;
    await one.close();
    const results = await resultsOf(store, 1);
    assert.equal(Object.keys(results).length, 20_000);
    assert.equal(await overflowOf(store, 1), 10_000);
  }));

Deno.test("a report is claimed by one node, and by another one when that does not finish it", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock);
    one.count("d.example", {}, '["a"]');
    await one.close();
    assert.deepEqual(await claim(store, clock.now()), []);
    const tomorrow = clock.now() + DAY;
    const [claimed] = await claim(store, tomorrow);
    assert.equal(claimed?.domain, "d.example");
    assert.deepEqual(await claim(store, tomorrow, "node-b"), []);
    const [taken] = await claim(store, tomorrow + 600_000, "node-b");
    assert.equal(taken?.id, claimed?.id);
    // The first node comes back to life: what it writes with the mail fails.
    const late = handOver(claimed!, "node-a", ["mailto:r@d.example"], true);
    await assert.rejects(store.write(late.statements), /NOT NULL/);
    await store.write(handOver(taken!, "node-b", ["mailto:r@d.example"], true).statements);
    const shown = await showOutgoing(store, taken!.id);
    assert.deepEqual([shown?.state, shown?.handedTo, shown?.due], ["sent", ["mailto:r@d.example"], null]);
    await assert.rejects(store.write(handOver(taken!, "node-b", [], true).statements), /NOT NULL/);
  }));

Deno.test("nothing is gathered for a report that was sent, so that it is not sent again", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock);
    one.count("d.example", {}, '["a"]');
    await one.flush();
    const [claimed] = await claim(store, clock.now() + DAY);
    await store.write(handOver(claimed!, "node-a", ["mailto:r@d.example"], true).statements);
    await dropResults(store, claimed!);
    one.count("d.example", {}, '["late"]');
    await one.close();
    assert.deepEqual(await resultsOf(store, claimed!.id), {});
    assert.deepEqual(await claim(store, clock.now() + 3 * DAY), []);
    assert.equal((await listOutgoing(store, { limit: 10 })).length, 1);
  }));

Deno.test("a report that could not be handed over is due again at the time it is given", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock);
    one.count("d.example", {}, '["a"]');
    await one.close();
    const now = clock.now() + DAY;
    const [claimed] = await claim(store, now);
    await store.write([postponement(claimed!, "node-a", { due: now + 60_000, problem: "no answer", now })]);
    assert.deepEqual(await claim(store, now + 59_999), []);
    const [again] = await claim(store, now + 60_000);
    assert.deepEqual([again?.attempts, again?.firstAttempt], [1, now]);
    assert.equal((await showOutgoing(store, claimed!.id))?.problem, "no answer");
  }));

Deno.test("a report that was cancelled is not sent, even by a node that has begun to", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock);
    one.count("d.example", {}, '["a"]');
    await one.close();
    const [claimed] = await claim(store, clock.now() + DAY);
    assert.equal(await cancelOutgoing(store, claimed!.id), true);
    assert.equal(await cancelOutgoing(store, claimed!.id), false);
    await assert.rejects(store.write(handOver(claimed!, "node-a", [], true).statements));
    assert.deepEqual(await resultsOf(store, claimed!.id), {});
    assert.equal((await showOutgoing(store, claimed!.id))?.state, "cancelled");
  }));

Deno.test("reports are listed by kind, domain and state, a page at a time", () =>
  withStore(async (store, clock) => {
    const dmarc = gatherer(store, clock);
    const tls = gatherer(store, clock, { kind: "tls" });
    for (let i = 0; i < 5; i++) dmarc.count(`d${i}.example`, {}, '["a"]');
    tls.count("d0.example", {}, '["a"]');
    await dmarc.close();
    await tls.close();
    await cancelOutgoing(store, 2);
    const ids = async (filter: Partial<Parameters<typeof listOutgoing>[1]>) =>
      (await listOutgoing(store, { limit: 10, ...filter })).map(({ id }) => id);
    assert.deepEqual(await ids({}), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(await ids({ limit: 2, after: 2 }), [3, 4]);
    assert.deepEqual(await ids({ kind: "tls" }), [6]);
    assert.deepEqual(await ids({ domain: "d0.example" }), [1, 6]);
    assert.deepEqual(await ids({ state: "cancelled" }), [2]);
    assert.deepEqual(await ids({ state: "pending", kind: "dmarc" }), [1, 3, 4, 5]);
  }));

Deno.test("the purge keeps what waits, forgets what is done after a week and what nobody made after two", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock);
    for (const domain of ["waits.example", "done.example"]) one.count(domain, {}, '["a"]');
    await one.close();
    await cancelOutgoing(store, 2);
    const left = async (days: number) => {
      await purgeAggregates(store, Date.UTC(2026, 0, 6) + days * DAY + 1);
      return (await listOutgoing(store, { limit: 10 })).map(({ domain }) => domain);
    };
    assert.deepEqual(await left(6), ["waits.example", "done.example"]);
    assert.deepEqual(await left(7), ["waits.example"]);
    assert.deepEqual(await resultsOf(store, 1), { '["a"]': 1 });
    assert.deepEqual(await left(14), []);
    assert.deepEqual((await store.read("SELECT count(*) FROM aggregate_results")).rows, [[0]]);
    assert.deepEqual((await store.read("SELECT results FROM aggregate_size")).rows, [[0]]);
  }));

Deno.test("results find their report by an index, whatever SQLite believes about the tables", () =>
  withStore(async (store) => {
    for (const { sql, args } of gatherStatements("dmarc", [], [])) {
      const { rows } = await store.read(`EXPLAIN QUERY PLAN ${sql}`, args);
      const steps = rows.map(([, , , step]) => String(step));
      assert.deepEqual(steps.filter((step) => /^SCAN (?:r|e|aggregate_reports)\b/.test(step)), []);
    }
  }));

Deno.test("what a report leaves behind is deleted a piece at a time, and by the purge if nobody else did it", () =>
  withStore(async (store, clock) => {
    const one = gatherer(store, clock);
    for (let i = 0; i < 12_000; i++) one.count(i < 11_000 ? "big.example" : "small.example", {}, `["${i}"]`);
    one.count("waits.example", {}, '["a"]');
    await one.flush();
    await one.close();
    let writes = 0;
    const counted: Store = {
      read: (sql, args) => store.read(sql, args),
      close: () => store.close(),
      write: (statements) => {
        writes++;
        return store.write(statements);
      },
    };
    // A node that died right after it had sent them.
    await store.write([{ sql: "UPDATE aggregate_reports SET state = 1 WHERE domain <> 'waits.example'", args: [] }]);
    assert.equal(await purgeAggregates(counted, clock.now()), 12_000);
    assert.ok(writes >= 4);
    assert.deepEqual((await store.read("SELECT results FROM aggregate_size")).rows, [[1]]);
  }));
