/** What people see of the queue and do to it; works beside running nodes, on the same database. */

import type { Clock } from "../clock/mod.ts";
import type { Content } from "../message/content.ts";
import type { Row, SqlValue, Store, WriteResult } from "../store/mod.ts";
import { loadContent } from "./content.ts";
import { COMMAND_SLOT, createIdSource, firstIdAt, formatMessageId, parseMessageId } from "./message_id.ts";
import { DIALOGUE } from "./outcome.ts";
import { readDetail, readDialogue, stateName, toLastError, toSource } from "./record.ts";
import { AMONG, filterArguments, findMessages, type QueueFilter } from "./search.ts";
import { createStatistics, type QueueStats } from "./statistics.ts";
import type { EventView, MessageId, MessageView, RecipientState, RecipientView } from "./types.ts";

/** A page of a list. */
export interface QueuePage extends QueueFilter {
  readonly limit?: number;
  readonly offset?: number;
  /** Id of the last message of the page before. */
  readonly after?: string;
}

/** One outcome from history. */
export interface RecentDelivery {
  readonly id: string;
  readonly time: string;
  readonly name: string;
  readonly sender: string;
  readonly recipient: string;
  readonly text: string;
}

/** What {@link openQueueOffline} gives, and a running queue as well. */
export interface QueueInspection {
  /** Messages that wait, oldest first; at most 100 unless `limit` says otherwise. */
  list(page?: QueuePage): Promise<MessageView[]>;
  /** One message with its history; also one that is done, as long as history is kept. */
  show(id: string): Promise<{ message: MessageView; events: EventView[] } | undefined>;
  content(id: string): Promise<Content | undefined>;
  /** Makes waiting recipients due now. These and the following: number of recipients concerned. */
  retry(which: QueueFilter): Promise<number>;
  /** Removes recipients, without notice; one that is being delivered is removed if that attempt fails. */
  cancel(which: QueueFilter): Promise<number>;
  /** Stops attempts until `release`; one that is being delivered is held if that attempt fails. */
  hold(which: QueueFilter): Promise<number>;
  release(which: QueueFilter): Promise<number>;
  /** Sets the next attempt of waiting recipients to `time`, milliseconds since the epoch. */
  reschedule(which: QueueFilter, time: number): Promise<number>;
  stats(): Promise<QueueStats>;
  /** The last outcomes, newest first. */
  recent(limit: number): Promise<RecentDelivery[]>;
  /**
   * Deletes the history of messages that are done and were accepted before `time`, milliseconds since the epoch.
   *
   * @returns number of entries deleted
   */
  purge(time: number): Promise<number>;
}

const MESSAGES = "SELECT id, sender, created, size, priority, source FROM messages WHERE id IN " +
  "(SELECT value FROM json_each(?)) ORDER BY id";
const RECIPIENTS = "SELECT message, address, queue, state, due, expires, attempts, last_error, last_status, " +
  "last_detail, attempt_at FROM recipients WHERE message IN (SELECT value FROM json_each(?)) ORDER BY message, seq";
const ENDED = "SELECT message, recipient, name, time, text FROM events WHERE message IN " +
  "(SELECT value FROM json_each(?)) AND name IN ('delivered', 'failed', 'expired', 'cancelled') ORDER BY message, id";
const EVENTS = "SELECT time, name, recipient, text, data FROM events WHERE message = ? ORDER BY id";
const BODY_OF = "SELECT id, size, blob FROM messages WHERE id = ?";

const DUE_NOW = `UPDATE recipients AS r SET due = ?7, attempt_at = ?7 WHERE r.state = 0 AND ${AMONG}`;
// An attempt that was asked for is made, even past the end of the recipient's time.
const RESCHEDULE = "UPDATE recipients AS r SET due = ?7, attempt_at = ?7, expires = max(expires, ?7 + 3600000) " +
  `WHERE r.state = 0 AND ${AMONG}`;
const EVENT_FOR = (name: string, state: string) =>
  "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text) " +
  `SELECT r.message, ?8 + r.seq * 1024, ?7, '${name}', r.address, '' FROM recipients r WHERE ${state} AND ${AMONG}`;
