/** Jobs of the scheduler: recipients of one message that travel together, and the lanes they wait in. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Content } from "../message/content.ts";
import { addressDomain } from "../smtp/mod.ts";
import { createFairShare, type FairShare } from "./fair_share.ts";
import type { MessageRecord, RecipientRecord } from "./record.ts";
import type { MessageId, QueuedMessage } from "./types.ts";

/** A fresh message's share of the memory for messages that wait for their first attempt. */
export interface Hold {
  readonly bytes: number;
  readonly sender: string;
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
  /** Jobs with the same one share its fate. */
  readonly destination: string;
  readonly oneOfMany: boolean;
  /** See {@link senderOf}. */
  readonly sender: string;
  /** That of the message; not below 0 once it has been in the store, where it has waited for others already. */
  readonly priority: number;
  readonly due: number;
  /** Set for a message that came straight from memory. */
  readonly hold: Hold | undefined;
  content: Content | undefined;
  /** When the lease of its rows ends, milliseconds since the epoch. */
  leaseUntil: number;
  state: "ready" | "running" | "recording" | "gone";
  /** When its last attempt began, milliseconds since the epoch. */
  began: number;
  /** Whether the store was told of that attempt. */
  shown: boolean;
  /** If it has waited for a limit of ours: when that is looked at, milliseconds since the epoch. */
  reviewAt: number | undefined;
  /** Whether the store was told of that wait. */
  waitTold: boolean;
  abort: AbortController | undefined;
}

/** Where a job goes, as far as the order in its lane depends on it. */
export type Whereto = Pick<Job, "route" | "destination" | "oneOfMany">;

/** Who takes turns with others: the account that sent a message, or else the domain of its return path. */
export function senderOf({ authenticatedAs, envelope }: MessageRecord): string {
  return senderKey(authenticatedAs, envelope.sender);
}

/** {@link senderOf}, of the account and the return path. */
export function senderKey(account: string, sender: string): string {
  return account || addressDomain(sender).toLowerCase();
}

/** A job that is ready to run. */
export function createJob(
  message: MessageRecord,
  recipients: RecipientRecord[],
  { route, destination, oneOfMany }: Whereto,
  leaseUntil: number,
  content: Content | undefined,
  hold: Hold | undefined,
): Job {
  return {
    message,
    recipients,
    queue: recipients[0]?.queue ?? "",
    route,
    destination,
    oneOfMany,
    sender: senderOf(message),
    priority: hold === undefined ? Math.max(0, message.priority) : message.priority,
    due: recipients.reduce((least, { attemptAt }) => Math.min(least, attemptAt), Infinity),
    hold,
    content,
    leaseUntil,
    state: "ready",
    began: 0,
    shown: false,
    reviewAt: undefined,
    waitTold: false,
    abort: undefined,
  };
}

/** Takes recipients out of a job. */
export function takeOut(job: Job, recipients: readonly RecipientRecord[]): void {
  const out = new Set(recipients);
  const others = job.recipients.filter((one) => !out.has(one));
  job.recipients.length = 0;
  for (const one of others) job.recipients.push(one);
}

/** What of a lane waits in the store, and how it comes from there. */
export interface Supply {
  /** Whether the store is known to hold some that is due. */
  due: boolean;
  claiming: boolean;
  /** What was claimed since something had to be put back, and the milliseconds it took. */
  claims: { rows: number; time: number };
  /** Ends the pause after that. */
  rest: Timer | undefined;
}

const newSupply = (due: boolean): Supply => ({
  due,
  claiming: false,
  claims: { rows: 0, time: 0 },
  rest: undefined,
});

/** A virtual queue on this node. */
export interface Lane {
  readonly name: string;
  /** Who waits, and who has a place. */
  readonly share: FairShare<Job>;
  /** What is claimed in the order of due times. */
  readonly backlog: Supply;
  /** What is claimed for its priority, however much there is of {@link backlog}. */
  readonly urgent: Supply;
  /** Whether leases in the store have ended. */
  orphans: boolean;
}

/** All lanes of a node, each made when it is first asked for. */
export interface Lanes {
  of(name: string): Lane;
  all(): Lane[];
  names(): string[];
  /** Sets how many jobs may run at once; one where nothing is said. */
  limit(queues: Iterable<{ readonly id: string; readonly threadsPerNode: number }>): void;
}

/** Lanes that have seen nothing of the store yet. */
export function createLanes(clock: Clock): Lanes {
  const lanes = new Map<string, Lane>();
  const laneOf = (name: string): Lane => {
    let lane = lanes.get(name);
    if (lane === undefined) {
      const share = createFairShare<Job>(clock);
      lane = { name, share, backlog: newSupply(true), urgent: newSupply(false), orphans: false };
      lanes.set(name, lane);
    }
    return lane;
  };
  return {
    of: laneOf,
    all: () => [...lanes.values()],
    names: () => [...lanes.keys()],
    limit(queues) {
      for (const { share } of lanes.values()) share.limit = 1;
      for (const { id, threadsPerNode } of queues) laneOf(id).share.limit = Math.max(1, threadsPerNode);
    },
  };
}

/** Puts a job where the lane finds it. */
export function makeReady(lane: Lane, job: Job): void {
  job.state = "ready";
  lane.share.push(job);
}

/** The next job of the lane that still waits; it has a place until `share.end`. */
export function takeReady(lane: Lane): Job | undefined {
  while (true) {
    const job = lane.share.take();
    if (job === undefined || job.state === "ready") return job;
    lane.share.end(job, "unknown", 0);
  }
}

/** Takes all waiting jobs out of the lane. */
export function clearReady(lane: Lane): Job[] {
  return lane.share.clear().filter(({ state }) => state === "ready");
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
