/**
 * Rates that all nodes count together.
 *
 * A rate of n in p allows n events in the period that begins with the first of them; with the end of the period the count
 * begins anew. The count is a row of the store, changed by one atomic statement. A node takes a fiftieth of the rate at a
 * time, so that most events cost no statement: the limit is never exceeded, and several nodes together may stop up to
 * one such part per node before it.
 */

import type { Clock } from "../clock/mod.ts";
import type { Rate } from "../config/config.ts";
import type { Store } from "../store/mod.ts";
import { reachStore } from "./reach_store.ts";

/** Counts events. */
export interface RateCounter {
  /**
   * Counts one event.
   *
   * @returns false if the rate is used up; the event is not counted then
   * @throws {LookupUnavailable} (rejects) if the store cannot be used
   */
  take(key: string, rate: Rate): boolean | Promise<boolean>;
  /** Takes back an event that was counted and did not happen. */
  giveBack(key: string): void;
  /** When a count that is used up begins anew, milliseconds since the epoch; undefined if it is not known to be. */
  fullUntil(key: string): number | undefined;
  /** Begins a new count. Rejects as `take` does. */
  forget(key: string): Promise<void>;
  /**
   * Whether the rate is used up, without counting anything.
   *
   * @throws {LookupUnavailable} (rejects) if the store cannot be used
   */
  isUsedUp(key: string, rate: Rate): Promise<boolean>;
}

/** Rows that expire are written over; ?1 key, ?2 now, ?3 period, ?4 wanted, ?5 limit, ?6 latest believable end. */
const STALE = "(ends <= ?2 OR ends > ?6)";
const SO_FAR = `CASE WHEN ${STALE} THEN 0 ELSE used END`;
const GRANTED = `min(?4, max(0, ?5 - ${SO_FAR}))`;
const TAKE = "INSERT INTO rates (key, ends, used, granted) VALUES (?1, ?2 + ?3, min(?4, ?5), min(?4, ?5)) " +
  `ON CONFLICT (key) DO UPDATE SET granted = ${GRANTED}, used = ${SO_FAR} + ${GRANTED}, ` +
  `ends = CASE WHEN ${STALE} THEN ?2 + ?3 ELSE ends END RETURNING granted, ends`;
const FORGET = "DELETE FROM rates WHERE key = ?";
const USED = "SELECT used FROM rates WHERE key = ? AND ends > ?";

/** An end further away than period and this was written by a clock that was wrong. */
const CLOCK_TOLERANCE = 3_600_000;

/** Share of a rate that a node takes at once: one in this many. */
const SHARES = 50;
const LARGEST_SHARE = 1000;

/** Keys that are remembered; one that is forgotten costs a statement when it comes up again. */
const MOST_KEYS = 20_000;

interface Window {
  /** Events that may happen without asking. */
  left: number;
  ends: number;
  /** The store has no more until `ends`. */
  full: boolean;
  waiting: { readonly succeed: (granted: boolean) => void; readonly fail: (error: unknown) => void }[];
  asking: boolean;
  /** Settles when nobody waits any more; never rejects. */
  asked: Promise<void>;
}

/** What {@link createRateCounter} needs. */
export interface RateCounterOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Most keys that are remembered. */
  readonly mostKeys?: number;
}

/** Makes a counter over the tables of `store`. */
export function createRateCounter(options: RateCounterOptions): RateCounter {
  const { store, clock, mostKeys = MOST_KEYS } = options;
  const windows = new Map<string, Window>();

  const remember = (key: string): Window => {
    const window: Window = { left: 0, ends: 0, full: false, waiting: [], asking: false, asked: Promise.resolve() };
    windows.set(key, window);
    if (windows.size > mostKeys) {
      for (const [old, { asking }] of windows) {
        if (asking) continue;
        windows.delete(old);
        break;
      }
    }
    return window;
  };

  /** The window of a key, now the one used last: those in use must not be forgotten for many that come once. */
  const windowOf = (key: string): Window => {
    const window = windows.get(key);
    if (window === undefined) return remember(key);
    windows.delete(key);
    windows.set(key, window);
    return window;
  };

  const askStore = async (key: string, rate: Rate, wanted: number) => {
    const now = clock.now();
    const args = [key, now, rate.period, wanted, rate.count, now + rate.period + CLOCK_TOLERANCE];
    const [result] = await reachStore(() => store.write([{ sql: TAKE, args }]));
    const [granted, ends] = result?.rows[0] ?? [];
    return { granted: Number(granted ?? 0), ends: Number(ends ?? 0) };
  };

  /** Asks as often as somebody waits; one statement serves all who wait when it starts. */
  const serve = async (key: string, rate: Rate, window: Window) => {
    const share = Math.min(LARGEST_SHARE, Math.max(1, Math.floor(rate.count / SHARES)));
    window.asking = true;
    while (window.waiting.length > 0) {
      const served = window.waiting;
      window.waiting = [];
      const wanted = Math.max(share, served.length);
      try {
        const { granted, ends } = await askStore(key, rate, wanted);
        window.left = granted;
        window.ends = ends;
        window.full = granted < wanted;
        for (const { succeed } of served) succeed(window.left-- > 0);
        window.left = Math.max(0, window.left);
      } catch (error) {
        for (const { fail } of served) fail(error);
      }
    }
    window.asking = false;
  };

  return {
    take(key, rate) {
      const window = windowOf(key);
      if (clock.now() < window.ends) {
        if (window.left > 0) {
          window.left--;
          return true;
        }
        if (window.full) return false;
      }
      return new Promise((succeed, fail) => {
        window.waiting.push({ succeed, fail });
        if (!window.asking) window.asked = serve(key, rate, window);
      });
    },
    giveBack(key) {
      const window = windows.get(key);
      if (window !== undefined && clock.now() < window.ends) window.left++;
    },
    fullUntil(key) {
      const window = windows.get(key);
      return window?.full === true && clock.now() < window.ends ? window.ends : undefined;
    },
    async forget(key) {
      windows.delete(key);
      await reachStore(() => store.write([{ sql: FORGET, args: [key] }]));
    },
    async isUsedUp(key, rate) {
      const window = windows.get(key);
      // What is being counted at the moment has happened before.
      if (window?.asking === true) await window.asked;
      const now = clock.now();
      if (window !== undefined && now < window.ends) {
        if (window.left > 0) return false;
        if (window.full) return true;
      }
      const { rows } = await reachStore(() => store.read(USED, [key, now]));
      return Number(rows[0]?.[0] ?? 0) >= rate.count;
    },
  };
}
