/** What people do to the queue, beside running nodes and on the same database; each leaves an entry in history. */

import type { Clock } from "../clock/mod.ts";
import type { Statement, Store } from "../store/mod.ts";
import { DROP_ORPHANS } from "./dialogues.ts";
import type { Emit, EventName } from "../telemetry/event.ts";
import { COMMAND_SLOT, createIdSource, formatMessageId, type IdSource } from "./message_id.ts";
import { FLAG, SHOWN_STATE, STATE, stateName, stateNumber } from "./record.ts";
import { countRecipients, findRecipients, type FoundRecipient, type Place, type QueueFilter } from "./search.ts";
import type { RecipientState } from "./types.ts";

/** What can be done to recipients by name. */
export type QueueAction = "retry" | "reschedule" | "hold" | "release" | "cancel";

/** What an action would concern. */
export interface QueuePreview {
  readonly recipients: number;
  readonly messages: number;
  /** The first of them. */
  readonly samples: readonly {
    readonly id: string;
    readonly sender: string;
    readonly recipient: string;
    readonly queue: string;
    readonly state: RecipientState;
  }[];
}

/** What has become of recipients that shall not be tried any more. */
export interface Stopped {
  /** How many are concerned. */
  readonly recipients: number;
  /** Of these, how many a node has in hand: it lets them go, but for an attempt that is under way and succeeds. */
  readonly inHand: number;
}

/**
 * The actions. Each gives the number of recipients concerned.
 *
 * `by` says who asked, such as `root on the command line`; it stands in history.
 */
export interface QueueOperations {
  /** Makes waiting recipients due now, those as well that are due and wait for a place. */
  retry(which: QueueFilter, by?: string): Promise<number>;
  /** Sets the next attempt of waiting recipients to `time`, milliseconds since the epoch. */
  reschedule(which: QueueFilter, time: number, by?: string): Promise<number>;
  /** Stops attempts until `release`; one that is being delivered is held if that attempt fails. */
  hold(which: QueueFilter, by?: string): Promise<Stopped>;
  release(which: QueueFilter, by?: string): Promise<number>;
  /** Removes recipients, without notice; one that is being delivered is removed if that attempt fails. */
  cancel(which: QueueFilter, by?: string): Promise<Stopped>;
  /** What an action would concern, without doing anything; at most `samples` examples. */
  preview(action: QueueAction, which: QueueFilter, samples?: number): Promise<QueuePreview>;
}

// ?1: JSON list of [message, seq]. ?2: the state they must still be in, null for any.
const CHOSEN = "(r.message, r.seq) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1)) AND " +
  `(?2 IS NULL OR ${SHOWN_STATE} = ?2)`;
// An attempt that was asked for is made, even past the end of the recipient's time. The node that has it, if one has,
// gives it back for that.
const WAITS = `r.state < 2 AND ${SHOWN_STATE} = ${STATE.queued}`;
const RESCHEDULE = "UPDATE recipients AS r SET due = CASE r.state WHEN 0 THEN ?3 ELSE due END, attempt_at = ?3, " +
  "expires = max(expires, ?3 + 3600000), extended = extended + max(0, coalesce(?3 + 3600000 - expires, 0)), " +
  `flags = flags | CASE r.state WHEN 0 THEN ${FLAG.timed} ELSE ${FLAG.timed | FLAG.moved} END ` +
  `WHERE ${WAITS} AND ${CHOSEN}`;
// What is cancelled is not held any more, nor again.
const FLAG_CANCEL = `UPDATE recipients AS r SET flags = (flags | 1) & ~2 WHERE r.state = 1 AND ${CHOSEN}`;
const FLAG_HOLD = `UPDATE recipients AS r SET flags = flags | 2 WHERE r.state = 1 AND NOT flags & 1 AND ${CHOSEN}`;
const UNFLAG_HOLD = `UPDATE recipients AS r SET flags = flags & ~2 WHERE r.state = 1 AND flags & 2 AND ${CHOSEN}`;
const REMOVE = `DELETE FROM recipients AS r WHERE r.state <> 1 AND ${CHOSEN}`;
const HOLD = `UPDATE recipients AS r SET state = 2, due = ?3 WHERE r.state = 0 AND ${CHOSEN}`;
// RFC 4865 §4.1: whoever holds a message and lets it go has not said that it may leave before its sender's time.
const SENDERS_TIME = "(SELECT coalesce(hold_until, 0) FROM messages WHERE id = r.message)";
// Time spent on hold does not count towards the end of its life, which begins with its sender's time.
const SPENT_ON_HOLD = `max(0, ?3 - max(due, ${SENDERS_TIME}))`;
const UNHOLD = `UPDATE recipients AS r SET state = 0, expires = expires + ${SPENT_ON_HOLD}, ` +
  `due = max(?3, ${SENDERS_TIME}), attempt_at = max(?3, ${SENDERS_TIME}), ` +
  `extended = extended + ${SPENT_ON_HOLD}, flags = 0 WHERE r.state = 2 AND ${CHOSEN}`;
