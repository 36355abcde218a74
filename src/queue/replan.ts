/**
 * Applies changed schedules to what waits already: queue, end of life, and attempts that would come later than the new
 * schedule has them.
 */

import { createHash } from "node:crypto";
import type { Store } from "../store/mod.ts";
import {
  FLAG,
  MESSAGE_COLUMNS,
  type MessageRecord,
  readMessage,
  readRecipient,
  RECIPIENT_COLUMNS,
  type RecipientRecord,
  STATE,
} from "./record.ts";
import { expiryOf, nextLook, pauseAfter } from "./schedule.ts";
import type { Strategy } from "./strategy.ts";

const SEEN = "SELECT scheduling FROM nodes WHERE slot = ?";
const SET_SEEN = "UPDATE nodes SET scheduling = ? WHERE slot = ?";
const WAITING = `SELECT message, state, due, ${RECIPIENT_COLUMNS} FROM recipients WHERE (message, seq) > (?, ?) ` +
  "ORDER BY message, seq LIMIT ?";
const MESSAGES = `SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id IN (SELECT value FROM json_each(?))`;
// Only recipients that nobody has touched meanwhile.
const CHANGE = "UPDATE recipients SET queue = u.value ->> 3, due = u.value ->> 4, attempt_at = u.value ->> 5, " +
  "expires = u.value ->> 6 FROM json_each(?) u WHERE message = u.value ->> 0 AND seq = u.value ->> 1 AND " +
  "state = u.value ->> 2 AND attempts = u.value ->> 7 AND flags = u.value ->> 8";

// Recipients looked at in one step: commits of mail run between two.
const STEP = 500;

/** What {@link replan} needs. */
export interface ReplanContext {
  readonly store: Store;
  readonly strategy: Strategy;
  readonly now: () => number;
  readonly random: () => number;
  /** Whether to give up, as another configuration is in force. */
  readonly stopped: () => boolean;
}

/** A short form of what decides about schedules. */
export function digestOf(scheduling: string): string {
  return createHash("sha256").update(scheduling).digest("base64url");
}

/** Whether a node has applied these schedules to all that waits. @throws {StoreUnavailable} if the store is unavailable */
export async function isApplied(store: Store, node: number, digest: string): Promise<boolean> {
  return (await store.read(SEEN, [node])).rows[0]?.[0] === digest;
}

/** Notes that it has. @throws {StoreUnavailable} if the store is unavailable */
export async function noteApplied(store: Store, node: number, digest: string): Promise<void> {
  await store.write([{ sql: SET_SEEN, args: [digest, node] }]);
}

/**
 * Looks at every recipient that waits or is held.
 *
 * @throws {StoreUnavailable} if the store is unavailable
 */
export async function replan({ store, strategy, now, random, stopped }: ReplanContext): Promise<void> {
  let drawn = { id: 0, part: 0, time: 0 };
  for (let message = 0, seq = -1; !stopped();) {
    const { rows } = await store.read(WAITING, [message, seq, STEP]);
    const last = rows.at(-1);
    if (last === undefined) return;
    message = Number(last[0]);
    seq = Number(last[3]);
    const waiting = rows.filter(([, state]) => state === STATE.queued || state === STATE.held);
    const ids = [...new Set(waiting.map(([id]) => Number(id)))];
    const messages = new Map(
      (await store.read(MESSAGES, [JSON.stringify(ids)])).rows.map((row) => [Number(row[0]), readMessage(row, "")]),
    );
    const changes: (readonly (string | number | null)[])[] = [];
    for (const [id, state, due, ...columns] of waiting) {
      const found = messages.get(Number(id));
      if (found === undefined) continue;
      const recipient = readRecipient(columns);
      const owner = found.addresses.length === 1 ? { ...found, addresses: [recipient.address] } : found;
      // One for all recipients of a message: those that travelled together go on doing so.
      if (found.id !== drawn.id) drawn = { id: found.id, part: random(), time: now() };
      const next = await planAnew(owner, recipient, strategy, drawn.time, drawn.part);
      if (next === undefined) continue;
      const { queue, attemptAt, expires, attempts, flags } = next.recipient;
      // `due` of a held one is the time of holding.
      const look = state === STATE.held ? Number(due) : next.look;
      if (
        queue === recipient.queue && attemptAt === recipient.attemptAt && expires === recipient.expires &&
        look === Number(due)
      ) continue;
      changes.push([found.id, recipient.seq, Number(state), queue, look, attemptAt, expires ?? null, attempts, flags]);
    }
    if (changes.length > 0) await store.write([{ sql: CHANGE, args: [JSON.stringify(changes)] }]);
  }
}

/**
 * The recipient as the schedule of now has it; undefined if that cannot be told.
 *
 * @param part which part of the pause has to pass, from 0 to 1
 */
async function planAnew(
  message: MessageRecord,
  recipient: RecipientRecord,
  strategy: Strategy,
  now: number,
  part: number,
): Promise<{ readonly recipient: RecipientRecord; readonly look: number } | undefined> {
  try {
    const schedule = await strategy.schedule(message, recipient, now);
    const next: RecipientRecord = {
      ...recipient,
      queue: schedule.queueName,
      expires: expiryOf(message, schedule, recipient.extended),
    };
    const pause = pauseAfter(schedule, recipient.attempts);
    // A first attempt has its own time, and so has one that somebody has set. Other messages are spread over the pause,
    // so that a long queue does not come due at once.
    const planned = recipient.attempts > 0 && (recipient.flags & FLAG.timed) === 0;
    if (planned && next.attemptAt > now + pause) next.attemptAt = now + Math.ceil(part * pause);
    return { recipient: next, look: nextLook(next, message, schedule) };
  } catch {
    return undefined;
  }
}
