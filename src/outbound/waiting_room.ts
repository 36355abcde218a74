/**
 * Where jobs wait for a limit of ours, and what those hear for whom there is no room to wait.
 *
 * Who waits for a connection does so with the place that it has in its queue, for a short time. All others wait without
 * one: whoever has the highest priority, and then has waited longest, goes on as soon as there is room. Of those who find
 * no room to wait each goes back to the queue with a time of its own: times are handed out one after the other, about as
 * fast as places come free, so that a long queue does not come back all at once only to be sent away again.
 */

import type { Clock, Timer } from "../clock/mod.ts";
import { createReady, type LocalWait, type Ranked, type Ready } from "../queue/mod.ts";

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
  /** There was room for one who was woken only to look; there may be for another one. */
  admitted(key: string): void;
  /**
   * What one hears who is sent away now.
   *
   * @param afterwards milliseconds until somebody looks for room although nobody has said that there is
   * @param turn milliseconds after which one comes back who finds no room to wait
   * @param isElsewhere whether other nodes alone have what is waited for
   */
  sentAway(key: string, afterwards: number, turn: () => number, isElsewhere?: () => boolean): LocalWait;
  /**
   * Milliseconds after which one who is sent away should come back.
   *
   * @param spacing milliseconds between two places that come free
   * @param earliest milliseconds until the first one may
   */
  turn(key: string, spacing: number, earliest: number): number;
  /** Nobody looks for room any more. */
  close(): void;
}

/** Keys with times handed out that are remembered. */
const MOST_TURNS = 10_000;
/** Nobody is sent away for longer, in milliseconds. */
const LONGEST_TURN = 10 * 60_000;
/** Times follow one another faster than places come free, for some of those who wait will not come back. */
const HASTE = 2;
/** Who wait without a place for the same, and in all. */
const MOST_FOR_ONE = 500;
const MOST = 2000;
/** Whoever knows that there will be no room for longer than so many milliseconds does not wait for it here. */
const LONGEST_LOOK = 5000;
/** How long it is remembered that somebody was sent away, in milliseconds. */
const MEMORY = 5000;

interface Parked extends Ranked {
  readonly go: () => boolean;
  left: boolean;
}

/** Those who wait for the same without a place. */
interface Bay {
  readonly parked: Ready<Parked>;
  /** How often room was made. */
  wakes: number;
  /** When somebody is to look, milliseconds since the epoch. */
  look: number;
  /** Somebody looks, and nobody has found it full since. */
  looking: boolean;
  /** When somebody was sent away last. */
  used: number;
}

/** Makes an empty room. */
export function createWaitingRoom(clock: Clock): WaitingRoom {
  const waiting = new Map<string, ((woken: boolean) => void)[]>();
  const turns = new Map<string, number>();
  const bays = new Map<string, Bay>();
  let parked = 0;
  let timer: Timer | undefined;
  let looksAt = Infinity;

  const leave = (key: string, waiter: (woken: boolean) => void) => {
    const waiters = waiting.get(key);
    const index = waiters?.indexOf(waiter) ?? -1;
    if (waiters === undefined || index < 0) return;
    waiters.splice(index, 1);
    if (waiters.length === 0) waiting.delete(key);
  };

  /** Lets one go on. */
  const release = (bay: Bay) => {
    for (let next = bay.parked.pop(); next !== undefined; next = bay.parked.pop()) {
      if (next.left) continue;
      next.left = true;
      parked--;
      if (next.go()) return;
    }
  };

  const planLook = (time: number) => {
    if (time >= looksAt) return;
    timer?.cancel();
    looksAt = time;
    timer = clock.after(Math.max(0, time - clock.now()), look);
  };

  const look = () => {
    const now = clock.now();
    looksAt = Infinity;
    timer = undefined;
    for (const [key, bay] of bays) {
      if (bay.parked.size === 0) {
        if (now - bay.used >= MEMORY) bays.delete(key);
        else planLook(bay.used + MEMORY);
        continue;
      }
      if (bay.look <= now) {
        bay.look = now + MEMORY;
        bay.looking = true;
        release(bay);
      }
      planLook(bay.look);
    }
  };

  return {
    get occupied() {
      return waiting.size > 0 || bays.size > 0;
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
      const first = waiting.get(key)?.[0];
      if (first !== undefined) return first(true);
      const bay = bays.get(key);
      if (bay === undefined) return;
      bay.wakes++;
      release(bay);
    },
    admitted(key) {
      const bay = bays.get(key);
      if (bay?.looking === true) release(bay);
    },
    sentAway(key, afterwards, turn, isElsewhere = () => false) {
      const now = clock.now();
      let bay = bays.get(key);
      if (bay === undefined) {
        bays.set(key, bay = { parked: createReady(), wakes: 0, look: 0, looking: false, used: now });
      }
      const here = bay;
      const isLast = here.looking || here.parked.size === 0 || here.look <= now;
      here.look = isLast ? now + afterwards : Math.min(here.look, now + afterwards);
      here.looking = false;
      here.used = now;
      planLook(Math.min(here.look, now + MEMORY));
      const { wakes } = here;
      let handed: number | undefined;
      return {
        turn: () => handed ??= turn(),
        get isElsewhere() {
          return isElsewhere();
        },
        get hasRoom() {
          const waiting = (bays.get(key) ?? here).parked.size;
          return parked < MOST && waiting < MOST_FOR_ONE && afterwards <= LONGEST_LOOK;
        },
        enter({ priority, due, message }, go) {
          // It may have been forgotten meanwhile, and others may wait again since.
          const bay = bays.get(key) ?? here;
          bays.set(key, bay);
          const one = { priority, due, message, go, left: false };
          parked++;
          bay.parked.push(one);
          planLook(bay.look);
          // Somebody made room, or may have, before this one was here.
          if (bay !== here || here.wakes !== wakes) queueMicrotask(() => release(bay));
          return () => {
            if (!one.left) parked--;
            one.left = true;
          };
        },
      };
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
    close() {
      timer?.cancel();
      // No later time is planned any more.
      looksAt = -Infinity;
    },
  };
}
