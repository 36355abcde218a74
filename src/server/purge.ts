/** Deletes what has expired, when `store.<id>.purge.frequency` says so. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Config, Cron } from "../config/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/mod.ts";
import { purgeStatements } from "../throttle/mod.ts";

/** Regular purges of the stores that hold godwit's own tables. */
export interface Purges {
  /** Uses the times of another configuration. */
  reconfigure(config: Config): void;
  close(): void;
}

/** Plans the purges. */
export function startPurges(
  initial: Config,
  { stores, clock, emit }: { readonly stores: ReadonlyMap<string, Store>; readonly clock: Clock; readonly emit: Emit },
): Purges {
  let timers = new Map<string, Timer>();

  const purge = async (id: string, store: Store) => {
    const started = clock.now();
    emit("purge.started", { id });
    try {
      const results = await store.write(purgeStatements(started));
      const deleted = results.reduce((sum, { changes }) => sum + changes, 0);
      emit("purge.finished", { id, deleted, elapsed: clock.now() - started });
    } catch (error) {
      emit("purge.error", { id, reason: error instanceof Error ? error.message : String(error) });
    }
  };

  const plan = (id: string, store: Store, cron: Cron, into: Map<string, Timer>) => {
    const now = clock.now();
    into.set(
      id,
      clock.after(nextTime(cron, now) - now, () => {
        purge(id, store);
        plan(id, store, cron, into);
      }),
    );
  };

  const cancel = () => {
    for (const timer of timers.values()) timer.cancel();
    timers = new Map();
  };

  const planAll = (config: Config) => {
    cancel();
    for (const id of new Set([config.storage.data, config.storage.lookup])) {
      const store = stores.get(id);
      const settings = config.stores.get(id);
      if (store !== undefined && settings?.type === "libsql") plan(id, store, settings.purgeFrequency, timers);
    }
  };

  planAll(initial);
  return { reconfigure: planAll, close: cancel };
}

const MINUTE = 60_000;
/** The longest pause between two times of a {@link Cron}: a week, and an hour that the clocks may be set back. */
const LONGEST_PAUSE = (7 * 24 + 2) * 60;

/** The first full minute after `now` that a time of the form minute, hour, weekday names, in local time. */
export function nextTime({ minute, hour, weekday }: Cron, now: number): number {
  let time = Math.floor(now / MINUTE) * MINUTE;
  for (let step = 0; step < LONGEST_PAUSE; step++) {
    time += MINUTE;
    const date = new Date(time);
    if (date.getMinutes() !== minute) continue;
    if (hour !== undefined && date.getHours() !== hour) continue;
    if (weekday !== undefined && (date.getDay() || 7) !== weekday) continue;
    return time;
  }
  // An hour that was skipped this week, as the clocks went forward.
  return time;
}
