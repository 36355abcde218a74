/** What the queue keeps of messages and recipients, and how that becomes rows and back. */

import type { Row, SqlValue } from "../store/mod.ts";
import type { RcptParameters } from "../smtp/envelope.ts";
import type {
  FailureDetail,
  LastError,
  MessageId,
  NewMessage,
  QueuedEnvelope,
  RecipientState,
  Source,
} from "./types.ts";

/** A message without its content. */
export interface MessageRecord {
  readonly id: MessageId;
  readonly created: number;
  readonly envelope: QueuedEnvelope;
  readonly source: Source;
  readonly priority: number;
  readonly size: number;
  readonly holdUntil: number | undefined;
  readonly receivedFromIp: string;
  readonly receivedViaPort: number;
  readonly authenticatedAs: string;
  readonly heloDomain: string;
  readonly addresses: readonly string[];
  /** Id of what does not fit in the message's own row. */
  readonly blob: number | undefined;
}

/** A recipient that waits or is being delivered. Changes only at outcomes. */
export interface RecipientRecord {
  readonly seq: number;
  readonly address: string;
  readonly domain: string;
  readonly parameters: RcptParameters;
  queue: string;
  attempts: number;
  notified: number;
  flags: number;
  /** When the next attempt is due, milliseconds since the epoch. */
  attemptAt: number;
  expires: number | undefined;
  /** Milliseconds that `expires` is later than its schedule says. */
  readonly extended: number;
  lastError: LastError;
  lastStatus: number;
  lastDetail: FailureDetail | undefined;
}

/** `recipients.state` as numbers. */
export const STATE = { queued: 0, claimed: 1, held: 2 } as const;
/**
 * `recipients.flags`: what to do with a claimed recipient at its outcome, that its time was set by hand, that an attempt
 * for it has been under way for a while, or that its time was set while it was claimed.
 */
export const FLAG = { cancel: 1, hold: 2, timed: 4, underWay: 8, moved: 16 } as const;

const STATE_NAMES: readonly RecipientState[] = ["queued", "delivering", "held"];

/** The state as people see it, of a row `r`: what is claimed and only waits for a place is queued. */
export const SHOWN_STATE =
  `CASE WHEN r.state = ${STATE.claimed} AND r.flags & ${FLAG.underWay} = 0 THEN ${STATE.queued} ELSE r.state END`;

/** What is no longer claimed is no longer tried, and has the time that was asked for. */
export const SHOWN_NO_MORE = `flags = flags & ~${FLAG.underWay | FLAG.moved}`;

/** The name of a state of {@link SHOWN_STATE}. */
export function stateName(state: SqlValue | undefined): RecipientState {
  return STATE_NAMES[Number(state)] ?? "queued";
}

/** The number of a state, undefined for those that recipients in the table never have. */
export function stateNumber(state: RecipientState): number | undefined {
  const number = STATE_NAMES.indexOf(state);
  return number < 0 ? undefined : number;
}

/** The domain of an address, lower case; `""` if there is none. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1 || address.length).toLowerCase();
}

/** The record of a message that is being queued. */
export function recordOf(message: NewMessage, created: number, blob: number | undefined): MessageRecord {
  return {
    id: message.id,
    created,
    envelope: message.envelope,
    source: message.source,
    priority: message.priority,
    size: message.content.size,
    holdUntil: message.holdUntil,
    receivedFromIp: message.receivedFromIp,
    receivedViaPort: message.receivedViaPort,
    authenticatedAs: message.authenticatedAs,
    heloDomain: message.heloDomain,
    addresses: message.recipients.map(({ address }) => address),
    blob,
  };
}

/** The columns of a message that are not needed to find it. */
export function metaOf(message: MessageRecord): string {
  const { envelope, receivedFromIp, receivedViaPort, authenticatedAs, heloDomain } = message;
  return JSON.stringify([envelope.parameters, receivedFromIp, receivedViaPort, authenticatedAs, heloDomain]);
}

/** Columns that {@link readMessage} wants, in order. */
export const MESSAGE_COLUMNS = "id, created, sender, size, priority, source, hold_until, meta, addresses, blob";

/** A message from its row; `alone` is the address of its only recipient. */
export function readMessage(row: Row, alone: string): MessageRecord {
  const [id, created, sender, size, priority, source, holdUntil, meta, addresses, blob] = row;
  const [parameters, ip, port, user, helo] = JSON.parse(String(meta));
  return {
    id: Number(id),
    created: Number(created),
    envelope: { sender: String(sender), parameters },
    source: toSource(source),
    priority: Number(priority),
    size: Number(size),
    holdUntil: holdUntil === null || holdUntil === undefined ? undefined : Number(holdUntil),
    receivedFromIp: String(ip),
    receivedViaPort: Number(port),
    authenticatedAs: String(user),
    heloDomain: String(helo),
    addresses: typeof addresses === "string" ? JSON.parse(addresses) : [alone],
    blob: blob === null || blob === undefined ? undefined : Number(blob),
  };
}

/** Columns that {@link readRecipient} wants, in order. */
export const RECIPIENT_COLUMNS = "seq, address, queue, attempts, notified, flags, attempt_at, expires, last_error, " +
  "last_status, last_detail, params, extended";

/** A recipient from its row, its first column at `from`. */
export function readRecipient(row: Row, from = 0): RecipientRecord {
  const at = (column: number) => row[from + column] ?? null;
  const address = String(at(1));
  const lastError = toLastError(at(8));
  const lastStatus = Number(at(9));
  return {
    seq: Number(at(0)),
    address,
    domain: domainOf(address),
    queue: String(at(2)),
    attempts: Number(at(3)),
    notified: Number(at(4)),
    flags: Number(at(5)),
    attemptAt: Number(at(6)),
    expires: at(7) === null ? undefined : Number(at(7)),
    lastError,
    lastStatus,
    lastDetail: readDetail(at(10), lastError, lastStatus),
    parameters: typeof at(11) === "string" ? JSON.parse(String(at(11))) : {},
    extended: Number(at(12)),
  };
}

/** `recipients.last_detail` of a failure. */
export function detailColumn(detail: FailureDetail | undefined): string | null {
  return detail === undefined ? null : JSON.stringify([detail.enhanced, detail.host, detail.text, detail.reply]);
}

/** The failure in `recipients.last_detail`. */
export function readDetail(column: SqlValue, lastError: LastError, status: number): FailureDetail | undefined {
  if (typeof column !== "string") return undefined;
  const [enhanced, host, text, reply] = JSON.parse(column);
  const detail = { lastError, status, enhanced: String(enhanced), host: String(host), text: String(text) };
  return typeof reply === "string" ? { ...detail, reply } : detail;
}

/** Every `messages.source`. */
export const SOURCES: readonly Source[] = [
  "authenticated",
  "unauthenticated",
  "dmarc_pass",
  "dsn",
  "report",
  "autogenerated",
];

/** A `messages.source`. */
export function toSource(value: unknown): Source {
  return SOURCES.find((source) => source === value) ?? "unauthenticated";
}

/** Every `recipients.last_error`. */
export const LAST_ERRORS: readonly LastError[] = [
  "none",
  "dns",
  "connection",
  "tls",
  "dane",
  "mta-sts",
  "unexpected-reply",
  "rate",
  "concurrency",
  "io",
];

/** A `recipients.last_error`. */
export function toLastError(value: unknown): LastError {
  return LAST_ERRORS.find((error) => error === value) ?? "none";
}
