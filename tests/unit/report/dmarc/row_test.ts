import assert from "node:assert/strict";
import { decodeRow, encodeRow, rowOf } from "../../../../src/report/dmarc/row.ts";
import { dkim, observation, recordOf, spf } from "./observation.ts";

const failed = { result: "fail", spfAligned: false, disposition: "reject" } as const;
const outcome = (parts: Parameters<typeof observation>[0]) => {
  const { disposition, reasons } = rowOf(observation(parts));
  return [disposition, ...reasons];
};

Deno.test("a row tells of address, identifiers and results", () => {
  const row = rowOf(observation({ dkim: [dkim("example.org", "s1")], dmarc: { dkimAligned: true } }));
  assert.deepEqual(row, {
    ip: "192.0.2.1",
    disposition: "pass",
    dkimAligned: true,
    spfAligned: true,
    reasons: [],
    headerFrom: "example.org",
    envelopeFrom: "example.org",
    dkim: [["example.org", "s1", "pass"]],
    spf: ["example.org", "pass"],
  });
  assert.deepEqual(decodeRow(encodeRow(row)), row);
});

Deno.test("messages that are alike count for one row, others do not", () => {
  const key = (parts: Parameters<typeof observation>[0]) => encodeRow(rowOf(observation(parts)));
  assert.equal(key({}), key({}));
  const different = [
    {},
    { ip: "192.0.2.2" },
    { sender: "" },
    { dkim: [dkim("example.org", "s1")] },
    { dkim: [dkim("example.org", "s2")] },
    { dkim: [dkim("example.org", "s1", "fail")] },
    { spf: spf("mail.example.org") },
    { spf: spf("example.org", "softfail") },
    { dmarc: { fromDomain: "sub.example.org" } },
    { dmarc: { spfAligned: false } },
    { dmarc: failed },
    { dmarc: failed, refused: true },
  ];
  assert.equal(new Set(different.map(key)).size, different.length);
});

Deno.test("what passed says so only where the policy asks for more than reports", () => {
  assert.deepEqual(outcome({}), ["pass"]);
  assert.deepEqual(outcome({ dmarc: { policy: "none" } }), ["none"]);
});

Deno.test("what failed was refused, or the reason is told", () => {
  assert.deepEqual(outcome({ dmarc: failed, refused: true }), ["reject"]);
  assert.deepEqual(outcome({ dmarc: failed }), ["none", "local_policy"]);
  assert.deepEqual(outcome({ dmarc: { ...failed, policy: "quarantine", disposition: "quarantine" } }), [
    "none",
    "local_policy",
  ]);
  assert.deepEqual(outcome({ dmarc: { ...failed, policy: "none", disposition: "none" } }), ["none"]);
});

Deno.test("pct= and t=y are reasons (RFC 7489 appendix C, RFC 9990)", () => {
  const sampled = { ...failed, policy: "quarantine", disposition: "none", override: "sampled_out" } as const;
  assert.deepEqual(outcome({ dmarc: sampled }), ["none", "sampled_out"]);
  const testing = {
    ...failed,
    disposition: "quarantine",
    override: "other",
    record: recordOf("v=DMARC1; p=reject; t=y; rua=mailto:r@example.org"),
  } as const;
  assert.deepEqual(outcome({ dmarc: testing }), ["none", "policy_test_mode", "local_policy"]);
});

Deno.test("the null sender has no domain, and SPF looked at the name of the client", () => {
  const row = rowOf(observation({ sender: "", spf: spf("mx.example.org") }));
  assert.equal(row.envelopeFrom, "");
  assert.deepEqual(row.spf, ["mx.example.org", "pass"]);
});

Deno.test("of many signatures those are told that passed, the closest to the author first (RFC 9990 section 3.1.3)", () => {
  const signatures = [
    dkim("bad.example", "s", "fail"),
    dkim("other.example", "s"),
    dkim("mail.example.org", "s"),
    dkim("example.org", "s"),
    dkim("", "", "permerror"),
    ...Array.from({ length: 20 }, (_, index) => dkim(`d${index}.example`, "s", "fail")),
  ];
  const { dkim: told } = rowOf(observation({ dkim: signatures }));
  assert.deepEqual(told.slice(0, 4).map(([domain]) => domain), [
    "example.org",
    "mail.example.org",
    "other.example",
    "bad.example",
  ]);
  assert.equal(told.length, 10);
});
