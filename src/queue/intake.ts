/** From a message that was accepted to the rows that keep it. */

import { LookupUnavailable } from "../expression/types.ts";
import type { ScheduleConfig } from "../config/config.ts";
import type { Content } from "../message/content.ts";
import type { Statement } from "../store/mod.ts";
import { CHUNK, dropSpill, EMPTY, INSERT_CHUNK, spilledPart } from "./content.ts";
import { type Arrival, type QuotaPlan, withinQuotas } from "./quota.ts";
import { type MessageRecord, metaOf, type RecipientRecord, recordOf, STATE } from "./record.ts";
import { expiryOf, startOf } from "./schedule.ts";
import type { Strategy } from "./strategy.ts";
import type { NewMessage, NewRecipient } from "./types.ts";

const INSERT_MESSAGE = "INSERT INTO messages (id, created, sender, size, priority, source, hold_until, meta, " +
  "addresses, blob, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
// `meta` may not be null: if the spilled part was removed meanwhile the whole group fails.
const INSERT_SPILLED_MESSAGE = "INSERT INTO messages (id, created, sender, size, priority, source, hold_until, meta, " +
  "addresses, blob, body) VALUES (?, ?, ?, ?, ?, ?, ?, " +
  "CASE WHEN EXISTS (SELECT 1 FROM spills WHERE blob = ?) THEN ? END, ?, ?, ?)";
const ADOPT_SPILL = "DELETE FROM spills WHERE blob = ?";
const INSERT_RECIPIENT = "INSERT INTO recipients (message, seq, address, queue, state, due, owner, attempt_at, " +
  "expires, params, priority) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const DELETE_MESSAGE = "DELETE FROM messages WHERE id = ?";
const DELETE_RECIPIENTS = "DELETE FROM recipients WHERE message = ?";
const DELETE_BLOB = "DELETE FROM blobs WHERE id = ?";

