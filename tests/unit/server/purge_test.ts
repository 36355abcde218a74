import assert from "node:assert/strict";
import { nextTime } from "../../../src/server/purge.ts";

/** Local time, as the times of the configuration are. */
const at = (month: number, day: number, hour: number, minute: number, second = 0) =>
  new Date(2026, month - 1, day, hour, minute, second).getTime();

Deno.test("the next time is the first full minute that fits, never the present one", () => {
  const daily = { minute: 0, hour: 3, weekday: undefined };
  // 5 January 2026 is a Monday.
  assert.equal(nextTime(daily, at(1, 5, 2, 59, 59)), at(1, 5, 3, 0));
  assert.equal(nextTime(daily, at(1, 5, 3, 0)), at(1, 6, 3, 0));
  assert.equal(nextTime({ minute: 30, hour: undefined, weekday: undefined }, at(1, 5, 12, 29)), at(1, 5, 12, 30));
  assert.equal(nextTime({ minute: 30, hour: undefined, weekday: undefined }, at(1, 5, 12, 31)), at(1, 5, 13, 30));
});

Deno.test("weekdays count from Monday, Sunday is 7", () => {
  assert.equal(nextTime({ minute: 5, hour: 4, weekday: 7 }, at(1, 5, 12, 0)), at(1, 11, 4, 5));
  assert.equal(nextTime({ minute: 5, hour: 4, weekday: 1 }, at(1, 5, 12, 0)), at(1, 12, 4, 5));
  assert.equal(nextTime({ minute: 5, hour: undefined, weekday: 1 }, at(1, 5, 12, 0)), at(1, 5, 12, 5));
});
