/** Mail that was made to do harm: refused, told, and never more in memory than a few megabytes. */

import assert from "node:assert/strict";
import { findReports } from "../../../../src/report/analysis/examine.ts";
import { LARGEST_COUNT } from "../../../../src/report/analysis/limits.ts";
import { createBudget, unpacker, UnpackError } from "../../../../src/report/analysis/unpack.ts";
import { feedback, gzip, latin1, mail, zip } from "./samples.ts";

const pause = () => Promise.resolve();
const find = (bytes: Uint8Array) => findReports(bytes, { pause });

/** Octets that cannot be packed. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

async function refused(bytes: Uint8Array) {
  const { reports, unreadable } = await find(bytes);
  assert.equal(reports.length, 0);
  assert.equal(unreadable.length, 1);
  return unreadable[0]!;
}

const packed = (content: Uint8Array) => mail([{ type: "application/gzip", name: "r.gz", content }]);
const ROW = { ip: "192.0.2.1", count: 1, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" };

Deno.test("an archive that grows to a thousand times its size is not unpacked to its end", () => {
  const bomb = gzip(new Uint8Array(20 * 1024 * 1024));
  let most = 0;
  let taken = 0;
  const budget = createBudget();
  const sink = unpacker(() => ({
    write(bytes) {
      most = Math.max(most, bytes.length);
      taken += bytes.length;
    },
    end: () => {},
  }), budget);
  assert.throws(() => sink.write(bomb), new UnpackError("it unpacks to more than 250 times its size"));
  assert.ok(most <= 2 * 1024 * 1024, `${most} octets at once`);
  assert.ok(taken < 5 * 1024 * 1024, `${taken} octets in all`);
});

Deno.test("a bomb in a bomb comes out no larger", () => {
  const bomb = zip({ "a.gz": gzip(gzip(new Uint8Array(40 * 1024 * 1024))) });
  let most = 0;
  const sink = unpacker(
    () => ({ write: (bytes) => void (most = Math.max(most, bytes.length)), end: () => {} }),
    createBudget(),
  );
  assert.throws(() => sink.write(bomb), UnpackError);
  assert.ok(most <= 2 * 1024 * 1024, `${most} octets at once`);
});

Deno.test("bombs are told as what they are", async () => {
  assert.deepEqual(await refused(packed(gzip(new Uint8Array(10 * 1024 * 1024)))), {
    kind: "archive",
    reason: "r.gz: it unpacks to more than 250 times its size",
  });
  const nested = gzip(gzip(gzip(gzip(feedback([ROW])))));
  assert.deepEqual(await refused(packed(nested)), {
    kind: "archive",
    reason: "r.gz: more than 3 archives in each other",
  });
  const many = zip(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}.txt`, "x"])));
  assert.deepEqual(await refused(packed(many)), { kind: "archive", reason: "r.gz: more than 20 files" });
});

Deno.test("files that are large together are unpacked to the limit and no further", async () => {
  // 5 MB in each of 14 files, well within the ratio because part of it cannot be packed.
  const big = new Uint8Array(5 * 1024 * 1024);
  big.set(noise(64 * 1024));
  const files = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`${i}.bin`, big]));
  const unreadable = await refused(packed(zip(files)));
  assert.deepEqual(unreadable, { kind: "archive", reason: "r.gz: more than 67108864 octets unpacked" });
});

Deno.test("archives that are cut, broken or empty", async () => {
  const whole = gzip(feedback([ROW]));
  assert.equal((await refused(packed(whole.subarray(0, 100)))).reason, "r.gz: the archive is broken (unexpected EOF)");
  const flipped = whole.slice();
  for (let i = 20; i < 60; i++) flipped[i] = 0xff;
  const broken = await refused(packed(flipped));
  assert.equal(broken.kind, "archive");
  assert.match(broken.reason, /^r\.gz: the archive is broken/);
  assert.match(
    (await refused(packed(zip({ "a.xml": feedback([ROW]) }).subarray(0, 150)))).reason,
    /^r\.gz: the archive/,
  );
  assert.equal((await refused(packed(latin1("PK\x05\x06" + "\0".repeat(18))))).kind, "archive");
});

Deno.test("a document type is refused before anything in it is known", async () => {
  for (
    const doctype of [
      '<!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
      '<!DOCTYPE feedback [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
      '<!DOCTYPE feedback SYSTEM "http://192.0.2.1/feedback.dtd">',
    ]
  ) {
    const text = feedback([ROW]).replace("<feedback", `${doctype}<feedback`).replace("big.example", "&b;&x;");
    assert.deepEqual(await refused(mail([{ type: "text/xml", content: text }])), {
      kind: "dmarc",
      reason: "the XML holds a document type declaration, which no report needs",
    });
  }
});

Deno.test("an entity that nobody has declared stays as it is written", async () => {
  const text = feedback([ROW]).replace(">big.example<", ">&file; of &lt;Big&gt; &#65;<");
  const { reports } = await find(mail([{ type: "text/xml", content: text }]));
  assert.equal(reports[0]!.report.reporter, "&file; of <Big> A");
});

Deno.test("elements without end, texts without end, names without end", async () => {
  const xml = async (content: string) => (await refused(mail([{ type: "text/xml", content }]))).reason;
  assert.equal(await xml(`<feedback>${"<a>".repeat(1000)}`), "elements lie more than 40 deep");
  const long = "more than 65536 characters without an element";
  assert.equal(await xml(`<feedback>${"x".repeat(100_000)}`), long);
  assert.equal(await xml(`<feedback><!-- ${"x".repeat(100_000)} -->`), long);
  assert.equal(await xml(`<feedback><${"x".repeat(100_000)}>`), long);
  assert.equal(await xml(`<feedback ${"x".repeat(100_000)}="">`), long);
  assert.equal(await xml(`<feedback><![CDATA[${"x".repeat(100_000)}`), long);
  assert.equal(await xml(`<feedback>${"& <a/>".repeat(2_000)}`), "the XML is broken in too many places");
});

Deno.test("a count beyond belief is left out, and totals stay whole numbers", async () => {
  const rows = ["9".repeat(15), String(LARGEST_COUNT), "1e9", "NaN", "Infinity", "0x10"].map((count) => ({
    ...ROW,
    count,
  }));
  const { reports } = await find(mail([{ type: "text/xml", content: feedback(rows) }]));
  const report = reports[0]!.report;
  assert.ok(report.kind === "dmarc");
  assert.equal(report.totals.messages, LARGEST_COUNT);
});

Deno.test("values are cut, and control characters in them are kept for whoever shows them", async () => {
  const text = feedback([ROW]).replace(">big.example<", `>${"Ä".repeat(5_000)}<`);
  const { reports } = await find(mail([{ type: "text/xml", content: new TextEncoder().encode(text) }]));
  assert.equal(reports[0]!.report.reporter, `${"Ä".repeat(1_000)}…`);
});

Deno.test("JSON that is deep, huge or something else", async () => {
  const json = (content: string) => refused(mail([{ type: "application/tlsrpt+json", content }]));
  assert.equal((await json("[".repeat(200_000))).kind, "tls");
  assert.equal((await json(`{"policies":${"[".repeat(50_000)}${"]".repeat(50_000)}}`)).kind, "tls");
  assert.equal((await json(`{"policies":[${"{},".repeat(10)}{}]}`)).reason, "it has no policy that names a domain");
  assert.equal((await json('{"a":1}')).reason, "it is JSON without a list of policies");
  assert.match((await json('{"a":1')).reason, /^it is no JSON/);
  const large = gzip(
    `{"organization-name":"${Array.from({ length: 500_000 }, (_, i) => i).join(" ")}${"x".repeat(2_000_000)}"}`,
  );
  assert.deepEqual(await refused(packed(large)), { kind: "tls", reason: "r: it is larger than 4194304 characters" });
});

Deno.test("a report of nothing but details is counted, and kept in part", async () => {
  const dkim = `<dkim><domain>example.org</domain><result>fail</result><human_result>${
    "x".repeat(900)
  }</human_result></dkim>`;
  const rows = Array.from({ length: 400 }, () => ({ ...ROW, auth: dkim.repeat(50) }));
  const { reports } = await find(packed(zip({ "r.xml": feedback(rows), "noise.bin": noise(100_000) })));
  const report = reports[0]!.report;
  assert.ok(report.kind === "dmarc");
  assert.equal(report.totals.messages, 400);
  assert.equal(report.records.length + report.recordsLeftOut, 400);
  assert.ok(report.records.length > 50 && JSON.stringify(report).length < 5_000_000);
});

Deno.test("failures of TLS without number are kept in part", async () => {
  const failures = Array.from(
    { length: 400 },
    (_, i) => ({ "result-type": `r${i}`, "additional-information": "x".repeat(900) }),
  );
  const policy = { policy: { "policy-domain": "example.org" }, "failure-details": failures };
  const { reports } = await find(
    mail([{ type: "application/json", content: JSON.stringify({ policies: Array(9).fill(policy) }) }]),
  );
  const report = reports[0]!.report;
  assert.ok(report.kind === "tls");
  assert.equal(report.policies.length, 9);
  const many = await find(mail([{
    type: "application/json",
    content: JSON.stringify({ policies: [{ ...policy, "failure-details": Array(50_000).fill({}) }] }),
  }]));
  assert.ok(many.reports[0]!.report.kind === "tls" && many.reports[0]!.report.policies[0]!.failures.length === 1_000);
  assert.ok(many.reports[0]!.report.problems.includes("not all failures were read, there are too many"));
});

Deno.test("a notification of empty lines, and one of too many recipients", async () => {
  const status = async (content: string) =>
    await find(mail([{ type: "message/delivery-status", content }], "multipart/report; report-type=delivery-status"));
  const empty = await status("\r\n".repeat(2_000_000));
  assert.deepEqual(empty.unreadable, [{ kind: "feedback", reason: "it has no Final-Recipient" }]);
  const many = await status("Final-Recipient: rfc822; a@example.org\r\nAction: failed\r\n\r\n".repeat(3_000));
  assert.ok(many.reports[0]!.report.kind === "dsn" && many.reports[0]!.report.recipients.length === 1_000);
});

Deno.test("MIME that nests without end is looked at as far as the limits go", async () => {
  let text = "Content-Type: text/plain\r\n\r\nhello\r\n";
  for (let i = 0; i < 200; i++) {
    text = `Content-Type: multipart/mixed; boundary="b${i}"\r\n\r\n--b${i}\r\n${text}--b${i}--\r\n`;
  }
  assert.equal((await refused(latin1(text))).kind, "message");
});

Deno.test("others have their turn while a large report is read", async () => {
  let turns = 0;
  const rows = Array.from({ length: 5_000 }, (_, i) => ({ ...ROW, ip: `192.0.2.${i % 251}`, count: i }));
  await findReports(packed(gzip(feedback(rows))), { pause: () => Promise.resolve(void turns++) });
  // 1.2 MB of XML, 128 KB a turn.
  assert.ok(turns >= 5, `${turns} turns`);
});
