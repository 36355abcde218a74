/** What people see of the queue and do to it; works beside running nodes, on the same database. */

import type { Clock } from "../clock/mod.ts";
import type { Content } from "../message/content.ts";
import type { Row, SqlValue, Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { loadContent } from "./content.ts";
import { firstIdAt, formatMessageId, parseMessageId } from "./message_id.ts";
import { DIALOGUE, fromColumn } from "./dialogues.ts";
import {
  MESSAGE_COLUMNS,
  readDetail,
  readMessage,
  readRecipient,
  RECIPIENT_COLUMNS,
  SHOWN_STATE,
  stateName,
  toLastError,
  toSource,
} from "./record.ts";
import { type ExportedMessage, exportedView } from "./export.ts";
import { operateQueue, type QueueOperations } from "./operate.ts";
import { findMessages, type QueueFilter } from "./search.ts";
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
export interface QueueInspection extends QueueOperations {
  /** Messages that wait, oldest first; at most 100 unless `limit` says otherwise. */
  list(page?: QueuePage): Promise<MessageView[]>;
  /** One message with its history; also one that is done, as long as history is kept. */
  show(id: string): Promise<{ message: MessageView; events: EventView[] } | undefined>;
  content(id: string): Promise<Content | undefined>;
  /** A message with everything that is needed to send it again elsewhere; only of recipients that still wait. */
  export(id: string): Promise<ExportedMessage | undefined>;
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
const RECIPIENTS = `SELECT r.message, address, queue, ${SHOWN_STATE}, expires, attempts, last_error, last_status, ` +
  "last_detail, attempt_at FROM recipients r WHERE r.message IN (SELECT value FROM json_each(?)) ORDER BY message, seq";
const ENDED = "SELECT message, recipient, name, text, data FROM events WHERE message IN " +
  "(SELECT value FROM json_each(?)) AND name IN ('delivered', 'failed', 'expired', 'cancelled') ORDER BY message, id";
const EVENTS = "SELECT time, name, recipient, text, data FROM events WHERE message = ? ORDER BY id";
const DIALOGUES = "SELECT address, lines FROM dialogues JOIN recipients USING (message, seq) WHERE message = ?";
const BODY_OF = "SELECT id, size, blob FROM messages WHERE id = ?";

const EXPORTED = `SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id = ?`;
const EXPORTED_RECIPIENTS =
  `SELECT ${RECIPIENT_COLUMNS}, ${SHOWN_STATE} FROM recipients r WHERE message = ? ORDER BY seq`;

// The sender is in the message, or once that is gone in the row that ended it.
const SENDER = "coalesce((SELECT sender FROM messages m WHERE m.id = e.message), " +
  "(SELECT data ->> 'sender' FROM events d WHERE d.message = e.message AND d.data ->> 'sender' IS NOT NULL LIMIT 1), '')";
const RECENT = `SELECT message, time, name, ${SENDER}, recipient, text FROM (SELECT message, id, time, name, ` +
  "recipient, text FROM events ORDER BY message DESC, id DESC LIMIT ?2) e WHERE name IN ('delivered', 'failed', " +
  "'expired', 'cancelled', 'deferred') ORDER BY time DESC, message DESC LIMIT ?1";

const PURGE = "DELETE FROM events WHERE (message, id) IN (SELECT message, id FROM events e WHERE message < ?1 AND " +
  "NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message = e.message) LIMIT ?2)";

const USUAL_PAGE = 100;
// Rows deleted at a time, so that mail does not wait for the purge.
const PURGE_STEP = 2000;

/** Looks at and changes the queue in `store`. `onChange` is told after each change. */
export function inspectQueue(
  store: Store,
  clock: Clock,
  { onChange = () => {}, emit = () => {} }: { readonly onChange?: () => void; readonly emit?: Emit } = {},
): QueueInspection {
  const views = async (found: readonly MessageId[]): Promise<MessageView[]> => {
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
    for (const row of recipients.rows) add(row[0], waitingView(row));
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
      const found = await findMessages(store, clock, page, after, offset + (page.limit ?? USUAL_PAGE));
      return await views(found.slice(offset));
    },
    async show(text) {
      const id = parseMessageId(text);
      if (id === undefined) return undefined;
      const [[waiting], history, dialogues] = await Promise.all([
        views([id]),
        store.read(EVENTS, [id]),
        store.read(DIALOGUES, [id]),
      ]);
      const found = waiting ?? doneView(id, history.rows);
      if (found === undefined) return undefined;
      const message = withDialogues(found, dialogues.rows, history.rows);
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
    async export(text) {
      const id = parseMessageId(text);
      const row = id === undefined ? undefined : (await store.read(EXPORTED, [id])).rows[0];
      if (id === undefined || row === undefined) return undefined;
      const { rows } = await store.read(EXPORTED_RECIPIENTS, [id]);
      const recipients = rows.map((one) => ({ ...readRecipient(one), state: stateName(one.at(-1)) }));
      const message = readMessage(row, recipients[0]?.address ?? "");
      return { message: exportedView(message, recipients), content: await loadContent(store, message) };
    },
    ...operateQueue({ store, clock, onChange, emit }),
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
  const [, address, queue, state, expires, attempts, lastError, lastStatus, detail, attemptAt] = row;
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

/** The message with what was said in the last attempts that failed: of recipients that wait, and of those in history. */
function withDialogues(message: MessageView, waiting: readonly Row[], events: readonly Row[]): MessageView {
  const dialogues = new Map(waiting.map(([address, lines]) => [address, lines]));
  for (const [, name, address, lines] of events) if (name === DIALOGUE) dialogues.set(address, lines);
  if (dialogues.size === 0) return message;
  const recipients = message.recipients.map((recipient) => {
    const lines = dialogues.get(recipient.address);
    return lines === undefined || recipient.state === "delivered"
      ? recipient
      : { ...recipient, dialogue: fromColumn(lines) };
  });
  return { ...message, recipients };
}

function endedView(row: Row): RecipientView {
  const [, address, name, text, data] = row;
  const parsed = typeof data === "string" ? JSON.parse(data) : {};
  return {
    address: String(address),
    queue: "",
    state: name === "delivered" ? "delivered" : "failed",
    due: null,
    expires: null,
    attempts: Number(parsed.attempts ?? 0),
    lastError: toLastError(parsed.error),
    lastStatus: Number(parsed.status ?? 0),
    lastText: String(text),
  };
}

const FURTHEST: readonly RecipientState[] = ["held", "queued", "delivering", "failed", "delivered"];

function stateOf(recipients: readonly RecipientView[]): RecipientState {
  return FURTHEST.find((state) => recipients.some((one) => one.state === state)) ?? "delivered";
}

/** A message that is done, from its history. */
function doneView(id: MessageId, events: readonly Row[]): MessageView | undefined {
  const known = events.map(([, , , , data]) => typeof data === "string" ? JSON.parse(data) : {});
  const summary = known.find(({ sender }) => sender !== undefined);
  if (summary === undefined) return undefined;
  const recipients = events
    .filter(([, name]) => name === "delivered" || name === "failed" || name === "expired" || name === "cancelled")
    .map(([, name, recipient, text, data]) => endedView([id, recipient ?? "", name ?? "", text ?? "", data ?? null]));
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
