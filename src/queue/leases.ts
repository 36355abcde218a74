/** Keeps the leases of this node's jobs alive, and lets go of what is no longer its own. */

import type { Clock } from "../clock/mod.ts";
import type { Store } from "../store/mod.ts";
import type { ActiveJobs, Job } from "./job.ts";
import { FLAG, type RecipientRecord, SHOWN_NO_MORE } from "./record.ts";
import type { Settlement } from "./settle.ts";
import type { MessageId } from "./types.ts";

const KEYS = "(SELECT value ->> 0, value ->> 1 FROM json_each(?))";
/** Moves the end of leases; returns those still held. */
export const RENEW = `UPDATE recipients SET due = ? WHERE (message, seq) IN ${KEYS} AND state = 1 AND owner = ? ` +
  "RETURNING message, seq";
const RELEASE = `UPDATE recipients SET state = 0, owner = NULL, due = attempt_at, ${SHOWN_NO_MORE} ` +
  `WHERE (message, seq) IN ${KEYS} AND state = 1 AND owner = ?`;
/** Gives jobs back until a time each. */
export const POSTPONE =
  `UPDATE recipients SET state = 0, owner = NULL, due = CASE WHEN flags & ${FLAG.moved} THEN attempt_at ELSE ` +
  `one.value ->> 2 END, ${SHOWN_NO_MORE} FROM json_each(?) AS one ` +
  "WHERE message = one.value ->> 0 AND seq = one.value ->> 1 AND state = 1 AND owner = ?";
const FLAGGED = "SELECT message, seq, flags, attempt_at, expires, extended FROM recipients WHERE queue = ? AND " +
  `state = 1 AND owner = ? AND flags & ${FLAG.cancel | FLAG.hold | FLAG.moved}`;

// A lease is renewed when less than this part of it is left, and not relied on when less than the other is.
const RENEWED_BELOW = 0.7;
const UNSAFE_BELOW = 0.125;
// Recipients in one statement.
const MOST_KEYS = 2000;

/** The leases of one node. */
export interface Leases {
  /**
   * Renews leases that run out, or all; jobs that another node has taken meanwhile are given to `onLost`.
   *
   * @throws {StoreUnavailable} if the store is unavailable
   */
  renew(all: boolean): Promise<void>;
  /** Gives jobs to `onLost` whose lease could not be renewed in time: another node may start on them. */
  dropUnsafe(): void;
  /** Gives recipients back untouched. @throws {StoreUnavailable} if the store is unavailable */
  release(list: readonly { readonly message: MessageId; readonly recipients: readonly RecipientRecord[] }[]): Promise<
    void
  >;
  /** Gives waiting jobs back, to be looked at again at a time each. @throws {StoreUnavailable} if the store is unavailable */
  postpone(jobs: readonly Job[], timeOf: (job: Job) => number): Promise<void>;
  /**
   * Takes recipients out of waiting jobs of `queue` that were cancelled, put on hold or given another time from outside.
   *
   * @throws {StoreUnavailable} if the store is unavailable
   */
  flagged(queue: string): Promise<{ readonly job: Job; readonly settlement: Settlement }[]>;
}

/** Makes the {@link Leases} of `owner`, of `length` milliseconds. */
export function createLeases(
  store: Store,
  clock: Clock,
  owner: number,
  length: number,
  active: ActiveJobs,
  onLost: (job: Job) => void,
): Leases {
  const isOpen = (job: Job) => job.state === "ready" || job.state === "running";

  const renewSome = async (jobs: readonly Job[]) => {
    const until = clock.now() + length;
    const keys = jobs.flatMap((job) => job.recipients.map(({ seq }) => [job.message.id, seq]));
    const [result] = await store.write([{ sql: RENEW, args: [until, JSON.stringify(keys), owner] }]);
    const kept = new Set((result?.rows ?? []).map(([message, seq]) => `${message} ${seq}`));
    for (const job of jobs) {
      // A job that is being recorded keeps its outcome whatever the lease says.
      if (!isOpen(job)) continue;
      if (job.recipients.every(({ seq }) => kept.has(`${job.message.id} ${seq}`))) job.leaseUntil = until;
      else onLost(job);
    }
  };

  return {
    async renew(all) {
      const limit = clock.now() + length * RENEWED_BELOW;
      let jobs: Job[] = [];
      let keys = 0;
      for (const job of [...active.all()]) {
        if (job.state === "gone" || (!all && job.leaseUntil >= limit)) continue;
        jobs.push(job);
        keys += job.recipients.length;
        if (keys < MOST_KEYS) continue;
        await renewSome(jobs);
        jobs = [];
        keys = 0;
      }
      if (jobs.length > 0) await renewSome(jobs);
    },
    dropUnsafe() {
      const limit = clock.now() + length * UNSAFE_BELOW;
      for (const job of [...active.all()]) if (isOpen(job) && job.leaseUntil <= limit) onLost(job);
    },
    async release(list) {
      const keys = list.flatMap(({ message, recipients }) => recipients.map(({ seq }) => [message, seq]));
      for (let at = 0; at < keys.length; at += MOST_KEYS) {
        await store.write([{ sql: RELEASE, args: [JSON.stringify(keys.slice(at, at + MOST_KEYS)), owner] }]);
      }
    },
    async postpone(jobs, timeOf) {
      const rows = jobs.flatMap((job) => {
        const due = timeOf(job);
        // Whoever is given up meanwhile is to hear of it in time.
        const sooner = ({ expires }: RecipientRecord) =>
          expires !== undefined && expires > clock.now() && expires < due;
        return job.recipients.map((one) => [job.message.id, one.seq, sooner(one) ? one.expires : due]);
      });
      for (let at = 0; at < rows.length; at += MOST_KEYS) {
        await store.write([{ sql: POSTPONE, args: [JSON.stringify(rows.slice(at, at + MOST_KEYS)), owner] }]);
      }
    },
    async flagged(queue) {
      const found: { job: Job; settlement: Settlement }[] = [];
      const { rows } = await store.read(FLAGGED, [queue, owner]);
      for (const [id, seq, flags, time, end, extended] of rows) {
        for (const job of active.of(Number(id))) {
          if (job.state !== "ready") continue;
          const index = job.recipients.findIndex((one) => one.seq === Number(seq));
          const [recipient] = index < 0 ? [] : job.recipients.splice(index, 1);
          if (recipient === undefined) continue;
          const attemptAt = Number(time);
          const expires = typeof end === "number" ? end : undefined;
          const settlement: Settlement = Number(flags) & FLAG.cancel ? { kind: "cancelled", recipient } : {
            kind: "waiting",
            recipient: { ...recipient, attemptAt, expires, extended: Number(extended) },
            look: attemptAt,
            delayed: false,
          };
          found.push({ job, settlement });
        }
      }
      return found;
    },
  };
}
