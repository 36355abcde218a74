/** Jobs of the scheduler: recipients of one message that travel together, and the lanes they wait in. */

import type { Content } from "../message/content.ts";
import { createReady, type Ready } from "./ready.ts";
import type { MessageRecord, RecipientRecord } from "./record.ts";
import type { MessageId, QueuedMessage } from "./types.ts";

/** A fresh message's share of the memory for messages that wait for their first attempt. */
export interface Hold {
  readonly bytes: number;
  /** Jobs that still need it. */
  jobs: number;
}

/** Recipients of one message with the same queue and route. */
export interface Job {
  readonly message: MessageRecord;
  /** Shrinks when recipients are cancelled or held while they wait. */
  readonly recipients: RecipientRecord[];
  readonly queue: string;
  readonly route: string;
  readonly priority: number;
  readonly due: number;
  /** Set for a message that came straight from memory. */
  readonly hold: Hold | undefined;
  content: Content | undefined;
  /** When the lease of its rows ends, milliseconds since the epoch. */
  leaseUntil: number;
  state: "ready" | "running" | "recording" | "gone";
  abort: AbortController | undefined;
}

/** A job that is ready to run. */
export function createJob(
  message: MessageRecord,
  recipients: RecipientRecord[],
  route: string,
  leaseUntil: number,
  content: Content | undefined,
  hold: Hold | undefined,
): Job {
  return {
    message,
    recipients,
    queue: recipients[0]?.queue ?? "",
    route,
    priority: message.priority,
    due: recipients.reduce((least, { attemptAt }) => Math.min(least, attemptAt), Infinity),
    hold,
    content,
    leaseUntil,
    state: "ready",
    abort: undefined,
  };
}

/** A virtual queue on this node. */
export interface Lane {
  readonly name: string;
  /** Jobs that may run at once. */
  limit: number;
  running: number;
  readonly ready: Ready<Job>;
  /** How many of the ready jobs were claimed; fresh ones must not keep the backlog waiting. */
  claimed: number;
  /** Whether the store is known to hold more that is due. */
  backlog: boolean;
  /** Whether leases in the store have ended. */
  orphans: boolean;
  claiming: boolean;
}

/** A lane that has seen nothing of the store yet. */
export function createLane(name: string): Lane {
  return {
    name,
    limit: 1,
    running: 0,
    ready: createReady(),
    claimed: 0,
    backlog: true,
    orphans: false,
    claiming: false,
  };
}

/** Puts a job where the lane finds it. */
export function makeReady(lane: Lane, job: Job): void {
  job.state = "ready";
  lane.ready.push(job);
  if (job.hold === undefined) lane.claimed++;
}

/** The next job of the lane that still waits. */
export function takeReady(lane: Lane): Job | undefined {
  while (true) {
    const job = lane.ready.pop();
    if (job === undefined) return undefined;
    if (job.hold === undefined) lane.claimed--;
    if (job.state === "ready") return job;
  }
}

/** Takes all waiting jobs out of the lane. */
export function clearReady(lane: Lane): Job[] {
  lane.claimed = 0;
  return lane.ready.clear().filter(({ state }) => state === "ready");
}

/** Jobs by message, whatever their state. */
export interface ActiveJobs {
  add(job: Job): void;
  delete(job: Job): void;
  of(message: MessageId): ReadonlySet<Job>;
  all(): Iterable<Job>;
  readonly size: number;
}

const NONE: ReadonlySet<Job> = new Set();

/** An empty {@link ActiveJobs}. */
export function createActiveJobs(): ActiveJobs {
  const byMessage = new Map<MessageId, Set<Job>>();
  return {
    add(job) {
      const jobs = byMessage.get(job.message.id);
      if (jobs === undefined) byMessage.set(job.message.id, new Set([job]));
      else jobs.add(job);
    },
    delete(job) {
      const jobs = byMessage.get(job.message.id);
      jobs?.delete(job);
      if (jobs?.size === 0) byMessage.delete(job.message.id);
    },
    of: (message) => byMessage.get(message) ?? NONE,
    *all() {
      for (const jobs of byMessage.values()) yield* jobs;
    },
    get size() {
      return byMessage.size;
    },
  };
}

/** A message as delivery and notices see it. */
export function viewMessage(message: MessageRecord, content: Content): QueuedMessage {
  const { id, envelope, source, priority, created, size, receivedFromIp, receivedViaPort, addresses } = message;
  return {
    id,
    envelope,
    source,
    priority,
    created,
    size,
    content,
    receivedFromIp,
    receivedViaPort,
    allRecipients: addresses,
  };
}
