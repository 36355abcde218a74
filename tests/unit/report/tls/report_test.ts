import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import * as v from "valibot";
import type { ReportedPolicy, TlsResult } from "../../../../src/outbound/mod.ts";
import { claimDue } from "../../../../src/report/aggregate/ledger.ts";
import type { MadeReport, Reporter } from "../../../../src/report/aggregate/made.ts";
import { createTlsResultRecorder, makeTlsReport, reportMessage } from "../../../../src/report/mod.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { eventLog, openTemporaryStore, temporaryFolder } from "../../../support/store.ts";
import { createZone, type ZoneEntry } from "../../../support/zone.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const address = v.pipe(v.string(), v.ip());

/** RFC 8460 §4.4, every field that it has and no other. */
const REPORT = v.strictObject({
  "organization-name": v.string(),
  "date-range": v.strictObject({
    "start-datetime": v.pipe(v.string(), v.isoTimestamp()),
    "end-datetime": v.pipe(v.string(), v.isoTimestamp()),
  }),
  "contact-info": v.pipe(v.string(), v.email()),
  "report-id": v.pipe(v.string(), v.nonEmpty()),
  "policies": v.pipe(
    v.array(v.strictObject({
      "policy": v.strictObject({
        "policy-type": v.picklist(["tlsa", "sts", "no-policy-found"]),
        "policy-string": v.optional(v.array(v.string())),
        "policy-domain": v.string(),
        "mx-host": v.optional(v.array(v.string())),
      }),
      "summary": v.strictObject({
        "total-successful-session-count": count,
        "total-failure-session-count": count,
      }),
      "failure-details": v.optional(v.array(v.strictObject({
        // §4.3
        "result-type": v.picklist([
          "starttls-not-supported",
          "certificate-host-mismatch",
          "certificate-expired",
          "certificate-not-trusted",
          "validation-failure",
          "tlsa-invalid",
          "dnssec-invalid",
          "dane-required",
          "sts-policy-fetch-error",
          "sts-policy-invalid",
          "sts-webpki-invalid",
        ]),
        "sending-mta-ip": v.optional(address),
        "receiving-mx-hostname": v.optional(v.string()),
        "receiving-ip": v.optional(address),
        "failed-session-count": count,
        "failure-reason-code": v.optional(v.string()),
      }))),
    })),
    v.nonEmpty(),
  ),
});

const sts: ReportedPolicy = {
  type: "sts",
  domain: "d.example",
  strings: ["version: STSv1", "mode: testing", "mx: *.d.example", "max_age: 86400"],
  mxHosts: ["*.d.example"],
};
const tlsa: ReportedPolicy = { type: "tlsa", domain: "d.example", strings: ["3 1 1 1F85"] };
const none: ReportedPolicy = { type: "no-policy-found", domain: "d.example" };

const failure = (policy: ReportedPolicy, more: Partial<NonNullable<TlsResult["failure"]>> = {}): TlsResult => ({
  policy,
  failure: {
    type: "certificate-expired",
    localIp: "2001:db8::1",
    host: "mx1.d.example",
    remoteIp: "203.0.113.56",
    details: "expired",
    ...more,
  },
});

const reporter: Reporter = {
  submitter: "mx.example.net",
  from: { name: "TLS Report", address: "noreply-tls@example.net" },
  orgName: "Example",
  maxSize: 25_000_000,
  sign: [],
};

async function make(
  results: readonly TlsResult[],
  { txt = ["v=TLSRPTv1; rua=mailto:tls@d.example"], zone, handed = [], ...more }:
    & { txt?: readonly string[]; zone?: ZoneEntry; handed?: readonly string[] }
    & Partial<Reporter> = {},
): Promise<{ made: MadeReport; events: readonly string[] }> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const recorder = createTlsResultRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });
  for (const result of results) recorder.record(result);
  await recorder.close();
  const now = clock.now() + 2 * 86_400_000;
  const [due] = await claimDue(store, { owner: "a", now, until: now, limit: 1 });
  assert.ok(due);
  const log = eventLog();
  const world = {
    store,
    resolver: createZone({ "_smtp._tls.d.example": zone ?? { txt } }),
    domain: "example.net",
    generator: "godwit",
    emit: log.emit,
  };
  const made = await makeTlsReport({ ...due, handed }, { ...reporter, ...more }, world);
  await store.close();
  return { made, events: log.events.map(({ name }) => name) };
}

/** The mail and the JSON in it. */
function read(made: MadeReport) {
  assert.ok(made.kind === "made", JSON.stringify(made));
  const [only] = made.mails;
  assert.ok(only);
  const body = new TextDecoder().decode(only.mail.parts[1]?.body).replace(/\s/g, "");
  const json = v.parse(REPORT, JSON.parse(gunzipSync(Uint8Array.fromBase64(body)).toString()));
  const { size } = reportMessage(only.mail, { id: 1, now: 0, random: () => 0.5, domain: "example.net" }).content;
  return { ...only, json, size, posts: made.posts };
}

