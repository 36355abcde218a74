import assert from "node:assert/strict";
import type { DkimResult, SpfResult } from "../../../../src/authentication/mod.ts";
import { failureCases } from "../../../../src/report/mod.ts";
import { dkim, observation, type ObservationParts, spf } from "../dmarc/observation.ts";

/** What is reported to whom, such as `dmarc spf example.org`. */
function cases(parts: ObservationParts, random = () => 0): readonly string[] {
  return failureCases(observation(parts).results, random).map(({ kind, failure, domain }) =>
    `${kind} ${failure.type} ${domain}`
  );
}

const failed: DkimResult = { ...dkim("example.org", "s1", "fail"), fault: "body" };

Deno.test("fo= says of what a domain hears (RFC 7489 §6.3)", () => {
  const record = (fo: string) => `v=DMARC1; p=none; ${fo}ruf=mailto:r@example.org`;
  const nothing = { dmarc: { result: "fail", spfAligned: false, dkimAligned: false } } as const;
  const onlySpf = { dmarc: { result: "pass", spfAligned: true, dkimAligned: false } } as const;
  const both = { dmarc: { result: "pass", spfAligned: true, dkimAligned: true } } as const;
  const table: readonly (readonly [fo: string, parts: ObservationParts, told: readonly string[]])[] = [
    ["", nothing, ["dmarc dmarc example.org"]],
    ["", onlySpf, []],
    ["fo=0; ", onlySpf, []],
    ["fo=1; ", onlySpf, ["dmarc dmarc example.org"]],
    ["fo=1; ", nothing, ["dmarc dmarc example.org"]],
    ["fo=1; ", both, []],
    ["fo=d; ", { ...both, dkim: [dkim("example.org", "s0"), failed] }, ["dmarc dkim example.org"]],
    ["fo=d; ", { ...nothing, dkim: [dkim("example.org", "s0")] }, []],
    ["fo=s; ", { ...both, spf: spf("example.org", "softfail") }, ["dmarc spf example.org"]],
    ["fo=s; ", { ...both, spf: spf("example.org", "neutral") }, []],
    ["fo=s; ", { ...both, spf: spf("example.org", "none") }, []],
    ["fo=1:d:s; ", { ...onlySpf, dkim: [failed] }, ["dmarc dmarc example.org", "dmarc dkim example.org"]],
  ];
  for (const [fo, parts, told] of table) assert.deepEqual(cases({ ...parts, record: record(fo) }), told, fo);
  assert.deepEqual(cases({ ...nothing, record: "v=DMARC1; p=none; fo=1" }), []);
});

Deno.test("of DKIM who asked hears, once, and three domains at most (RFC 6651 §3.3)", () => {
  const asking = (domain: string): DkimResult => ({ ...failed, domain, reportRequested: true });
  assert.deepEqual(cases({ dkim: [failed] }), []);
  assert.deepEqual(cases({ dkim: [{ ...dkim("a.example", "s1"), reportRequested: true }] }), []);
  assert.deepEqual(cases({ dkim: [asking("a.example"), asking("a.example")] }), ["dkim dkim a.example"]);
  assert.deepEqual(
    cases({ dkim: ["a", "b", "c", "d"].map((label) => asking(`${label}.example`)) }),
    ["dkim dkim a.example", "dkim dkim b.example", "dkim dkim c.example"],
  );
});

Deno.test("of SPF a domain hears what it names in rr=, as often as rp= says (RFC 6652 §3)", () => {
  const ofSpf = (
    result: SpfResult["result"],
    wanted: NonNullable<SpfResult["reports"]>["wanted"],
    percent = 100,
  ): ObservationParts => ({
    spf: { ...spf("example.org", result), reports: { address: "r@example.org", wanted, percent } },
  });
  const told = ["spf spf example.org"];
  assert.deepEqual(cases(ofSpf("fail", ["f"])), told);
  assert.deepEqual(cases(ofSpf("softfail", ["f"])), []);
  assert.deepEqual(cases(ofSpf("softfail", ["f", "s"])), told);
  assert.deepEqual(cases(ofSpf("permerror", ["e"])), told);
  assert.deepEqual(cases(ofSpf("neutral", ["n"])), told);
  assert.deepEqual(cases(ofSpf("fail", ["all"])), told);
  assert.deepEqual(cases(ofSpf("pass", ["all"])), []);
  assert.deepEqual(cases(ofSpf("fail", ["all"], 25), () => 0.249), told);
  assert.deepEqual(cases(ofSpf("fail", ["all"], 25), () => 0.25), []);
});