const RESCHEDULED = EVENT_FOR("rescheduled", "r.state = 0");
const CANCELLED = EVENT_FOR("cancelled", "r.state <> 1");
const HELD = EVENT_FOR("held", "r.state = 0");
const RELEASED = EVENT_FOR("released", "r.state = 2");
const FLAG_CANCEL = `UPDATE recipients AS r SET flags = flags | 1 WHERE r.state = 1 AND ${AMONG}`;
const FLAG_HOLD = `UPDATE recipients AS r SET flags = flags | 2 WHERE r.state = 1 AND ${AMONG}`;
const UNFLAG_HOLD = `UPDATE recipients AS r SET flags = flags & ~2 WHERE r.state = 1 AND flags & 2 AND ${AMONG}`;
const REMOVE = `DELETE FROM recipients AS r WHERE r.state <> 1 AND ${AMONG}`;
const HOLD = `UPDATE recipients AS r SET state = 2, due = ?7 WHERE r.state = 0 AND ${AMONG}`;
// Time spent on hold does not count towards the end of its life.
const UNHOLD = "UPDATE recipients AS r SET state = 0, expires = expires + max(0, ?7 - due), due = ?7, " +
  `attempt_at = ?7, flags = 0 WHERE r.state = 2 AND ${AMONG}`;
const DONE = "id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1 FROM recipients WHERE message = id)";
const COMPLETED = "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text, data) " +
  "SELECT id, ?2, ?3, 'completed', '', '', json_object('sender', sender, 'created', created, 'size', size, " +
  "'priority', priority, 'source', source, 'ip', meta ->> 1, 'port', meta ->> 2, 'addresses', json(addresses)) " +
  `FROM messages WHERE ${DONE}`;
const REMOVE_BLOBS = `DELETE FROM blobs WHERE id IN (SELECT blob FROM messages WHERE ${DONE} AND blob IS NOT NULL)`;
const REMOVE_MESSAGES = `DELETE FROM messages WHERE ${DONE}`;
const POKE = "UPDATE nodes SET poke = poke + 1";

// The sender is in the message, or once that is gone in the row that ended it.
const SENDER = "coalesce((SELECT sender FROM messages m WHERE m.id = e.message), " +
  "(SELECT data ->> 'sender' FROM events d WHERE d.message = e.message AND d.data IS NOT NULL LIMIT 1), '')";
const RECENT = `SELECT message, time, name, ${SENDER}, recipient, text FROM (SELECT message, id, time, name, ` +
  "recipient, text FROM events ORDER BY message DESC, id DESC LIMIT ?2) e WHERE name IN ('delivered', 'failed', " +
  "'expired', 'cancelled', 'deferred') ORDER BY time DESC, message DESC LIMIT ?1";

const PURGE = "DELETE FROM events WHERE (message, id) IN (SELECT message, id FROM events e WHERE message < ?1 AND " +
  "NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = e.message) LIMIT ?2)";

const USUAL_PAGE = 100;
// Rows deleted at a time, so that mail does not wait for the purge.
const PURGE_STEP = 2000;
const STEP = 500;

