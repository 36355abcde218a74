import type { Clock } from "../clock/mod.ts";
import type { QueueConfig } from "../config/config.ts";
import type { FunctionHost } from "../expression/types.ts";
import { type Statement, type Store, StoreUnavailable, type WriteResult } from "../store/mod.ts";
import type { Emit, EventName } from "../telemetry/event.ts";
import { createContentWriter } from "./content.ts";
import { inspectQueue, type QueueInspection } from "./inspect.ts";
import { arrivingRecords, type Intake, intakeStatements, planIntake, undoIntake } from "./intake.ts";
import { createIdSource, formatMessageId } from "./message_id.ts";
import { joinNodes, recoverNode } from "./node.ts";
import { describe } from "./outcome.ts";
import { type Arrival, fullOf, type QuotaRefusal, type Quotas, refusalOf } from "./quota.ts";
import { createQuotaKeeper, land } from "./quota_keeper.ts";
import type { MessageRecord } from "./record.ts";
import { createRecorder, type RecordedAttempt } from "./recorder.ts";
import { createScheduler, type Scheduler } from "./scheduler.ts";
import type { MemoryLimits } from "./memory_budget.ts";
import { digestOf, isApplied, noteApplied, replan } from "./replan.ts";
import type { Settlement } from "./settle.ts";
import { createStrategy } from "./strategy.ts";
import { createTurns } from "./turns.ts";
import type { BuildNotice, ContentWriter, Deliver, MessageId, NewMessage } from "./types.ts";

/** What {@link openQueue} needs. */
export interface QueueOptions {
  readonly store: Store;
  readonly config: QueueConfig;
  /** Name of this node, unique among the nodes on one store (`cluster.node-id`). */
  readonly nodeId: string;
  /** How long a claim lasts unless it is renewed, milliseconds (`cluster.lease`). */
  readonly lease: number;
  readonly clock: Clock;
  /** Source of randomness, 0 to 1. */
  readonly random: () => number;
  readonly emit: Emit;
  readonly functions: FunctionHost;
  readonly buildNotice: BuildNotice;
  /** How much may wait in memory for its first attempt. */
  readonly memory?: Partial<MemoryLimits>;
}

/** Rows of other rooms that stand and fall with messages. */
export interface AccompanyingRows {
  readonly statements: readonly Statement[];
  /** What takes them back, where nobody can tell whether the commit came about. */
  readonly undo: readonly Statement[];
}

const NO_ROWS: AccompanyingRows = { statements: [], undo: [] };

/** The queue of one node. */
export interface Queue extends QueueInspection {
  /** An id that no message has yet. */
  nextId(): MessageId;
  /** Starts taking the content of one message. */
  contentWriter(): ContentWriter;
  /**
   * Puts a message in the queue; it survives anything from when this resolves.
   *
   * @param others messages that come with it in the same commit; quotas are asked about the first alone
   * @param rows what else is written in that commit; a statement of them that fails keeps the messages out of the queue
   * @returns undefined once it is queued, or the quotas that leave no room for it
   * @throws {StoreUnavailable} if it could not be stored; nothing of it stays
   * @throws {LookupUnavailable} if a quota cannot be told for now; nothing of it stays
   */
  enqueue(
    message: NewMessage,
    others?: readonly NewMessage[],
    rows?: AccompanyingRows,
  ): Promise<QuotaRefusal | undefined>;
  /**
   * Whether quotas leave room for a message, as far as that can be told now; undefined while there are no quotas.
   *
   * @throws {StoreUnavailable} (rejects) if the store is unavailable
   * @throws {LookupUnavailable} (rejects) if a quota cannot be told for now
   */
  readonly hasRoom: ((arrival: Arrival) => Promise<boolean>) | undefined;
  /** Begins to deliver. */
  start(deliver: Deliver): void;
  /** Stops claiming, waits for deliveries up to `timeout` milliseconds, aborts the rest, gives back what is claimed. */
  drain(timeout: number): Promise<void>;
  /** Ends everything; the store stays open. */
  close(): Promise<void>;
  reconfigure(config: QueueConfig): void;
}

const HOT_BYTES = 64 * 1024 * 1024;
const HOT_MESSAGES = 5000;

