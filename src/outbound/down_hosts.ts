/**
 * Addresses that cannot be reached, so that a queue full of mail for a dead next hop costs a look at a map for each
 * recipient instead of a connection.
 *
 * After a failure an address is left alone for a pause that grows while it stays dead. When the pause is over one
 * attempt finds out how things are; the others do not join it.
 */

import type { Clock } from "../clock/mod.ts";

/** Why an address is not tried now. */
export interface Down {
  /** Such as `refused a connection 12 s ago`. */
  readonly reason: string;
  /** Milliseconds until it is tried again. */
  readonly pause: number;
  /** Whether it may be known in a moment; then it is too early to call this a failed attempt. */
  readonly probed: boolean;
}

/** The addresses that did not answer lately. */
export interface DownHosts {
  /** Whether an address is down. If not, its state must be told by one of the other methods when it is known. */
  ask(address: string): Down | undefined;
  /** Whether an address is left alone now; nothing has to be told of it afterwards. */
  isLeftAlone(address: string): boolean;
  /** It could not be reached. @param what such as `refused a connection` */
  failed(address: string, what: string): void;
  /** It answered. */
  answered(address: string): void;
  /** The attempt says nothing about it. */
  unknown(address: string): void;
}

/** Pauses in milliseconds: the first, and the longest; each is twice the one before. */
const FIRST_PAUSE = 30_000;
const LONGEST_PAUSE = 5 * 60_000;
/** What an answer takes from an address that is well, in milliseconds, generously. */
const PROMPT = 2000;
/** After so many milliseconds an attempt that was to find out has been forgotten by somebody. */
const LONGEST_PROBE = 10 * 60_000;
const MOST_ADDRESSES = 10_000;

interface Entry {
  readonly what: string;
  readonly since: number;
  readonly pause: number;
  /** When the attempt began that is to find out. */
  probe: number | undefined;
}

/** Makes an empty list. */
export function createDownHosts(clock: Clock): DownHosts {
  // The one that failed last is last.
  const entries = new Map<string, Entry>();

  return {
    ask(address) {
      if (entries.size === 0) return undefined;
      const entry = entries.get(address);
      if (entry === undefined) return undefined;
      const now = clock.now();
      const age = now - entry.since;
      const reason = `${entry.what} ${Math.max(0, Math.floor(age / 1000))} s ago`;
      if (age < entry.pause) return { reason, pause: entry.pause - age, probed: false };
      const probing = entry.probe === undefined ? Infinity : now - entry.probe;
      if (probing < LONGEST_PROBE) {
        return { reason, pause: probing < PROMPT ? PROMPT : FIRST_PAUSE, probed: probing < PROMPT };
      }
      entry.probe = now;
      return undefined;
    },
    isLeftAlone(address) {
      const entry = entries.get(address);
      return entry !== undefined && clock.now() - entry.since < entry.pause;
    },
    failed(address, what) {
      const now = clock.now();
      const before = entries.get(address);
      entries.delete(address);
      // Connections that were begun together fail together; that is one failure.
      const again = before !== undefined && now - before.since >= before.pause;
      const pause = before === undefined
        ? FIRST_PAUSE
        : again
        ? Math.min(before.pause * 2, LONGEST_PAUSE)
        : before.pause;
      entries.set(address, { what, since: now, pause, probe: undefined });
      if (entries.size <= MOST_ADDRESSES) return;
      for (const oldest of entries.keys()) {
        entries.delete(oldest);
        break;
      }
    },
    answered(address) {
      if (entries.size > 0) entries.delete(address);
    },
    unknown(address) {
      const entry = entries.get(address);
      if (entry !== undefined) entry.probe = undefined;
    },
  };
}
