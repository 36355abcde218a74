/** Received reports kept, listed, summed up and told of. */

import assert from "node:assert/strict";
import { contentOf } from "../../../../src/queue/mod.ts";
import { createReportAnalysis, type ReportAnalysisOptions } from "../../../../src/report/analysis/analysis.ts";
import {
  deleteReport,
  listReports,
  purgeReports,
  type ReportFilter,
  showReport,
} from "../../../../src/report/analysis/report_rows.ts";
import { reportTrends } from "../../../../src/report/analysis/trends.ts";
import { type Store, StoreUnavailable } from "../../../../src/store/mod.ts";
import type { EventFields, EventName } from "../../../../src/telemetry/event.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../../support/store.ts";
import { feedback, gzip, mail, METADATA, POLICY, type Row, TLS_REPORT } from "./samples.ts";

const DAY = 86_400_000;
/** The day after the one that the samples are about. */
const NOW = Date.UTC(2025, 10, 26, 6);
const CARRIER = { from: "noreply@big.example", to: "dmarc-in@example.org", remoteIp: "192.0.2.50", dmarc: "pass" };

const PASSES: Row = { ip: "192.0.2.1", count: 10, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" };
const FAILS: Row = {
  ip: "203.0.113.9",
  count: 4,
  disposition: "reject",
  dkim: "fail",
  spf: "fail",
  from: "example.org",
};

/** A mail with an aggregate report. */
const aggregate = (rows: readonly Row[], parts: Parameters<typeof feedback>[1] = {}) =>
  mail([{ type: "application/gzip", content: gzip(feedback(rows, parts)) }]);
const COMPLAINT = mail([
  {
    type: "message/feedback-report",
    content: "Feedback-Type: abuse\r\nUser-Agent: A/1\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\n" +
      "Reported-Domain: news.example.org\r\nReporting-MTA: dns; mail.big.example\r\n" +
      "Arrival-Date: Mon, 24 Nov 2025 10:00:05 +0000\r\n",
  },
  { type: "message/rfc822", content: "Subject: x\r\n\r\nx\r\n" },
], "multipart/report; report-type=feedback-report");
const TLS = mail([{ type: "application/tlsrpt+json", content: JSON.stringify(TLS_REPORT) }]);

async function openAnalysis(options: Partial<ReportAnalysisOptions> = {}) {
  const folder = await temporaryFolder();
  const store = options.store ?? await openTemporaryStore(folder.path);
  const clock = new FakeClock(NOW);
  const events: { name: EventName; fields: EventFields }[] = [];
  let id = 1_000_000;
  const analysis = createReportAnalysis({
    addresses: ["dmarc-in@*"],
    forward: true,
    keep: 30 * DAY,
    store,
    clock,
    nextId: () => ++id,
    emit: (name, fields = {}) => void events.push({ name, fields }),
    ...options,
  })!;
  return {
    store,
    clock,
    events,
    analysis,
    examine: (bytes: Uint8Array) => analysis.examine({ id: ++id, content: contentOf(bytes), carrier: CARRIER }),
    list: (filter: Partial<ReportFilter> = {}) => listReports(store, { limit: 100, ...filter }),
    async [Symbol.asyncDispose]() {
      await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

Deno.test("without addresses there is no analysis; globs match whatever the case", () => {
  const none = { forward: true, keep: false, nextId: () => 1, emit: () => {} } as const;
  const rest = { ...none, store: {} as Store, clock: new FakeClock() };
  assert.equal(createReportAnalysis({ ...rest, addresses: [] }), undefined);
  const analysis = createReportAnalysis({ ...rest, addresses: ["DMARC-in@*", "tls@example.org"] })!;
  assert.ok(analysis.wants("dmarc-in@example.org"));
  assert.ok(analysis.wants("Dmarc-In@example.net"));
  assert.ok(analysis.wants("tls@example.org"));
  assert.ok(!analysis.wants("tls@example.net"));
  assert.ok(!analysis.wants("ana@example.org"));
});

Deno.test("a report is kept with what it says and how it came, and told of", async () => {
  await using at = await openAnalysis();
  assert.equal(await at.examine(aggregate([PASSES, FAILS])), "reports");
  const [view, ...others] = await at.list();
  assert.equal(others.length, 0);
  assert.deepEqual(view, {
    id: view!.id,
    kind: "dmarc",
    received: "2025-11-26T06:00:00.000Z",
    reporter: "big.example",
    domain: "example.org",
    begin: "2025-11-25T00:00:00.000Z",
    end: "2025-11-25T23:59:59.000Z",
    passed: 10,
    failed: 4,
  });
  const detail = await showReport(at.store, view!.id.toUpperCase());
  assert.equal(detail!.expires, "2025-12-26T06:00:00.000Z");
  assert.deepEqual(detail!.mail, CARRIER);
  assert.ok(detail!.report.kind === "dmarc");
  assert.equal(detail!.report.records[1]!.source, "203.0.113.9");
  assert.deepEqual(at.events, [{
    name: "incoming-report.dmarc-report-with-warnings",
    fields: {
      id: view!.id,
      reporter: "big.example",
      reportId: "1234567890",
      domain: ["example.org"],
      begin: "2025-11-25T00:00:00.000Z",
      end: "2025-11-25T23:59:59.000Z",
      problems: undefined,
      policy: "quarantine",
      passed: 10,
      failed: 4,
      quarantined: 0,
      rejected: 4,
      dkimPassed: 10,
      spfPassed: 10,
      failures: ["203.0.113.9: 4"],
      dmarc: "pass",
      duplicate: undefined,
    },
  }]);
});

Deno.test("a report without failures is no warning", async () => {
  await using at = await openAnalysis();
  await at.examine(aggregate([PASSES]));
  assert.deepEqual(at.events.map(({ name }) => name), ["incoming-report.dmarc-report"]);
});

Deno.test("a report that comes twice counts once", async () => {
  await using at = await openAnalysis();
  await at.examine(aggregate([PASSES, FAILS]));
  await at.examine(aggregate([PASSES, FAILS]));
  assert.equal((await at.list()).length, 1);
  assert.deepEqual(at.events.map(({ fields }) => fields.duplicate), [undefined, true]);
  const { days, failingSources } = await reportTrends(at.store, { days: 2, now: NOW });
  assert.deepEqual(days[0]!.kinds, { dmarc: { passed: 10, failed: 4 } });
  assert.deepEqual(failingSources.map(({ failed, reports }) => [failed, reports]), [[4, 1]]);
});

Deno.test("each kind has its event, with where it failed", async () => {
  await using at = await openAnalysis();
  await at.examine(TLS);
  await at.examine(COMPLAINT);
  const [tls, complaint] = at.events;
  assert.equal(tls!.name, "incoming-report.tls-report-with-warnings");
  assert.deepEqual(tls!.fields.failures, [
    "mx2.example.org starttls-not-supported: 200",
    "mx1.example.org certificate-expired: 100",
    "mx1.example.org validation-failure: 3",
  ]);
  assert.equal(complaint!.name, "incoming-report.abuse-report");
  assert.equal(complaint!.fields.source, "192.0.2.1");
  assert.deepEqual(complaint!.fields.domain, ["news.example.org"]);
});

Deno.test("reports about single messages and recipients have their events", async () => {
  await using at = await openAnalysis();
  const feedback = "Feedback-Type: auth-failure\r\nVersion: 1\r\nUser-Agent: x/1\r\nAuth-Failure: dmarc\r\n" +
    "Reported-Domain: example.org\r\nSource-IP: 192.0.2.9\r\n";
  const status = "Reporting-MTA: dns; mx.big.example\r\n\r\nFinal-Recipient: rfc822; bob@big.example\r\n" +
    "Action: failed\r\nStatus: 5.1.1\r\n";
  await at.examine(mail([{ type: "text/plain", content: "x\r\n" }, {
    type: "message/feedback-report",
    content: feedback,
  }], "multipart/report; report-type=feedback-report"));
  await at.examine(mail([{ type: "text/plain", content: "x\r\n" }, {
    type: "message/delivery-status",
    content: status,
  }], "multipart/report; report-type=delivery-status"));
  const [failure, notification] = at.events;
  assert.equal(failure!.name, "incoming-report.auth-failure-report");
  assert.deepEqual([failure!.fields.domain, failure!.fields.source], [["example.org"], "192.0.2.9"]);
  assert.equal(notification!.name, "incoming-report.delivery-status");
});

Deno.test("documents that cannot be read have the event of what they seem to be", async () => {
  await using at = await openAnalysis();
  const documents = [
    ["application/xml", "<feedback><report_metadata></feedback>"],
    ["application/tlsrpt+json", '{"policies": 5}'],
    ["message/feedback-report", "Version: 1\r\n"],
  ] as const;
  for (const [type, content] of documents) {
    assert.equal(await at.examine(mail([{ type: "text/plain", content: "x\r\n" }, { type, content }])), "none");
  }
  assert.deepEqual(at.events.map(({ name }) => name), [
    "incoming-report.dmarc-parse-failed",
    "incoming-report.tls-rpc-parse-failed",
    "incoming-report.arf-parse-failed",
  ]);
});

Deno.test("with store false reports are told of and not kept", async () => {
  await using at = await openAnalysis({ keep: false });
  assert.equal(await at.examine(aggregate([PASSES])), "reports");
  assert.equal((await at.list()).length, 0);
  assert.equal(at.events.length, 1);
});

Deno.test("what cannot be read is told with who sent it", async () => {
  await using at = await openAnalysis();
  assert.equal(await at.examine(mail([{ type: "text/plain", content: "Hello\r\n" }])), "none");
  assert.equal(
    await at.examine(mail([{ type: "application/gzip", content: Uint8Array.of(0x1f, 0x8b, 8, 0, 1) }])),
    "none",
  );
  assert.deepEqual(at.events.map(({ name }) => name), [
    "incoming-report.message-parse-failed",
    "incoming-report.decompress-error",
  ]);
  assert.equal(at.events[0]!.fields.from, "noreply@big.example");
  assert.equal(at.events[0]!.fields.reason, "it holds no report");
});

Deno.test("a mail that is too large is not looked into", async () => {
  await using at = await openAnalysis();
  const content = { size: 21 * 1024 * 1024, head: new Uint8Array(0), complete: false, chunks: () => [] };
  assert.equal(await at.analysis.examine({ id: 5, content, carrier: CARRIER }), "none");
  assert.equal(at.events[0]!.fields.reason, "it is larger than 20971520 octets");
});

Deno.test("content that was spilled is read whole", async () => {
  await using at = await openAnalysis();
  const bytes = aggregate([PASSES]);
  const pieces = [bytes.subarray(0, 100), bytes.subarray(100, 101), bytes.subarray(101)];
  const content = { size: bytes.length, head: pieces[0]!, complete: false, chunks: () => pieces };
  assert.equal(await at.analysis.examine({ id: 5, content, carrier: CARRIER }), "reports");
});

Deno.test("mail is read one after the other, and too much of it at once is put off", async () => {
  await using at = await openAnalysis();
  let open = 0;
  let most = 0;
  const bytes = aggregate([PASSES]);
  const arrivals = Array.from({ length: 60 }, (_, i) => ({
    id: 10 + i,
    carrier: CARRIER,
    content: {
      size: bytes.length,
      head: bytes,
      complete: false,
      async *chunks() {
        most = Math.max(most, ++open);
        await Promise.resolve();
        yield bytes;
        open--;
      },
    },
  }));
  const results = await Promise.all(arrivals.map((arrival) => at.analysis.examine(arrival)));
  assert.equal(results.filter((result) => result === "busy").length, 10);
  assert.equal(results.filter((result) => result === "reports").length, 50);
  assert.equal(most, 1);
  assert.equal(await at.examine(bytes), "reports");
});

Deno.test("a store that is away is no reason to forget a report", async () => {
  const store = {
    write: () => Promise.reject(new StoreUnavailable("gone", false)),
    read: () => Promise.reject(new StoreUnavailable("gone", false)),
    close: () => Promise.resolve(),
  } as unknown as Store;
  await using at = await openAnalysis({ store });
  await assert.rejects(at.examine(aggregate([PASSES])), StoreUnavailable);
  assert.deepEqual(at.events, []);
});

Deno.test("reports are found by kind, domain, reporter, source, failure and time", async () => {
  await using at = await openAnalysis();
  await at.examine(aggregate([PASSES]));
  at.clock.advance(DAY);
  await at.examine(aggregate([FAILS], {
    metadata: METADATA.replace("big.example", "Other Mail"),
    policy: POLICY.replace("example.org", "example.net"),
  }));
  await at.examine(TLS);
  await at.examine(COMPLAINT);
  const kinds = async (filter: Partial<ReportFilter>) =>
    (await at.list(filter)).map(({ kind, domain }) => `${kind} ${domain}`);
  assert.deepEqual(await kinds({}), [
    "abuse news.example.org",
    "tls example.org",
    "dmarc example.net",
    "dmarc example.org",
  ]);
  assert.deepEqual(await kinds({ kind: "dmarc" }), ["dmarc example.net", "dmarc example.org"]);
  assert.deepEqual(await kinds({ domain: "Example.ORG." }), ["tls example.org", "dmarc example.org"]);
  assert.deepEqual(await kinds({ reporter: "other" }), ["dmarc example.net"]);
  assert.deepEqual(await kinds({ source: "203.0.113.9" }), ["dmarc example.net"]);
  assert.deepEqual(await kinds({ source: "MX2.example.org" }), ["tls example.org"]);
  assert.deepEqual(await kinds({ kind: "dmarc", failing: true }), ["dmarc example.net"]);
  assert.deepEqual(await kinds({ until: NOW + 1 }), ["dmarc example.org"]);
  assert.deepEqual(await kinds({ since: NOW + 1, kind: "tls" }), ["tls example.org"]);
  const [first, second] = await at.list({ limit: 2 });
  assert.deepEqual(await kinds({ limit: 1, after: first!.id }), ["tls example.org"]);
  assert.deepEqual(await kinds({ after: second!.id }), ["dmarc example.net", "dmarc example.org"]);
});

Deno.test("trends add up by day, domain, reporter and place, as worked out by hand", async () => {
  await using at = await openAnalysis();
  await at.examine(aggregate([PASSES, FAILS]));
  // The same day from another reporter, of which 6 fail at two addresses.
  const other = METADATA.replace("big.example", "other.example");
  await at.examine(
    aggregate([{ ...FAILS, count: 5 }, { ...FAILS, ip: "198.51.100.3", count: 1 }], { metadata: other }),
  );
  // The day after.
  const tomorrow = other.replace("1764028800", "1764115200").replace("1764115199", "1764201599");
  await at.examine(aggregate([{ ...PASSES, count: 3 }], { metadata: tomorrow }));
  await at.examine(TLS);
  await at.examine(COMPLAINT);
  const trends = await reportTrends(at.store, { days: 3, now: NOW });
  assert.deepEqual(trends.days, [
    { day: "2025-11-24", kinds: { abuse: { passed: 0, failed: 1 } } },
    { day: "2025-11-25", kinds: { dmarc: { passed: 10, failed: 10 }, tls: { passed: 5326, failed: 303 } } },
    { day: "2025-11-26", kinds: { dmarc: { passed: 3, failed: 0 } } },
  ]);
  assert.deepEqual(trends.failingSources, [
    { source: "203.0.113.9", domain: "example.org", detail: "", failed: 9, reports: 2 },
    { source: "198.51.100.3", domain: "example.org", detail: "", failed: 1, reports: 1 },
  ]);
  assert.deepEqual(trends.tlsFailures, [
    { source: "mx2.example.org", domain: "example.org", detail: "starttls-not-supported", failed: 200, reports: 1 },
    {
      source: "mx1.example.org",
      domain: "example.org",
      detail: "certificate-expired, validation-failure",
      failed: 103,
      reports: 1,
    },
  ]);
  assert.deepEqual(trends.complaints, [
    { source: "192.0.2.1", domain: "news.example.org", detail: "abuse", failed: 1, reports: 1 },
  ]);
  assert.deepEqual(trends.domains, [
    { kind: "dmarc", domain: "example.org", passed: 13, failed: 10 },
    { kind: "tls", domain: "example.org", passed: 5326, failed: 303 },
    { kind: "abuse", domain: "news.example.org", passed: 0, failed: 1 },
  ]);
  assert.deepEqual(trends.reporters.filter(({ kind }) => kind === "dmarc"), [
    { kind: "dmarc", reporter: "other.example", passed: 3, failed: 6, reports: 2 },
    { kind: "dmarc", reporter: "big.example", passed: 10, failed: 4, reports: 1 },
  ]);
  const one = await reportTrends(at.store, { days: 3, now: NOW, domain: "news.example.org" });
  assert.deepEqual(one.days.map(({ kinds }) => Object.keys(kinds)), [["abuse"], [], []]);
});

Deno.test("a period in the future or in another age counts for the day that the report came", async () => {
  await using at = await openAnalysis();
  for (const begin of ["1864028800", "964028800", "never"]) {
    const metadata = METADATA.replace("1764028800", begin).replace("1764115199", begin);
    await at.examine(aggregate([{ ...PASSES, count: 1 }], { metadata }));
  }
  const { days } = await reportTrends(at.store, { days: 1, now: NOW });
  assert.deepEqual(days, [{ day: "2025-11-26", kinds: { dmarc: { passed: 3, failed: 0 } } }]);
});

Deno.test("reports go when they expire, or when somebody deletes them, with all that was counted", async () => {
  await using at = await openAnalysis();
  await at.examine(aggregate([PASSES, FAILS]));
  at.clock.advance(DAY);
  await at.examine(TLS);
  const purge = (now: number) => purgeReports(at.store, now);
  assert.equal(await purge(NOW + 30 * DAY - 1), 0);
  assert.equal((await at.list()).length, 2);
  // The report, its domain and its failing address.
  assert.equal(await purge(NOW + 30 * DAY), 3);
  assert.deepEqual((await at.list()).map(({ kind }) => kind), ["tls"]);
  const [last] = await at.list();
  assert.equal(await deleteReport(at.store, "0000000001z"), false);
  assert.equal(await deleteReport(at.store, "no id"), false);
  assert.equal(await deleteReport(at.store, last!.id), true);
  assert.equal(await showReport(at.store, last!.id), undefined);
  const { rows } = await at.store.read(
    "SELECT (SELECT count(*) FROM incoming_report_domains), (SELECT count(*) FROM incoming_report_failures)",
  );
  assert.deepEqual(rows.map((row) => [...row].map(Number)), [[0, 0]]);
});
