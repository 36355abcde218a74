/**
 * Where jobs wait for a place, and what those hear for whom there is no room to wait.
 *
 * A few jobs per place wait in memory, so that a place that comes free is taken at once. All others go back to the
 * queue with a time of their own: times are handed out one after the other, about as fast as places come free, so that
 * a long queue does not come back all at once only to be sent away again.
 */

import type { Clock } from "../clock/mod.ts";

/** Jobs that wait, by what they wait for. */
export interface WaitingRoom {
  /** Whether anybody waits for anything. */
  readonly occupied: boolean;
  /**
   * Waits for `wake`.
   *
   * @param options.most how many may wait for `key`
   * @param options.until milliseconds since the epoch
   * @returns false if there is no room, time is over or `signal` aborts
   */
  wait(
    key: string,
    options: { readonly most: number; readonly until: number; readonly signal: AbortSignal },
  ): Promise<boolean>;
  /** A place is free: whoever has waited longest for `key` goes on. */
  wake(key: string): void;
  /**
   * Milliseconds after which one who is sent away should come back.
   *
   * @param spacing milliseconds between two places that come free
   * @param earliest milliseconds until the first one may
   */
  turn(key: string, spacing: number, earliest: number): number;
}

/** Keys with times handed out that are remembered. */
const MOST_TURNS = 10_000;
/** Nobody is sent away for longer, in milliseconds. */
const LONGEST_TURN = 10 * 60_000;
/** Times follow one another faster than places come free, for some of those who wait will not come back. */
const HASTE = 2;

/** Makes an empty room. */
export function createWaitingRoom(clock: Clock): WaitingRoom {
  const waiting = new Map<string, ((woken: boolean) => void)[]>();
  const turns = new Map<string, number>();

  const leave = (key: string, waiter: (woken: boolean) => void) => {
    const waiters = waiting.get(key);
    const index = waiters?.indexOf(waiter) ?? -1;
    if (waiters === undefined || index < 0) return;
    waiters.splice(index, 1);
    if (waiters.length === 0) waiting.delete(key);
  };

  return {
    get occupied() {
      return waiting.size > 0;
    },
    wait(key, { most, until, signal }) {
      const waiters = waiting.get(key) ?? [];
      const left = until - clock.now();
      if (waiters.length >= most || left <= 0 || signal.aborted) return Promise.resolve(false);
      return new Promise((resolve) => {
        const end = (woken: boolean) => {
          timer.cancel();
          signal.removeEventListener("abort", giveUp);
          leave(key, end);
          resolve(woken);
        };
        const giveUp = () => end(false);
        const timer = clock.after(left, giveUp);
        signal.addEventListener("abort", giveUp, { once: true });
        waiters.push(end);
        waiting.set(key, waiters);
      });
    },
    wake(key) {
      waiting.get(key)?.[0]?.(true);
    },
    turn(key, spacing, earliest) {
      const now = clock.now();
      const last = turns.get(key) ?? 0;
      turns.delete(key);
      const next = Math.min(Math.max(last + spacing / HASTE, now + earliest), now + earliest + LONGEST_TURN);
      turns.set(key, next);
      if (turns.size > MOST_TURNS) {
        for (const oldest of turns.keys()) {
          turns.delete(oldest);
          break;
        }
      }
      return Math.ceil(next - now);
    },
  };
}
