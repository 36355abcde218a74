/** Deletes what has expired, when `store.<id>.purge.frequency` says so. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Config, Cron } from "../config/mod.ts";
import { purgeSeen } from "../filter/mod.ts";
import { purgePolicies } from "../outbound/mod.ts";
import { purgeAggregates, purgeReports } from "../report/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/mod.ts";
import { purgeStatements } from "../throttle/mod.ts";

/** Regular purges of the stores that hold godwit's own tables. */
export interface Purges {
  /** Uses the times of another configuration. */
  reconfigure(config: Config): void;
  close(): void;
}

/** What purges work on. */
export interface PurgeOptions {
  readonly stores: ReadonlyMap<string, Store>;
  /** Deletes the history of messages that were accepted before a time and are gone; gives the number of rows. */
  readonly purgeHistory: (before: number) => Promise<number>;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** How long the history of a message is kept after it has left the queue, in milliseconds. */
const HISTORY_KEPT = 7 * 86_400_000;

/** Plans the purges. */
export function startPurges(initial: Config, { stores, purgeHistory, clock, emit }: PurgeOptions): Purges {
  let timers = new Map<string, Timer>();

  const purge = async (id: string, store: Store, holdsQueue: boolean) => {
    const started = clock.now();
    emit("purge.started", { id });
    try {
      const results = await store.write([
        ...purgeStatements(started),
        purgeSeen(started),
        purgePolicies(started),
      ]);
      const history = holdsQueue ? await purgeHistory(started - HISTORY_KEPT) : 0;
      const reports = holdsQueue ? await purgeReports(store, started) + await purgeAggregates(store, started) : 0;
      const deleted = results.reduce((sum, { changes }) => sum + changes, history + reports);
      emit("purge.finished", { id, deleted, elapsed: clock.now() - started });
    } catch (error) {
      emit("purge.error", { id, reason: error instanceof Error ? error.message : String(error) });
    }
  };

  const plan = (id: string, store: Store, cron: Cron, holdsQueue: boolean, into: Map<string, Timer>) => {
    const now = clock.now();
    into.set(
      id,
      clock.after(nextTime(cron, now) - now, () => {
        purge(id, store, holdsQueue);
        plan(id, store, cron, holdsQueue, into);
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
      if (store !== undefined && settings?.type === "libsql") {
        plan(id, store, settings.purgeFrequency, id === config.storage.data, timers);
      }
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
