/** From outcomes of an attempt to the statements that record them. */

import type { Statement, WriteResult } from "../store/mod.ts";
import type { IdSource } from "./message_id.ts";
import { DIALOGUE, dialogueStatements, dropDialogue, toColumn } from "./dialogues.ts";
import { detailColumn, type MessageRecord, type RecipientRecord } from "./record.ts";
import type { Settlement } from "./settle.ts";
import type { FailureDetail, LastError } from "./types.ts";

const DELETE_RECIPIENT = "DELETE FROM recipients WHERE message = ? AND seq = ?";
const DELETE_MESSAGE = "DELETE FROM messages WHERE id = ?";
const DELETE_BLOB = "DELETE FROM blobs WHERE id = ?";
const DELETE_DONE_MESSAGE = "DELETE FROM messages WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM recipients WHERE " +
  "message = ?1)";
const DELETE_DONE_BLOB = "DELETE FROM blobs WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM messages WHERE id = ?2)";
// A time that somebody has set meanwhile stays, and so does what it says about the end.
const IF_MOVED = (then: string, otherwise: string) => `CASE WHEN flags & 16 THEN ${then} ELSE ${otherwise} END`;
const DEFER = "UPDATE recipients SET state = CASE WHEN flags & 2 THEN 2 ELSE 0 END, " +
  `due = CASE WHEN flags & 3 THEN ?1 ELSE ${IF_MOVED("attempt_at", "?2")} END, owner = NULL, ` +
  `flags = ${IF_MOVED("flags & ~26", "flags & ~14")}, queue = ?3, attempt_at = ${IF_MOVED("attempt_at", "?4")}, ` +
  `expires = ${IF_MOVED("max(expires, ?5)", "?5")}, ` +
  "attempts = ?6, notified = ?7, last_error = ?8, last_status = ?9, last_detail = ?10 " +
  "WHERE message = ?11 AND seq = ?12 AND state = 1 AND owner = ?13";
const KEEP_WAITING = "UPDATE recipients SET last_error = ?, last_status = ?, last_detail = ? " +
  "WHERE message = ? AND seq = ? AND state = 1 AND owner = ?";
const INSERT_EVENT = "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text, data) " +
  "VALUES (?, ?, ?, ?, ?, ?, ?)";
const INSERT_COMPLETED = "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text, data) " +
  "SELECT id, ?2, ?3, 'completed', '', '', ?4 FROM messages WHERE id = ?1 AND NOT EXISTS " +
  "(SELECT 1 FROM recipients WHERE message = ?1)";

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
  const summary = ended > 0 ? summaryOf(message) : undefined;
  const alone = whole && ended === 1;

  const note = (name: string, recipient: RecipientRecord, text: string, data: string | null) =>
    statements.push({
      sql: INSERT_EVENT,
      args: [message.id, events.next(), now, name, recipient.address, text, data],
      joint: true,
    });

  for (const settlement of settlements) {
    const { recipient } = settlement;
    if (settlement.kind === "waiting" || settlement.kind === "deferred") {
      if (settlement.kind === "deferred" && settlement.repeated !== true) {
        note("deferred", recipient, describe(settlement.detail), null);
      }
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
      if (settlement.kind === "deferred" && settlement.unattempted !== true) {
        statements.push(...dialogueStatements(message.id, recipient, settlement.detail.dialogue));
      }
      continue;
    }
    const data = endData(alone ? summary : undefined, settlement);
    if (settlement.kind === "delivered") note("delivered", recipient, describe(settlement.outcome), data);
    else if (settlement.kind === "failed") {
      const { dialogue } = settlement.detail;
      if (dialogue !== undefined) note(DIALOGUE, recipient, toColumn(dialogue), null);
      note(settlement.expired ? "expired" : "failed", recipient, describe(settlement.detail), data);
    } else note("cancelled", recipient, "", data);
    if (recipient.attempts > 0) statements.push(dropDialogue(message.id, recipient.seq));
    statements.push({ sql: DELETE_RECIPIENT, args: [message.id, recipient.seq], joint: true });
  }

  if (ended === 0) return statements;
  if (alone) {
    statements.push({ sql: DELETE_MESSAGE, args: [message.id], joint: true });
    if (message.blob !== undefined) statements.push({ sql: DELETE_BLOB, args: [message.blob] });
  } else {
    statements.push({ sql: INSERT_COMPLETED, args: [message.id, events.next(), now, JSON.stringify(summary)] });
    statements.push({ sql: DELETE_DONE_MESSAGE, args: [message.id] });
    if (message.blob !== undefined) {
      statements.push({ sql: DELETE_DONE_BLOB, args: [message.blob, message.id] });
    }
  }
  return statements;
}

