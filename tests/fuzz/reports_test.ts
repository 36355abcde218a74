/** Properties of reading the reports of others that hold for every mail. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { findReports } from "../../src/report/analysis/examine.ts";
import { LARGEST_COUNT } from "../../src/report/analysis/limits.ts";
import { reportEvent } from "../../src/report/analysis/report_events.ts";
import { summarize } from "../../src/report/analysis/summary.ts";
import { runs } from "../support/fuzz_runs.ts";
import { feedback, gzip, latin1, mail, type Part, TLS_REPORT, utf16, zip } from "../unit/report/analysis/samples.ts";

const pause = () => Promise.resolve();
const RECEIVED = Date.UTC(2026, 0, 5);
const encoder = new TextEncoder();

const XML = feedback([
  { ip: "192.0.2.1", count: 12, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" },
  { ip: "2001:db8::1", count: 3, disposition: "reject", dkim: "fail", spf: "fail", from: "example.org" },
]);
const ARF = "Feedback-Type: auth-failure\r\nUser-Agent: A/1\r\nVersion: 1\r\nIncidents: 2\r\nSource-IP: 192.0.2.1\r\n" +
  "Reported-Domain: example.org\r\nArrival-Date: Mon, 24 Nov 2025 10:00:05 +0000\r\n";
const STATUS =
  "Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; a@example.net\r\nAction: failed\r\n" +
  "Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 no\r\n";
const ORIGINAL: Part = { type: "message/rfc822", content: "Subject: x\r\nFrom: a@example.org\r\n\r\nx\r\n" };
const MAILS = [
  mail([{ type: "text/xml", content: XML }]),
  mail([{ type: "application/gzip", name: "a!example.org!1764028800!1764115199.xml.gz", content: gzip(XML) }]),
  mail([{ type: "text/plain", content: "hello\r\n" }, { type: "application/zip", content: zip({ "a.xml": XML }) }]),
  mail([{ type: "application/zip", content: zip({ "a.gz": gzip(utf16(XML, "le", true)) }) }]),
  mail([{ type: "application/tlsrpt+json", content: JSON.stringify(TLS_REPORT) }]),
  mail([{ type: "message/feedback-report", content: ARF }, ORIGINAL], "multipart/report"),
  mail([{ type: "message/delivery-status", content: STATUS }, ORIGINAL], "multipart/report"),
];

/** What may be done to a mail on its way: octets changed, taken out, doubled, or others put in. */
const damage = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat(40),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(
        "<a>",
        "</record>",
        "&amp",
        "<![CDATA[",
        "<!DOCTYPE x [",
        "\0",
        "\r\n\r\n",
        "{",
        "[[[",
        "--=_b\r\n",
        "\x1f\x8b\x08",
      )
        .map(latin1),
    ),
  }),
  { maxLength: 4 },
);

Deno.test("whatever becomes of a mail, reading it ends in reports that make sense or in a reason", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...MAILS), damage, async (whole, changes) => {
      const bytes = [...whole];
      for (const { at, length, insert } of changes) bytes.splice(Math.floor(at * bytes.length), length, ...insert);
      const { reports, unreadable } = await findReports(Uint8Array.from(bytes), { pause });
      assert.ok(reports.length + unreadable.length > 0);
      for (const { kind, reason } of unreadable) assert.ok(kind !== undefined && reason !== "" && reason.length < 1100);
      for (const { report, digest } of reports) {
        assert.match(digest, /^[\da-f]{64}$/);
        const summary = summarize(report, RECEIVED);
        for (const number of [summary.passed, summary.failed, ...summary.failures.map(({ failed }) => failed)]) {
          assert.ok(Number.isSafeInteger(number) && number >= 0);
        }
        assert.ok(summary.day <= RECEIVED / 86_400_000);
        assert.ok(reportEvent(report, summary).name.startsWith("incoming-report."));
      }
    }),
    { numRuns: runs(1_500) },
  );
});

const verdict = fc.constantFrom("pass", "fail");
const record = fc.record({
  ip: fc.oneof(fc.ipV4(), fc.ipV6()),
  count: fc.integer({ min: 0, max: LARGEST_COUNT / 1_000 }),
  disposition: fc.constantFrom("none", "quarantine", "reject", "pass"),
  dkim: verdict,
  spf: verdict,
});
const PACKINGS: readonly ((xml: string) => Part)[] = [
  (xml) => ({ type: "text/xml", content: encoder.encode(xml) }),
  (xml) => ({ type: "application/gzip", content: gzip(xml) }),
  (xml) => ({ type: "application/zip", content: zip({ "r.xml": xml }) }),
  (xml) => ({ type: "application/octet-stream", content: gzip(utf16(xml, "be", false)) }),
  (xml) => ({ type: "application/zip", content: zip({ "r.gz": gzip(`\uFEFF${xml}`) }) }),
];

Deno.test("totals are the sums of the records, however they are packed", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 40 }), fc.constantFrom(...PACKINGS), async (records, pack) => {
      const { reports } = await findReports(mail([pack(feedback(records))]), { pause });
      const report = reports[0]?.report;
      assert.ok(report?.kind === "dmarc");
      const sum = (test: (one: typeof records[number]) => boolean) =>
        records.filter(test).reduce((total, { count }) => total + count, 0);
      const passes = ({ dkim, spf }: typeof records[number]) => dkim === "pass" || spf === "pass";
      assert.deepEqual(report.totals, {
        messages: sum(() => true),
        passed: sum(passes),
        failed: sum((one) => !passes(one)),
        dkimPassed: sum(({ dkim }) => dkim === "pass"),
        spfPassed: sum(({ spf }) => spf === "pass"),
        accepted: sum(({ disposition }) => disposition === "none" || disposition === "pass"),
        quarantined: sum(({ disposition }) => disposition === "quarantine"),
        rejected: sum(({ disposition }) => disposition === "reject"),
      });
      assert.equal(report.failing.reduce((total, { failed }) => total + failed, 0), report.totals.failed);
      assert.equal(report.records.length, records.length);
    }),
    { numRuns: runs(300) },
  );
});
