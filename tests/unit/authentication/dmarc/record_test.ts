import assert from "node:assert/strict";
import { isDmarcRecord, type PolicyRecord, readDmarcRecord } from "../../../../src/authentication/dmarc/record.ts";

function read(text: string): PolicyRecord {
  const found = readDmarcRecord("example.org", text);
  if (typeof found === "string") assert.fail(found);
  return found;
}

Deno.test("defaults of a record that says only its policy (RFC 7489 §6.3)", () => {
  assert.deepEqual(read("v=DMARC1; p=reject").record, {
    domain: "example.org",
    policy: "reject",
    subdomainPolicy: "reject",
    nonexistentPolicy: "reject",
    dkimAlignment: "relaxed",
    spfAlignment: "relaxed",
    percent: 100,
    testing: false,
    failureOptions: ["0"],
    reportInterval: 86_400,
    aggregateReports: [],
    failureReports: [],
    text: "v=DMARC1; p=reject",
  });
});

Deno.test("every tag", () => {
  const text = "v=DMARC1;p=reject;sp=quarantine;np=none;adkim=s;aspf=s;pct=25;t=y;fo=1:d:s:x:1;ri=3600;psd=n;rf=afrf;" +
    "rua=mailto:a@example.org!10m , https://example.org/r;ruf=mailto:f@example.org";
  const { record, psd, walks } = read(text);
  assert.deepEqual(record, {
    domain: "example.org",
    policy: "reject",
    subdomainPolicy: "quarantine",
    nonexistentPolicy: "none",
    dkimAlignment: "strict",
    spfAlignment: "strict",
    percent: 25,
    testing: true,
    failureOptions: ["1", "d", "s"],
    reportInterval: 3600,
    aggregateReports: ["mailto:a@example.org!10m", "https://example.org/r"],
    failureReports: ["mailto:f@example.org"],
    text,
  });
  assert.deepEqual([psd, walks], ["n", true]);
});

Deno.test("blanks, capitals and empty places between semicolons do not cost a domain its protection", () => {
  const { record } = read("v = DMARC1 ;;  P = Quarantine;\tADKIM=S; nonsense ; pct = 50;");
  assert.deepEqual([record.policy, record.dkimAlignment, record.percent], ["quarantine", "strict", 50]);
});

Deno.test("what is wrong in other tags counts as not written", () => {
  const { record, psd } = read(
    "v=DMARC1; p=none; adkim=x; pct=101; ri=often; fo=z; psd=maybe; rua=here,,; t=n",
  );
  assert.deepEqual(
    [record.dkimAlignment, record.percent, record.reportInterval, record.failureOptions],
    ["relaxed", 100, 86_400, ["0"]],
  );
  assert.deepEqual([record.aggregateReports, record.testing, psd], [[], false, "u"]);
});

Deno.test("without a valid policy a record asks for reports only, or is none (RFC 7489 §6.6.3, RFC 9989 §4.10.1)", () => {
  const { record } = read("v=DMARC1; p=delete; rua=mailto:a@example.org");
  assert.deepEqual([record.policy, record.subdomainPolicy], ["none", "none"]);
  assert.equal(read("v=DMARC1; rua=mailto:a@example.org").record.policy, "none");
  const wrongSp = read("v=DMARC1; p=reject; sp=x; np=reject; rua=mailto:a@example.org").record;
  assert.deepEqual([wrongSp.policy, wrongSp.subdomainPolicy, wrongSp.nonexistentPolicy], ["none", "none", "none"]);
  assert.equal(readDmarcRecord("example.org", "v=DMARC1"), "the record has no valid policy in p=");
  assert.equal(readDmarcRecord("example.org", "v=DMARC1; p=reject; sp=x"), "the record has no valid policy in sp=");
  const wrongNp = "v=DMARC1; p=reject; sp=quarantine; np=x";
  const { policy, subdomainPolicy, nonexistentPolicy } = read(`${wrongNp}; rua=mailto:a@example.org`).record;
  assert.deepEqual([policy, subdomainPolicy, nonexistentPolicy], ["none", "none", "none"]);
  assert.equal(readDmarcRecord("example.org", wrongNp), "the record has no valid policy in np=");
});

Deno.test("the first of a tag that stands twice counts", () => {
  assert.equal(read("v=DMARC1; p=reject; p=none").record.policy, "reject");
});

Deno.test("psd, np and t ask for the tree walk", () => {
  for (const tag of ["psd=y", "psd=u", "np=reject", "t=n"]) assert.ok(read(`v=DMARC1; p=none; ${tag}`).walks);
  assert.ok(!read("v=DMARC1; p=none; sp=none; pct=100").walks);
});

Deno.test("a record is one whose first tag is the version", () => {
  for (const text of ["v=DMARC1", "v=DMARC1;p=none", "v = DMARC1 ; p=none"]) assert.ok(isDmarcRecord(text), text);
  for (const text of ["", "v=DMARC10; p=none", "v=dmarc1; p=none", "p=none; v=DMARC1", " v=DMARC1", "v=spf1 -all"]) {
    assert.ok(!isDmarcRecord(text), text);
  }
});

Deno.test("a record of 64 KB and thousands of addresses is read within bounds", () => {
  const { record } = read(`v=DMARC1; p=none; rua=${"mailto:a@example.org,".repeat(3000)}`);
  assert.equal(record.aggregateReports.length, 20);
  assert.equal(read(`v=DMARC1; ${";x=y".repeat(16_000)}; p=reject`).record.policy, "reject");
});
