import assert from "node:assert/strict";
import { dueTime, periodOf } from "../../../../src/report/aggregate/period.ts";

const HOUR = 3_600_000;
const iso = ({ begins, ends }: { begins: number; ends: number }) =>
  [begins, ends].map((time) => new Date(time).toISOString().slice(0, 16));

Deno.test("periods are hours, days and weeks of UTC", () => {
  // A Tuesday.
  const time = Date.UTC(2026, 0, 6, 23, 59, 59);
  assert.deepEqual(iso(periodOf(time, "hourly")), ["2026-01-06T23:00", "2026-01-07T00:00"]);
  assert.deepEqual(iso(periodOf(time, "daily")), ["2026-01-06T00:00", "2026-01-07T00:00"]);
  assert.deepEqual(iso(periodOf(time, "weekly")), ["2026-01-05T00:00", "2026-01-12T00:00"]);
});

Deno.test("a week begins on Monday at midnight", () => {
  assert.deepEqual(iso(periodOf(Date.UTC(2026, 0, 4, 23, 59), "weekly")), ["2025-12-29T00:00", "2026-01-05T00:00"]);
  assert.deepEqual(iso(periodOf(Date.UTC(2026, 0, 5), "weekly")), ["2026-01-05T00:00", "2026-01-12T00:00"]);
});

Deno.test("reports fall due within four hours, hourly ones within ten minutes, and not all at once", () => {
  const domains = Array.from({ length: 500 }, (_, index) => `d${index}.example`);
  const delays = (interval: "hourly" | "daily") => {
    const period = periodOf(Date.UTC(2026, 0, 6, 12), interval);
    return domains.map((domain) => dueTime(period, domain, "example.net") - period.ends);
  };
  for (const [interval, most] of [["hourly", 12 / 60], ["daily", 4.1]] as const) {
    const found = delays(interval);
    assert.ok(Math.min(...found) >= 2 * 60_000);
    assert.ok(Math.max(...found) < most * HOUR);
    // The quarters of the time have about as many each.
    const [least, length] = [Math.min(...found), Math.max(...found) - Math.min(...found)];
    const first = found.filter((delay) => delay - least < length / 4).length;
    assert.ok(first > 80 && first < 170, `${first} in the first quarter`);
  }
});

Deno.test("a domain is told at the same time each day, by each sender at another", () => {
  const time = (day: number, reporter: string) => {
    const period = periodOf(Date.UTC(2026, 0, day), "daily");
    return dueTime(period, "d.example", reporter) - period.ends;
  };
  assert.equal(time(6, "example.net"), time(7, "example.net"));
  assert.notEqual(time(6, "example.net"), time(6, "example.org"));
});
