/** Aggregate reports in the shapes that arrive, with totals worked out by hand. */

import assert from "node:assert/strict";
import type { DmarcReport } from "../../../../src/report/analysis/incoming.ts";
import { findReports } from "../../../../src/report/analysis/examine.ts";
import { feedback, gzip, latin1, mail, METADATA, part, POLICY, utf16, zip } from "./samples.ts";

const encoder = new TextEncoder();
const pause = () => Promise.resolve();
const find = (bytes: Uint8Array) => findReports(bytes, { pause });

/** The only report of a mail. */
async function dmarc(bytes: Uint8Array): Promise<DmarcReport> {
  const { reports, unreadable } = await find(bytes);
  assert.deepEqual(unreadable, []);
  assert.equal(reports.length, 1);
  const report = reports[0]!.report;
  assert.ok(report.kind === "dmarc");
  return report;
}

/** 12 messages pass by both, 5 by DKIM alone, 2 by SPF alone, 7 fail: 26 in all. */
const ROWS = [
  { ip: "192.0.2.1", count: 12, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" },
  { ip: "192.0.2.2", count: 5, disposition: "none", dkim: "pass", spf: "fail", from: "example.org" },
  { ip: "2001:db8::7", count: 2, disposition: "none", dkim: "fail", spf: "pass", from: "example.org" },
  { ip: "198.51.100.9", count: 4, disposition: "quarantine", dkim: "fail", spf: "fail", from: "example.org" },
  { ip: "203.0.113.5", count: 3, disposition: "reject", dkim: "fail", spf: "fail", from: "news.example.org" },
];
const TOTALS = {
  messages: 26,
  passed: 19,
  failed: 7,
  dkimPassed: 17,
  spfPassed: 14,
  accepted: 19,
  quarantined: 4,
  rejected: 3,
};

Deno.test("a report in zip under application/zip as the whole mail", async () => {
  const name = "big.example!example.org!1764028800!1764115199.zip";
  const packed = zip({ "big.example!example.org!1764028800!1764115199.xml": feedback(ROWS) });
  const report = await dmarc(mail([{ type: "application/zip", name, content: packed }]));
  assert.deepEqual(report.totals, TOTALS);
  assert.deepEqual(report.failing, [{ source: "198.51.100.9", failed: 4 }, { source: "203.0.113.5", failed: 3 }]);
  assert.equal(report.reporter, "big.example");
  assert.equal(report.contact, "noreply@big.example");
  assert.equal(report.reportId, "1234567890");
  assert.equal(report.begin, Date.UTC(2025, 10, 25));
  assert.equal(report.end, Date.UTC(2025, 10, 25, 23, 59, 59));
  assert.equal(report.policy.domain, "example.org");
  assert.equal(report.policy.p, "quarantine");
  assert.deepEqual(report.problems, []);
});

Deno.test("a report in gzip beside words for people", async () => {
  const report = await dmarc(mail([
    { type: "text/plain; charset=utf-8", content: "This is an aggregate report from big.example.\r\n" },
    { type: "text/html", content: "<html><body><p>This is an aggregate report.</p></body></html>" },
    {
      type: "application/gzip",
      name: "big.example!example.org!1764028800!1764115199!1.xml.gz",
      content: gzip(feedback(ROWS)),
    },
  ]));
  assert.deepEqual(report.totals, TOTALS);
});

Deno.test("a report in plain XML, in the namespace of the old draft, prefixed", async () => {
  const text = feedback(ROWS, { attributes: ' xmlns="http://dmarc.org/dmarc-xml/0.1"' })
    .replace(/<(\/?)(?=\w)/g, "<$1ns0:").replace("xmlns=", "xmlns:ns0=");
  assert.match(text, /<ns0:feedback xmlns:ns0=/);
  const report = await dmarc(mail([{ type: "text/xml", name: "report.xml", content: text }]));
  assert.deepEqual(report.totals, TOTALS);
  assert.equal(report.policy.sp, "none");
});

Deno.test("a report of RFC 9990, with version, disposition pass and what is new in it", async () => {
  const text = feedback([
    {
      ip: "192.0.2.1",
      count: 100,
      disposition: "pass",
      dkim: "pass",
      spf: "fail",
      from: "example.org",
      identifiers: "<envelope_from>bounce.example.org</envelope_from><envelope_to>big.example</envelope_to>",
      auth: "<dkim><domain>example.org</domain><selector>s1</selector><result>pass</result></dkim>" +
        "<spf><domain>bounce.example.org</domain><scope>mfrom</scope><result>softfail</result></spf>",
    },
    {
      ip: "192.0.2.77",
      count: 8,
      disposition: "none",
      dkim: "fail",
      spf: "fail",
      reason: "<reason><type>policy_test_mode</type></reason>",
      from: "example.org",
    },
  ], {
    attributes: ' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"',
    metadata: "<version>1.0</version>" +
      METADATA.replace("</report_metadata>", "<generator>R 1</generator></report_metadata>"),
    policy: "<policy_published><domain>example.org</domain><discovery_method>treewalk</discovery_method><p>reject</p>" +
      "<sp>reject</sp><np>reject</np><testing>y</testing><fo>1</fo></policy_published>",
  });
  const report = await dmarc(mail([{ type: "application/gzip", content: gzip(text) }]));
  assert.deepEqual(report.totals, {
    messages: 108,
    passed: 100,
    failed: 8,
    dkimPassed: 100,
    spfPassed: 0,
    accepted: 108,
    quarantined: 0,
    rejected: 0,
  });
  assert.deepEqual(report.policy, {
    domain: "example.org",
    p: "reject",
    sp: "reject",
    np: "reject",
    adkim: "",
    aspf: "",
    pct: "",
    fo: "1",
    testing: "y",
    discoveryMethod: "treewalk",
  });
  assert.deepEqual(report.records[0]!.spfResults, [
    { domain: "bounce.example.org", part: "mfrom", result: "softfail", text: "" },
  ]);
  assert.equal(report.records[0]!.envelopeFrom, "bounce.example.org");
  assert.deepEqual(report.records[1]!.reasons, [{ type: "policy_test_mode", comment: "" }]);
});

Deno.test("overrides and several signatures of one message", async () => {
  const report = await dmarc(mail([{
    type: "application/gzip",
    content: gzip(feedback([{
      ip: "192.0.2.25",
      count: 31,
      disposition: "none",
      dkim: "fail",
      spf: "fail",
      reason: "<reason><type>mailing_list</type><comment>list of list.example</comment></reason>" +
        "<reason><type>local_policy</type><comment>arc=pass</comment></reason>",
      from: "example.org",
      auth: "<dkim><domain>list.example</domain><selector>a</selector><result>pass</result></dkim>" +
        "<dkim><domain>example.org</domain><selector>b</selector><result>fail</result>" +
        "<human_result>body hash did not verify</human_result></dkim>" +
        "<spf><domain>list.example</domain><result>pass</result></spf>",
    }])),
  }]));
  assert.equal(report.totals.failed, 31);
  assert.deepEqual(report.records[0]!.reasons, [
    { type: "mailing_list", comment: "list of list.example" },
    { type: "local_policy", comment: "arc=pass" },
  ]);
  assert.deepEqual(report.records[0]!.dkimResults.map(({ domain, result, text }) => [domain, result, text]), [
    ["list.example", "pass", ""],
    ["example.org", "fail", "body hash did not verify"],
  ]);
});

Deno.test("gzip called application/octet-stream, and zip called text/plain", async () => {
  for (
    const one of [
      { type: "application/octet-stream", content: gzip(feedback(ROWS)) },
      { type: "text/plain", name: "report.txt", content: zip({ "r.xml": feedback(ROWS) }) },
      { type: "application/x-zip-compressed", name: "r.gz", content: zip({ r: feedback(ROWS) }) },
    ]
  ) {
    assert.deepEqual((await dmarc(mail([one]))).totals, TOTALS, one.type);
  }
});

Deno.test("Base64 whose header says nothing of it", async () => {
  const content = gzip(feedback(ROWS)).toBase64().replace(/.{76}/g, "$&\r\n");
  const report = await dmarc(mail([{ type: "application/gzip", content, named: "" }]));
  assert.deepEqual(report.totals, TOTALS);
});

Deno.test("a gzip in a zip in a zip, folders and files of other systems beside it", async () => {
  const inner = zip({ "reports/": "", "reports/r.xml.gz": gzip(feedback(ROWS)), "__MACOSX/._r": "junk" });
  const report = await dmarc(mail([{ type: "application/zip", content: zip({ "inner.zip": inner }) }]));
  assert.deepEqual(report.totals, TOTALS);
});

Deno.test("a byte order mark, blanks before the declaration, and line ends behind the archive", async () => {
  const text = "\uFEFF\r\n  " + feedback(ROWS);
  const packed = new Uint8Array([...gzip(text), 13, 10, 13, 10]);
  assert.deepEqual((await dmarc(mail([{ type: "application/gzip", content: packed }]))).totals, TOTALS);
});

Deno.test("UTF-16 of either order, with and without its mark", async () => {
  const text = feedback(ROWS).replace("UTF-8", "UTF-16");
  for (const order of ["le", "be"] as const) {
    for (const mark of [true, false]) {
      const report = await dmarc(mail([{ type: "application/gzip", content: gzip(utf16(text, order, mark)) }]));
      assert.deepEqual(report.totals, TOTALS, `${order} ${mark}`);
    }
  }
});

Deno.test("UTF-8 that calls itself UTF-16, and Latin-1 that says so", async () => {
  const wrong = feedback(ROWS).replace('encoding="UTF-8"', "encoding='utf-16'");
  assert.deepEqual((await dmarc(mail([{ type: "text/xml", content: encoder.encode(wrong) }]))).totals, TOTALS);
  const latin = latin1(feedback(ROWS).replace("UTF-8", "ISO-8859-1").replace(">big.example<", ">Bücher GmbH<"));
  const report = await dmarc(mail([{ type: "text/xml", content: latin }]));
  assert.equal(report.reporter, "Bücher GmbH");
});

Deno.test("an ampersand that nobody escaped is told, and read on", async () => {
  const report = await dmarc(mail([{
    type: "text/xml",
    content: feedback(ROWS).replace(">big.example<", ">A&T Mail & Co<"),
  }]));
  assert.match(report.reporter, /A&T Mail & Co/);
  assert.deepEqual(report.totals, TOTALS);
  assert.ok(report.problems.some((problem) => problem.startsWith("the XML is not well-formed")));
});

Deno.test("a schema around the report that is never closed", async () => {
  const text = feedback(ROWS).replace(
    "<feedback>",
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://dmarc.org/dmarc-xml/0.1">\n<feedback>',
  );
  const report = await dmarc(mail([{ type: "text/xml", content: text }]));
  assert.deepEqual(report.totals, TOTALS);
  assert.deepEqual(report.problems, ["the XML is not well-formed: unclosed tag: xs:schema"]);
});

Deno.test("without reporter, id and times the name of the file helps", async () => {
  const report = await dmarc(mail([{
    type: "application/gzip",
    name: "mail.other.example!example.org!1764028800!1764115199!77.xml.gz",
    content: gzip(feedback(ROWS, { metadata: "<report_metadata></report_metadata>", policy: "" })),
  }]));
  assert.equal(report.reporter, "mail.other.example");
  assert.equal(report.policy.domain, "example.org");
  assert.equal(report.reportId, "77");
  assert.equal(report.begin, Date.UTC(2025, 10, 25));
  assert.deepEqual(report.problems, [
    "policy_published/domain is missing",
    "report_metadata/org_name is missing",
    "report_metadata/report_id is missing",
    "report_metadata/date_range is missing or no time",
  ]);
});

Deno.test("without a name as well, the records and the sender do", async () => {
  const report = await dmarc(mail([{ type: "text/xml", content: feedback(ROWS, { metadata: "", policy: "" }) }]));
  assert.equal(report.policy.domain, "example.org");
  assert.equal(report.reporter, "big.example");
  assert.deepEqual(report.totals, TOTALS);
});

Deno.test("records that lack this or that", async () => {
  const report = await dmarc(mail([{
    type: "text/xml",
    content: feedback([
      // Judged by its results: DKIM passed for the same domain, SPF for another one.
      {
        ip: "192.0.2.1",
        count: 3,
        from: "example.org",
        auth: "<dkim><domain>example.org</domain><result>pass</result></dkim>" +
          "<spf><domain>other.example</domain><result>pass</result></spf>",
      },
      // One message, and SPF that is not told of did not pass.
      { ip: "192.0.2.2", disposition: "none", dkim: "fail", from: "example.org" },
      { count: 50, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" },
      { ip: "192.0.2.3", count: "many", disposition: "none", dkim: "pass", spf: "pass" },
      { ip: "192.0.2.4", count: "-4", disposition: "none", dkim: "pass", spf: "pass" },
      { ip: "192.0.2.5", count: " 6\n", disposition: "None", dkim: "Pass ", spf: "fail", from: "EXAMPLE.org." },
    ]),
  }]));
  // 3 + 1 + 6.
  assert.deepEqual(report.totals, {
    messages: 10,
    passed: 9,
    failed: 1,
    dkimPassed: 9,
    spfPassed: 0,
    accepted: 10,
    quarantined: 0,
    rejected: 0,
  });
  assert.equal(report.records[2]!.headerFrom, "example.org");
  assert.deepEqual(report.problems, [
    "a record without policy_evaluated was judged by its auth_results",
    "a record without count was taken for one message",
    "a record without source_ip was left out",
    "a record whose count is no number was left out: many",
    "a record whose count is no number was left out: -4",
  ]);
});

Deno.test("the same address in several spellings is one failing source", async () => {
  const fails = { disposition: "reject", dkim: "fail", spf: "fail", from: "example.org" };
  const report = await dmarc(mail([{
    type: "text/xml",
    content: feedback([
      { ...fails, ip: "2001:0DB8:0:0:0:0:0:1", count: 2 },
      { ...fails, ip: "[2001:db8::1]", count: 3 },
      { ...fails, ip: " 192.0.2.8 ", count: 4 },
      { ...fails, ip: "::ffff:192.0.2.8", count: 5 },
      { ...fails, ip: "unknown", count: 1 },
    ]),
  }]));
  assert.deepEqual(report.failing, [
    { source: "192.0.2.8", failed: 9 },
    { source: "2001:db8::1", failed: 5 },
    { source: "unknown", failed: 1 },
  ]);
  assert.equal(report.totals.rejected, 15);
});

Deno.test("times in milliseconds, as dates, and the wrong way round", async () => {
  const range = async (begin: string, end: string) => {
    const metadata = METADATA.replace("1764028800", begin).replace("1764115199", end);
    const { begin: first, end: last } = await dmarc(
      mail([{ type: "text/xml", content: feedback(ROWS, { metadata }) }]),
    );
    return [first, last];
  };
  const [begin, end] = [Date.UTC(2025, 10, 25), Date.UTC(2025, 10, 26)];
  assert.deepEqual(await range("1764028800000", "1764115200000"), [begin, end]);
  assert.deepEqual(await range("2025-11-25 00:00:00", "2025-11-26T00:00:00Z"), [begin, end]);
  assert.deepEqual(await range("1764115200", "1764028800"), [end, undefined]);
  assert.deepEqual(await range("soon", "99999999999999999"), [undefined, undefined]);
});

Deno.test("a report that ends early counts what is there", async () => {
  const text = feedback(ROWS);
  const cut = text.slice(0, text.indexOf("2001:db8::7"));
  const report = await dmarc(mail([{ type: "text/xml", content: cut }]));
  assert.equal(report.totals.messages, 17);
  assert.ok(report.problems.includes("the report ends early"));
});

Deno.test("a report without any record is one all the same", async () => {
  const report = await dmarc(mail([{
    type: "text/xml",
    content: feedback([], { metadata: METADATA.replace("</date_range>", "</date_range><error>no mail seen</error>") }),
  }]));
  assert.equal(report.totals.messages, 0);
  assert.deepEqual(report.errors, ["no mail seen"]);
});

Deno.test("a mail that was forwarded as an attachment, with two reports in it", async () => {
  const other = feedback([{ ip: "192.0.2.9", count: 1, disposition: "none", dkim: "pass", spf: "pass" }]);
  const inner = mail([
    { type: "application/gzip", name: "a.xml.gz", content: gzip(feedback(ROWS)) },
    { type: "application/zip", name: "b.zip", content: zip({ "b.xml": other }) },
  ]);
  const { reports, unreadable } = await find(mail([
    { type: "text/plain", content: "please look\r\n" },
    { type: "message/rfc822", content: new TextDecoder("latin1").decode(inner), encoding: "7bit" },
  ]));
  assert.deepEqual(unreadable, []);
  assert.deepEqual(reports.map(({ report }) => report.kind === "dmarc" && report.totals.messages), [26, 1]);
  assert.notEqual(reports[0]!.digest, reports[1]!.digest);
});

Deno.test("the same report packed in two ways has the same digest", async () => {
  const digests = await Promise.all(
    [gzip(feedback(ROWS)), zip({ "x.xml": feedback(ROWS) })].map(async (content) =>
      (await find(mail([{ type: "application/octet-stream", content }]))).reports[0]!.digest
    ),
  );
  assert.equal(digests[0], digests[1]);
});

Deno.test("totals cover records that are not kept", async () => {
  const rows = Array.from({ length: 5_200 }, (_, i) => ({
    ip: `198.51.${i >> 8}.${i & 255}`,
    count: 2,
    disposition: "none",
    dkim: i % 4 === 0 ? "fail" : "pass",
    spf: "fail",
    from: "example.org",
  }));
  const report = await dmarc(mail([{ type: "application/gzip", content: gzip(feedback(rows)) }]));
  assert.equal(report.totals.messages, 10_400);
  assert.equal(report.totals.failed, 2_600);
  assert.equal(report.records.length, 5_000);
  assert.equal(report.recordsLeftOut, 200);
  assert.equal(report.failing.length, 1_000);
});

Deno.test("one broken file does not hide the report beside it", async () => {
  const { reports, unreadable } = await find(mail([{
    type: "application/zip",
    name: "two.zip",
    content: zip({ "a.xml": "<feedback><report_metadata>", "b.xml": feedback(ROWS) }),
  }]));
  assert.equal(reports.length, 1);
  assert.deepEqual(unreadable, [{ kind: "dmarc", reason: "a.xml: it ends before its first record" }]);
});

Deno.test("mail that holds no report says so", async () => {
  for (
    const [one, reason] of [
      [{ type: "text/plain", content: "Hello\r\n" }, "it holds no report"],
      [{ type: "text/html", content: "<!DOCTYPE html><html><p>Hello" }, "it holds no report"],
      [{ type: "text/xml", name: "f.xml", content: "<rss><channel/></rss>" }, /^f\.xml: its root element is rss/],
      [{ type: "application/zip", content: zip({ "a.txt": "Hello" }) }, "a.txt: it is neither XML nor JSON"],
    ] as const
  ) {
    const { reports, unreadable } = await find(mail([one]));
    assert.equal(reports.length, 0);
    assert.equal(unreadable.length, 1);
    assert.equal(unreadable[0]!.kind, "message");
    if (typeof reason === "string") assert.equal(unreadable[0]!.reason, reason);
    else assert.match(unreadable[0]!.reason, reason);
  }
  assert.equal((await find(latin1(part({ type: "text/plain", content: "" })))).unreadable[0]!.kind, "message");
  assert.ok(POLICY.includes("example.org"));
});