/**
 * Opens the queue in `store` as node `nodeId`: takes the node's slot and frees what its last run had claimed.
 *
 * @throws {StoreUnavailable} if the store is unavailable
 */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  const { store, clock, emit, functions, lease } = options;
  const node = await joinNodes(store, options.nodeId, clock);
  const events = createIdSource(clock, node.slot, node.owner);
  let config = options.config;
  let strategy = createStrategy(config, functions, emit);
  await recoverNode(
    store,
    node,
    new Set(config.virtual.keys()),
    strategy.fallback.queueName,
    clock.now(),
    lease,
  );

  const quota = createQuotaKeeper({ store, node: node.slot, clock, functions, emit });
  await quota.open(config.quotas);

  const replanning = createTurns(clock, emit, "applying changed schedules to what waits");
  /** Applies the schedules in force to what was queued under others; at once in the background. */
  const applySchedules = async (): Promise<void> => {
    const mine = replanning.next();
    const digest = digestOf(config.scheduling ?? "");
    const stopped = () => replanning.isOver(mine);
    const done = await replanning.insist(mine, async () => {
      if (config.scheduling !== undefined && await isApplied(store, node.slot, digest)) return;
      await replan({ store, strategy, now: () => clock.now(), random: options.random, stopped });
      if (!stopped()) await noteApplied(store, node.slot, digest);
    });
    if (done) scheduler.poke();
  };

  const plan = (message: NewMessage): Intake | Promise<Intake> => {
    const planned = planIntake(message, node.ids.next, strategy, clock.now());
    return quota.inForce === undefined ? planned : withQuota(planned, quota.inForce, clock.now());
  };
  const recorder = createRecorder({
    store,
    clock,
    emit,
    owner: node.owner,
    ids: node.ids,
    events,
    buildNotice: options.buildNotice,
    isFinal: (id) => {
      const route = config.route.get(id);
      return route?.type === "local" || (route?.type === "relay" && route.protocol === "lmtp");
    },
    plan,
    reserve: (intake) => scheduler.reserve(intake),
    unreserve: (intake) => scheduler.unreserve(intake),
    onNotice(notice, reserved, about) {
      noteQueued(emit, notice, about);
      if (reserved !== undefined) scheduler.accept(notice, reserved);
      else scheduler.expect(notice);
    },
    onStore: (up) => scheduler.storeIs(up),
    onRecorded: (message, settlements, attempt) => noteOutcomes(emit, message, settlements, attempt, clock),
  });
  const scheduler: Scheduler = createScheduler(
    {
      store,
      clock,
      random: options.random,
      emit,
      node,
      lease,
      limits: { bytes: options.memory?.bytes ?? HOT_BYTES, messages: options.memory?.messages ?? HOT_MESSAGES },
      recorder,
    },
    config,
    strategy,
  );

  /** Writes messages in one commit; the quotas of the first decide about all. */
  const keep = async (
    intakes: readonly [Intake, ...Intake[]],
    rows: AccompanyingRows,
  ): Promise<QuotaRefusal | undefined> => {
    const now = clock.now();
    const places = intakes.map((intake) => ({ intake, reserved: scheduler.reserve(intake) }));
    const giveBack = () => {
      for (const { intake, reserved } of places) if (reserved !== undefined) scheduler.unreserve(intake);
    };
    let results: readonly WriteResult[];
    try {
      results = await store.write(
        places.reduceRight<Statement[]>(
          (others, { intake, reserved }) => intakeStatements(intake, reserved, now, others),
          [...rows.statements],
        ),
        { undo: () => [...intakes.flatMap(undoIntake), ...rows.undo] },
      );
    } catch (error) {
      giveBack();
      if (error instanceof StoreUnavailable) throw error;
      throw new StoreUnavailable(`the message could not be stored: ${String(error)}`, false, { cause: error });
    }
    const [first] = intakes;
    const refusal = first.quota === undefined ? undefined : refusalOf(first.quota, fullKeys(results));
    if (refusal !== undefined) {
      giveBack();
      noteRefused(emit, first.message, refusal);
      return refusal;
    }
    for (const { intake, reserved } of places) {
      noteQueued(emit, intake);
      if (reserved !== undefined) scheduler.accept(intake, reserved);
      else if (!intake.held) scheduler.expect(intake);
    }
    return undefined;
  };

  const hasRoom = async (arrival: Arrival): Promise<boolean> => {
    const { recipients, message } = arrivingRecords(arrival, clock.now());
    const foreseen = await quota.inForce?.foresee(message, recipients, clock.now());
    if (foreseen === undefined || foreseen.limits.length === 0) return true;
    const refusal = refusalOf(foreseen, await fullOf(store, foreseen.limits, arrival.size));
    if (refusal !== undefined) noteRefused(emit, { ...message, size: arrival.size }, refusal);
    return refusal === undefined;
  };

  if (config.scheduling !== undefined) void applySchedules();

  return {
    ...inspectQueue(store, clock, { onChange: () => scheduler.poke(), emit }),
    nextId: node.ids.next,
    contentWriter: () => createContentWriter({ store, ids: node.ids, slot: node.slot, now: () => clock.now() }),
    async enqueue(message, others = [], rows = NO_ROWS) {
      if (message.recipients.length === 0) throw new Error("a message without recipients cannot be queued");
      if (scheduler.displaced) throw new StoreUnavailable("another process runs under this node's name", false);
      const { flight } = quota;
      flight.count++;
      try {
        const planned = plan(message);
        const intake = planned instanceof Promise ? await planned : planned;
        return await keep(others.length === 0 ? [intake] : [intake, ...await Promise.all(others.map(plan))], rows);
      } finally {
        land(flight);
      }
    },
    get hasRoom() {
      return quota.inForce === undefined ? undefined : hasRoom;
    },
    start: (deliver) => scheduler.start(deliver),
    drain: (timeout) => scheduler.drain(timeout),
    async close() {
      quota.close();
      replanning.close();
      await scheduler.drain(0);
      scheduler.stop();
      await node.beat().catch(() => false);
    },
    reconfigure(next) {
      config = next;
      strategy = createStrategy(next, functions, emit);
      scheduler.reconfigure(next, strategy);
      void applySchedules();
      quota.change(next.quotas);
    },
  };
}

