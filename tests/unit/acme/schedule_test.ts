import assert from "node:assert/strict";
import { AcmeError } from "../../../src/acme/problem.ts";
import { LONGEST_PAUSE, longestPause, pauseAfter, renewalTime, spreadOf } from "../../../src/acme/schedule.ts";

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

const paused = (error: AcmeError, failures: number, more: { now?: number; random?: number; longest?: number } = {}) =>
  pauseAfter(error, failures, { now: 0, random: 0, longest: LONGEST_PAUSE, ...more });

const LIMIT = {
  type: "urn:ietf:params:acme:error:rateLimited",
  detail: "",
  status: 429,
  identifier: undefined,
  subproblems: [],
};

Deno.test("pauses double up to half a day, or to an hour where nobody was reached", () => {
  const refused = new AcmeError("no", { kind: "refused" });
  const away = new AcmeError("no", { kind: "network" });
  const minutes = (error: AcmeError, failures: number) => paused(error, failures).length / MINUTE;
  assert.deepEqual([1, 2, 3, 4, 7, 100].map((n) => minutes(refused, n)), [15, 30, 60, 120, 720, 720]);
  assert.deepEqual([1, 2, 3, 7, 100].map((n) => minutes(away, n)), [1, 2, 4, 60, 60]);
  assert.equal(paused(away, 1, { random: 1 }).length, 1.25 * MINUTE);
  assert.equal(paused(refused, 100, { longest: 2 * HOUR }).length, 2 * HOUR);
});

Deno.test("a limit of the authority counts as an hour, or as long as it says, up to a day", () => {
  assert.deepEqual(paused(new AcmeError("no", { kind: "refused", problem: LIMIT }), 1), { length: HOUR, asked: 0 });
  const until = new AcmeError("no", { kind: "refused", problem: LIMIT, notBefore: 3 * DAY });
  assert.deepEqual(paused(until, 1, { now: 2.5 * DAY }), { length: DAY / 2, asked: DAY / 2 });
  assert.deepEqual(paused(until, 1, { now: DAY }), { length: DAY, asked: DAY });
  assert.deepEqual(paused(until, 1, { now: DAY, longest: 3 * HOUR }), { length: 3 * HOUR, asked: 3 * HOUR });
  // A time that is over asks for nothing.
  assert.deepEqual(paused(until, 1, { now: 4 * DAY }), { length: 15 * MINUTE, asked: 0 });
  assert.equal(paused(new AcmeError("no", { kind: "network", notBefore: Infinity }), 1).length, DAY);
});

Deno.test("no pause takes more than half of what is left of a certificate", () => {
  assert.equal(longestPause(undefined, 0), DAY);
  assert.equal(longestPause(90 * DAY, 60 * DAY), DAY);
  assert.equal(longestPause(90 * DAY, 89 * DAY), DAY / 2);
  assert.equal(longestPause(90 * DAY, 90 * DAY - MINUTE), HOUR);
  assert.equal(longestPause(90 * DAY, 90 * DAY), HOUR);
  // Whoever lives with an expired one for long does not ask the authority more often than others.
  assert.equal(longestPause(90 * DAY, 90 * DAY + 6 * HOUR), 6 * HOUR);
  assert.equal(longestPause(90 * DAY, 100 * DAY), DAY);
});
