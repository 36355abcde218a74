/**
 * Tells the store which attempts are under way, for those who look at the queue: of what is claimed most may only wait
 * for a place. Attempts that end within a second are not worth a write.
 */

import type { Clock } from "../clock/mod.ts";
import { type Store, StoreUnavailable } from "../store/mod.ts";
import type { ActiveJobs, Job } from "./job.ts";
import { FLAG } from "./record.ts";

/** Milliseconds that an attempt has to take, and from one look to the next. */
const WHILE = 1000;
/** Recipients in one statement. */
const MOST_KEYS = 2000;

const OWN = "(message, seq) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?)) AND state = 1 AND owner = ?";
const SHOW = `UPDATE recipients SET flags = flags | ${FLAG.underWay} WHERE ${OWN}`;
const HIDE = `UPDATE recipients SET flags = flags & ~${FLAG.underWay} WHERE ${OWN}`;

/** Makes what brings the store up to date, at most once a second; it rejects as the store does, if it is not away. */
export function createUnderWay(store: Store, clock: Clock, owner: number, active: ActiveJobs): () => Promise<void> {
  let last = -Infinity;

  const write = async (sql: string, jobs: readonly Job[], shown: boolean) => {
    const keys = jobs.flatMap(({ message, recipients }) => recipients.map(({ seq }) => [message.id, seq]));
    for (const job of jobs) job.shown = shown;
    for (let at = 0; at < keys.length; at += MOST_KEYS) {
      await store.write([{ sql, args: [JSON.stringify(keys.slice(at, at + MOST_KEYS)), owner] }]);
    }
  };

  return async () => {
    const now = clock.now();
    if (active.size === 0 || now - last < WHILE) return;
    last = now;
    const begun: Job[] = [];
    const ceased: Job[] = [];
    for (const job of active.all()) {
      if (job.state === "running") {
        if (!job.shown && now - job.began >= WHILE) begun.push(job);
      } else if (job.shown && job.state === "ready") ceased.push(job);
    }
    try {
      if (begun.length > 0) await write(SHOW, begun, true);
      if (ceased.length > 0) await write(HIDE, ceased, false);
    } catch (error) {
      // What is shown may be wrong meanwhile; the outcome puts it right.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  };
}
