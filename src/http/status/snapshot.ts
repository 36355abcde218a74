/** What the status page and `GET /api/status` show, gathered at one moment. */

import { type MessageView, StoreUnavailable } from "../../queue/types.ts";
import type { HttpDependencies, ListenerView, QueueStats, Readiness, RecentEvent } from "../dependencies.ts";
import type { MailSummary } from "../mailbox.ts";

/** Rows shown of each list. */
const MOST_MESSAGES = 50;
const MOST_RECENT = 25;
const MOST_MAIL = 25;

/** State of the whole program. */
export interface StatusSnapshot {
  readonly version: string;
  readonly hostname: string;
  readonly readiness: Readiness;
  /** Null while the store cannot be reached. */
  readonly queue: QueueStats | null;
  /** Oldest messages in the queue. */
  readonly messages: readonly MessageView[];
  /** Latest outcomes, newest first. */
  readonly recent: readonly RecentEvent[];
  readonly listeners: readonly ListenerView[];
  /** Latest delivered mail, where mailboxes may be looked into. */
  readonly mail?: readonly MailSummary[];
}

/** Gathers a snapshot. A store that cannot be reached empties the queue's part; the rest is shown. */
export async function statusSnapshot(deps: HttpDependencies): Promise<StatusSnapshot> {
  const [readiness, queue, messages, recent, mail] = await Promise.all([
    deps.ready(),
    unlessUnavailable(deps.queue.stats(), null),
    unlessUnavailable(deps.queue.list({ limit: MOST_MESSAGES }), []),
    unlessUnavailable(deps.queue.recent(MOST_RECENT), []),
    deps.mailboxes?.latest(MOST_MAIL),
  ]);
  return {
    version: deps.version,
    hostname: deps.hostname,
    readiness,
    queue,
    messages,
    recent,
    listeners: deps.listeners(),
    ...(mail !== undefined && { mail }),
  };
}

async function unlessUnavailable<T>(promise: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof StoreUnavailable) return otherwise;
    throw error;
  }
}

/** A short text that differs when snapshots differ. */
export async function fingerprint(snapshot: StatusSnapshot): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(snapshot)));
  return new Uint8Array(digest).slice(0, 12).toHex();
}