/** Looks at and changes the queue in `store`. `onChange` is told after each change. */
export function inspectQueue(store: Store, clock: Clock, onChange: () => void = () => {}): QueueInspection {
  const ids = createIdSource(clock, COMMAND_SLOT);

  /** Runs `change` on pages of matching messages. */
  const each = async (
    which: QueueFilter,
    change: (args: readonly SqlValue[], found: readonly MessageId[]) => Promise<number>,
  ): Promise<number> => {
    let total = 0;
    for (let after = 0;;) {
      const found = await findMessages(store, which, after, STEP);
      const last = found.at(-1);
      if (last === undefined) break;
      total += await change([...filterArguments(which), JSON.stringify(found)], found);
      after = last;
    }
    if (total > 0) onChange();
    return total;
  };

  const changes = (results: readonly WriteResult[], ...which: number[]) =>
    which.reduce((sum, index) => sum + (results[index]?.changes ?? 0), 0);

  const views = async (found: readonly MessageId[], waiting = waitingView): Promise<MessageView[]> => {
    const keys = JSON.stringify(found);
    const [messages, recipients, ended] = await Promise.all([
      store.read(MESSAGES, [keys]),
      store.read(RECIPIENTS, [keys]),
      store.read(ENDED, [keys]),
    ]);
    const byMessage = new Map<number, RecipientView[]>();
    const add = (message: SqlValue | undefined, view: RecipientView) => {
      const list = byMessage.get(Number(message));
      if (list === undefined) byMessage.set(Number(message), [view]);
      else list.push(view);
    };
    for (const row of recipients.rows) add(row[0], waiting(row));
    for (const row of ended.rows) add(row[0], endedView(row));
    return messages.rows.map(([id, sender, created, size, priority, source]) => {
      const list = byMessage.get(Number(id)) ?? [];
      return {
        id: formatMessageId(Number(id)),
        sender: String(sender),
        recipients: list,
        state: stateOf(list),
        created: iso(created) ?? "",
        due: list.reduce<string | null>((least, { due }) => earlier(least, due), null),
        size: Number(size),
        priority: Number(priority),
        source: toSource(source),
      };
    });
  };

  return {
    async list(page = {}) {
      const after = page.after === undefined ? 0 : parseMessageId(page.after) ?? Number.MAX_SAFE_INTEGER;
      const offset = page.offset ?? 0;
      const found = await findMessages(store, page, after, offset + (page.limit ?? USUAL_PAGE));
      return await views(found.slice(offset));
    },
    async show(text) {
      const id = parseMessageId(text);
      if (id === undefined) return undefined;
      const [[waiting], history] = await Promise.all([views([id], detailedView), store.read(EVENTS, [id])]);
      const found = waiting ?? doneView(id, history.rows);
      if (found === undefined) return undefined;
      const message = withDialogues(found, history.rows);
      const events: EventView[] = history.rows
        .filter(([, name]) => name !== "completed" && name !== DIALOGUE)
        .map(([time, name, recipient, note]) => ({
          time: iso(time) ?? "",
          name: String(name),
          recipient: String(recipient),
          text: String(note),
        }));
      const from = message.sender === "" ? "<>" : message.sender;
      events.unshift({ time: message.created, name: "queued", recipient: "", text: `from ${from}` });
      return { message, events };
    },
    async content(text) {
      const id = parseMessageId(text);
      const row = id === undefined ? undefined : (await store.read(BODY_OF, [id])).rows[0];
      if (row === undefined) return undefined;
      const [key, size, blob] = row;
      return await loadContent(store, {
        id: Number(key),
        size: Number(size),
        blob: blob === null ? undefined : Number(blob),
      });
    },
    retry: (which) =>
      each(which, async (args) => {
        const now = clock.now();
        const results = await store.write([{ sql: DUE_NOW, args: [...args, now] }]);
        return changes(results, 0);
      }),
    reschedule: (which, time) =>
      each(which, async (args) => {
        const now = clock.now();
        const results = await store.write([
          { sql: RESCHEDULED, args: [...args, now, ids.next()] },
          { sql: RESCHEDULE, args: [...args, time] },
        ]);
        return changes(results, 1);
      }),
    cancel: (which) =>
      each(which, async (args, found) => {
        const now = clock.now();
        const keys = JSON.stringify(found);
        const results = await store.write([
          { sql: FLAG_CANCEL, args },
          { sql: CANCELLED, args: [...args, now, ids.next()] },
          { sql: REMOVE, args },
          { sql: COMPLETED, args: [keys, ids.next(), now] },
          { sql: REMOVE_BLOBS, args: [keys] },
          { sql: REMOVE_MESSAGES, args: [keys] },
          { sql: POKE, args: [] },
        ]);
        return changes(results, 0, 2);
      }),
    hold: (which) =>
      each(which, async (args) => {
        const now = clock.now();
        const results = await store.write([
          { sql: FLAG_HOLD, args },
          { sql: HELD, args: [...args, now, ids.next()] },
          { sql: HOLD, args: [...args, now] },
          { sql: POKE, args: [] },
        ]);
        return changes(results, 0, 2);
      }),
    release: (which) =>
      each(which, async (args) => {
        const now = clock.now();
        const results = await store.write([
          { sql: UNFLAG_HOLD, args },
          { sql: RELEASED, args: [...args, now, ids.next()] },
          { sql: UNHOLD, args: [...args, now] },
        ]);
        return changes(results, 0, 2);
      }),
    stats: createStatistics(store, clock),
    async purge(time) {
      let total = 0;
      while (true) {
        const [result] = await store.write([{ sql: PURGE, args: [firstIdAt(time), PURGE_STEP] }]);
        total += result?.changes ?? 0;
        if ((result?.changes ?? 0) < PURGE_STEP) return total;
      }
    },
    async recent(limit) {
      const { rows } = await store.read(RECENT, [limit, limit * 4]);
      return rows.map(([message, time, name, sender, recipient, text]) => ({
        id: formatMessageId(Number(message)),
        time: iso(time) ?? "",
        name: String(name),
        sender: String(sender),
        recipient: String(recipient),
        text: String(text),
      }));
    },
  };
}

