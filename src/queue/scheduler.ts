/** Hands due recipients to delivery: lanes of virtual queues, leases, the hot path of fresh messages, drain. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { QueueConfig, ScheduleConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import type { Content } from "../message/content.ts";
import type { Store } from "../store/mod.ts";
import { StoreUnavailable } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { claim } from "./claim.ts";
import { loadContent } from "./content.ts";
import type { Intake, Lease } from "./intake.ts";
import { formatMessageId } from "./message_id.ts";
import { countNotice, READ_FLAGGED, RELEASE, RENEW, settleDeferral, type Settlement } from "./outcome.ts";
import { createReady, type Ready } from "./ready.ts";
import { FLAG, type MessageRecord, type RecipientRecord, STATE } from "./record.ts";
import { type Recorder, viewOf } from "./recorder.ts";
import { expiryOf, isExhausted, nextLook } from "./schedule.ts";
import type { Strategy } from "./strategy.ts";
import type { Deliver, FailureDetail, MessageId, Outcome, QueuedMessage } from "./types.ts";

/** What {@link createScheduler} needs. */
export interface SchedulerContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly owner: number;
  /** Milliseconds. */
  readonly lease: number;
  readonly limits: MemoryLimits;
  readonly recorder: Recorder;
  /** Writes the node's sign of life; false if another process has taken this node's place. */
  readonly beat: () => Promise<boolean>;
  /** Changes when someone asked for something that concerns claimed recipients; read together with what is due. */
  readonly slot: number;
}

/** How much of the queue may be in memory. */
export interface MemoryLimits {
  /** Octets of content that waits for its first attempt. */
  readonly bytes: number;
  /** Messages that wait for their first attempt. */
  readonly messages: number;
}

interface Hold {
  readonly bytes: number;
  jobs: number;
}

interface Job {
  readonly message: MessageRecord;
  readonly view: Omit<QueuedMessage, "content">;
  readonly recipients: RecipientRecord[];
  readonly queue: string;
  readonly route: string;
  readonly priority: number;
  readonly due: number;
  readonly hold: Hold | undefined;
  content: Content | undefined;
  leaseUntil: number;
  state: "ready" | "running" | "recording" | "gone";
  abort: AbortController | undefined;
}

