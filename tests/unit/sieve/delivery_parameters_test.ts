/** DSN and DELIVERBY parameters in the envelope and for redirected mail (RFC 6009). */

import assert from "node:assert/strict";
import { errorsOf, holds, run } from "./script.ts";

const REQUIRE = 'require ["envelope", "envelope-dsn", "envelope-deliverby", "redirect-dsn", "redirect-deliverby", ' +
  '"date", "relational", "comparator-i;ascii-numeric", "copy"];';

const ENVELOPE = {
  from: "ann@example.org",
  to: "bob@example.net",
  notify: "SUCCESS,DELAY",
  orcpt: "rfc822;team@example.com",
  ret: "HDRS",
  envid: "QQ314159",
  by_time_absolute: "1767222000",
  by_time_relative: "-5",
  by_mode: "R",
  by_trace: "true",
};

Deno.test("the envelope test reads the parameters of MAIL and RCPT", async () => {
  const options = { before: REQUIRE, envelope: ENVELOPE };
  assert.equal(await holds('envelope "notify" "delay"', options), true);
  assert.equal(await holds('envelope "notify" "FAILURE"', options), false);
  assert.equal(await holds('envelope :comparator "i;ascii-numeric" :count "eq" "notify" "2"', options), true);
  assert.equal(await holds('envelope :matches "orcpt" "rfc822;*@example.com"', options), true);
  assert.equal(await holds('envelope "ret" "HDRS"', options), true);
  assert.equal(await holds('envelope :comparator "i;octet" "envid" "QQ314159"', options), true);
  assert.equal(await holds('envelope "bytimerelative" "-5"', options), true);
  assert.equal(await holds('envelope "bymode" "return"', options), true);
  assert.equal(await holds('envelope "bytrace" "trace"', options), true);
  const untraced = { ...options, envelope: { ...ENVELOPE, by_trace: "false" } };
  assert.equal(await holds('envelope "bytrace" ""', untraced), true);
  assert.equal(await holds('envelope :comparator "i;ascii-numeric" :count "eq" "bytrace" "1"', untraced), true);
});

Deno.test("of what is no address no part can be taken", async () => {
  for (const part of ["notify", "orcpt", "ret", "envid", "bytimeabsolute", "bytimerelative", "bymode", "bytrace"]) {
    const [problem = ""] = errorsOf(`${REQUIRE} if envelope :localpart ["from", "${part}"] "x" {}`);
    assert.match(problem, /the envelope part '.*' is no address, of which ':localpart' could be taken/);
    assert.equal(errorsOf(`${REQUIRE} if envelope :all "${part}" "x" {}`).length, 1, part);
  }
  const late = 'require "variables"; set "part" "ret"; if envelope :domain "${part}" "x" {}';
  assert.match((await run(`${REQUIRE} ${late}`)).error?.message ?? "", /'ret' is no address/);
});

Deno.test("the deadline is shown in the zone that is asked for", async () => {
  const options = { before: REQUIRE, envelope: ENVELOPE };
  assert.equal(await holds('envelope "bytimeabsolute" "2025-12-31T23:00:00Z"', options), true);
  assert.equal(await holds('envelope :zone "+0100" "bytimeabsolute" "2026-01-01T00:00:00+01:00"', options), true);
  assert.match(errorsOf(`${REQUIRE} if envelope :zone "CET" "bytimeabsolute" "x" {}`)[0] ?? "", /not a time zone/);
});

Deno.test("parameters that were not given match nothing", async () => {
  for (const part of ["notify", "orcpt", "ret", "envid", "bytimeabsolute", "bytimerelative", "bymode", "bytrace"]) {
    assert.equal(await holds(`envelope :matches "${part}" "*"`, { before: REQUIRE }), false, part);
  }
});

Deno.test("redirect says who is told of what, and until when", async () => {
  const outcome = await run(
    `${REQUIRE} redirect :copy :notify "success,FAILURE" :ret "full" :bytimerelative 600 :bymode "notify" :bytrace ` +
      '"a@example.org"; redirect :copy :bytimeabsolute "1970-01-01T01:00:00+00:00" "b@example.org"; ' +
      'redirect :copy :notify "NEVER" "c@example.org";',
  );
  const redirected = outcome.actions.map((action) => {
    assert.ok(action.kind === "redirect");
    const { address, notify, ret, by } = action;
    return { address, notify, ret, by };
  });
  assert.deepEqual(redirected, [
    {
      address: "a@example.org",
      notify: "SUCCESS,FAILURE",
      ret: "FULL",
      by: { seconds: 600, mode: "notify", trace: true },
    },
    {
      address: "b@example.org",
      notify: undefined,
      ret: undefined,
      by: { seconds: 3600, absolute: "1970-01-01T01:00:00.000Z", mode: "return", trace: false },
    },
    { address: "c@example.org", notify: "NEVER", ret: undefined, by: undefined },
  ]);
});

Deno.test("wrong values of the tags are errors with their places", () => {
  const wrong = [
    ':notify "NEVER,SUCCESS"',
    ':notify "SUCCESS,SUCCESS"',
    ':notify "sometimes"',
    ':ret "some"',
    ':bytimeabsolute "tomorrow"',
    ':bymode "notify"',
    ":bytrace",
    ':bytimerelative 1 :bymode "trace"',
    ':bytimerelative 1 :bytimeabsolute "2026-01-01T00:00:00Z"',
  ];
  for (const tags of wrong) {
    assert.equal(errorsOf(`${REQUIRE} redirect ${tags} "a@example.org";`).length, 1, tags);
  }
});
