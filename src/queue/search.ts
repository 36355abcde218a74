/** Finds messages of the queue by what they and their recipients are like. */

import type { Clock } from "../clock/mod.ts";
import type { Row, SqlValue, Store } from "../store/mod.ts";
import { firstIdAt, parseMessageId, SLOTS } from "./message_id.ts";
import { SHOWN_STATE, stateNumber } from "./record.ts";
import type { LastError, MessageId, RecipientState, Source } from "./types.ts";

/**
 * Which messages, or which of their recipients. What is not given does not matter. In patterns `*` stands for any
 * characters and `?` for one; upper and lower case are the same.
 */
export interface QueueFilter {
  readonly ids?: readonly string[];
  /** Name of the virtual queue, exactly. */
  readonly queue?: string;
  readonly state?: RecipientState;
  /** Pattern of the return path, or of its domain if it has no `@`; `""` or `<>` is the null sender. */
  readonly sender?: string;
  /** Pattern of the address of a recipient, or of its domain if it has no `@`. */
  readonly recipient?: string;
  /** Pattern of the domain of a recipient. */
  readonly domain?: string;
  /** What the last attempt failed for. */
  readonly lastError?: LastError;
  /** Part of the text of the last failure. */
  readonly text?: string;
  readonly source?: Source;
  /** Node that took the message (`cluster.node-id`). */
  readonly node?: string;
  /** Milliseconds since the message was accepted, at least and at most. */
  readonly olderThan?: number;
  readonly youngerThan?: number;
}

/** A recipient that was found. */
export interface FoundRecipient {
  readonly message: MessageId;
  readonly seq: number;
  readonly address: string;
  readonly queue: string;
  /** As {@link SHOWN_STATE}. */
  readonly state: number;
}

// A recipient matches: ?1 queue, ?2 state, ?3 address, ?4 domain, ?5 last error, ?6 text, ?7 sender, ?8 source, ?9 node;
// null matches everything. What costs most comes last.
const MATCH = `(?1 IS NULL OR r.queue = ?1) AND (?2 IS NULL OR ${SHOWN_STATE} = ?2) AND ` +
  `(?9 IS NULL OR r.message % ${SLOTS} = (SELECT slot FROM nodes WHERE name = ?9)) AND ` +
  "(?5 IS NULL OR r.last_error = ?5) AND (?3 IS NULL OR lower(r.address) GLOB ?3) AND " +
  "(?4 IS NULL OR lower(r.address) GLOB ?4) AND " +
  "(?6 IS NULL OR instr(lower(r.last_detail ->> 2), ?6) > 0) AND " +
  "((?7 IS NULL AND ?8 IS NULL) OR EXISTS (SELECT 1 FROM messages m WHERE m.id = r.message AND " +
  "(?8 IS NULL OR m.source = ?8) AND (?7 IS NULL OR lower(m.sender) GLOB ?7)))";
/** Of these messages, or of all between two recipients; the first of the two excluded. */
const AMONG =
  "r.message IN (SELECT value FROM json_each(?10)) AND r.message <= ?13 AND (r.message, r.seq) > (?11, ?12)";
const BETWEEN = "(r.message, r.seq) > (?10, ?11) AND (r.message, r.seq) <= (?12, ?13)";
const FIND = (where: string) =>
  `SELECT r.message, r.seq, r.address, r.queue, ${SHOWN_STATE} FROM recipients r WHERE ${where} AND ${MATCH} ` +
  "ORDER BY r.message, r.seq LIMIT ?14";
const FIND_MESSAGES = (where: string) =>
  `SELECT DISTINCT r.message FROM recipients r WHERE ${where} AND ${MATCH} ORDER BY r.message LIMIT ?14`;
const COUNT = (where: string) =>
  `SELECT count(*), count(DISTINCT r.message), min(r.message), max(r.message) FROM recipients r WHERE ${where} AND ` +
  `${SHOWN_STATE} IN (SELECT value FROM json_each(?14)) AND ${MATCH}`;