interface Lane {
  readonly name: string;
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

/** The scheduler of one node. */
export interface Scheduler {
  /** Asks whether a message may go straight from memory to delivery; the lease its rows are to be written with. */
  reserve(intake: Intake): Lease | undefined;
  unreserve(intake: Intake): void;
  /** Takes a message whose rows were committed with a lease from {@link reserve}. */
  accept(intake: Intake, lease: Lease): void;
  /** Learns of a message whose rows were committed without a lease. */
  expect(intake: Intake): void;
  start(deliver: Deliver): void;
  /** Looks at the store soon. */
  poke(): void;
  storeIs(up: boolean): void;
  reconfigure(config: QueueConfig, strategy: Strategy): void;
  drain(timeout: number): Promise<void>;
  stop(): void;
  /** Deliveries under way. */
  readonly running: number;
}

const POLL_INTERVAL = 1000;
const SHORTEST_WAIT = 5;
// Outcomes that wait for their commit; deliveries pause beyond it.
const MOST_UNRECORDED = 2000;
const MOST_CLAIMED = 500;
const LEAST_AHEAD = 64;
// After an abort, deliveries get this long to answer.
const ABORT_GRACE = 2000;

const POLL = "SELECT lane.value, " +
  "(SELECT due FROM recipients WHERE queue = lane.value AND state = 0 ORDER BY due LIMIT 1), " +
  "(SELECT due FROM recipients WHERE queue = lane.value AND state = 1 ORDER BY due LIMIT 1), " +
  "(SELECT poke FROM nodes WHERE slot = ?2) FROM json_each(?1) AS lane";

/** Makes the scheduler of one node; nothing is delivered before `start`. */
export function createScheduler(context: SchedulerContext, config: QueueConfig, initial: Strategy): Scheduler {
  const { store, clock, emit, owner, recorder } = context;
  let strategy = initial;
  let deliver: Deliver | undefined;
  let halted = true;
  let down = false;
  let unrecorded = 0;
  let poked = -1;
  let hotBytes = 0;
  let hotMessages = 0;
  let polling = false;
  let pollTimer: Timer | undefined;
  let beatTimer: Timer | undefined;
  const lanes = new Map<string, Lane>();
  const active = new Map<MessageId, Set<Job>>();
  const runs = new Set<Promise<void>>();

  const laneOf = (name: string): Lane => {
    let lane = lanes.get(name);
    if (lane === undefined) {
      lane = {
        name,
        limit: 1,
        running: 0,
        ready: createReady(),
        claimed: 0,
        backlog: true,
        orphans: false,
        claiming: false,
      };
      lanes.set(name, lane);
    }
    return lane;
  };

  const leaseFrom = (now: number): Lease => ({ owner, until: now + context.lease });

  const addJob = (job: Job) => {
    const jobs = active.get(job.message.id);
    if (jobs === undefined) active.set(job.message.id, new Set([job]));
    else jobs.add(job);
    if (job.hold !== undefined) job.hold.jobs++;
    const lane = laneOf(job.queue);
    makeReady(lane, job);
    dispatch(lane);
  };

  const makeReady = (lane: Lane, job: Job) => {
    lane.ready.push(job);
    if (job.hold === undefined) lane.claimed++;
  };

  const endJob = (job: Job) => {
    if (job.state === "gone") return;
    job.state = "gone";
    job.content = undefined;
    const jobs = active.get(job.message.id);
    jobs?.delete(job);
    if (jobs?.size === 0) active.delete(job.message.id);
    if (job.hold !== undefined) leaveHold(job.hold);
  };

  const leaveHold = (hold: Hold) => {
    if (--hold.jobs > 0) return;
    hotBytes -= hold.bytes;
    hotMessages--;
  };

  const track = (work: Promise<void>) => {
    runs.add(work);
    void work.finally(() => runs.delete(work));
  };

  /** Records what happened without an attempt. */
  const settleNow = (message: MessageRecord, content: Content | undefined, list: Settlement[], route: string) => {
    if (list.length === 0) return;
    unrecorded++;
    track((async () => {
      const full = content ?? await loadContent(store, message).catch(() => undefined) ?? EMPTY;
      await recorder.record({ ...viewMessage(message), content: full }, message, list, route);
      unrecorded--;
      dispatchAll();
    })());
  };

  /** Splits recipients into jobs by queue, route and, for mx routes, domain. */
  const admit = (
    message: MessageRecord,
    recipients: readonly RecipientRecord[],
    content: Content | undefined,
    lease: Lease,
    hold: Hold | undefined,
  ) => {
    const now = clock.now();
    // Counted as a job until every recipient is placed.
    if (hold !== undefined) hold.jobs++;
    const groups = new Map<string, { queue: string; route: string; recipients: RecipientRecord[] }>();
    const unroutable: { recipient: RecipientRecord; error: unknown }[] = [];
    const place = (recipient: RecipientRecord, route: string) => {
      const byDomain = currentConfig.route.get(route)?.type !== "mx" ? "" : recipient.domain;
      const key = `${recipient.queue}\n${route}\n${byDomain}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { queue: recipient.queue, route, recipients: [recipient] });
      else group.recipients.push(recipient);
    };
    const finish = () => {
      const view = viewMessage(message);
      for (const { queue, route, recipients } of groups.values()) {
        const due = recipients.reduce((least, { attemptAt }) => Math.min(least, attemptAt), Infinity);
        addJob({
          message,
          view,
          recipients,
          queue,
          route,
          priority: message.priority,
          due,
          hold,
          content,
          leaseUntil: lease.until,
          state: "ready",
          abort: undefined,
        });
      }
      for (const { recipient, error } of unroutable) {
        void settleFailure(message, recipient, lookupDetail(error), undefined, now).then((settlement) =>
          settleNow(message, content, [settlement], "")
        );
      }
      if (hold !== undefined) leaveHold(hold);
    };
    let later: Promise<unknown>[] | undefined;
    for (const recipient of recipients) {
      try {
        const route = strategy.route(message, recipient, now);
        if (typeof route === "string") place(recipient, route);
        else {
          (later ??= []).push(route.then(
            (found) => place(recipient, found),
            (error: unknown) => unroutable.push({ recipient, error }),
          ));
        }
      } catch (error) {
        unroutable.push({ recipient, error });
      }
    }
    if (later === undefined) finish();
    else track(Promise.all(later).then(finish));
  };

  const settleFailure = async (
    message: MessageRecord,
    recipient: RecipientRecord,
    detail: FailureDetail,
    retryAfter: number | undefined,
    now: number,
  ): Promise<Settlement> => {
    const facts = {
      ...recipient,
      attempts: recipient.attempts + (retryAfter === undefined ? 1 : 0),
      lastError: detail.lastError,
      lastStatus: detail.status,
    };
    let schedule: ScheduleConfig | undefined;
    try {
      schedule = await strategy.schedule(message, facts, now);
    } catch (error) {
      if (!(error instanceof LookupUnavailable)) emit("store.unexpected-error", { reason: String(error) });
    }
    return schedule === undefined
      ? settleDeferral(
        message,
        recipient,
        detail,
        retryAfter,
        {
          ...strategy.fallback,
          queueName: recipient.queue,
        },
        recipient.expires,
        now,
      )
      : settleDeferral(message, recipient, detail, retryAfter, schedule, expiryOf(message, schedule), now);
  };

  const run = async (lane: Lane, job: Job): Promise<void> => {
    lane.running++;
    job.state = "running";
    const abort = new AbortController();
    job.abort = abort;
    let outcomes: readonly Outcome[];
    let content: Content;
    try {
      content = job.content ?? await loadContent(store, job.message);
    } catch (error) {
      lane.running--;
      if (error instanceof StoreUnavailable) {
        job.state = "ready";
        makeReady(lane, job);
        storeIs(false);
        return;
      }
      emit("queue.blob-not-found", { id: formatMessageId(job.message.id) });
      content = EMPTY;
      lane.running++;
      job.content = EMPTY;
    }
    const message: QueuedMessage = { ...job.view, content };
    try {
      outcomes = content === EMPTY || deliver === undefined ? [] : await deliver({
        message,
        recipients: job.recipients.map(viewOf),
        queueName: job.queue,
        route: job.route,
      }, abort.signal);
    } catch (error) {
      // Delivery answers with outcomes; an exception is a fault of ours and must not cost the message.
      emit("delivery.failed", { id: formatMessageId(job.message.id), reason: `internal error: ${String(error)}` });
      outcomes = [];
    }
    lane.running--;
    job.state = "recording";
    job.abort = undefined;
    unrecorded++;
    dispatch(lane);
    const settlements: Settlement[] = [];
    // One time for all, so that they come due together and share a transaction again.
    const ended = clock.now();
    for (const recipient of job.recipients) {
      const outcome = outcomes.find((one) => one.recipient === recipient.seq);
      if (outcome === undefined) {
        settlements.push(await settleFailure(job.message, recipient, NO_OUTCOME, undefined, ended));
      } else if (outcome.kind === "delivered") settlements.push({ kind: "delivered", recipient, outcome });
      else if (outcome.kind === "deferred") {
        settlements.push(await settleFailure(job.message, recipient, outcome.detail, outcome.retryAfter, ended));
      } else {
        settlements.push({ kind: "failed", recipient, detail: outcome.detail, expired: false });
      }
    }
    await recorder.record(message, job.message, settlements, job.route);
    unrecorded--;
    endJob(job);
    for (const { kind, recipient } of settlements) {
      // May be due at once, for a flag set meanwhile.
      if (kind === "deferred") laneOf(recipient.queue);
    }
    dispatch(lane);
  };

  const dispatch = (lane: Lane) => {
    while (!halted && !down && lane.running < lane.limit && unrecorded < MOST_UNRECORDED) {
      const job = lane.ready.pop();
      if (job === undefined) break;
      if (job.hold === undefined) lane.claimed--;
      if (job.state !== "ready") continue;
      // Without a lease in force another node may have it by now.
      if (clock.now() >= job.leaseUntil) endJob(job);
      else track(run(lane, job));
    }
    if (lane.backlog || lane.orphans) void refill(lane);
  };

  const dispatchAll = () => {
    for (const lane of lanes.values()) dispatch(lane);
  };

  const refill = async (lane: Lane): Promise<void> => {
    const ahead = Math.max(lane.limit, LEAST_AHEAD);
    const room = ahead - lane.claimed;
    if (lane.claiming || halted || down || room < ahead / 2) return;
    lane.claiming = true;
    try {
      const state = lane.orphans ? STATE.claimed : STATE.queued;
      const now = clock.now();
      const lease = leaseFrom(now);
      const result = await claim(store, {
        queue: lane.name,
        state,
        limit: Math.min(room, MOST_CLAIMED),
        now,
        lease,
        onLost: (id) => emit("queue.blob-not-found", { id: formatMessageId(id) }),
      });
      if (state === STATE.claimed) lane.orphans = result.more;
      else lane.backlog = result.more;
      for (const { message, recipients } of result.claimed) {
        const known = active.get(message.id);
        const fresh = known === undefined
          ? recipients
          : recipients.filter(({ seq }) => ![...known].some((job) => job.recipients.some((one) => one.seq === seq)));
        if (state === STATE.claimed && fresh.length > 0) {
          emit("queue.lease-taken-over", { id: formatMessageId(message.id), total: fresh.length });
        }
        if (halted) await release(message.id, fresh);
        else await consider(message, fresh, lease);
      }
    } catch (error) {
      if (error instanceof StoreUnavailable) storeIs(false);
      else emit("store.unexpected-error", { reason: String(error) });
    } finally {
      lane.claiming = false;
    }
    dispatch(lane);
  };

  /** Decides what to do with claimed recipients: most are tried, some are given up, cancelled or only reported. */
  const consider = async (message: MessageRecord, recipients: readonly RecipientRecord[], lease: Lease) => {
    const now = clock.now();
    const attempts: RecipientRecord[] = [];
    const settled: Settlement[] = [];
    for (const recipient of recipients) {
      if (recipient.flags & FLAG.cancel) {
        settled.push({ kind: "cancelled", recipient });
        continue;
      }
      // First attempts are the common case, and there the schedule has nothing to say.
      const plain = recipient.attempts === 0 && now >= recipient.attemptAt && !(recipient.flags & FLAG.hold);
      if (plain) {
        attempts.push(recipient);
        continue;
      }
      let schedule: ScheduleConfig;
      try {
        schedule = await strategy.schedule(message, recipient, now);
      } catch {
        schedule = { ...strategy.fallback, queueName: recipient.queue };
      }
      if (isExhausted(recipient, schedule, now)) {
        settled.push({ kind: "failed", recipient, detail: recipient.lastDetail ?? EXPIRED, expired: true });
      } else if (now >= recipient.attemptAt && !(recipient.flags & FLAG.hold)) {
        attempts.push(recipient);
      } else {
        const delayed = countNotice(recipient, message, schedule, now);
        settled.push({ kind: "waiting", recipient, look: nextLook(recipient, message, schedule), delayed });
      }
    }
    settleNow(message, undefined, settled, "");
    if (attempts.length > 0) admit(message, attempts, undefined, lease, undefined);
  };

  const release = async (message: MessageId, recipients: readonly RecipientRecord[]) => {
    if (recipients.length === 0) return;
    const keys = JSON.stringify(recipients.map(({ seq }) => [message, seq]));
    await store.write([{ sql: RELEASE, args: [keys, owner] }]);
  };

  const poll = async (): Promise<void> => {
    if (polling || halted) return;
    polling = true;
    pollTimer?.cancel();
    let wait = POLL_INTERVAL;
    try {
      if (down) {
        // Only a write shows that the store takes writes again.
        await beat();
        await renew(true);
        storeIs(true);
      }
      const now = clock.now();
      const { rows } = await store.read(POLL, [JSON.stringify([...lanes.keys()]), context.slot]);
      for (const [name, queued, claimed, poke] of rows) {
        const lane = laneOf(String(name));
        if (queued !== null && queued !== undefined) {
          if (Number(queued) <= now) lane.backlog = true;
          else wait = Math.min(wait, Number(queued) - now);
        }
        if (claimed !== null && claimed !== undefined && Number(claimed) <= now) lane.orphans = true;
        if (Number(poke) !== poked) {
          if (poked >= 0 && active.size > 0) await honourFlags();
          poked = Number(poke);
        }
      }
      dispatchAll();
    } catch (error) {
      if (error instanceof StoreUnavailable) storeIs(false);
      else emit("store.unexpected-error", { reason: String(error) });
    } finally {
      polling = false;
      if (!halted) pollTimer = clock.after(Math.max(SHORTEST_WAIT, wait), () => void poll());
    }
  };

  /** Cancels or holds what waits in memory and was asked for from outside. */
  const honourFlags = async () => {
    for (const lane of [...lanes.values()]) {
      const { rows } = await store.read(READ_FLAGGED, [lane.name, owner]);
      for (const [id, seq, flags] of rows) {
        for (const job of active.get(Number(id)) ?? []) {
          if (job.state !== "ready") continue;
          const index = job.recipients.findIndex((one) => one.seq === Number(seq));
          const [recipient] = index < 0 ? [] : job.recipients.splice(index, 1);
          if (recipient === undefined) continue;
          const settlement: Settlement = Number(flags) & FLAG.cancel
            ? { kind: "cancelled", recipient }
            : { kind: "waiting", recipient, look: recipient.attemptAt, delayed: false };
          settleNow(job.message, job.content, [settlement], job.route);
          if (job.recipients.length === 0) endJob(job);
        }
      }
    }
  };

  const beat = async () => {
    if (await context.beat()) return;
    emit("queue.locked", { reason: "another process has started under this node's name; this one stops delivering" });
    halted = true;
    pollTimer?.cancel();
    for (const lane of lanes.values()) {
      lane.claimed = 0;
      lane.ready.clear().forEach(endJob);
    }
  };

  /** Moves the end of leases that are running out; what another node has taken meanwhile is let go. */
  const renew = async (all: boolean): Promise<void> => {
    const now = clock.now();
    const jobs: Job[] = [];
    for (const set of active.values()) {
      for (const job of set) {
        if (all || job.leaseUntil - now < context.lease * 0.7) jobs.push(job);
      }
    }
    if (jobs.length === 0) return;
    const keys = jobs.flatMap((job) => job.recipients.map(({ seq }) => [job.message.id, seq]));
    const until = now + context.lease;
    const [result] = await store.write([{ sql: RENEW, args: [until, JSON.stringify(keys), owner] }]);
    const kept = new Set((result?.rows ?? []).map(([message, seq]) => `${message} ${seq}`));
    for (const job of jobs) {
      if (job.state === "gone" || job.state === "recording") continue;
      if (job.recipients.every(({ seq }) => kept.has(`${job.message.id} ${seq}`))) job.leaseUntil = until;
      else lose(job);
    }
  };

  const lose = (job: Job) => {
    emit("queue.locked", { id: formatMessageId(job.message.id), queue: job.queue });
    if (job.state === "running") job.abort?.abort(new Error("the lease ended"));
    else endJob(job);
  };

  const keepLeases = () => {
    beatTimer = clock.after(context.lease / 4, keepLeases);
    void (async () => {
      try {
        await beat();
        await renew(false);
      } catch (error) {
        if (error instanceof StoreUnavailable) storeIs(false);
        // What cannot be renewed must not be delivered past its lease: another node may start on it.
        const limit = clock.now() + context.lease / 8;
        for (const set of [...active.values()]) {
          for (const job of [...set]) {
            if (job.leaseUntil <= limit && (job.state === "ready" || job.state === "running")) lose(job);
          }
        }
      }
    })();
  };

  const storeIs = (up: boolean) => {
    if (down === !up) return;
    down = !up;
    if (up) dispatchAll();
  };

  let currentConfig = config;
  const configure = (next: QueueConfig) => {
    currentConfig = next;
    for (const lane of lanes.values()) lane.limit = 1;
    for (const { id, threadsPerNode } of next.virtual.values()) laneOf(id).limit = Math.max(1, threadsPerNode);
  };
  configure(config);

  return {
    reserve(intake) {
      const bytes = intake.content.head.length;
      if (halted || down || intake.held || intake.due > clock.now()) return undefined;
      if (hotMessages >= context.limits.messages || hotBytes + bytes > context.limits.bytes) return undefined;
      hotMessages++;
      hotBytes += bytes;
      return leaseFrom(clock.now());
    },
    unreserve(intake) {
      hotMessages--;
      hotBytes -= intake.content.head.length;
    },
    accept(intake, lease) {
      const hold: Hold = { bytes: intake.content.head.length, jobs: 0 };
      admit(intake.message, intake.recipients, intake.content, lease, hold);
    },
    expect(intake) {
      // What is due later is found by the poll.
      if (intake.due > clock.now()) return;
      for (const { queue } of intake.recipients) {
        const lane = laneOf(queue);
        if (lane.backlog) continue;
        lane.backlog = true;
        dispatch(lane);
      }
    },
    start(deliverWith) {
      deliver = deliverWith;
      halted = false;
      keepLeases();
      void poll();
    },
    poke() {
      if (!halted) void poll();
    },
    storeIs,
    reconfigure(next, nextStrategy) {
      strategy = nextStrategy;
      configure(next);
      dispatchAll();
    },
    async drain(timeout) {
      halted = true;
      pollTimer?.cancel();
      const idle = async () => {
        while (runs.size > 0) await Promise.allSettled([...runs]);
      };
      const within = (limit: number) => {
        let timer: Timer | undefined;
        const over = new Promise<void>((resolve) => {
          timer = clock.after(limit, resolve);
        });
        return Promise.race([idle(), over]).finally(() => timer?.cancel());
      };
      await within(timeout);
      if (runs.size > 0) {
        for (const set of active.values()) {
          for (const job of set) job.abort?.abort(new Error("the program stops"));
        }
        await within(ABORT_GRACE);
      }
      beatTimer?.cancel();
      try {
        for (const lane of lanes.values()) {
          const keys: [number, number][] = [];
          lane.claimed = 0;
          for (const job of lane.ready.clear()) {
            if (job.state !== "ready") continue;
            for (const { seq } of job.recipients) keys.push([job.message.id, seq]);
            endJob(job);
          }
          if (keys.length > 0) await store.write([{ sql: RELEASE, args: [JSON.stringify(keys), owner] }]);
        }
      } catch {
        // The leases end by themselves.
      }
    },
    stop() {
      halted = true;
      pollTimer?.cancel();
      beatTimer?.cancel();
      recorder.close();
    },
    get running() {
      let sum = 0;
      for (const lane of lanes.values()) sum += lane.running;
      return sum;
    },
  };
}

function viewMessage(message: MessageRecord): Omit<QueuedMessage, "content"> {
  const { id, envelope, source, priority, created, size, receivedFromIp, receivedViaPort, addresses } = message;
  return { id, envelope, source, priority, created, size, receivedFromIp, receivedViaPort, allRecipients: addresses };
}

function lookupDetail(error: unknown): FailureDetail {
  const text = error instanceof Error ? error.message : String(error);
  return { lastError: "io", status: 0, enhanced: "4.3.0", text: `Route not known for now: ${text}`, host: "" };
}

const EMPTY: Content = { size: 0, head: new Uint8Array(0), complete: true, chunks: () => [] };

const NO_OUTCOME: FailureDetail = {
  lastError: "io",
  status: 0,
  enhanced: "4.3.0",
  text: "The attempt ended without an answer",
  host: "",
};

const EXPIRED: FailureDetail = {
  lastError: "none",
  status: 0,
  enhanced: "4.4.7",
  text: "The message is too old",
  host: "",
};
