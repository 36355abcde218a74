/** What scripts have seen before (`duplicate`, RFC 7352; `vacation`, RFC 5230 §4.2), kept in a store for all nodes. */

import { createHash } from "node:crypto";
import type { Clock } from "../../clock/mod.ts";
import { LookupUnavailable } from "../../expression/mod.ts";
import { type Statement, StatementError, type Store, StoreUnavailable } from "../../store/mod.ts";

const FIND = "SELECT 1 FROM sieve_seen WHERE key = ? AND expires > ?";
// One that has expired counts as new; a later end wins.
const REMEMBER = "INSERT INTO sieve_seen (key, expires) VALUES (?, ?) " +
  "ON CONFLICT (key) DO UPDATE SET expires = max(expires, excluded.expires)";

/** Something to remember, and until when in milliseconds since the epoch. */
export interface Sighting {
  readonly key: string;
  readonly expires: number;
}

/** The memory of scripts. */
export interface SeenMemory {
  /** @throws {LookupUnavailable} (rejects) if the store cannot be asked */
  has(key: string): Promise<boolean>;
  /** @throws {StoreUnavailable} (rejects) if they could not be stored */
  remember(sightings: readonly Sighting[]): Promise<void>;
}

/** The memory in a store that holds godwit's own tables. */
export function createSeenMemory(store: Store, clock: Clock): SeenMemory {
  return {
    async has(key) {
      try {
        return (await store.read(FIND, [digest(key), clock.now()])).rows.length > 0;
      } catch (error) {
        if (!(error instanceof StoreUnavailable || error instanceof StatementError)) throw error;
        throw new LookupUnavailable(error.message, { cause: error });
      }
    },
    async remember(sightings) {
      await store.write(sightings.map(({ key, expires }) => ({ sql: REMEMBER, args: [digest(key), expires] })));
    },
  };
}

/** What deletes rows that mean nothing any more, for the store's regular purge. */
export function purgeSeen(now: number): Statement {
  return { sql: "DELETE FROM sieve_seen WHERE expires <= ?", args: [now] };
}

// Keys hold what strangers write, at any length.
function digest(key: string): string {
  return createHash("sha256").update(key).digest("base64url");
}

/** The memory as one run uses it: what it sees for the first time is written down only when the run has come to something. */
export interface RunMemory {
  /** For `SieveHost.seen`. */
  seen(key: string, seconds: number, renew: boolean): Promise<boolean>;
  readonly sightings: readonly Sighting[];
}

/**
 * @param scope whose memory: keys of different scopes never meet
 */
export function runMemory(memory: SeenMemory, clock: Clock, scope: string): RunMemory {
  const fresh = new Map<string, Sighting>();
  return {
    get sightings() {
      return [...fresh.values()];
    },
    async seen(key, seconds, renew) {
      const full = `${scope}\0${key}`;
      const known = await memory.has(full);
      // A script that asks twice about one message must not take it for its own duplicate (RFC 7352 §3).
      if (!known || renew) fresh.set(full, { key: full, expires: clock.now() + seconds * 1000 });
      return known;
    },
  };
}
