/** SPF and the fields about it, for records and names of any kind: an answer within bounded work, never an error. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  authenticationResultsField,
  type CheckContext,
  checkIprev,
  checkSpf,
  claimsToBe,
  receivedSpfField,
} from "../../src/authentication/mod.ts";
import { parseSpfRecord } from "../../src/authentication/spf/record.ts";
import { parseMacroText } from "../../src/authentication/spf/macro.ts";
import { DnsError } from "../../src/dns/mod.ts";
import { parseHeader } from "../../src/message/mod.ts";
import { runs } from "../support/fuzz_runs.ts";

const VERDICTS = ["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"];

const name = fc.constantFrom(
  "a.example",
  "b.example",
  "c.example",
  "%{d}",
  "%{ir}.%{v}.x.example",
  "%{p}",
  "%{l}.example",
  "x",
);
const term = fc.oneof(
  fc.tuple(fc.constantFrom("", "+", "-", "~", "?"), fc.constantFrom("include:", "a:", "mx:", "ptr:", "exists:"), name)
    .map((parts) => parts.join("")),
  fc.tuple(fc.constantFrom("redirect=", "exp=", "x="), name).map((parts) => parts.join("")),
  fc.constantFrom(
    "all",
    "-all",
    "a",
    "mx/24//64",
    "ptr",
    "ip4:192.0.2.0/24",
    "ip6:2001:db8::/32",
    "ip4:",
    "a//",
    "%{",
    "=",
    ":",
  ),
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "grapheme", maxLength: 10 }),
);
const record = fc.oneof(
  fc.array(term, { maxLength: 15 }).map((terms) => ["v=spf1", ...terms].join(" ")),
  fc.string({ maxLength: 60 }),
);

type Step = { readonly records: readonly string[]; readonly fails: boolean };
const step: fc.Arbitrary<Step> = fc.record({
  records: fc.array(record, { maxLength: 3 }),
  fails: fc.integer({ min: 0, max: 9 }).map((value) => value === 0),
});

/** DNS that answers each question with the next of some answers, and counts the questions. */
function roulette(steps: readonly Step[]): CheckContext & { asked: number } {
  const answer = <T>(read: (step: Step) => readonly T[]) => (text: string) =>
    new Promise<{ records: readonly T[]; exists: boolean; security: "insecure"; name: string }>((resolve) => {
      const next = steps[context.asked++ % steps.length];
      if (next === undefined || next.fails) throw new DnsError("no answer", "timeout");
      resolve({ records: read(next), exists: true, security: "insecure", name: text });
    });
  const addresses = () => ["192.0.2.7", "2001:db8::7", "nonsense", ""];
  const context = {
    asked: 0,
    now: () => 0,
    random: () => 0,
    resolver: {
      txt: answer((next) => next.records),
      a: answer(addresses),
      aaaa: answer(addresses),
      ptr: answer((next) => next.records.map((_, index) => `h${index}.example`)),
      mx: answer((next) => next.records.map((text, index) => ({ preference: index, exchange: text.slice(0, 20) }))),
    },
  };
  return context;
}

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: "binary", maxLength: 40 }));

Deno.test("whatever is published, a check ends with a result after a bounded number of questions", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 8 }),
      fc.constantFrom("192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "", "x"),
      fc.oneof(text, fc.constant("ana@a.example")),
      fc.oneof(text, fc.constant("mail.a.example")),
      fc.constantFrom("helo", "mailfrom"),
      async (steps, ip, sender, helo, identity) => {
        const context = roulette(steps);
        const result = await checkSpf({ identity, ip, sender, helo, receiver: "mx.example.org" }, context);
        assert.ok(VERDICTS.includes(result.result));
        // Ten terms with ten hosts each, the records themselves, the client's names, and an explanation.
        assert.ok(context.asked <= 11 + 10 * 11 + 11 + 12, `${context.asked} questions`);
        assert.ok(/^[ -~]*$/.test(result.explanation ?? ""));
        const fields = [
          receivedSpfField(result, { ip, helo, sender, receiver: "mx.example.org" }),
          authenticationResultsField("mx.example.org", { spfMailFrom: result }, ip),
        ];
        for (const bytes of fields) assert.equal(parseHeader(bytes).fields.length, 1);
      },
    ),
    { numRuns: runs(400) },
  );
});

Deno.test("whatever reverse names say, the lookup ends", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const context = roulette(steps);
      const { result } = await checkIprev("192.0.2.7", context);
      assert.ok(["pass", "fail", "temperror", "permerror"].includes(result));
      assert.ok(context.asked <= 11);
    }),
    { numRuns: runs(200) },
  );
});

Deno.test("records and macros are read in time that grows with their length", () => {
  const long = 65_000;
  for (
    const record of [
      `v=spf1 ${"a ".repeat(long / 2)}`,
      `v=spf1 ip4:${"1".repeat(long)}`,
      `v=spf1 a:${"a.".repeat(long / 2)}`,
      `v=spf1 a:x.${"1".repeat(long)}`,
      `v=spf1 a:x.${"a".repeat(long)}!`,
      `v=spf1 a:${"%{d}".repeat(long / 4)}`,
      `v=spf1 a:${"%{d".repeat(long / 3)}`,
      `v=spf1 a:x${"/1".repeat(long / 2)}`,
      `v=spf1 ${"x".repeat(long)}=`,
      `v=spf1 ip6:${":".repeat(long)}`,
      `v=spf1${" ".repeat(long)}x`,
    ]
  ) {
    // A quadratic reading of one of these takes minutes.
    assert.ok(["record", "broken"].includes(parseSpfRecord(record).kind));
  }
  assert.ok(parseMacroText("%{d}".repeat(long / 4), "explanation") !== undefined);
});

Deno.test("a record of 64 KB with a hundred includes costs ten lookups", async () => {
  const includes = Array.from({ length: 100 }, (_, index) => `include:i${index}.example`).join(" ");
  const networks = "ip4:198.51.100.0/24 ".repeat(3000);
  const context = roulette([{ records: [`v=spf1 ${networks}${includes} -all`], fails: false }]);
  const result = await checkSpf({
    identity: "mailfrom",
    ip: "192.0.2.7",
    sender: "ana@a.example",
    helo: "x.example",
    receiver: "",
  }, context);
  assert.equal(result.result, "permerror");
  assert.equal(context.asked, 11);
});

Deno.test("any Authentication-Results field is either taken for ours or not", () => {
  fc.assert(
    fc.property(text, (value) => {
      const bytes = new TextEncoder().encode(`Authentication-Results: ${value}\r\n`);
      for (const field of parseHeader(bytes).fields) {
        assert.equal(typeof claimsToBe(field, ["mx.example.org"]), "boolean");
      }
    }),
    { numRuns: runs(300) },
  );
});