const EVENT = (name: string, state: string, data = "NULL") =>
  "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text, data) SELECT r.message, " +
  `?4 + r.seq * 1024, ?3, '${name}', r.address, ?5, ${data} FROM recipients r WHERE ${state} AND ${CHOSEN}`;
// What stays known of a recipient's attempts.
const FAILURES = "CASE WHEN r.attempts > 0 THEN json_object('attempts', r.attempts, 'error', r.last_error, " +
  "'status', r.last_status) END";
const RETRY_NOTED = EVENT("retry-requested", WAITS);
const RESCHEDULED = EVENT("rescheduled", WAITS);
const CANCELLED = EVENT("cancelled", "r.state <> 1", FAILURES);
const CANCEL_NOTED = EVENT("cancel-requested", "r.state = 1");
const HELD = EVENT("held", "r.state = 0");
const HOLD_NOTED = EVENT("hold-requested", "r.state = 1");
const RELEASED = EVENT("released", "(r.state = 2 OR (r.state = 1 AND r.flags & 2))");
const DONE = "id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1 FROM recipients WHERE message = id)";
const COMPLETED = "INSERT OR IGNORE INTO events (message, id, time, name, recipient, text, data) " +
  "SELECT id, ?2, ?3, 'completed', '', '', json_object('sender', sender, 'created', created, 'size', size, " +
  "'priority', priority, 'source', source, 'ip', meta ->> 1, 'port', meta ->> 2, 'addresses', json(addresses)) " +
  `FROM messages WHERE ${DONE}`;
const REMOVE_BLOBS = `DELETE FROM blobs WHERE id IN (SELECT blob FROM messages WHERE ${DONE} AND blob IS NOT NULL)`;
const REMOVE_MESSAGES = `DELETE FROM messages WHERE ${DONE}`;
// Running nodes look at what was asked for recipients that they have.
const POKE: Statement = { sql: "UPDATE nodes SET poke = poke + 1", args: [] };
const SENDERS = "SELECT id, sender FROM messages WHERE id IN (SELECT value FROM json_each(?))";

// Recipients changed in one commit: those of mail run between two.
const STEP = 1000;
const USUAL_SAMPLES = 10;

/** Who and when, of one page of recipients. */
interface Page {
  /** ?1 and ?2 of {@link CHOSEN}. */
  readonly chosen: readonly [string, number | null];
  /** JSON list of the messages. */
  readonly messages: string;
  readonly now: number;
}

/** What a statement has done to the recipients that it has changed; undefined if nothing. */
type Counted = "done" | "in hand" | undefined;

/** States of recipients, as {@link SHOWN_STATE}, that an action changes something for. */
const CONCERNED: Readonly<Record<QueueAction, readonly number[]>> = {
  retry: [STATE.queued],
  reschedule: [STATE.queued],
  hold: [STATE.queued, STATE.claimed],
  release: [STATE.held],
  cancel: [STATE.queued, STATE.claimed, STATE.held],
};

/** What {@link operateQueue} needs. */
export interface OperationContext {
  readonly store: Store;
  readonly clock: Clock;
  /** Told after each change. */
  readonly onChange: () => void;
  readonly emit: Emit;
}

