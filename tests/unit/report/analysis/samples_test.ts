/** TLS reports, complaints and notifications in the shapes that arrive. */

import assert from "node:assert/strict";
import { findReports } from "../../../../src/report/analysis/examine.ts";
import type { DeliveryReport, FeedbackReport, TlsReport } from "../../../../src/report/analysis/incoming.ts";
import { gzip, mail, type Part, TLS_REPORT, utf16, zip } from "./samples.ts";

const pause = () => Promise.resolve();

async function only(bytes: Uint8Array) {
  const { reports, unreadable } = await findReports(bytes, { pause });
  assert.deepEqual(unreadable, []);
  assert.equal(reports.length, 1);
  return reports[0]!.report;
}

async function tls(bytes: Uint8Array): Promise<TlsReport> {
  const report = await only(bytes);
  assert.ok(report.kind === "tls");
  return report;
}

async function aboutMail(bytes: Uint8Array): Promise<FeedbackReport> {
  const report = await only(bytes);
  assert.ok(report.kind === "abuse" || report.kind === "auth-failure");
  return report;
}

async function dsn(bytes: Uint8Array): Promise<DeliveryReport> {
  const report = await only(bytes);
  assert.ok(report.kind === "dsn");
  return report;
}

const JSON_TEXT = JSON.stringify(TLS_REPORT);

Deno.test("a TLS report as RFC 8460 sends it: multipart/report with gzip", async () => {
  const report = await tls(mail(
    [
      { type: "text/plain", content: "This is an aggregate TLS report from big.example.\r\n" },
      {
        type: "application/tlsrpt+gzip",
        name: "big.example!example.org!1764028800!1764115199!001.json.gz",
        content: gzip(JSON_TEXT),
      },
    ],
    "multipart/report; report-type=tlsrpt",
    "TLS-Report-Domain: example.org\r\nTLS-Report-Submitter: big.example\r\n",
  ));
  assert.equal(report.reporter, "Big Mail");
  assert.equal(report.contact, "smtp-tls@big.example");
  assert.equal(report.reportId, "2025-11-25T00:00:00Z_example.org");
  assert.equal(report.begin, Date.UTC(2025, 10, 25));
  assert.equal(report.end, Date.UTC(2025, 10, 25, 23, 59, 59));
  const [policy, ...others] = report.policies;
  assert.equal(others.length, 0);
  assert.equal(policy!.type, "sts");
  assert.equal(policy!.domain, "example.org");
  assert.deepEqual(policy!.mxHosts, ["*.example.org"]);
  assert.equal(policy!.policy.length, 4);
  assert.deepEqual([policy!.succeeded, policy!.failed], [5326, 303]);
  assert.deepEqual(policy!.failures.map(({ result, mx, sessions }) => [result, mx, sessions]), [
    ["certificate-expired", "mx1.example.org", 100],
    ["starttls-not-supported", "mx2.example.org", 200],
    ["validation-failure", "mx1.example.org", 3],
  ]);
  assert.equal(policy!.failures[2]!.reason, "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED");
  assert.deepEqual(report.problems, []);
});

Deno.test("a TLS report in plain JSON, in zip, in a list, under the wrong type, in UTF-16", async () => {
  const shapes: readonly Part[] = [
    { type: "application/tlsrpt+json", content: JSON_TEXT },
    { type: "application/zip", content: zip({ "r.json": JSON_TEXT }) },
    { type: "text/plain", content: JSON.stringify([TLS_REPORT]) },
    { type: "application/octet-stream", content: `\r\n\r\n${JSON.stringify(TLS_REPORT, null, 2)}\r\n` },
    { type: "application/tlsrpt+json", content: utf16(JSON_TEXT, "le", true) },
  ];
  for (const shape of shapes) {
    const report = await tls(mail([shape]));
    assert.equal(report.policies[0]!.failed, 303, shape.type);
  }
});

Deno.test("a TLS report whose numbers are text, with several domains and what is missing told", async () => {
  const report = await tls(mail([{
    type: "application/tlsrpt+json",
    content: JSON.stringify({
      "date-range": { "start-datetime": "soon" },
      policies: [
        {
          policy: { "policy-type": "tlsa", "policy-domain": "Example.ORG.", "mx-host": "mx.example.org" },
          summary: { "total-successful-session-count": "40" },
          "failure-details": { "result-type": "dane-required", "failed-session-count": "2" },
        },
        { policy: { "policy-type": "no-policy-found", "policy-domain": "example.net" }, summary: null },
        { policy: {} },
        "junk",
      ],
    }),
  }]));
  assert.equal(report.reporter, "big.example");
  assert.deepEqual(report.policies.map(({ domain, succeeded, failed }) => [domain, succeeded, failed]), [
    ["example.org", 40, 2],
    ["example.net", 0, 0],
  ]);
  assert.deepEqual(report.problems, [
    "a summary lacks a number of sessions",
    "a policy without policy-domain was left out",
    "date-range is missing or no time",
    "organization-name is missing",
  ]);
});

