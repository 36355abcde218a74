/** From outcomes of an attempt to the statements that record them. */

import type { ScheduleConfig } from "../config/config.ts";
import type { Statement } from "../store/mod.ts";
import type { IdSource } from "./message_id.ts";
import { detailColumn, FLAG, type MessageRecord, type RecipientRecord, STATE } from "./record.ts";
import { isExhausted, nextLook, noticeTimes, pauseAfter } from "./schedule.ts";
import type { FailureDetail, Outcome } from "./types.ts";

const DELETE_RECIPIENT = "DELETE FROM recipients WHERE message = ? AND seq = ?";
const DELETE_MESSAGE = "DELETE FROM messages WHERE id = ?";
const DELETE_BLOB = "DELETE FROM blobs WHERE id = ?";
const DELETE_DONE_MESSAGE = "DELETE FROM messages WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM recipients WHERE " +
  "message = ?1)";
const DELETE_DONE_BLOB = "DELETE FROM blobs WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM messages WHERE id = ?2)";
const DEFER = "UPDATE recipients SET state = CASE WHEN flags & 2 THEN 2 ELSE 0 END, " +
  "due = CASE WHEN flags & 3 THEN ?1 ELSE ?2 END, owner = NULL, flags = flags & ~2, queue = ?3, attempt_at = ?4, " +
  "expires = ?5, attempts = ?6, notified = ?7, last_error = ?8, last_status = ?9, last_detail = ?10 " +
  "WHERE message = ?11 AND seq = ?12 AND state = 1 AND owner = ?13";
/** Adds one entry of history; adding it again changes nothing. */
export const INSERT_EVENT = "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text, data) " +
  "VALUES (?, ?, ?, ?, ?, ?, ?)";
const INSERT_COMPLETED = "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text, data) " +
  "SELECT id, ?2, ?3, 'completed', '', '', ?4 FROM messages WHERE id = ?1 AND NOT EXISTS " +
  "(SELECT 1 FROM recipients WHERE message = ?1)";

/** What became of one recipient, in full. */
export type Settlement =
  | {
    readonly kind: "delivered";
    readonly recipient: RecipientRecord;
    readonly outcome: Extract<Outcome, { kind: "delivered" }>;
  }
  | { readonly kind: "failed"; readonly recipient: RecipientRecord; readonly detail: FailureDetail; expired: boolean }
  | {
    readonly kind: "deferred";
    readonly recipient: RecipientRecord;
    readonly detail: FailureDetail;
    readonly look: number;
    /** Whether the sender is to be told of the delay now. */
    readonly delayed: boolean;
  }
  /** No attempt was made; back to waiting, maybe after a delay notice. */
  | { readonly kind: "waiting"; readonly recipient: RecipientRecord; readonly look: number; readonly delayed: boolean }
  | { readonly kind: "cancelled"; readonly recipient: RecipientRecord };

/** The recipient's next state after an attempt failed for now; gives up when the schedule says so. */
export function settleDeferral(
  message: MessageRecord,
  before: RecipientRecord,
  detail: FailureDetail,
  retryAfter: number | undefined,
  schedule: ScheduleConfig,
  expires: number | undefined,
  now: number,
): Settlement {
  // A limit of ours is not a failed attempt (reference §7.2): the schedule does not advance.
  const attempts = before.attempts + (retryAfter === undefined ? 1 : 0);
  const recipient: RecipientRecord = {
    ...before,
    queue: schedule.queueName,
    attempts,
    expires,
    attemptAt: now + (retryAfter ?? pauseAfter(schedule, attempts)),
    lastError: detail.lastError,
    lastStatus: detail.status,
    lastDetail: detail,
  };
  if (isExhausted(recipient, schedule, now)) return { kind: "failed", recipient, detail, expired: true };
  const delayed = countNotice(recipient, message, schedule, now);
  return { kind: "deferred", recipient, detail, look: nextLook(recipient, message, schedule), delayed };
}

/** Counts delay notices that are due by `now`; true if there is one. Several missed ones make one notice. */
export function countNotice(
  recipient: RecipientRecord,
  message: MessageRecord,
  schedule: ScheduleConfig,
  now: number,
): boolean {
  const passed = noticeTimes(message, schedule).filter((time) => time <= now).length;
  if (passed <= recipient.notified) return false;
  recipient.notified = passed;
  return true;
}

