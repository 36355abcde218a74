/** Records outcomes, with the notices that they cause, until the store has taken them. */

import type { Clock } from "../clock/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { type Statement, StatementError, type Store, StoreUnavailable, type WriteResult } from "../store/mod.ts";
import { readDialogues } from "./dialogues.ts";
import { type Intake, intakeStatements, type Lease } from "./intake.ts";
import { formatMessageId, type IdSource } from "./message_id.ts";
import { isCompleted, settlementStatements, waitStatements } from "./outcome.ts";
import { FLAG, type MessageRecord, type RecipientRecord } from "./record.ts";
import type { Settlement } from "./settle.ts";
import type {
  BuildNotice,
  FailureDetail,
  MessageId,
  NewMessage,
  NoticeRecipient,
  QueuedMessage,
  QueuedRecipient,
} from "./types.ts";

/** What {@link createRecorder} needs. */
export interface RecorderContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly owner: number;
  readonly ids: IdSource;
  readonly events: IdSource;
  readonly buildNotice: BuildNotice;
  /** Whether this route delivers finally, so that a success is "delivered" and not "relayed" (RFC 3464 §2.3.3). */
  readonly isFinal: (route: string) => boolean;
  readonly plan: (message: NewMessage) => Intake | Promise<Intake>;
  /** Asks to hand a new message to the scheduler right after the commit. */
  readonly reserve: (intake: Intake) => Lease | undefined;
  readonly unreserve: (intake: Intake) => void;
  /** Told of a notice about the message `about` that was committed, with a lease if it was reserved. */
  readonly onNotice: (notice: Intake, lease: Lease | undefined, about: MessageId) => void;
  readonly onStore: (up: boolean) => void;
  readonly onRecorded: (message: MessageRecord, settlements: readonly Settlement[], attempt: RecordedAttempt) => void;
}

/** What is known of an attempt once it is recorded. */
export interface RecordedAttempt {
  /** Milliseconds that it took; undefined if there was none. */
  readonly took: number | undefined;
  /** Whether no recipient of the message is left. */
  readonly completed: boolean;
}

/** Records what became of recipients. */
export interface Recorder {
  /** Resolves once everything is recorded, or when the queue closes; never rejects. */
  record(
    message: QueuedMessage,
    record: MessageRecord,
    settlements: readonly Settlement[],
    route: string,
    took?: number,
  ): Promise<void>;
  /** Says what recipients wait for that stay in memory; whether it could be recorded. Never rejects. */
  recordWait(
    record: MessageRecord,
    settlements: readonly Extract<Settlement, { kind: "deferred" }>[],
  ): Promise<boolean>;
  /** Gives up what is not recorded yet. */
  close(): void;
}

const RETRY_INTERVAL = 1000;

/** A recipient as delivery and notices see it. */
export function viewOf(recipient: RecipientRecord): QueuedRecipient {
  const { seq, address, domain, parameters, attempts, notified, lastError, lastStatus, flags } = recipient;
  const view = { id: seq, address, domain, parameters, attempts, notified, lastError, lastStatus };
  return (flags & FLAG.timed) === 0 ? view : { ...view, requested: true };
}

