/** Hands due recipients to delivery: lanes of virtual queues, claims, the way of fresh messages from memory, drain. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { QueueConfig } from "../config/config.ts";
import type { Content } from "../message/content.ts";
import { type Store, StoreUnavailable } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { attempt } from "./attempt.ts";
import { readDue } from "./claim.ts";
import { createClaimJobs } from "./claim_jobs.ts";
import { EMPTY, loadContent } from "./content.ts";
import type { Intake, Lease } from "./intake.ts";
import {
  clearReady,
  createActiveJobs,
  createJob,
  createLanes,
  type Hold,
  type Job,
  type Lane,
  makeReady,
  senderOf,
  takeOut,
  takeReady,
  viewMessage,
  type Whereto,
} from "./job.ts";
import { reachedBy } from "./fair_share.ts";
import { createHeartbeat } from "./heartbeat.ts";
import { createLeases } from "./leases.ts";
import { formatMessageId } from "./message_id.ts";
import { createMemoryBudget, type MemoryLimits } from "./memory_budget.ts";
import type { NodeIdentity } from "./node.ts";
import type { MessageRecord, RecipientRecord } from "./record.ts";
import type { Recorder } from "./recorder.ts";
import { routeRecipients, type Routing } from "./routing.ts";
import { createParking } from "./parking.ts";
import { createPeers } from "./peers.ts";
import { createRefill } from "./refill.ts";
import { createRuns } from "./runs.ts";
import { createScout } from "./scout.ts";
import { lateOutcomes, lookupDetail, settleAttempt, settleDeferral, type Settlement } from "./settle.ts";
import type { Strategy } from "./strategy.ts";
import type { Deliver, Outcome } from "./types.ts";
import { createUnderWay } from "./under_way.ts";

/** What {@link createScheduler} needs. */
export interface SchedulerContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly emit: Emit;
  readonly node: NodeIdentity;
  /** Milliseconds. */
  readonly lease: number;
  readonly limits: MemoryLimits;
  readonly recorder: Recorder;
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
  /** Looks at the store now instead of at the next poll. */
  poke(): void;
  storeIs(up: boolean): void;
  reconfigure(config: QueueConfig, strategy: Strategy): void;
  drain(timeout: number): Promise<void>;
  stop(): void;
  /** Whether another process has started under this node's name. */
  readonly displaced: boolean;
}

const POLL_INTERVAL = 1000;
const SHORTEST_WAIT = 5;
// Recipients of messages that were looked for by sender.
const MOST_SCOUTED = 1000;
// Outcomes that wait for their commit; deliveries pause beyond it.
const MOST_UNRECORDED = 2000;
// After an abort, deliveries get this long to answer.
const ABORT_GRACE = 2000;

/** What a fresh message takes of the memory. */
const shareOf = ({ message, content }: Intake) => ({ bytes: content.head.length, sender: senderOf(message) });
const NOWHERE = { route: "", destination: "", oneOfMany: false };