/** What {@link settlementStatements} needs to know. */
export interface RecordingContext {
  readonly owner: number;
  readonly now: number;
  readonly events: IdSource;
}

/** The statements that record settlements of one message. Recording them twice does no harm. */
export function settlementStatements(
  message: MessageRecord,
  settlements: readonly Settlement[],
  context: RecordingContext,
): Statement[] {
  const { owner, now, events } = context;
  const statements: Statement[] = [];
  const ended = settlements.filter(({ kind }) => kind !== "deferred" && kind !== "waiting").length;
  // All recipients end here: the message is done, whoever looks.
  const whole = ended === message.addresses.length;
  const summary = ended > 0 ? summaryOf(message) : null;
  const alone = whole && ended === 1;

  const note = (name: string, recipient: RecipientRecord, text: string, data: string | null) =>
    statements.push({
      sql: INSERT_EVENT,
      args: [message.id, events.next(), now, name, recipient.address, text, data],
    });

  for (const settlement of settlements) {
    const { recipient } = settlement;
    if (settlement.kind === "waiting" || settlement.kind === "deferred") {
      if (settlement.kind === "deferred") note("deferred", recipient, describe(settlement.detail), null);
      if (settlement.delayed) note("delay-notice", recipient, "", null);
      statements.push({
        sql: DEFER,
        args: [
          now,
          settlement.look,
          recipient.queue,
          recipient.attemptAt,
          recipient.expires ?? null,
          recipient.attempts,
          recipient.notified,
          recipient.lastError,
          recipient.lastStatus,
          detailColumn(recipient.lastDetail),
          message.id,
          recipient.seq,
          owner,
        ],
      });
      continue;
    }
    const data = alone ? summary : null;
    if (settlement.kind === "delivered") note("delivered", recipient, describe(settlement.outcome), data);
    else if (settlement.kind === "failed") {
      note(settlement.expired ? "expired" : "failed", recipient, describe(settlement.detail), data);
    } else note("cancelled", recipient, "", data);
    statements.push({ sql: DELETE_RECIPIENT, args: [message.id, recipient.seq] });
  }

  if (ended === 0) return statements;
  if (alone) {
    statements.push({ sql: DELETE_MESSAGE, args: [message.id] });
    if (message.blob !== undefined) statements.push({ sql: DELETE_BLOB, args: [message.blob] });
  } else {
    statements.push({ sql: INSERT_COMPLETED, args: [message.id, events.next(), now, summary] });
    statements.push({ sql: DELETE_DONE_MESSAGE, args: [message.id] });
    if (message.blob !== undefined) {
      statements.push({ sql: DELETE_DONE_BLOB, args: [message.blob, message.id] });
    }
  }
  return statements;
}

/** Whether settlements left the recipient waiting with a flag that has to be honoured now. */
export const READ_FLAGGED =
  "SELECT message, seq, flags FROM recipients WHERE queue = ? AND state = 1 AND owner = ? AND " +
  `flags & ${FLAG.cancel | FLAG.hold}`;

/** What stays known of a message that is done, JSON. */
export function summaryOf(message: MessageRecord): string {
  return JSON.stringify({
    sender: message.envelope.sender,
    created: message.created,
    size: message.size,
    priority: message.priority,
    source: message.source,
    ip: message.receivedFromIp,
    port: message.receivedViaPort,
    addresses: message.addresses.length === 1 ? undefined : message.addresses,
  });
}

/** One line of history: host, reply code, enhanced code, text. */
export function describe(
  detail: { readonly host: string; readonly status: number; readonly enhanced: string; readonly text: string },
): string {
  const status = detail.status === 0 ? "" : String(detail.status);
  return [detail.host, status, detail.enhanced, detail.text].filter((part) => part !== "").join(" ");
}

/** Gives claimed recipients of this node back, untouched. Arguments: JSON list of [message, seq], owner. */
export const RELEASE = `UPDATE recipients SET state = ${STATE.queued}, owner = NULL, due = attempt_at ` +
  "WHERE (message, seq) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?)) AND state = 1 AND owner = ?";

/** Moves the end of leases. Arguments: end, JSON list of [message, seq], owner. Returns those still held. */
export const RENEW = "UPDATE recipients SET due = ? WHERE (message, seq) IN " +
  "(SELECT value ->> 0, value ->> 1 FROM json_each(?)) AND state = 1 AND owner = ? RETURNING message, seq";
