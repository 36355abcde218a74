/**
 * Jobs that wait in memory for a limit of ours: they keep their lease and have no place in their queue. What waits for
 * long is recorded, once; and looked at now and then, as its time may be over or its sender is to hear of the delay.
 */

import type { Clock, Timer } from "../clock/mod.ts";
import { type Job, takeOut } from "./job.ts";
import type { RecipientRecord } from "./record.ts";
import type { Recorder } from "./recorder.ts";
import { settleDeferral, type Settlement } from "./settle.ts";
import type { Strategy } from "./strategy.ts";
import type { FailureDetail, LocalWait, Outcome } from "./types.ts";

/** What {@link createParking} needs. */
export interface ParkingContext {
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly strategy: () => Strategy;
  /** Another job of some recipients of one, which leave that. */
  readonly part: (job: Job, recipients: RecipientRecord[]) => Job;
  /** Lets a job go on that has waited. */
  readonly resume: (job: Job) => void;
  /** Records what is not to wait any longer; the recipients have left the job, which ends if it has no others. */
  readonly settle: (job: Job, settlements: readonly Settlement[]) => void;
  readonly track: (work: Promise<void>) => void;
}

/** Jobs that wait for a limit. */
export interface Parking {
  /**
   * Keeps recipients of a job whose attempt has ended that only wait for a limit, as far as there is room.
   *
   * @returns the outcomes of the others, whose recipients the job is left with; undefined if it waits as a whole
   */
  keep(job: Job, outcomes: readonly Outcome[]): readonly Outcome[] | undefined;
  /** Takes out all that wait. */
  clear(): Job[];
}

interface Entry {
  readonly job: Job;
  readonly wait: LocalWait;
  /** By `seq`. */
  readonly details: ReadonlyMap<number, FailureDetail>;
  readonly leave: () => void;
}

type Waiting = Extract<Outcome, { kind: "deferred" }>;

/** Milliseconds after which a wait is recorded, and from one review to the next at most. */
const PATIENCE = 5000;
const NEXT_REVIEW = 15_000;
const SWEEP = 1000;
const TOGETHER = 100;

/** Nobody waits yet. */
export function createParking(context: ParkingContext): Parking {
  const { clock } = context;
  const entries = new Map<Job, Entry>();
  let timer: Timer | undefined;
  let sweeping = false;

  const park = (job: Job, wait: LocalWait, outcomes: readonly Waiting[]) => {
    job.state = "ready";
    const expires = job.recipients.map((recipient) => recipient.expires ?? Infinity);
    job.reviewAt ??= Math.min(clock.now() + PATIENCE, ...expires);
    const entry: Entry = {
      job,
      wait,
      details: new Map(outcomes.map(({ recipient, detail }) => [recipient, detail])),
      leave: wait.enter(job, () => {
        if (entries.get(job) !== entry) return false;
        entries.delete(job);
        if (job.state !== "ready" || job.recipients.length === 0) return false;
        context.resume(job);
        return true;
      }),
    };
    entries.set(job, entry);
    arm();
  };

  /** Looks at one that has waited for long. */
  const review = async (entry: Entry): Promise<void> => {
    const { job, details } = entry;
    // Those who have all places hand them on among themselves, and may as well have the mail.
    const leaves = job.waitTold && entry.wait.isElsewhere;
    const settlements: Settlement[] = [];
    for (const recipient of job.recipients) {
      const detail = details.get(recipient.seq);
      if (detail === undefined) continue;
      const now = clock.now();
      // What stays, or leaves for a moment only to tell of the delay, keeps the time that gives it its place.
      const how = leaves
        ? { waits: entry.wait }
        : { limited: true, retryAfter: Math.min(0, recipient.attemptAt - now) };
      settlements.push(await settleDeferral(job.message, recipient, detail, context.strategy(), now, how));
    }
    // It may have gone on meanwhile, or have been cancelled.
    if (entries.get(job) !== entry) return;
    const present = new Map(job.recipients.map((one) => [one.seq, one]));
    const staying: Extract<Settlement, { kind: "deferred" }>[] = [];
    const going: Settlement[] = [];
    let next = clock.now() + NEXT_REVIEW;
    for (const settlement of settlements) {
      const { kind, recipient } = settlement;
      if (!present.has(recipient.seq)) continue;
      const stays = kind === "deferred" && !leaves && !settlement.delayed && recipient.queue === job.queue;
      if (!stays) {
        going.push(settlement);
        continue;
      }
      next = Math.min(next, settlement.change);
      if (settlement.repeated !== true) staying.push(settlement);
    }
    job.reviewAt = next;
    if (going.length > 0) {
      takeOut(job, going.flatMap(({ recipient }) => present.get(recipient.seq) ?? []));
      if (job.recipients.length === 0) {
        entries.delete(job);
        entry.leave();
      }
      context.settle(job, going);
    }
    // Without the store it waits unrecorded, and is looked at again.
    if (staying.length > 0 && !await context.recorder.recordWait(job.message, staying)) return;
    job.waitTold = true;
    for (const { recipient: { seq, lastError, lastStatus, lastDetail } } of staying) {
      const one = present.get(seq);
      if (one !== undefined) Object.assign(one, { lastError, lastStatus, lastDetail });
    }
  };

  const sweep = async (): Promise<void> => {
    const now = clock.now();
    const due: Entry[] = [];
    for (const [job, entry] of entries) {
      if (job.state !== "ready" || job.recipients.length === 0) {
        entries.delete(job);
        entry.leave();
      } else if (job.reviewAt !== undefined && job.reviewAt <= now) {
        job.reviewAt = now + NEXT_REVIEW;
        due.push(entry);
      }
    }
    // Some together, for the sake of joint commits.
    for (let from = 0; from < due.length; from += TOGETHER) {
      await Promise.all(due.slice(from, from + TOGETHER).map(review));
    }
  };

  const arm = () => {
    timer ??= clock.after(SWEEP, () => {
      timer = undefined;
      if (sweeping) return;
      sweeping = true;
      context.track(
        sweep().finally(() => {
          sweeping = false;
          if (entries.size > 0) arm();
        }),
      );
    });
  };

  return {
    keep(job, outcomes) {
      let left = outcomes;
      for (const [wait, waiting] of byWait(outcomes)) {
        if (!wait.hasRoom) continue;
        const seqs = new Set(waiting.map(({ recipient }) => recipient));
        const those = job.recipients.filter(({ seq }) => seqs.has(seq));
        if (those.length === job.recipients.length) {
          park(job, wait, waiting);
          return undefined;
        }
        park(context.part(job, those), wait, waiting);
        left = left.filter(({ recipient }) => !seqs.has(recipient));
      }
      return left;
    },
    clear() {
      timer?.cancel();
      timer = undefined;
      const jobs: Job[] = [];
      for (const [job, { leave }] of entries) {
        leave();
        if (job.state === "ready") jobs.push(job);
      }
      entries.clear();
      return jobs;
    },
  };
}

const NOBODY: ReadonlyMap<LocalWait, Waiting[]> = new Map();

/** The outcomes that wait, by what they wait for. */
function byWait(outcomes: readonly Outcome[]): ReadonlyMap<LocalWait, Waiting[]> {
  let found: Map<LocalWait, Waiting[]> | undefined;
  for (const outcome of outcomes) {
    if (outcome.kind !== "deferred" || outcome.waits === undefined) continue;
    found ??= new Map();
    const others = found.get(outcome.waits);
    if (others === undefined) found.set(outcome.waits, [outcome]);
    else others.push(outcome);
  }
  return found ?? NOBODY;
}