Deno.test("a TLS report that does not name its domain is about the one in the header of its mail, or in its name", async () => {
  const content = JSON.stringify({
    "organization-name": "Big Mail",
    policies: [{
      policy: { "policy-type": "no-policy-found" },
      summary: { "total-successful-session-count": 7, "total-failure-session-count": 0 },
    }],
  });
  const type = "application/tlsrpt+json";
  const byHeader = await tls(mail([{ type, content }], "", "TLS-Report-Domain: Example.org\r\n"));
  assert.equal(byHeader.policies[0]!.domain, "example.org");
  assert.ok(byHeader.problems.includes("a policy without policy-domain was taken for one of the report's domain"));
  const name = "big.example!example.net!1764028800!1764115199!1.json";
  const byName = await tls(mail([{ type, name, content }]));
  assert.equal(byName.policies[0]!.domain, "example.net");
  assert.equal(byName.begin, Date.UTC(2025, 10, 25));
});

const ORIGINAL =
  "From: Shop <news@example.org>\r\nTo: someone@big.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n" +
  "Date: Mon, 24 Nov 2025 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nBuy!\r\n";

Deno.test("a complaint as RFC 5965 has it", async () => {
  const report = await aboutMail(mail([
    { type: "text/plain", content: "This is an email abuse report.\r\n" },
    {
      type: "message/feedback-report",
      content: "Feedback-Type: abuse\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n" +
        "Original-Mail-From: <bounce@example.org>\r\nOriginal-Rcpt-To: <someone@big.example>\r\n" +
        "Arrival-Date: Mon, 24 Nov 2025 10:00:05 +0000\r\nReporting-MTA: dns; mail.big.example\r\n" +
        "Source-IP: 192.0.2.1\r\nReported-Domain: example.org\r\nReported-URI: http://example.org/deal\r\n" +
        "Incidents: 3\r\n",
    },
    { type: "message/rfc822", content: ORIGINAL },
  ], "multipart/report; report-type=feedback-report"));
  assert.equal(report.kind, "abuse");
  assert.equal(report.feedbackType, "abuse");
  assert.equal(report.reporter, "mail.big.example");
  assert.equal(report.incidents, 3);
  assert.equal(report.source, "192.0.2.1");
  assert.deepEqual(report.domains, ["example.org"]);
  assert.deepEqual(report.uris, ["http://example.org/deal"]);
  assert.equal(report.envelopeFrom, "bounce@example.org");
  assert.deepEqual(report.envelopeTo, ["someone@big.example"]);
  assert.equal(report.arrived, Date.UTC(2025, 10, 24, 10, 0, 5));
  assert.equal(report.original.subject, "Grüße");
  assert.equal(report.original.messageId, "<1@example.org>");
  assert.deepEqual(report.problems, []);
});

Deno.test("a complaint with the least that can be said, its type wrong, its original cut to the header", async () => {
  const report = await aboutMail(mail([
    { type: "text/plain", content: "Somebody complained about your mail. The Feedback-Type: is below.\r\n" },
    { type: "text/plain", content: "Feedback-Type: Fraud (really)\r\n" },
    { type: "text/rfc822-headers", content: ORIGINAL.replace("Buy!\r\n", "") },
  ]));
  assert.equal(report.kind, "abuse");
  assert.equal(report.feedbackType, "fraud");
  assert.deepEqual(report.domains, ["example.org"]);
  assert.equal(report.reporter, "big.example");
  assert.equal(report.incidents, 1);
  assert.deepEqual(report.problems, ["User-Agent is missing", "Version is missing"]);
});

Deno.test("a report of failed authentication as RFC 6591 has it", async () => {
  const report = await aboutMail(mail([
    { type: "text/plain", content: "An authentication failure.\r\n" },
    {
      type: "message/feedback-report",
      content: "Feedback-Type: auth-failure\r\nUser-Agent: R/2\r\nVersion: 1\r\nAuth-Failure: dmarc (not aligned)\r\n" +
        "Delivery-Result: reject\r\nIdentity-Alignment: none\r\nSource-IP: [IPv6:2001:DB8::1]\r\n" +
        "Reported-Domain: example.org\r\nDKIM-Domain: example.org\r\nDKIM-Selector: s1\r\n" +
        'SPF-DNS: txt : example.org : "v=spf1 -all"\r\n' +
        "Authentication-Results: mail.big.example;\r\n dmarc=fail header.from=example.org\r\n" +
        "Received-Date: Mon, 24 Nov 2025 10:00:05 +0000 (UTC)\r\n",
    },
    { type: "text/rfc822-headers", content: ORIGINAL },
  ], "multipart/report; report-type=feedback-report"));
  assert.equal(report.kind, "auth-failure");
  assert.equal(report.authFailure, "dmarc");
  assert.equal(report.deliveryResult, "reject");
  assert.equal(report.source, "2001:db8::1");
  assert.equal(report.dkimSelector, "s1");
  assert.equal(report.spfDns, 'txt : example.org : "v=spf1 -all"');
  assert.deepEqual(report.authenticationResults, ["mail.big.example; dmarc=fail header.from=example.org"]);
  assert.equal(report.arrived, Date.UTC(2025, 10, 24, 10, 0, 5));
});

