/** Claiming recipients that are due, by lease. */

import type { Content } from "../message/content.ts";
import type { SqlValue, Store } from "../store/mod.ts";
import { contentOf } from "./content.ts";
import { DROP_ALL } from "./dialogues.ts";
import { MESSAGE_COLUMNS, type MessageRecord, readMessage, readRecipient, type RecipientRecord } from "./record.ts";
import { FLAG, RECIPIENT_COLUMNS, STATE } from "./record.ts";
import type { Lease } from "./intake.ts";
import type { Peers } from "./peers.ts";
import type { MessageId } from "./types.ts";

/** Claims what is due; also the query whose plan must use the index. */
export const SELECT_DUE = "SELECT message, seq FROM recipients WHERE queue = ?3 AND state = ?4 AND due <= ?5 " +
  "ORDER BY due LIMIT ?6";
// A seek for each priority (RFC 6710 §3): a single range would go through all that is urgent and not due. The outer loop
// makes the order.
const LEVELS = "json_each('[9,8,7,6,5,4,3,2,1]') AS level";
const URGENT = `${LEVELS} CROSS JOIN recipients ` +
  "WHERE queue = ?3 AND state = ?4 AND priority = level.value AND priority > 0 AND due <= ?5";
/** Claims what is urgent and due, the highest priority first; also a query whose plan must use the index. */
export const SELECT_URGENT = `SELECT message, seq FROM ${URGENT} LIMIT ?6`;
// What belongs to nobody: its owner is silent, or its time is over and its owner is not known to be alive.
const IS_ORPHAN = "(owner IN (SELECT value FROM json_each(?7)) OR " +
  "(due <= ?5 AND owner NOT IN (SELECT value FROM json_each(?8))))";
const CLAIM_ORPHANS = `UPDATE recipients SET state = ${STATE.claimed}, owner = ?1, due = ?2, ` +
  `flags = flags & ~${FLAG.underWay} ` +
  "WHERE (message, seq) IN (SELECT message, seq FROM recipients WHERE queue = ?3 AND state = ?4 AND " +
  `${IS_ORPHAN} ORDER BY due LIMIT ?6) RETURNING message, ${RECIPIENT_COLUMNS}`;
const CLAIM = `UPDATE recipients SET state = ${STATE.claimed}, owner = ?1, due = ?2 ` +
  `WHERE (message, seq) IN (${SELECT_DUE}) RETURNING message, ${RECIPIENT_COLUMNS}`;
const CLAIM_URGENT = `UPDATE recipients SET state = ${STATE.claimed}, owner = ?1, due = ?2 ` +
  `WHERE (message, seq) IN (${SELECT_URGENT}) RETURNING message, ${RECIPIENT_COLUMNS}, priority`;
const CLAIM_MESSAGES = `UPDATE recipients SET state = ${STATE.claimed}, owner = ?1, due = ?2 ` +
  "WHERE (message, seq) IN (SELECT message, seq FROM recipients WHERE message IN (SELECT value FROM json_each(?7)) " +
  `AND +queue = ?3 AND +state = ?4 AND +due <= ?5 ORDER BY message LIMIT ?6) RETURNING message, ${RECIPIENT_COLUMNS}`;
// The signs keep the index of due times out of it, which would be gone through from its beginning.
/** The other recipients of one message; also a query whose plan must begin with the message. */
export const SELECT_REST =
  "SELECT message, seq FROM recipients WHERE message = ?3 AND +queue = ?4 AND +state = ?5 AND " +
  "+due <= ?6 ORDER BY seq LIMIT ?7";
const CLAIM_REST = `UPDATE recipients SET state = ${STATE.claimed}, owner = ?1, due = ?2 ` +
  `WHERE (message, seq) IN (${SELECT_REST}) RETURNING message, ${RECIPIENT_COLUMNS}`;
const READ_MESSAGES = `SELECT ${MESSAGE_COLUMNS}, CASE WHEN blob IS NULL AND size <= 16384 THEN body END ` +
  "FROM messages WHERE id IN (SELECT value FROM json_each(?))";
const FORGET = "DELETE FROM recipients WHERE message = ?";

// Recipients that travel along with the last message of a claim, so that one transaction can serve them.
const MOST_OF_ONE_MESSAGE = 1000;

/** Claimed recipients of one message. */
export interface Claimed {
  readonly message: MessageRecord;
  readonly recipients: RecipientRecord[];
  /** The content if it is small; larger ones are read when their turn comes. */
  readonly content: Content | undefined;
}

/** Which recipients to claim. */
export interface ClaimOptions {
  readonly queue: string;
  /** Claims what other nodes have left behind, instead of what is due. */
  readonly orphansBeside?: Pick<Peers, "alive" | "silent"> | undefined;
  /** Claims only what is due of a priority above 0, the highest first. */
  readonly urgent?: boolean;
  /** Claims only what is due of these messages. */
  readonly messages?: readonly MessageId[] | undefined;
  readonly limit: number;
  readonly now: number;
  readonly lease: Lease;
  /** Told of messages whose row is missing; their recipients are removed. */
  readonly onLost: (message: MessageId) => void;
}

/** What a claim found. */
export interface ClaimResult {
  readonly claimed: readonly Claimed[];
  /** Whether there may be more. */
  readonly more: boolean;
}

