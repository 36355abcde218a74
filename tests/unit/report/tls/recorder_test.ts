import assert from "node:assert/strict";
import { noPolicy, type ReportedPolicy, type TlsResult } from "../../../../src/outbound/tls_result.ts";
import { claimDue, readResults } from "../../../../src/report/aggregate/ledger.ts";
import { createTlsResultRecorder, decodeTlsRow } from "../../../../src/report/tls/recorder.ts";
import { tlsReport, type TlsReportJson } from "../../../../src/report/tls/json.ts";
import type { Store } from "../../../../src/store/mod.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../../support/store.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

const sts: ReportedPolicy = {
  type: "sts",
  domain: "d.example",
  strings: ["version: STSv1", "mode: enforce", "mx: mx.d.example", "max_age: 86400"],
  mxHosts: ["mx.d.example"],
};
const tlsa: ReportedPolicy = { type: "tlsa", domain: "d.example", strings: ["3 1 1 AB"] };

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

const recorderOn = (store: Store, clock: FakeClock) =>
  createTlsResultRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });

/** The reports that are due in two days, with what they say. */
async function reportsOf(store: Store, clock: FakeClock): Promise<readonly TlsReportJson[]> {
  const now = clock.now() + 2 * DAY;
  const due = await claimDue(store, { owner: "a", now, until: now, limit: 10 });
  return await Promise.all(
    due.toSorted((a, b) => a.id - b.id).map(async (report) => {
      const results = (await Array.fromAsync(readResults(store, report.id))).flat();
      const { begins, ends, domain } = report;
      const metadata = { orgName: "Example", contactInfo: "tls@example.net", reportId: "id", begins, ends };
      return tlsReport(metadata, domain, JSON.parse(report.about), results);
    }),
  );
}

Deno.test("sessions are added up by day, domain, policy, type and hosts, of all nodes", () =>
  withStore(async (store, clock) => {
    const recorder = recorderOn(store, clock);
    for (let i = 0; i < 3; i++) recorder.record({ policy: sts });
    recorder.record(failed(sts));
    recorder.record({ policy: tlsa });
    recorder.record({ policy: noPolicy("e.example") });
    await recorder.flush();
    // A second node, and the same policy read anew.
    const other = recorderOn(store, clock);
    other.record({ policy: { ...sts } });
    other.record(failed(sts));
    other.record({ policy: noPolicy("e.example") });
    await other.close();
    await recorder.close();

    const [d, e] = await reportsOf(store, clock);
    assert.deepEqual(d, {
      "organization-name": "Example",
      "date-range": { "start-datetime": "2026-01-05T00:00:00Z", "end-datetime": "2026-01-05T23:59:59Z" },
      "contact-info": "tls@example.net",
      "report-id": "id",
      "policies": [
        {
          "policy": {
            "policy-type": "sts",
            "policy-string": sts.strings,
            "policy-domain": "d.example",
            "mx-host": ["mx.d.example"],
          },
          "summary": { "total-successful-session-count": 4, "total-failure-session-count": 2 },
          "failure-details": [{
            "result-type": "certificate-expired",
            "sending-mta-ip": "192.0.2.1",
            "receiving-mx-hostname": "mx.d.example",
            "receiving-ip": "192.0.2.25",
            "failed-session-count": 2,
            "failure-reason-code": "mx.d.example: the certificate does not verify",
          }],
        },
        {
          "policy": { "policy-type": "tlsa", "policy-string": ["3 1 1 AB"], "policy-domain": "d.example" },
          "summary": { "total-successful-session-count": 1, "total-failure-session-count": 0 },
        },
      ],
    });
    assert.deepEqual(e?.policies, [{
      "policy": { "policy-type": "no-policy-found", "policy-domain": "e.example" },
      "summary": { "total-successful-session-count": 2, "total-failure-session-count": 0 },
    }]);
  }));

Deno.test("what is counted is written once a minute", () =>
  withStore(async (store, clock) => {
    let writes = 0;
    const counted: Store = {
      read: (sql, args) => store.read(sql, args),
      close: () => store.close(),
      write: (statements) => {
        writes++;
        return store.write(statements);
      },
    };
    const recorder = recorderOn(counted, clock);
    for (let i = 0; i < 1000; i++) recorder.record({ policy: sts });
    await clock.advance(MINUTE - 1);
    assert.equal(writes, 0);
    await clock.advance(1);
    assert.equal(writes, 1);
    await recorder.close();
    const [report] = await reportsOf(store, clock);
    assert.equal(report?.policies[0]?.summary["total-successful-session-count"], 1000);
  }));

Deno.test("one domain cannot fill the store: failures of new kinds lose their hosts, and are counted", () =>
  withStore(async (store, clock) => {
    const recorder = recorderOn(store, clock);
    recorder.record(failed(sts, "known.d.example"));
    await recorder.flush();
    for (let i = 0; i < 2_500; i++) recorder.record(failed(sts, `mx${i}.d.example`));
    recorder.record(failed(noPolicy("e.example")));
    await recorder.flush();
    recorder.record(failed(sts, "known.d.example"));
    await recorder.close();
    const due = await claimDue(store, { owner: "a", now: Number.MAX_SAFE_INTEGER, until: 0, limit: 10 });
    const report = due.find(({ domain }) => domain === "d.example");
    const rows = (await Array.fromAsync(readResults(store, report!.id))).flat();
    // A group of statements is written whole, so there may be as many more as one group has.
    assert.ok(rows.length > 500 && rows.length <= 1_600, `${rows.length} rows`);
    assert.ok(rows.some(({ result, count }) => decodeTlsRow(result).host === "known.d.example" && count === 2));
    assert.ok(rows.some(({ result, count }) => decodeTlsRow(result).host === "" && count > 500));
    assert.equal(rows.reduce((sum, { count }) => sum + count, 0), 2_502);
  }));