function iso(time: SqlValue | undefined): string | null {
  return time === null || time === undefined ? null : new Date(Number(time)).toISOString();
}

function earlier(a: string | null, b: string | null): string | null {
  return a === null ? b : b === null ? a : a < b ? a : b;
}

function waitingView(row: Row): RecipientView {
  const [, address, queue, state, , expires, attempts, lastError, lastStatus, detail, attemptAt] = row;
  const name = stateName(state);
  const error = toLastError(lastError);
  return {
    address: String(address),
    queue: String(queue),
    state: name,
    due: name === "held" ? null : iso(attemptAt),
    expires: iso(expires),
    attempts: Number(attempts),
    lastError: error,
    lastStatus: Number(lastStatus),
    lastText: readDetail(detail ?? null, error, Number(lastStatus))?.text ?? "",
  };
}

/** As {@link waitingView}, with what was said in the last attempt. */
function detailedView(row: Row): RecipientView {
  const view = waitingView(row);
  const dialogue = readDetail(row[9] ?? null, view.lastError, view.lastStatus)?.dialogue;
  return dialogue === undefined ? view : { ...view, dialogue };
}

/** The message with what was said in the last attempts of recipients that failed, from its history. */
function withDialogues(message: MessageView, events: readonly Row[]): MessageView {
  const dialogues = new Map(
    events.filter(([, name]) => name === DIALOGUE).map(([, , recipient, text]) => [recipient, text]),
  );
  if (dialogues.size === 0) return message;
  const recipients = message.recipients.map((recipient) => {
    const column = dialogues.get(recipient.address);
    if (typeof column !== "string" || recipient.state !== "failed") return recipient;
    return { ...recipient, dialogue: readDialogue(JSON.parse(column)) };
  });
  return { ...message, recipients };
}

function endedView(row: Row): RecipientView {
  const [, address, name, , text] = row;
  return {
    address: String(address),
    queue: "",
    state: name === "delivered" ? "delivered" : "failed",
    due: null,
    expires: null,
    attempts: 0,
    lastError: "none",
    lastStatus: 0,
    lastText: String(text),
  };
}

const FURTHEST: readonly RecipientState[] = ["held", "queued", "delivering", "failed", "delivered"];

function stateOf(recipients: readonly RecipientView[]): RecipientState {
  return FURTHEST.find((state) => recipients.some((one) => one.state === state)) ?? "delivered";
}

/** A message that is done, from its history. */
function doneView(id: MessageId, events: readonly Row[]): MessageView | undefined {
  const data = events.map((row) => row[4]).find((value) => typeof value === "string");
  if (typeof data !== "string") return undefined;
  const summary = JSON.parse(data);
  const recipients = events
    .filter(([, name]) => name === "delivered" || name === "failed" || name === "expired" || name === "cancelled")
    .map(([time, name, recipient, text]) => endedView([id, recipient ?? "", name ?? "", time ?? 0, text ?? ""]));
  return {
    id: formatMessageId(id),
    sender: String(summary.sender),
    recipients,
    state: stateOf(recipients),
    created: iso(Number(summary.created)) ?? "",
    due: null,
    size: Number(summary.size),
    priority: Number(summary.priority),
    source: toSource(summary.source),
  };
}