/**
 * Makes recipients that are due this node's own, in one atomic statement.
 *
 * @throws {StoreUnavailable} if the store is unavailable
 */
export async function claim(store: Store, options: ClaimOptions): Promise<ClaimResult> {
  const { queue, orphansBeside: peers, urgent = false, messages, limit, now, lease } = options;
  const due = [lease.owner, lease.until, queue, STATE.queued, now, limit];
  const [first] = await store.write([
    messages !== undefined
      ? { sql: CLAIM_MESSAGES, args: [...due, JSON.stringify(messages)] }
      : peers === undefined
      ? { sql: urgent ? CLAIM_URGENT : CLAIM, args: due }
      : {
        sql: CLAIM_ORPHANS,
        args: [
          ...[lease.owner, lease.until, queue, STATE.claimed, now, limit],
          ...[JSON.stringify(peers.silent), JSON.stringify(peers.alive)],
        ],
      },
  ]);
  const byMessage = new Map<MessageId, RecipientRecord[]>();
  const collect = (row: readonly unknown[], record: RecipientRecord) => {
    const id = Number(row[0]);
    const list = byMessage.get(id);
    if (list === undefined) byMessage.set(id, [record]);
    else list.push(record);
    return id;
  };
  const rows = first?.rows ?? [];
  let last: MessageId | undefined;
  let latest = -Infinity;
  let lowest = Infinity;
  for (const row of rows) {
    const record = readRecipient(row, 1);
    const id = collect(row, record);
    // What the order of the claim begins with, before due times.
    const rank = messages !== undefined ? -id : urgent ? Number(row.at(-1)) : 0;
    if (rank > lowest) continue;
    if (rank < lowest || record.attemptAt > latest || (record.attemptAt === latest && id > (last ?? 0))) {
      lowest = rank;
      latest = record.attemptAt;
      last = id;
    }
  }
  const more = rows.length >= limit;
  // Of what others left behind the next claim gets the rest.
  if (more && last !== undefined && peers === undefined) {
    const [rest] = await store.write([{
      sql: CLAIM_REST,
      args: [lease.owner, lease.until, last, queue, STATE.queued, now, MOST_OF_ONE_MESSAGE],
    }]);
    for (const row of rest?.rows ?? []) collect(row, readRecipient(row, 1));
  }
  if (byMessage.size === 0) return { claimed: [], more: false };
  const found = await store.read(READ_MESSAGES, [JSON.stringify([...byMessage.keys()])]);
  const claimed: Claimed[] = [];
  for (const row of found.rows) {
    const id = Number(row[0]);
    const recipients = byMessage.get(id);
    if (recipients === undefined) continue;
    byMessage.delete(id);
    recipients.sort((a, b) => a.seq - b.seq);
    const body = row.at(-1);
    claimed.push({
      message: readMessage(row, recipients[0]?.address ?? ""),
      recipients,
      content: body instanceof Uint8Array ? contentOf(body) : undefined,
    });
  }
  for (const lost of byMessage.keys()) {
    options.onLost(lost);
    await store.write([{ sql: FORGET, args: [lost] }, { sql: DROP_ALL, args: [lost] }]);
  }
  return { claimed, more };
}

/** What is due next in each queue: queued, claimed, urgent; also a query whose plan must use the indexes. */
export const POLL = "SELECT lane.value, " +
  "(SELECT due FROM recipients WHERE queue = lane.value AND state = 0 ORDER BY due LIMIT 1), " +
  "(SELECT due FROM recipients WHERE queue = lane.value AND state = 1 ORDER BY due LIMIT 1), " +
  "(SELECT min((SELECT due FROM recipients WHERE queue = lane.value AND state = 0 AND priority = level.value AND " +
  `priority > 0 ORDER BY due LIMIT 1)) FROM ${LEVELS}), ` +
  "node.poke, node.owner FROM json_each(?1) AS lane LEFT JOIN nodes AS node ON node.slot = ?2";

/** What the store has to say without anything being claimed. */
export interface DueWork {
  /** Changes when someone asked for something that concerns claimed recipients. */
  readonly poke: number | undefined;
  /** Whose run has this node's slot. */
  readonly owner: number | undefined;
  /**
   * Earliest due time of queued recipients and earliest end of a lease, and earliest due time of queued recipients with
   * a priority above 0, milliseconds; infinite if there are none.
   */
  readonly lanes: readonly {
    readonly queue: string;
    readonly queued: number;
    readonly claimed: number;
    readonly urgent: number;
  }[];
}

/**
 * Asks what is due next in each of `queues`.
 *
 * @throws {StoreUnavailable} if the store is unavailable
 */
export async function readDue(store: Store, queues: readonly string[], slot: number): Promise<DueWork> {
  const { rows } = await store.read(POLL, [JSON.stringify(queues), slot]);
  const [, , , , poke, owner] = rows[0] ?? [];
  const time = (value: SqlValue | undefined) => typeof value === "number" ? value : Infinity;
  return {
    poke: typeof poke === "number" ? poke : undefined,
    owner: typeof owner === "number" ? owner : undefined,
    lanes: rows.map(([queue, queued, claimed, urgent]) => ({
      queue: String(queue),
      queued: time(queued),
      claimed: time(claimed),
      urgent: time(urgent),
    })),
  };
}
