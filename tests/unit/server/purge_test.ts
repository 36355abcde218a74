import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/mod.ts";
import { nextTime, startPurges } from "../../../src/server/purge.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

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

Deno.test("a purge of the queue's store deletes the history that is older than a week", async () => {
  const { config } = parseConfig(`
store.data = { type = "libsql", url = "file:queue.db", purge.frequency = "0 3 *" }
store.counters = { type = "libsql", url = "file:counters.db", purge.frequency = "0 4 *" }
storage = { data = "data", lookup = "counters" }
`);
  assert.ok(config);
  const clock = new FakeClock(at(1, 5, 2, 30));
  const store: Store = {
    write: (statements) => Promise.resolve(statements.map(() => ({ changes: 0, rows: [] }))),
    read: () => Promise.resolve({ columns: [], rows: [] }),
    close: () => Promise.resolve(),
  };
  const before: number[] = [];
  const purges = startPurges(config, {
    stores: new Map([["data", store], ["counters", store]]),
    purgeHistory(time) {
      before.push(time);
      return Promise.resolve(0);
    },
    clock,
    emit: () => {},
  });
  await clock.advance(24 * 3_600_000);
  purges.close();
  assert.deepEqual(before, [at(1, 5, 3, 0) - 7 * 86_400_000]);
  assert.equal(clock.pending, 0);
});
