/** Dates of fields and of now, and the fields that are looked at (RFC 5260). */

import assert from "node:assert/strict";
import { errorsOf, holds, run } from "../script.ts";

const before = 'require ["date", "index", "relational", "comparator-i;ascii-numeric", "variables"];';
const MESSAGE = `Received: by a; Mon, 28 Feb 2022 22:31:00 +0000
Received: by b; Mon, 28 Feb 2022 21:00:00 +0100
Date: Tue, 01 Mar 2022 00:30:00 +0200
X-Delivered: soon
X-Delivered: Tue, 01 Mar 2022 00:30:00 +0200
X-Leap: Mon, 29 Feb 2021 12:00:00 +0000
X-Odd: Tue, 32 Jan 2022 12:00:00 +0000
To: one@example.org, two@example.org
Cc: three@example.org

`;
const options = { before, message: MESSAGE };

Deno.test("each part of a date is written as RFC 5260 has it", async () => {
  const parts: Readonly<Record<string, string>> = {
    year: "2022",
    month: "03",
    day: "01",
    date: "2022-03-01",
    // Day 0 is 1858-11-17, day 59580 is 2022-01-01; this is 59 days later.
    julian: "59639",
    hour: "00",
    minute: "30",
    second: "00",
    time: "00:30:00",
    iso8601: "2022-03-01T00:30:00+02:00",
    std11: "Tue, 01 Mar 2022 00:30:00 +0200",
    zone: "+0200",
    weekday: "2",
  };
  for (const [part, value] of Object.entries(parts)) {
    assert.equal(await holds(`date :originalzone "date" "${part.toUpperCase()}" "${value}"`, options), true, part);
  }
});

Deno.test("a zone without an offset is Z, and has a positive sign", async () => {
  assert.equal(await holds('date :zone "+0000" "date" "iso8601" "2022-02-28T22:30:00Z"', options), true);
  assert.equal(await holds('date :zone "-0000" "date" "zone" "+0000"', options), true);
});

Deno.test("without a zone the local one counts", async () => {
  const host = { zoneOffset: () => -330 };
  assert.equal(await holds('date "date" "iso8601" "2022-02-28T17:00:00-05:30"', { ...options, host }), true);
  assert.equal(await holds('currentdate "zone" "-0530"', { ...options, host }), true);
});

Deno.test("days that no calendar has are no dates", async () => {
  for (const field of ["x-leap", "x-odd", "to", "x-none"]) {
    assert.equal(await holds(`date :matches "${field}" "year" "*"`, options), false, field);
    const count = `date :count "eq" :comparator "i;ascii-numeric" "${field}" "year" "0"`;
    assert.equal(await holds(count, options), true, field);
  }
});

Deno.test("only the first field counts, or the one that is chosen", async () => {
  assert.equal(await holds('date :matches "x-delivered" "year" "*"', options), false);
  assert.equal(await holds('date :index 2 "x-delivered" "year" "2022"', options), true);
  assert.equal(await holds('date :zone "+0000" "received" "hour" "22"', options), true);
  assert.equal(await holds('date :zone "+0000" :index 1 :last "received" "hour" "20"', options), true);
});

Deno.test("fields of several names are counted as one row, in the order of the names", async () => {
  assert.equal(await holds('header :index 2 ["to", "cc"] "three@example.org"', options), true);
  assert.equal(await holds('address :index 2 ["cc", "to"] "two@example.org"', options), true);
  assert.equal(await holds('header :index 1 :last ["cc", "x-leap"] "three@example.org"', options), false);
  assert.equal(await holds('header :contains :index 3 ["to", "cc"] ""', options), false);
  assert.equal(errorsOf(`${before} if exists :index 1 "to" {}`).length, 1);
  assert.equal(errorsOf(`${before} if header :index 0 "to" "x" {}`).length, 1);
});

Deno.test("one run has one moment, however long it takes", async () => {
  let now = Date.UTC(2026, 0, 1, 12);
  const script = `${before} if currentdate :matches "time" "*" { set "a" "\${1}"; }
    if not currentdate :is "time" "\${a}" { discard; }`;
  const outcome = await run(script, { host: { now: () => now += 1000 } });
  assert.deepEqual(outcome.actions, []);
  assert.equal(outcome.error, undefined);
});