/** Makes the scheduler of one node; nothing is delivered before `start`. */
export function createScheduler(context: SchedulerContext, config: QueueConfig, strategy: Strategy): Scheduler {
  const { store, clock, emit, recorder, node } = context;
  const lanes = createLanes(clock);
  const active = createActiveJobs();
  const runs = createRuns(clock);
  const { track, settled } = runs;
  const memory = createMemoryBudget(context.limits);
  let deliver: Deliver | undefined;
  let halted = true;
  let displaced = false;
  let down = false;
  let unrecorded = 0;
  let poked: number | undefined;
  let polling = false;
  let pollTimer: Timer | undefined;
  let nextPoll = Infinity;

  const leaseFrom = (now: number): Lease => ({ owner: node.owner, until: now + context.lease });

  const leaveHold = (hold: Hold | undefined) => {
    if (hold !== undefined && --hold.jobs === 0) memory.give(hold);
  };

  const endJob = (job: Job) => {
    if (job.state === "gone") return;
    job.state = "gone";
    job.content = undefined;
    active.delete(job);
    leaveHold(job.hold);
  };

  const loseJob = (job: Job) => {
    emit("queue.locked", { id: formatMessageId(job.message.id), queue: job.queue });
    if (job.state === "running") job.abort?.abort(new Error("the lease ended"));
    else endJob(job);
  };

  const peers = createPeers({ store, clock, owner: node.owner, lease: context.lease, emit });
  const leases = createLeases(store, clock, node.owner, context.lease, active, loseJob);

  const showUnderWay = createUnderWay(store, clock, node.owner, active);

  const newJob = (
    message: MessageRecord,
    recipients: RecipientRecord[],
    where: Whereto,
    lease: Lease,
    content: Content | undefined,
    hold: Hold | undefined,
  ): Job => {
    const job = createJob(message, recipients, where, lease.until, content, hold);
    if (hold !== undefined) hold.jobs++;
    active.add(job);
    return job;
  };

  /** Records what was settled without an attempt. */
  const settleNow = (message: MessageRecord, settlements: readonly Settlement[], lease: Lease, content?: Content) => {
    if (settlements.length === 0) return;
    const job = newJob(message, settlements.map(({ recipient }) => recipient), NOWHERE, lease, content, undefined);
    job.state = "recording";
    unrecorded++;
    track((async () => {
      const full = content ?? await loadContent(store, message).catch(() => EMPTY);
      await recorder.record(viewMessage(message, full), message, settlements, "");
      unrecorded--;
      endJob(job);
      dispatchAll();
    })());
  };

  /** Records what was settled of recipients that have left a job, which ends with the last of them. */
  const settleApart = (job: Job, settlements: readonly Settlement[]) => {
    settleNow(job.message, settlements, { owner: node.owner, until: job.leaseUntil }, job.content);
    if (job.recipients.length === 0) endJob(job);
  };

  /** Makes jobs of recipients that are to be tried now. */
  const admit = (
    message: MessageRecord,
    recipients: readonly RecipientRecord[],
    lease: Lease,
    content?: Content,
    hold?: Hold,
  ) => {
    // Kept until every recipient has its job.
    if (hold !== undefined) hold.jobs++;
    const now = clock.now();
    const place = ({ groups, unroutable }: Routing) => {
      for (const group of groups) {
        const lane = lanes.of(group.queue);
        makeReady(lane, newJob(message, group.recipients, group, lease, content, hold));
        dispatch(lane);
      }
      leaveHold(hold);
      if (unroutable.length === 0) return;
      track((async () => {
        const settled: Settlement[] = [];
        for (const { recipient, error } of unroutable) {
          settled.push(await settleDeferral(message, recipient, lookupDetail(error), strategy, now));
        }
        settleNow(message, settled, lease, content);
      })());
    };
    const routing = routeRecipients(message, recipients, strategy, config, now);
    if (routing instanceof Promise) track(routing.then(place));
    else place(routing);
  };

  /** Makes a job that waits anew, as queue and route are others by now. */
  const readmit = (job: Job) => {
    const { message, recipients, content, hold } = job;
    // Held until the new jobs have taken over.
    if (hold !== undefined) hold.jobs++;
    track((async () => {
      for (const recipient of recipients) {
        try {
          recipient.queue = (await strategy.schedule(message, recipient, clock.now())).queueName;
        } catch {
          // It cannot be told now; the queue stays as it was.
        }
      }
      // Meanwhile the job may have been cancelled or lost.
      if (job.state === "ready" && recipients.length > 0) {
        admit(message, recipients, { owner: node.owner, until: job.leaseUntil }, content, hold);
      }
      endJob(job);
      leaveHold(hold);
    })());
  };

  const run = async (lane: Lane, job: Job): Promise<void> => {
    job.state = "running";
    let content = job.content;
    let outcomes: readonly Outcome[] = [];
    const began = job.began = clock.now();
    try {
      content ??= await loadContent(store, job.message);
      outcomes = lateOutcomes(job.message, job.recipients, clock.now()) ?? await attempt(deliver, job, content, emit);
    } catch (error) {
      if (error instanceof StoreUnavailable) {
        lane.share.end(job, "unknown", 0);
        makeReady(lane, job);
        storeIs(false);
        return;
      }
      emit("queue.blob-not-found", { id: formatMessageId(job.message.id) });
    }
    const ended = clock.now();
    const reached = reachedBy(outcomes);
    const left = parking.keep(job, outcomes);
    // What leads nowhere must not keep the store busier than what does.
    const early = reached !== "no";
    if (early) lane.share.end(job, reached, ended - began);
    if (left === undefined) return dispatch(lane);
    job.state = "recording";
    unrecorded++;
    dispatch(lane);
    // One time for all recipients, so that they come due together and share a transaction again.
    const settlements = await settleAttempt(job.message, job.recipients, left, strategy, ended);
    const view = viewMessage(job.message, content ?? EMPTY);
    await recorder.record(view, job.message, settlements, job.route, ended - began);
    unrecorded--;
    endJob(job);
    if (!early) lane.share.end(job, reached, ended - began);
    expectLooks(settlements);
    dispatch(lane);
  };

  const resume = (job: Job) => {
    const lane = lanes.of(job.queue);
    makeReady(lane, job);
    queueMicrotask(() => dispatch(lane));
  };

  const parking = createParking({
    ...{ clock, recorder, resume, track },
    strategy: () => strategy,
    part(job, recipients) {
      takeOut(job, recipients);
      return newJob(job.message, recipients, job, { owner: node.owner, until: job.leaseUntil }, job.content, job.hold);
    },
    settle: settleApart,
  });

  const dispatch = (lane: Lane) => {
    while (!halted && !down && unrecorded < MOST_UNRECORDED) {
      const job = takeReady(lane);
      if (job === undefined) break;
      // Without a lease in force another node may have it by now.
      if (clock.now() < job.leaseUntil) {
        track(run(lane, job));
      } else {
        endJob(job);
        lane.share.end(job, "unknown", 0);
      }
    }
    if (lane.backlog.due || lane.urgent.due || lane.orphans) refill(lane);
  };

  const dispatchAll = () => {
    for (const lane of lanes.all()) dispatch(lane);
  };

  const claimJobs = createClaimJobs({
    ...{ store, clock, emit, active, leases, peers, leaseFrom },
    isHalted: () => halted,
    strategy: () => strategy,
    settle: settleNow,
    admit,
  });

  const onStoreError = (error: unknown) => {
    if (error instanceof StoreUnavailable) storeIs(false);
    else emit("store.unexpected-error", { reason: String(error) });
  };

  const refill = createRefill({
    clock,
    claim: claimJobs,
    postpone: (jobs, timeOf) => leases.postpone(jobs, timeOf).finally(() => jobs.forEach(endJob)),
    isHalted: () => halted || down,
    onError: onStoreError,
    onFilled: (lane) => dispatch(lane),
    track,
  });

  const scout = createScout(store, clock);
  const scoutIn = async (lane: Lane): Promise<void> => {
    try {
      const messages = await scout(lane);
      if (messages.length > 0 && !halted) await claimJobs(lane, messages, MOST_SCOUTED);
    } catch (error) {
      onStoreError(error);
    }
  };

  const poll = async (): Promise<void> => {
    if (polling || halted) return;
    polling = true;
    pollTimer?.cancel();
    let wait = POLL_INTERVAL;
    try {
      if (down) {
        // Only a write shows that the store takes writes again.
        await heartbeat.beat();
        await leases.renew(true);
        storeIs(true);
      }
      const now = clock.now();
      const found = await readDue(store, lanes.names(), node.slot);
      if (found.owner !== undefined && found.owner !== node.owner) displace();
      const behind: Lane[] = [];
      for (const { queue, queued, claimed, urgent } of found.lanes) {
        const lane = lanes.of(queue);
        if (urgent <= now) lane.urgent.due = true;
        if (queued <= now) {
          lane.backlog.due = true;
          behind.push(lane);
        } else wait = Math.min(wait, queued - now);
        if (claimed <= now) lane.orphans = true;
      }
      if (poked !== undefined && poked !== found.poke) await honourFlags();
      poked = found.poke;
      dispatchAll();
      await showUnderWay();
      for (const lane of behind) {
        const work = scoutIn(lane);
        track(work);
        await work;
      }
    } catch (error) {
      onStoreError(error);
    } finally {
      polling = false;
      planPoll(wait);
    }
  };

  const planPoll = (wait: number) => {
    pollTimer?.cancel();
    nextPoll = clock.now() + Math.max(SHORTEST_WAIT, wait);
    if (!halted) pollTimer = clock.after(nextPoll - clock.now(), () => void poll());
  };

  /** Sees to it that what was put off for a short time is found in time. */
  const expectLooks = (settlements: readonly Settlement[]) => {
    for (const one of settlements) {
      if ((one.kind === "deferred" || one.kind === "waiting") && one.look < nextPoll && !polling) {
        planPoll(one.look - clock.now());
      }
    }
  };

  const honourFlags = async () => {
    if (active.size === 0) return;
    for (const lane of lanes.all()) {
      for (const { job, settlement } of await leases.flagged(lane.name)) {
        settleApart(job, [settlement]);
      }
    }
  };

  const displace = () => {
    if (displaced) return;
    displaced = true;
    halted = true;
    emit("queue.lease-taken-over", { reason: "another process has started under this node's name" });
    for (const job of [...active.all()]) if (job.state !== "recording") loseJob(job);
  };

  const heartbeat = createHeartbeat({
    ...{ clock, random: context.random, lease: context.lease, node, leases, peers },
    onDisplaced: displace,
    onStoreLost: () => storeIs(false),
    // What that node had is looked for in every lane.
    onSilence() {
      for (const lane of lanes.all()) lane.orphans = true;
      dispatchAll();
    },
  });

  const storeIs = (up: boolean) => {
    if (down === !up) return;
    down = !up;
    if (up) dispatchAll();
  };

  lanes.limit(config.virtual.values());

  return {
    reserve(intake) {
      const now = clock.now();
      if (halted || down || intake.held || intake.due > now) return undefined;
      return memory.take(shareOf(intake)) ? leaseFrom(now) : undefined;
    },
    unreserve(intake) {
      memory.give(shareOf(intake));
    },
    accept(intake, lease) {
      const { message, recipients, content } = intake;
      if (!halted) admit(message, recipients, lease, content, { ...shareOf(intake), jobs: 0 });
      else {
        memory.give(shareOf(intake));
        track(leases.release([{ message: message.id, recipients }]).catch(() => undefined));
      }
    },
    expect(intake) {
      // What is due later is found by the poll.
      if (intake.due > clock.now()) return;
      const urgent = intake.message.priority > 0;
      for (const { queue } of intake.recipients) {
        const lane = lanes.of(queue);
        const supply = urgent ? lane.urgent : lane.backlog;
        if (supply.due) continue;
        supply.due = true;
        dispatch(lane);
      }
    },
    start(deliverWith) {
      deliver = deliverWith;
      halted = displaced;
      heartbeat.start();
      void heartbeat.lookAround().then(poll);
    },
    poke() {
      void poll();
    },
    storeIs,
    reconfigure(next, nextStrategy) {
      config = next;
      strategy = nextStrategy;
      lanes.limit(next.virtual.values());
      for (const job of [...lanes.all().flatMap(clearReady), ...parking.clear()]) readmit(job);
      dispatchAll();
    },
    async drain(timeout) {
      halted = true;
      pollTimer?.cancel();
      await settled(timeout);
      if (runs.size > 0) {
        for (const job of active.all()) job.abort?.abort(new Error("the program stops"));
        await settled(ABORT_GRACE);
      }
      heartbeat.stop();
      for (const { backlog, urgent } of lanes.all()) for (const { rest } of [backlog, urgent]) rest?.cancel();
      const waiting = [...lanes.all().flatMap(clearReady), ...parking.clear()];
      try {
        await leases.release(waiting.map(({ message, recipients }) => ({ message: message.id, recipients })));
      } catch {
        // The leases end by themselves.
      }
      waiting.forEach(endJob);
    },
    stop() {
      halted = true;
      pollTimer?.cancel();
      heartbeat.stop();
      recorder.close();
    },
    get displaced() {
      return displaced;
    },
  };
}
