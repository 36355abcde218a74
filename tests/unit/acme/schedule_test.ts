import assert from "node:assert/strict";
import { AcmeError } from "../../../src/acme/problem.ts";
import { pauseAfter, renewalTime, spreadOf } from "../../../src/acme/schedule.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const LIFE = { notBefore: 0, notAfter: 90 * DAY };

Deno.test("a certificate is renewed so long before its end as is wanted, spread over half a day at most", () => {
  assert.equal(renewalTime(LIFE, 30 * DAY, undefined, 0), 60 * DAY);
  assert.equal(renewalTime(LIFE, 30 * DAY, undefined, 1), 60 * DAY + 12 * HOUR);
  assert.equal(renewalTime(LIFE, 2 * DAY, undefined, 1), 88 * DAY + 0.1 * DAY);
  // More than half of its life would be renewing all the time.
  assert.equal(renewalTime(LIFE, 100 * DAY, undefined, 0), 45 * DAY);
});

Deno.test("an authority can have it earlier, not later", () => {
  const window = (start: number, end: number) => ({ start: start * DAY, end: end * DAY });
  assert.equal(renewalTime(LIFE, 30 * DAY, window(40, 44), 0.25), 41 * DAY);
  assert.equal(renewalTime(LIFE, 30 * DAY, window(-2, -1), 0.5), -1.5 * DAY);
  assert.equal(renewalTime(LIFE, 30 * DAY, window(80, 84), 0), 60 * DAY);
});

Deno.test("a certificate has always the same place in a window", () => {
  assert.equal(spreadOf("a"), spreadOf("a"));
  assert.notEqual(spreadOf("a"), spreadOf("b"));
  for (const cert of ["a", "b", "c"]) assert.ok(spreadOf(cert) >= 0 && spreadOf(cert) < 1);
});

Deno.test("pauses double up to half a day, or to an hour where nobody was reached", () => {
  const refused = new AcmeError("no", { kind: "refused" });
  const away = new AcmeError("no", { kind: "network" });
  const minutes = (error: AcmeError, failures: number) => pauseAfter(error, failures, 0, 0) / MINUTE;
  assert.deepEqual([1, 2, 3, 4, 7, 100].map((n) => minutes(refused, n)), [15, 30, 60, 120, 720, 720]);
  assert.deepEqual([1, 2, 3, 7, 100].map((n) => minutes(away, n)), [1, 2, 4, 60, 60]);
  assert.equal(pauseAfter(away, 1, 0, 1), 1.25 * MINUTE);
});

Deno.test("a limit of the authority counts as an hour, or as long as it says", () => {
  const problem = {
    type: "urn:ietf:params:acme:error:rateLimited",
    detail: "",
    status: 429,
    identifier: undefined,
    subproblems: [],
  };
  assert.equal(pauseAfter(new AcmeError("no", { kind: "refused", problem }), 1, 0, 0), HOUR);
  const until = new AcmeError("no", { kind: "refused", problem, notBefore: 3 * DAY });
  assert.equal(pauseAfter(until, 1, DAY, 0), 2 * DAY);
});