Deno.test("a report of failed DMARC in Exim's own words", async () => {
  const content =
    "A message claiming to be from you has failed the published DMARC\r\npolicy for your domain.\r\n\r\n" +
    "  Sender Domain: Example.org\r\n  Sender IP Address: 203.0.113.68\r\n" +
    "  Received date: Mon, 24 Nov 2025 11:00:05 +0100\r\n  SPF Alignment: yes\r\n  DKIM Alignment: no\r\n" +
    "  DMARC Results: Quarantine, Accept\r\n\r\n" +
    "------ This is a copy of the headers that were received before the error was detected.\r\n\r\n" +
    ORIGINAL;
  const report = await aboutMail(
    mail([{ type: "text/plain", content }, { type: "text/plain", content: "\r\n" }], "multipart/report"),
  );
  assert.equal(report.kind, "auth-failure");
  assert.deepEqual(report.domains, ["example.org"]);
  assert.equal(report.source, "203.0.113.68");
  assert.equal(report.arrived, Date.UTC(2025, 10, 24, 10, 0, 5));
  assert.deepEqual([report.authFailure, report.deliveryResult, report.identityAlignment], ["dmarc", "accept", "spf"]);
  assert.equal(report.original.messageId, "<1@example.org>");
});

Deno.test("two complaints that differ in their message alone are two", async () => {
  const complaint = (subject: string) =>
    mail([
      { type: "message/feedback-report", content: "Feedback-Type: abuse\r\nUser-Agent: A/1\r\nVersion: 0.1\r\n" },
      { type: "message/rfc822", content: `Subject: ${subject}\r\n\r\nx\r\n` },
    ], "multipart/report");
  const [one, two] = await Promise.all(["a", "b"].map((subject) => findReports(complaint(subject), { pause })));
  assert.notEqual(one!.reports[0]!.digest, two!.reports[0]!.digest);
});

Deno.test("a feedback report without its type is told", async () => {
  const { reports, unreadable } = await findReports(
    mail([{ type: "message/feedback-report", content: "Version: 1\r\n" }], "multipart/report"),
    { pause },
  );
  assert.equal(reports.length, 0);
  assert.deepEqual(unreadable, [{ kind: "feedback", reason: "it has no Feedback-Type" }]);
});

Deno.test("a delivery status notification with two recipients", async () => {
  const report = await dsn(mail([
    { type: "text/plain", content: "Delivery failed.\r\n" },
    {
      type: "message/delivery-status",
      content: "Reporting-MTA: dns; mx.big.example\r\nOriginal-Envelope-Id: QQ1\r\n" +
        "Arrival-Date: Mon, 24 Nov 2025 10:00:05 +0000\r\n\r\n" +
        "Original-Recipient: rfc822;alias@big.example\r\nFinal-Recipient: rfc822; someone@big.example\r\n" +
        "Action: failed\r\nStatus: 5.1.1 (no such user)\r\nRemote-MTA: dns; in.big.example\r\n" +
        "Diagnostic-Code: smtp; 550 5.1.1 unknown user\r\n\r\n" +
        "Final-Recipient: rfc822;other@big.example\r\nAction: Delayed\r\nStatus: 4.4.1\r\n",
    },
    { type: "message/rfc822", content: ORIGINAL },
  ], "multipart/report; report-type=delivery-status"));
  assert.equal(report.reporter, "mx.big.example");
  assert.equal(report.envelopeId, "QQ1");
  assert.equal(report.arrived, Date.UTC(2025, 10, 24, 10, 0, 5));
  assert.deepEqual(report.recipients, [
    {
      recipient: "someone@big.example",
      originalRecipient: "alias@big.example",
      action: "failed",
      status: "5.1.1",
      remoteMta: "in.big.example",
      diagnostic: "550 5.1.1 unknown user",
    },
    {
      recipient: "other@big.example",
      originalRecipient: "",
      action: "delayed",
      status: "4.4.1",
      remoteMta: "",
      diagnostic: "",
    },
  ]);
  assert.equal(report.original.from, "Shop <news@example.org>");
});

Deno.test("a notification whose status is called text/plain", async () => {
  const report = await dsn(mail([
    { type: "text/plain", content: "Sorry. The Final-Recipient: field below says who.\r\n" },
    {
      type: "text/plain",
      content: "Reporting-MTA: dns; mx.big.example\r\n\r\nFinal-Recipient: rfc822; a@big.example\r\n" +
        "Action: failed\r\nStatus: 5.0.0\r\n",
    },
  ]));
  assert.deepEqual(report.recipients.map(({ recipient, action }) => [recipient, action]), [[
    "a@big.example",
    "failed",
  ]]);
});
