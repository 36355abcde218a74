/**
 * How many of something there are at the same time, on all nodes together.
 *
 * Each node has a row per key that says how many it has. The row is a lease: it counts until the node ceases to renew
 * it, so what a crashed node held is free again when its lease runs out, or at once when the node comes back. For limits
 * of ten and more a node keeps a tenth of them for the next client instead of giving them back at once.
 */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Statement, Store } from "../store/mod.ts";
import { reachStore } from "./reach_store.ts";

/** Gives a slot back; harmless when called again. */
export type Release = () => void;

/** Counts what is there at the moment. */
export interface SlotCounter {
  /**
   * Takes a slot.
   *
   * @returns what gives it back, or `undefined` if `limit` are taken
   * @throws {LookupUnavailable} (rejects) if the store cannot be used
   */
  acquire(key: string, limit: number): Release | undefined | Promise<Release | undefined>;
  /** Gives everything back. Never rejects. */
  close(): Promise<void>;
}

/** What {@link openSlotCounter} needs. */
export interface SlotOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Name of this node, the same after a restart. */
  readonly holder: string;
  /** Milliseconds after which the slots of a node that fell silent are free. */
  readonly lease: number;
}

// ?1 key, ?2 holder, ?3 slots in use here, ?4 slots wanted here, ?5 limit, ?6 now, ?7 end of the lease.
const CLAIM = "INSERT INTO slots (key, holder, used, until) SELECT ?1, ?2, max(?3, min(?4, ?5 - (SELECT " +
  "coalesce(sum(used), 0) FROM slots WHERE key = ?1 AND holder <> ?2 AND until > ?6))), ?7 WHERE true " +
  "ON CONFLICT (key, holder) DO UPDATE SET used = excluded.used, until = excluded.until RETURNING used";
const RENEW = "UPDATE slots SET until = ? WHERE holder = ?";
const DROP = "DELETE FROM slots WHERE key = ? AND holder = ?";
const DROP_ALL = "DELETE FROM slots WHERE holder = ?";

/** One in this many slots is kept when it comes free. */
const SPARE_SHARE = 10;

interface Held {
  limit: number;
  /** Slots that are in use here. */
  busy: number;
  /** Slots that the store has for us. */
  granted: number;
  waiting: { readonly succeed: (release: Release | undefined) => void; readonly fail: (error: unknown) => void }[];
  /** A statement about this key is under way. */
  working: boolean;
}

/** Makes a counter over the tables of `store`. What an earlier run of this node held is given back first. */
export async function openSlotCounter(options: SlotOptions): Promise<SlotCounter> {
  const { store, clock, holder, lease } = options;
  const slots = new Map<string, Held>();
  let timer: Timer | undefined;
  let closed = false;
  await store.write([{ sql: DROP_ALL, args: [holder] }]);

  const claim = async (key: string, held: Held, wanted: number) => {
    const now = clock.now();
    const args = [key, holder, held.busy, wanted, held.limit, now, now + lease];
    const [result] = await store.write([{ sql: CLAIM, args }]);
    return Number(result?.rows[0]?.[0] ?? held.busy);
  };

  const spare = (held: Held) => Math.floor(held.limit / SPARE_SHARE);

  const releaseOf = (key: string, held: Held): Release => {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      held.busy--;
      if (held.granted > held.busy + spare(held)) work(key, held);
    };
  };

  /** Brings the row of `key` in line with what is wanted here, as often as that changes. */
  const work = async (key: string, held: Held) => {
    if (held.working || closed) return;
    held.working = true;
    arm();
    while (!closed && (held.waiting.length > 0 || held.granted > held.busy + spare(held))) {
      const served = held.waiting;
      held.waiting = [];
      try {
        if (served.length === 0 && held.busy + spare(held) === 0) {
          await store.write([{ sql: DROP, args: [key, holder] }]);
          held.granted = 0;
        } else {
          held.granted = await reachStore(() => claim(key, held, held.busy + served.length + spare(held)));
        }
        for (const { succeed } of served) {
          if (held.busy < held.granted) {
            held.busy++;
            succeed(releaseOf(key, held));
          } else {
            succeed(undefined);
          }
        }
      } catch (error) {
        for (const { fail } of served) fail(error);
        // What could not be given back is tried again at the next renewal.
        if (served.length === 0) break;
      }
    }
    held.working = false;
    for (const { succeed } of held.waiting.splice(0)) succeed(undefined);
    if (held.busy === 0 && held.granted === 0) slots.delete(key);
  };

  const renew = async () => {
    const unused = [...slots].filter(([, held]) => held.busy === 0 && !held.working);
    for (const [key] of unused) slots.delete(key);
    const statements: Statement[] = unused.map(([key]) => ({ sql: DROP, args: [key, holder] }));
    statements.push({ sql: RENEW, args: [clock.now() + lease, holder] });
    try {
      await store.write(statements);
      for (const [key, held] of slots) if (held.granted > held.busy + spare(held)) work(key, held);
    } catch {
      // The store says itself that it is away; the next renewal tries again.
      for (const [key, held] of unused) if (!slots.has(key)) slots.set(key, held);
    }
  };

  const arm = () => {
    timer ??= clock.after(lease / 3, () => {
      timer = undefined;
      if (closed || slots.size === 0) return;
      renew().finally(() => {
        if (!closed && slots.size > 0) arm();
      });
    });
  };

  return {
    acquire(key, limit) {
      if (closed) return undefined;
      let held = slots.get(key);
      if (held === undefined) {
        held = { limit, busy: 0, granted: 0, waiting: [], working: false };
        slots.set(key, held);
      }
      held.limit = limit;
      // Who waits has come first.
      if (held.waiting.length === 0 && !held.working) {
        if (held.busy >= limit) return undefined;
        if (held.busy < held.granted) {
          held.busy++;
          return releaseOf(key, held);
        }
      }
      const { waiting } = held;
      const waits = new Promise<Release | undefined>((succeed, fail) => waiting.push({ succeed, fail }));
      work(key, held);
      return waits;
    },
    async close() {
      closed = true;
      timer?.cancel();
      try {
        await store.write([{ sql: DROP_ALL, args: [holder] }]);
      } catch {
        // The lease ends it.
      }
    },
  };
}