/** Makes a {@link Recorder}. */
export function createRecorder(context: RecorderContext): Recorder {
  const { store, clock, emit, events, owner } = context;
  let closed = false;
  const waiters = new Set<() => void>();

  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = clock.after(RETRY_INTERVAL, end);
      function end() {
        timer.cancel();
        waiters.delete(end);
        resolve();
      }
      waiters.add(end);
    });

  const prepareNotice = async (
    message: QueuedMessage,
    settlements: readonly Settlement[],
    route: string,
  ): Promise<Intake | undefined> => {
    const recipients = settlements.flatMap((settlement) =>
      noticeFor(settlement, context.isFinal(route), isLate(message, clock.now()))
    );
    if (recipients.length === 0) return undefined;
    try {
      const notice = await context.buildNotice(message, recipients, context.ids.next());
      return notice === undefined ? undefined : await context.plan(notice);
    } catch (error) {
      emit("store.unexpected-error", { id: formatMessageId(message.id), reason: `notice: ${String(error)}` });
      return undefined;
    }
  };

  /** One attempt to commit. */
  const write = async (
    statements: readonly Statement[],
    notice: Intake | undefined,
    about: MessageId,
  ): Promise<readonly WriteResult[]> => {
    const lease = notice === undefined ? undefined : context.reserve(notice);
    const all = notice === undefined ? statements : [...statements, ...intakeStatements(notice, lease, clock.now())];
    let results: readonly WriteResult[];
    try {
      results = await store.write(all);
    } catch (error) {
      if (notice !== undefined && lease !== undefined) context.unreserve(notice);
      throw error;
    }
    context.onStore(true);
    if (notice !== undefined) context.onNotice(notice, lease, about);
    return results;
  };

  /** With what was said in the last attempt, for those that are given up without another one. */
  const withDialogues = async (record: MessageRecord, settlements: readonly Settlement[]) => {
    try {
      const dialogues = await readDialogues(store, record.id);
      return settlements.map((settlement) => {
        if (!lacksDialogue(settlement)) return settlement;
        const dialogue = dialogues.get(settlement.recipient.seq);
        return dialogue === undefined ? settlement : { ...settlement, detail: { ...settlement.detail, dialogue } };
      });
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error;
      return settlements;
    }
  };

  return {
    async record(message, record, given, route, took) {
      const settlements = given.some(lacksDialogue) ? await withDialogues(record, given) : given;
      let notice = needsNotice(settlements) ? await prepareNotice(message, settlements, route) : undefined;
      const statements = settlementStatements(record, settlements, { owner, now: clock.now(), events });
      while (!closed) {
        try {
          const results = await write(statements, notice, record.id);
          context.onRecorded(record, settlements, { took, completed: isCompleted(statements, results) });
          return;
        } catch (error) {
          if (error instanceof StoreUnavailable) {
            context.onStore(false);
          } else {
            const reason = error instanceof Error ? error.message : String(error);
            emit("store.unexpected-error", { id: formatMessageId(record.id), reason });
            // Better an outcome without its notice than one that is never recorded. A notice whose first commit went
            // unanswered is in the queue already, and fails here by its id.
            if (error instanceof StatementError && notice !== undefined) {
              notice = undefined;
              continue;
            }
          }
          await pause();
        }
      }
    },
    async recordWait(record, settlements) {
      try {
        await store.write(waitStatements(record, settlements, { owner, now: clock.now(), events }));
      } catch (error) {
        if (error instanceof StoreUnavailable) context.onStore(false);
        else emit("store.unexpected-error", { id: formatMessageId(record.id), reason: String(error) });
        return false;
      }
      context.onRecorded(record, settlements, { took: undefined, completed: false });
      return true;
    },
    close() {
      closed = true;
      for (const end of [...waiters]) end();
    },
  };
}

function lacksDialogue(settlement: Settlement): settlement is Extract<Settlement, { kind: "failed" }> {
  return settlement.kind === "failed" && settlement.unattempted === true && settlement.recipient.attempts > 0 &&
    settlement.detail.dialogue === undefined;
}

function needsNotice(settlements: readonly Settlement[]): boolean {
  return settlements.some((settlement) =>
    settlement.kind === "failed" ||
    (settlement.kind === "delivered"
      ? settlement.recipient.parameters.notify?.success === true || settlement.outcome.tellRelayed === true
      : settlement.kind !== "cancelled" && settlement.delayed)
  );
}

/** Whether the deadline of DELIVERBY in mode N has passed. */
function isLate({ envelope, created }: QueuedMessage, now: number): boolean {
  const { by } = envelope.parameters;
  return by?.mode === "notify" && now >= created + by.seconds * 1000;
}

function noticeFor(settlement: Settlement, final: boolean, late: boolean): NoticeRecipient[] {
  const recipient = viewOf(settlement.recipient);
  const unattempted = settlement.kind === "waiting" ||
    ((settlement.kind === "failed" || settlement.kind === "deferred") && settlement.unattempted === true);
  const when = unattempted ? { unattempted } : {};
  switch (settlement.kind) {
    case "failed":
      return [{ recipient, action: "failed", detail: settlement.detail, ...when }];
    case "deferred":
    case "waiting": {
      if (!settlement.delayed) return [];
      const { expires, lastDetail } = settlement.recipient;
      const detail = settlement.kind === "deferred" ? settlement.detail : lastDetail ?? NOT_TRIED;
      return [{
        recipient,
        action: "delayed",
        // RFC 2852 §4.1.3: delivery time expired, whatever the last attempt came to.
        detail: late ? { ...detail, enhanced: "4.4.7" } : detail,
        ...(expires === undefined ? {} : { willRetryUntil: expires }),
        ...when,
      }];
    }
    case "delivered": {
      const { outcome } = settlement;
      const { status, enhanced, text, host } = outcome;
      const detail: FailureDetail = { lastError: "none", status, enhanced, text, host };
      if (outcome.tellRelayed === true) return [{ recipient, action: "relayed", unasked: true, detail }];
      // A next hop that took over the duty reports itself (RFC 3461 §5.2.2).
      if (recipient.parameters.notify?.success !== true || outcome.dsnRelayed === true) return [];
      return [{ recipient, action: final ? "delivered" : "relayed", detail }];
    }
    case "cancelled":
      return [];
  }
}

const NOT_TRIED: FailureDetail = {
  lastError: "none",
  status: 0,
  enhanced: "4.4.7",
  text: "The message waits for its turn",
  host: "",
};