/** The statements that say what claimed recipients wait for; they stay claimed. */
export function waitStatements(
  message: MessageRecord,
  settlements: readonly Extract<Settlement, { kind: "deferred" }>[],
  { owner, now, events }: RecordingContext,
): Statement[] {
  return settlements.flatMap(({ recipient, detail, repeated }) => {
    const { seq, address, lastError, lastStatus, lastDetail } = recipient;
    const args = [lastError, lastStatus, detailColumn(lastDetail), message.id, seq, owner];
    const event = [message.id, events.next(), now, "deferred", address, describe(detail), null];
    return repeated === true
      ? [{ sql: KEEP_WAITING, args }]
      : [{ sql: KEEP_WAITING, args }, { sql: INSERT_EVENT, args: event, joint: true }];
  });
}

/** Whether statements of {@link settlementStatements} have ended a message, by their results. */
export function isCompleted(statements: readonly Statement[], results: readonly WriteResult[]): boolean {
  return statements.some(({ sql }, index) =>
    sql === DELETE_MESSAGE || (sql === INSERT_COMPLETED && (results[index]?.changes ?? 0) > 0)
  );
}

/** What stays known of a message that is done. */
function summaryOf(message: MessageRecord) {
  return {
    sender: message.envelope.sender,
    created: message.created,
    size: message.size,
    priority: message.priority,
    source: message.source,
    ip: message.receivedFromIp,
    port: message.receivedViaPort,
    addresses: message.addresses.length === 1 ? undefined : message.addresses,
  };
}

/** What the last entry of a recipient says beside its text, JSON; null for most, which were delivered at once. */
function endData(summary: ReturnType<typeof summaryOf> | undefined, settlement: Ended): string | null {
  const { recipient: { attempts, lastError, lastStatus }, kind } = settlement;
  let failures: Failures | undefined;
  if (kind === "failed") {
    const { detail, expired, unattempted } = settlement;
    const last = expired || unattempted === true ? 0 : 1;
    failures = { attempts: attempts + last, error: detail.lastError, status: detail.status };
  } else if (attempts > 0) {
    failures = kind === "delivered" ? { attempts } : { attempts, error: lastError, status: lastStatus };
  }
  return summary === undefined && failures === undefined ? null : JSON.stringify({ ...summary, ...failures });
}

type Ended = Extract<Settlement, { kind: "delivered" | "failed" | "cancelled" }>;

/** Failed attempts for a recipient that is done, and what the last of all attempts failed for. */
export interface Failures {
  readonly attempts: number;
  readonly error?: LastError;
  readonly status?: number;
}

/** One line of history. The text of a failure says everything; of a delivery it is what the peer said last. */
export function describe(
  detail: FailureDetail | {
    readonly host: string;
    readonly status: number;
    readonly enhanced: string;
    readonly text: string;
  },
): string {
  if ("lastError" in detail) return detail.text;
  const status = detail.status === 0 ? "" : String(detail.status);
  return [detail.host, status, detail.enhanced, detail.text].filter((part) => part !== "").join(" ");
}
