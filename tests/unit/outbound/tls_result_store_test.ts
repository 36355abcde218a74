import assert from "node:assert/strict";
import { createTlsResultRecorder, purgeTlsResults, readTlsResults } from "../../../src/outbound/tls_result_store.ts";
import { noPolicy, type ReportedPolicy, type TlsResult } from "../../../src/outbound/tls_result.ts";
import { type Store, StoreUnavailable } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

const sts: ReportedPolicy = {
  type: "sts",
  domain: "d.example",
  strings: ["version: STSv1", "mode: enforce", "mx: mx.d.example", "max_age: 86400"],
  mxHosts: ["mx.d.example"],
};

const failed = (policy: ReportedPolicy, host = "mx.d.example"): TlsResult => ({
  policy,
  failure: {
    type: "certificate-expired",
    localIp: "192.0.2.1",
    host,
    remoteIp: "192.0.2.25",
    details: `${host}: the certificate does not verify`,
  },
});

/** A recorder on a store of its own. */
async function withStore(use: (store: Store, clock: FakeClock) => Promise<void>) {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  try {
    await use(store, new FakeClock());
  } finally {
    await store.close();
  }
}

Deno.test("results are added up by day, domain, policy, type and hosts", () =>
  withStore(async (store, clock) => {
    const recorder = createTlsResultRecorder({ store, clock });
    for (let i = 0; i < 3; i++) recorder.record({ policy: sts });
    recorder.record(failed(sts));
    recorder.record({ policy: noPolicy("e.example") });
    await recorder.flush();
    // A second node, and the same policy read anew.
    const other = createTlsResultRecorder({ store, clock });
    other.record({ policy: { ...sts } });
    other.record(failed(sts));
    other.record({ policy: noPolicy("e.example") });
    await other.close();
    await clock.advance(DAY);
    recorder.record({ policy: sts });
    await recorder.close();

    const { type, strings, mxHosts } = sts;
    const policy = { type, strings, mxHosts };
    const nothing = { localIp: "", host: "", remoteIp: "", details: "" };
    assert.deepEqual(await readTlsResults(store, clock.now() - DAY), [
      { domain: "d.example", policy, result: "", ...nothing, sessions: 4 },
      {
        domain: "d.example",
        policy,
        result: "certificate-expired",
        localIp: "192.0.2.1",
        host: "mx.d.example",
        remoteIp: "192.0.2.25",
        details: "mx.d.example: the certificate does not verify",
        sessions: 2,
      },
      { domain: "e.example", policy: { type: "no-policy-found" }, result: "", ...nothing, sessions: 2 },
    ]);
    const today = await readTlsResults(store, clock.now());
    assert.deepEqual(today.map(({ domain, sessions }) => [domain, sessions]), [["d.example", 1]]);
  }));

Deno.test("what is counted is written once a minute", () =>
  withStore(async (store, clock) => {
    let writes = 0;
    const counted: Store = {
      ...store,
      read: (sql, args) => store.read(sql, args),
      write: (statements) => {
        writes++;
        return store.write(statements);
      },
    };
    const recorder = createTlsResultRecorder({ store: counted, clock });
    for (let i = 0; i < 1000; i++) recorder.record({ policy: sts });
    await clock.advance(MINUTE - 1);
    assert.equal(writes, 0);
    await clock.advance(1);
    assert.equal(writes, 1);
    await recorder.close();
    assert.deepEqual((await readTlsResults(store, clock.now())).map(({ sessions }) => sessions), [1000]);
  }));

Deno.test("one domain cannot fill the store: beyond 500 rows a day, failures lose their hosts", () =>
  withStore(async (store, clock) => {
    const recorder = createTlsResultRecorder({ store, clock });
    recorder.record(failed(sts, "known.d.example"));
    await recorder.flush();
    for (let i = 0; i < 700; i++) recorder.record(failed(sts, `mx${i}.d.example`));
    recorder.record(failed(noPolicy("e.example")));
    await recorder.flush();
    recorder.record(failed(sts, "known.d.example"));
    await recorder.close();
    const all = await readTlsResults(store, clock.now());
    const own = all.filter(({ domain }) => domain === "d.example");
    assert.equal(own.length, 501);
    assert.equal(own.find(({ host }) => host === "")?.sessions, 201);
    assert.equal(own.find(({ host }) => host === "known.d.example")?.sessions, 2);
    assert.equal(own.reduce((sum, { sessions }) => sum + sessions, 0), 702);
    assert.equal(all.find(({ domain }) => domain === "e.example")?.host, "mx.d.example");
  }));

Deno.test("results wait for a store that is gone, and count once", () =>
  withStore(async (store, clock) => {
    let gone = true;
    const shaky: Store = {
      read: (sql, args) => store.read(sql, args),
      write: (statements) => gone ? Promise.reject(new StoreUnavailable("gone", false)) : store.write(statements),
      close: () => store.close(),
    };
    const recorder = createTlsResultRecorder({ store: shaky, clock });
    recorder.record({ policy: sts });
    await recorder.flush();
    recorder.record({ policy: sts });
    gone = false;
    await recorder.flush();
    await recorder.close();
    assert.deepEqual((await readTlsResults(store, clock.now())).map(({ sessions }) => sessions), [2]);
  }));

Deno.test("the purge deletes results and policies that are older than two weeks", () =>
  withStore(async (store, clock) => {
    const recorder = createTlsResultRecorder({ store, clock });
    recorder.record({ policy: sts });
    await recorder.close();
    const day = clock.now();
    const left = async () => (await store.read("SELECT policy FROM tls_result_policies")).rows.length;
    await store.write(purgeTlsResults(day + 14 * DAY));
    assert.deepEqual([(await readTlsResults(store, day)).length, await left()], [1, 1]);
    await store.write(purgeTlsResults(day + 15 * DAY));
    assert.deepEqual([(await readTlsResults(store, day)).length, await left()], [0, 0]);
  }));