const COUNT_AMONG = COUNT(AMONG);
const COUNT_BETWEEN = COUNT(BETWEEN);
const IDS_AMONG = FIND_MESSAGES(AMONG);
const IDS_BETWEEN = FIND_MESSAGES(BETWEEN);
const RECIPIENTS_AMONG = FIND(AMONG);
const RECIPIENTS_BETWEEN = FIND(BETWEEN);
/** The recipient some recipients after another one; none if there are not that many. */
const STEP_END =
  "SELECT message, seq FROM recipients WHERE (message, seq) > (?, ?) ORDER BY message, seq LIMIT 1 OFFSET ?";
// Messages with recipients in some queues and states, by the index of what is due.
const IN_STATE = "SELECT DISTINCT message FROM recipients WHERE queue IN (SELECT value FROM json_each(?)) AND " +
  "state IN (SELECT value FROM json_each(?)) LIMIT ?";
const QUEUES = "WITH RECURSIVE q(name) AS (SELECT min(queue) FROM recipients UNION ALL " +
  "SELECT (SELECT min(queue) FROM recipients WHERE queue > q.name) FROM q WHERE q.name IS NOT NULL) " +
  "SELECT name FROM q WHERE name IS NOT NULL";

// Recipients looked at in one query: commits of mail run between two steps of a long search.
const STEP = 10_000;
// So many messages are looked at one by one instead of all that there are.
const FEW = 5000;
const LAST: Place = { message: Number.MAX_SAFE_INTEGER, seq: Number.MAX_SAFE_INTEGER };

/** A place in the order of all recipients: after this one. */
export interface Place {
  readonly message: MessageId;
  readonly seq: number;
}

/** A pattern for SQLite's GLOB: brackets mean themselves. */
function glob(pattern: string): string {
  return pattern.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()).replace(/\[/g, "[[]");
}

function addressGlob(pattern: string | undefined): string | null {
  if (pattern === undefined) return null;
  if (pattern === "" || pattern === "<>") return "";
  const address = /^<(.*)>$/.exec(pattern)?.[1] ?? pattern;
  return address.includes("@") ? glob(address) : `*@${glob(address)}`;
}

function filterArguments(which: QueueFilter): SqlValue[] {
  return [
    which.queue ?? null,
    which.state === undefined ? null : stateNumber(which.state) ?? -1,
    addressGlob(which.recipient),
    which.domain === undefined ? null : `*@${glob(which.domain)}`,
    which.lastError ?? null,
    which.text === undefined ? null : which.text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
    addressGlob(which.sender),
    which.source ?? null,
    which.node ?? null,
  ];
}

/** Where a step over recipients that begins after `after` ends; the largest of all for the last step. */
async function stepEnd(store: Store, after: Place): Promise<Place> {
  const [message, seq] = (await store.read(STEP_END, [after.message, after.seq, STEP])).rows[0] ?? [];
  return typeof message === "number" && typeof seq === "number" ? { message, seq } : LAST;
}

/** Ids of up to `limit` messages with an id greater than `after` that have a matching recipient, in order. */
export async function findMessages(
  store: Store,
  clock: Clock,
  which: QueueFilter,
  after: MessageId,
  limit: number,
): Promise<MessageId[]> {
  const rows = await find(store, clock, which, { message: after, seq: LAST.seq }, limit, IDS_AMONG, IDS_BETWEEN);
  return rows.map(([id]) => Number(id));
}

/** Up to `limit` matching recipients after a place, in order. */
export async function findRecipients(
  store: Store,
  clock: Clock,
  which: QueueFilter,
  after: Place,
  limit: number,
): Promise<FoundRecipient[]> {
  const rows = await find(store, clock, which, after, limit, RECIPIENTS_AMONG, RECIPIENTS_BETWEEN);
  return rows.map(([message, seq, address, queue, state]) => ({
    message: Number(message),
    seq: Number(seq),
    address: String(address),
    queue: String(queue),
    state: Number(state),
  }));
}