Deno.test("a report has what RFC 8460 section 4.4 defines, and nothing else", async () => {
  const { made } = await make([
    { policy: sts },
    failure(sts),
    failure(sts, { type: "starttls-not-supported", details: "" }),
    failure(tlsa, { type: "tlsa-invalid", localIp: "", remoteIp: "", host: "" }),
    { policy: none },
    { policy: none },
  ]);
  const { json } = read(made);
  assert.deepEqual(json["date-range"], {
    "start-datetime": "2026-01-05T00:00:00Z",
    "end-datetime": "2026-01-05T23:59:59Z",
  });
  assert.equal(json["contact-info"], "noreply-tls@example.net");
  assert.match(json["report-id"], /^[0-9a-f]{32}@example\.net$/);
  const summaries = json.policies.map(({ policy, summary }) => [
    policy["policy-type"],
    summary["total-successful-session-count"],
    summary["total-failure-session-count"],
  ]);
  assert.deepEqual(summaries.toSorted(), [["no-policy-found", 2, 0], ["sts", 1, 2], ["tlsa", 0, 1]]);
  const ofSts = json.policies.find(({ policy }) => policy["policy-type"] === "sts");
  assert.deepEqual(ofSts?.policy["policy-string"], sts.strings);
  assert.deepEqual(ofSts?.policy["mx-host"], ["*.d.example"]);
  assert.deepEqual(ofSts?.["failure-details"]?.find((one) => one["result-type"] === "certificate-expired"), {
    "result-type": "certificate-expired",
    "sending-mta-ip": "2001:db8::1",
    "receiving-mx-hostname": "mx1.d.example",
    "receiving-ip": "203.0.113.56",
    "failed-session-count": 1,
    "failure-reason-code": "expired",
  });
});

Deno.test("the mail has the type, the fields and the file name of RFC 8460 section 5", async () => {
  const { made, events } = await make([{ policy: none }], { contactInfo: "tls-team@reports.example" });
  const { mail, json } = read(made);
  const id = json["report-id"];
  assert.equal(mail.subject, `Report Domain: d.example Submitter: mx.example.net Report-ID: <${id}>`);
  assert.equal(mail.type, "multipart/report; report-type=tlsrpt");
  assert.deepEqual(mail.fields, [
    ["TLS-Report-Domain", "d.example"],
    ["TLS-Report-Submitter", "reports.example"],
    ["TLS-Required", "No"],
  ]);
  assert.deepEqual(mail.parts.map(({ type }) => type), ["text/plain; charset=us-ascii", "application/tlsrpt+gzip"]);
  assert.equal(
    mail.parts[1]?.filename,
    `reports.example!d.example!1767571200!1767657599!${id.split("@")[0]}.json.gz`,
  );
  assert.equal(json["contact-info"], "tls-team@reports.example");
  assert.deepEqual(events, ["tls-rpt.record-fetch"]);
});

Deno.test("a contact that is no address does not stand where an address must", async () => {
  const { made } = await make([{ policy: none }], { contactInfo: "https://example.net/contact" });
  assert.equal(read(made).json["contact-info"], "noreply-tls@example.net");
});

Deno.test("each place gets the report: addresses one mail, others a POST", async () => {
  const txt = ["v=TLSRPTv1; rua=mailto:a@d.example,https://r.example/tls,mailto:b@else.example,http://no.example/"];
  const { mail, uris, posts } = read((await make([{ policy: none }], { txt })).made);
  assert.deepEqual(mail.to, ["a@d.example", "b@else.example"]);
  assert.deepEqual(uris, ["mailto:a@d.example", "mailto:b@else.example"]);
  assert.deepEqual(posts.map(({ uri, type }) => [uri, type]), [["https://r.example/tls", "application/tlsrpt+gzip"]]);
  const { made } = await make([{ policy: none }], { txt, handed: uris });
  assert.ok(made.kind === "made" && made.mails.length === 0 && made.posts.length === 1);
  v.parse(REPORT, JSON.parse(gunzipSync(made.posts[0]!.body).toString()));
});

Deno.test("who publishes no record, or several, gets no report", async () => {
  for (const txt of [[], ["v=spf1 -all"], Array(2).fill("v=TLSRPTv1; rua=mailto:a@d.example")]) {
    const { made, events } = await make([{ policy: none }], { txt });
    assert.equal(made.kind, "nobody");
    assert.deepEqual(events, ["tls-rpt.record-not-found"]);
  }
  const { made } = await make([{ policy: none }], { txt: ["v=TLSRPTv1; rua=ftp://d.example"] });
  assert.equal(made.kind, "nobody");
});

Deno.test("a record that cannot be looked up for now is asked for later", async () => {
  const { made, events } = await make([{ policy: none }], { zone: { error: "servfail" } });
  assert.deepEqual(made, {
    kind: "later",
    reason: "the TXT record of _smtp._tls.d.example could not be looked up: servfail",
  });
  assert.deepEqual(events, ["tls-rpt.record-fetch-error"]);
});

Deno.test("a report that is too large tells the most frequent failures, and all of them in its sums", async () => {
  const results = Array.from({ length: 400 }, (_, index) => {
    const details = crypto.randomUUID() + crypto.randomUUID();
    return Array(index % 4 === 0 ? 2 : 1).fill(failure(sts, { host: `mx${index}.d.example`, details }));
  }).flat();
  const { json, size } = read((await make(results, { maxSize: 12_000 })).made);
  assert.ok(size <= 12_000, `${size} octets`);
  const [policy] = json.policies;
  assert.equal(policy?.summary["total-failure-session-count"], 500);
  const details = policy?.["failure-details"] ?? [];
  assert.ok(details.length > 10 && details.length < 200, `${details.length} details`);
  assert.ok(details.slice(0, 100).every((one) => one["failed-session-count"] === 2));
  const { made } = await make(results, { maxSize: 1_000 });
  assert.deepEqual(made, { kind: "nobody", reason: "it is larger than report.tls.aggregate.max-size" });
});