/** The queue of a server that may be stopped or running: to look at and change, without delivering. */
export function openQueueOffline(options: { readonly store: Store; readonly clock: Clock }): QueueInspection {
  return inspectQueue(options.store, options.clock);
}

const QUEUED_EVENTS: Readonly<Record<string, EventName>> = {
  authenticated: "queue.queue-message-authenticated",
  dsn: "queue.queue-dsn",
  report: "queue.queue-report",
  autogenerated: "queue.queue-autogenerated",
};

async function withQuota(planned: Intake | Promise<Intake>, quotas: Quotas, now: number): Promise<Intake> {
  const intake = await planned;
  const quota = await quotas.plan(intake.message, intake.recipients, now);
  return quota === undefined ? intake : { ...intake, quota };
}

/** The keys that left no room, from the results of the statements of an intake. */
function fullKeys(results: readonly WriteResult[]): ReadonlySet<string> {
  return new Set(results[0]?.rows.map(([key]) => String(key)));
}

function noteRefused(emit: Emit, message: MessageRecord, { quotas, recipients }: QuotaRefusal): void {
  emit("queue.quota-exceeded", {
    // At RCPT there is no id yet.
    id: message.id === 0 ? undefined : formatMessageId(message.id),
    from: message.envelope.sender,
    to: recipients.map((seq) => message.addresses[seq] ?? ""),
    size: message.size,
    quota: quotas,
  });
}

/** @param about the message that a notification is about */
function noteQueued(emit: Emit, { message }: Intake, about?: MessageId): void {
  emit(QUEUED_EVENTS[message.source] ?? "queue.queue-message", {
    id: formatMessageId(message.id),
    from: message.envelope.sender,
    to: message.addresses,
    size: message.size,
    about: about === undefined ? undefined : formatMessageId(about),
  });
}

function noteOutcomes(
  emit: Emit,
  message: MessageRecord,
  settlements: readonly Settlement[],
  { took, completed }: RecordedAttempt,
  clock: Clock,
): void {
  const id = formatMessageId(message.id);
  for (const settlement of settlements) {
    const { recipient } = settlement;
    const fields = { id, from: message.envelope.sender, to: recipient.address, queue: recipient.queue };
    switch (settlement.kind) {
      case "delivered":
        emit("delivery.delivered", { ...fields, reason: describe(settlement.outcome), elapsed: took });
        break;
      case "failed":
        emit(settlement.expired ? "queue.expired" : "delivery.failed", {
          ...fields,
          reason: describe(settlement.detail),
        });
        break;
      case "deferred":
        if (settlement.repeated === true) break;
        emit("delivery.deferred", {
          ...fields,
          reason: describe(settlement.detail),
          due: new Date(recipient.attemptAt).toISOString(),
        });
        break;
      case "cancelled":
        emit("queue.cancelled", fields);
        break;
      case "waiting":
        break;
    }
  }
  if (completed) emit("delivery.completed", { id, elapsed: Math.max(0, clock.now() - message.created) });
}