/** How many recipients match that are in one of `states`, and of how many messages. */
export async function countRecipients(
  store: Store,
  clock: Clock,
  which: QueueFilter,
  states: readonly number[],
): Promise<{ readonly recipients: number; readonly messages: number }> {
  let recipients = 0;
  let messages = 0;
  let last: SqlValue | undefined;
  for await (const { among, args } of ranges(store, clock, which, { message: 0, seq: 0 })) {
    const found = await store.read(among ? COUNT_AMONG : COUNT_BETWEEN, [...args, JSON.stringify(states)]);
    const [count, distinct, least, greatest] = found.rows[0] ?? [];
    recipients += Number(count);
    // A message that lies across the end of a step is counted once.
    messages += Number(distinct) - (Number(count) > 0 && least === last ? 1 : 0);
    if (Number(count) > 0) last = greatest;
  }
  return { recipients, messages };
}

async function find(
  store: Store,
  clock: Clock,
  which: QueueFilter,
  from: Place,
  limit: number,
  amongSql: string,
  betweenSql: string,
): Promise<readonly Row[]> {
  const found: Row[] = [];
  for await (const { among, args } of ranges(store, clock, which, from)) {
    const { rows } = await store.read(among ? amongSql : betweenSql, [...args, limit - found.length]);
    // A message that lies across the end of a step is found twice where messages are asked for.
    const again = betweenSql === IDS_BETWEEN && rows.length > 0 && found.at(-1)?.[0] === rows[0]?.[0];
    found.push(...(again ? rows.slice(1) : rows));
    if (found.length >= limit) break;
  }
  return found;
}

/** Where to look for what matches, step by step: the arguments ?1 to ?13 of {@link AMONG} or {@link BETWEEN}. */
async function* ranges(
  store: Store,
  clock: Clock,
  which: QueueFilter,
  from: Place,
): AsyncGenerator<{ readonly among: boolean; readonly args: readonly SqlValue[] }> {
  const filter = filterArguments(which);
  const now = clock.now();
  // Ids grow with the time of acceptance.
  const first = which.youngerThan === undefined ? 0 : firstIdAt(now - which.youngerThan) - 1;
  const last = which.olderThan === undefined ? LAST.message : firstIdAt(now - which.olderThan) - 1;
  let after = from.message < first ? { message: first, seq: LAST.seq } : from;
  const ids = which.ids === undefined ? await candidates(store, which) : which.ids.map(parseMessageId);
  if (ids !== undefined) {
    const wanted = JSON.stringify(ids.filter((id) => id !== undefined));
    yield { among: true, args: [...filter, wanted, after.message, after.seq, last] };
    return;
  }
  while (after.message <= last) {
    const step = await stepEnd(store, after);
    const end = step.message > last ? { message: last, seq: LAST.seq } : step;
    yield { among: false, args: [...filter, after.message, after.seq, end.message, end.seq] };
    if (step.message === LAST.message) return;
    after = step;
  }
}

/** The messages that can match if they are few and an index knows them. */
async function candidates(store: Store, { queue, state }: QueueFilter): Promise<readonly number[] | undefined> {
  if (queue === undefined && (state === undefined || state === "queued")) return undefined;
  const queues = queue === undefined ? (await store.read(QUEUES)).rows.map(([name]) => String(name)) : [queue];
  const states = state === undefined ? [0, 1, 2] : state === "queued" ? [0, 1] : [stateNumber(state) ?? -1];
  const args = [JSON.stringify(queues), JSON.stringify(states), FEW + 1];
  const { rows } = await store.read(IN_STATE, args);
  return rows.length > FEW ? undefined : rows.map(([id]) => Number(id));
}
