/** Finds messages of the queue by what their recipients are like. */

import type { Row, SqlValue, Store } from "../store/mod.ts";
import { parseMessageId } from "./message_id.ts";
import { stateNumber } from "./record.ts";
import type { MessageId, RecipientState } from "./types.ts";

/** Which messages, or which of their recipients. What is not given does not matter. */
export interface QueueFilter {
  readonly ids?: readonly string[];
  readonly queue?: string;
  readonly state?: RecipientState;
  /** Return path, exactly; `""` is the null sender. */
  readonly sender?: string;
  /** Address of a recipient, exactly. */
  readonly recipient?: string;
  /** Domain of a recipient. */
  readonly domain?: string;
}

// A recipient matches: ?1 queue, ?2 state, ?3 address, ?4 domain, ?5 sender; null matches everything.
const MATCH = "(?1 IS NULL OR r.queue = ?1) AND (?2 IS NULL OR r.state = ?2) AND (?3 IS NULL OR r.address = ?3) AND " +
  "(?4 IS NULL OR lower(substr(r.address, -length(?4) - 1)) = '@' || ?4) AND " +
  "(?5 IS NULL OR EXISTS (SELECT 1 FROM messages m WHERE m.id = r.message AND m.sender = ?5))";

/** Condition on `recipients r`: matches the filter in ?1 to ?5 and belongs to a message in the JSON list ?6. */
export const AMONG = `r.message IN (SELECT value FROM json_each(?6)) AND ${MATCH}`;

const FIND_AMONG = `SELECT DISTINCT r.message FROM recipients r WHERE ${AMONG} ORDER BY r.message LIMIT ?7`;
const FIND_BETWEEN = `SELECT DISTINCT r.message FROM recipients r WHERE r.message > ?6 AND r.message <= ?7 AND ` +
  `${MATCH} ORDER BY r.message LIMIT ?8`;
/** The message some recipients after another one; null if there are not that many. */
const STEP_END = "SELECT message FROM recipients WHERE message > ? ORDER BY message LIMIT 1 OFFSET ?";

// Recipients looked at in one query: commits of mail run between two steps of a long search.
const STEP = 10_000;

/** The arguments ?1 to ?5 of {@link AMONG}. */
export function filterArguments(which: QueueFilter): SqlValue[] {
  return [
    which.queue ?? null,
    which.state === undefined ? null : stateNumber(which.state) ?? -1,
    which.recipient ?? null,
    which.domain?.toLowerCase() ?? null,
    which.sender ?? null,
  ];
}

/** Where a step over recipients that begins after `after` ends; the largest id for the last step. */
export async function stepEnd(store: Store, after: MessageId): Promise<MessageId> {
  const end = (await store.read(STEP_END, [after, STEP])).rows[0]?.[0];
  return typeof end === "number" ? end : Number.MAX_SAFE_INTEGER;
}

/** Ids of up to `limit` messages with an id greater than `after` that have a matching recipient, in order. */
export async function findMessages(
  store: Store,
  which: QueueFilter,
  after: MessageId,
  limit: number,
): Promise<MessageId[]> {
  const filter = filterArguments(which);
  const toIds = (rows: readonly Row[]) => rows.map(([id]) => Number(id));
  if (which.ids !== undefined) {
    const wanted = which.ids.map(parseMessageId).filter((id) => id !== undefined && id > after);
    return toIds((await store.read(FIND_AMONG, [...filter, JSON.stringify(wanted), limit])).rows);
  }
  const found: MessageId[] = [];
  while (found.length < limit) {
    const end = await stepEnd(store, after);
    found.push(...toIds((await store.read(FIND_BETWEEN, [...filter, after, end, limit - found.length])).rows));
    if (end === Number.MAX_SAFE_INTEGER) break;
    after = end;
  }
  return found;
}