/** A lease of this node. */
export interface Lease {
  readonly owner: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** A message ready to be written. */
export interface Intake {
  readonly message: MessageRecord;
  readonly recipients: readonly RecipientRecord[];
  readonly content: Content;
  /** When its recipients may be tried first. */
  readonly due: number;
  readonly held: boolean;
  /** What it counts for; absent without quotas that concern it. */
  readonly quota?: QuotaPlan;
}

/**
 * Works out queue and times of each recipient. Answers at once unless a strategy reaches outside; a strategy that
 * cannot be asked now gives the fallback schedule, and is asked again when an attempt fails.
 */
export function planIntake(
  message: NewMessage,
  blobId: () => number,
  strategy: Strategy,
  now: number,
): Intake | Promise<Intake> {
  const spilled = spilledPart(message.content);
  const overflow = spilled === undefined && message.content.head.length > CHUNK;
  const record = recordOf(message, now, spilled ?? (overflow ? blobId() : undefined));
  const due = Math.max(startOf(record), now);
  const recipients: RecipientRecord[] = [];
  let later: Promise<void> | undefined;

  const add = (recipient: RecipientRecord, schedule: ScheduleConfig) => {
    recipient.queue = schedule.queueName;
    recipient.expires = expiryOf(record, schedule);
  };

  message.recipients.forEach((given, seq) => {
    const recipient = newRecipient(given, seq, record.addresses[seq] ?? given.address, due);
    recipients.push(recipient);
    try {
      const schedule = strategy.schedule(record, recipient, now);
      if (schedule instanceof Promise) {
        const earlier = later;
        later = (async () => {
          await earlier;
          add(recipient, await schedule.catch(orFallback(strategy)));
        })();
      } else {
        add(recipient, schedule);
      }
    } catch (error) {
      add(recipient, orFallback(strategy)(error));
    }
  });

  const intake: Intake = { message: record, recipients, content: message.content, due, held: message.held === true };
  return later === undefined ? intake : later.then(() => intake);
}

/** The records of a message whose content has not come yet, for what can be told from them. */
export function arrivingRecords(
  arrival: Arrival,
  now: number,
): { readonly message: MessageRecord; readonly recipients: readonly RecipientRecord[] } {
  const unknown = { id: 0, content: EMPTY, authenticatedAs: "", heloDomain: "" };
  const message = recordOf({ ...arrival, ...unknown }, now, undefined);
  return { message, recipients: arrival.recipients.map((one, seq) => newRecipient(one, seq, one.address, now)) };
}

function orFallback(strategy: Strategy): (error: unknown) => ScheduleConfig {
  return (error) => {
    if (error instanceof LookupUnavailable) return strategy.fallback;
    throw error;
  };
}

function newRecipient(given: NewRecipient, seq: number, address: string, attemptAt: number): RecipientRecord {
  return {
    seq,
    address,
    domain: address.slice(address.lastIndexOf("@") + 1 || address.length).toLowerCase(),
    parameters: given.parameters,
    queue: "",
    attempts: 0,
    notified: 0,
    flags: 0,
    attemptAt,
    expires: undefined,
    extended: 0,
    lastError: "none",
    lastStatus: 0,
    lastDetail: undefined,
  };
}

/**
 * The statements that keep a message; with a lease its recipients belong to this node from the start. With limits in
 * `intake.quota` the rows of the first result are the keys that are full, and then nothing was kept.
 *
 * @param others further statements that are to do something only if the message is kept
 */
export function intakeStatements(
  intake: Intake,
  lease: Lease | undefined,
  now: number,
  others: readonly Statement[] = [],
): Statement[] {
  const statements = messageStatements(intake, lease, now);
  for (const other of others) statements.push(other);
  return intake.quota === undefined ? statements : withinQuotas(intake.message, intake.quota, statements);
}

function messageStatements(intake: Intake, lease: Lease | undefined, now: number): Statement[] {
  const { message, recipients, content } = intake;
  const addresses = message.addresses.length === 1 ? null : JSON.stringify(message.addresses);
  const body = content.head.length > CHUNK ? content.head.subarray(0, CHUNK) : content.head;
  const first = [
    message.id,
    message.created,
    message.envelope.sender,
    message.size,
    message.priority,
    message.source,
    message.holdUntil ?? null,
  ];
  const statements: Statement[] = [];
  const spilled = spilledPart(content);
  if (spilled === undefined) {
    statements.push({
      sql: INSERT_MESSAGE,
      args: [...first, metaOf(message), addresses, message.blob ?? null, body],
      joint: true,
    });
    if (message.blob !== undefined) {
      for (let at = CHUNK, seq = 0; at < content.head.length; at += CHUNK, seq++) {
        statements.push({ sql: INSERT_CHUNK, args: [message.blob, seq, content.head.subarray(at, at + CHUNK)] });
      }
    }
  } else {
    statements.push({
      sql: INSERT_SPILLED_MESSAGE,
      args: [...first, spilled, metaOf(message), addresses, spilled, content.head],
    });
    statements.push({ sql: ADOPT_SPILL, args: [spilled] });
  }
  const state = intake.held ? STATE.held : lease === undefined ? STATE.queued : STATE.claimed;
  const due = intake.held ? now : lease?.until ?? intake.due;
  for (const recipient of recipients) {
    statements.push({
      sql: INSERT_RECIPIENT,
      args: [
        message.id,
        recipient.seq,
        recipient.address,
        recipient.queue,
        state,
        due,
        lease?.owner ?? null,
        recipient.attemptAt,
        recipient.expires ?? null,
        isEmpty(recipient.parameters) ? null : JSON.stringify(recipient.parameters),
        message.priority,
      ],
      joint: true,
    });
  }
  return statements;
}

/** What takes {@link intakeStatements} back. */
export function undoIntake(intake: Intake): Statement[] {
  const { message, content } = intake;
  const statements: Statement[] = [
    { sql: DELETE_RECIPIENTS, args: [message.id] },
    { sql: DELETE_MESSAGE, args: [message.id] },
  ];
  const spilled = spilledPart(content);
  if (spilled !== undefined) statements.push(...dropSpill(spilled));
  else if (message.blob !== undefined) statements.push({ sql: DELETE_BLOB, args: [message.blob] });
  return statements;
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return true;
}