/** The actions on the queue in `store`. */
export function operateQueue({ store, clock, onChange, emit }: OperationContext): QueueOperations {
  const ids = createIdSource(clock, COMMAND_SLOT);

  /** Runs `statements` on pages of matching recipients; counts what those of a kind did. */
  const each = async (
    which: QueueFilter,
    event: EventName,
    by: string,
    statements: (page: Page) => readonly (readonly [Statement, Counted])[],
  ): Promise<Stopped> => {
    const counts = { done: 0, "in hand": 0 };
    for await (const found of pages(store, clock, which)) {
      const chosen = JSON.stringify(found.map(({ message, seq }) => [message, seq]));
      const state = which.state === undefined ? null : stateNumber(which.state) ?? -1;
      const messages = JSON.stringify([...new Set(found.map(({ message }) => message))]);
      const work = statements({ chosen: [chosen, state], messages, now: clock.now() });
      const results = await store.write(work.map(([statement]) => statement));
      for (const [index, [, kind]] of work.entries()) {
        if (kind !== undefined) counts[kind] += results[index]?.changes ?? 0;
      }
    }
    const { done, "in hand": inHand } = counts;
    const total = done + inHand;
    if (total > 0) {
      onChange();
      emit(event, {
        ...(which.ids?.length === 1 ? { id: which.ids[0] } : {}),
        total,
        ...(inHand === 0 ? {} : { inHand }),
        by,
      });
    }
    return { recipients: total, inHand };
  };
  const count = async (done: Promise<Stopped>) => (await done).recipients;

  const doing = (sql: string, { chosen }: Page, ...more: number[]): readonly [Statement, Counted] => [
    { sql, args: [...chosen, ...more] },
    "done",
  ];
  const asking = (sql: string, { chosen }: Page): readonly [Statement, Counted] => [{ sql, args: chosen }, "in hand"];
  const noting = (sql: string, { chosen, now }: Page, text: string): readonly [Statement, Counted] => [
    { sql, args: [...chosen, now, ids.next(), text] },
    undefined,
  ];
  const byWhom = (by: string) => by === "" ? "" : `by ${by}`;

  return {
    retry: (which, by = "") =>
      count(each(which, "queue.rescheduled", by, (page) => [
        noting(RETRY_NOTED, page, byWhom(by)),
        doing(RESCHEDULE, page, page.now),
        [POKE, undefined],
      ])),
    reschedule: (which, time, by = "") =>
      count(each(which, "queue.rescheduled", by, (page) => [
        noting(RESCHEDULED, page, `to ${new Date(time).toISOString()}${by === "" ? "" : ` by ${by}`}`),
        doing(RESCHEDULE, page, time),
        [POKE, undefined],
      ])),
    hold: (which, by = "") =>
      each(which, "queue.held", by, (page) => [
        noting(HOLD_NOTED, page, byWhom(by)),
        asking(FLAG_HOLD, page),
        noting(HELD, page, byWhom(by)),
        doing(HOLD, page, page.now),
        [POKE, undefined],
      ]),
    release: (which, by = "") =>
      count(each(which, "queue.released", by, (page) => [
        noting(RELEASED, page, byWhom(by)),
        doing(UNFLAG_HOLD, page),
        doing(UNHOLD, page, page.now),
      ])),
    cancel: (which, by = "") =>
      each(which, "queue.cancelled", by, (page) => [
        noting(CANCEL_NOTED, page, byWhom(by)),
        asking(FLAG_CANCEL, page),
        noting(CANCELLED, page, byWhom(by)),
        doing(REMOVE, page),
        ...finishing(page, ids),
        [POKE, undefined],
      ]),
    async preview(action, which, samples = USUAL_SAMPLES) {
      const states = CONCERNED[action];
      const counted = await countRecipients(store, clock, which, states);
      const first: FoundRecipient[] = [];
      if (counted.recipients > 0) {
        for await (const found of pages(store, clock, which)) {
          first.push(...found.filter(({ state }) => states.includes(state)).slice(0, samples - first.length));
          if (first.length >= samples) break;
        }
      }
      const { rows } = await store.read(SENDERS, [JSON.stringify(first.map(({ message }) => message))]);
      const senders = new Map(rows.map(([id, sender]) => [id, String(sender)]));
      return {
        ...counted,
        samples: first.map(({ message, address, queue, state }) => ({
          id: formatMessageId(message),
          sender: senders.get(message) ?? "",
          recipient: address,
          queue,
          state: stateName(state),
        })),
      };
    },
  };
}

/** Matching recipients in order, a page at a time. */
async function* pages(store: Store, clock: Clock, which: QueueFilter): AsyncGenerator<readonly FoundRecipient[]> {
  for (let after: Place = { message: 0, seq: 0 };;) {
    const found = await findRecipients(store, clock, which, after, STEP);
    const last = found.at(-1);
    if (last === undefined) return;
    yield found;
    if (found.length < STEP) return;
    after = last;
  }
}

/** What removes messages without recipients. */
function finishing({ messages, now }: Page, ids: IdSource): readonly (readonly [Statement, Counted])[] {
  return [
    [{ sql: DROP_ORPHANS, args: [messages] }, undefined],
    [{ sql: COMPLETED, args: [messages, ids.next(), now] }, undefined],
    [{ sql: REMOVE_BLOBS, args: [messages] }, undefined],
    [{ sql: REMOVE_MESSAGES, args: [messages] }, undefined],
  ];
}
