/** How much waits in the queue. */

import type { Clock } from "../clock/mod.ts";
import type { SqlValue, Store } from "../store/mod.ts";
import { SHOWN_STATE, STATE, stateName } from "./record.ts";
import type { RecipientState } from "./types.ts";

/** Recipients by queue and state. */
export interface QueueStats {
  readonly queues: readonly {
    readonly queue: string;
    readonly state: RecipientState;
    readonly recipients: number;
    /** Earliest due time, ISO 8601; of held ones, since when the first of them is. */
    readonly due: string;
  }[];
  readonly recipients: number;
  readonly messages: number;
  /** When the oldest message was accepted, ISO 8601; null if the queue is empty. */
  readonly oldest: string | null;
}

// A walk over the distinct pairs of queue and state: each step is one seek in the index.
const GROUPS = "WITH RECURSIVE g(queue, state) AS (SELECT * FROM (SELECT queue, state FROM recipients " +
  "ORDER BY queue, state LIMIT 1) UNION ALL SELECT n.queue, n.state FROM g JOIN recipients n ON " +
  "(n.queue, n.state, n.due, n.message, n.seq) = (SELECT queue, state, due, message, seq FROM recipients " +
  "WHERE (queue, state) > (g.queue, g.state) ORDER BY queue, state, due LIMIT 1)) SELECT queue, state FROM g";
const FIRST = "SELECT due, message, seq FROM recipients WHERE queue = ? AND state = ? " +
  "ORDER BY due, message, seq LIMIT 1";
const SKIP = "SELECT due, message, seq FROM recipients WHERE queue = ? AND state = ? AND " +
  "(due, message, seq) >= (?, ?, ?) ORDER BY due, message, seq LIMIT 1 OFFSET ?";
const REST = "SELECT count(*) FROM recipients WHERE queue = ? AND state = ? AND (due, message, seq) >= (?, ?, ?)";
// What is claimed is no more than nodes have in memory. Its `due` is the end of a lease.
const CLAIMED = `SELECT ${SHOWN_STATE}, count(*), min(r.attempt_at) FROM recipients r WHERE r.queue = ? AND ` +
  `r.state = ${STATE.claimed} GROUP BY 1`;
const MESSAGES = "SELECT count(DISTINCT message) FROM recipients WHERE message > ? AND message <= ?";
// The message some recipients after another one; none if there are not that many.
const STEP_END = "SELECT message FROM recipients WHERE message > ? ORDER BY message LIMIT 1 OFFSET ?";
const OLDEST = "SELECT created FROM messages WHERE id = (SELECT min(message) FROM recipients)";

// Entries of the index counted in one query: commits of mail run between two of them.
const STEP = 20_000;
// A count that took long is given out again for this many times as long.
const REUSE = 20;

/** Counts what waits. A huge queue is counted in steps, and not again at once. */
export function createStatistics(store: Store, clock: Clock): () => Promise<QueueStats> {
  let last: QueueStats | undefined;
  let fresh = 0;
  let counting: Promise<QueueStats> | undefined;

  const countGroup = async (queue: SqlValue, state: SqlValue): Promise<readonly Group[]> => {
    if (state === STATE.claimed) {
      const { rows } = await store.read(CLAIMED, [queue]);
      return rows.map(([shown, count, due]) => ({
        queue,
        state: shown ?? state,
        count: Number(count),
        due: Number(due),
      }));
    }
    let at = (await store.read(FIRST, [queue, state])).rows[0];
    const due = Number(at?.[0] ?? 0);
    let count = 0;
    while (at !== undefined) {
      const next = (await store.read(SKIP, [queue, state, ...at, STEP])).rows[0];
      count += next === undefined ? Number((await store.read(REST, [queue, state, ...at])).rows[0]?.[0]) : STEP;
      at = next;
    }
    return [{ queue, state, count, due }];
  };

  const countMessages = async () => {
    let messages = 0;
    for (let after = 0; after < Number.MAX_SAFE_INTEGER;) {
      const found = (await store.read(STEP_END, [after, STEP])).rows[0]?.[0];
      const end = typeof found === "number" ? found : Number.MAX_SAFE_INTEGER;
      messages += Number((await store.read(MESSAGES, [after, end])).rows[0]?.[0]);
      after = end;
    }
    return messages;
  };

  /** Recipients by queue and state, and when the oldest message was accepted. */
  const countAll = async () => {
    const groups = await store.read(GROUPS);
    const counted: Group[] = [];
    for (const [queue, state] of groups.rows) counted.push(...await countGroup(queue ?? null, state ?? null));
    return { queues: joined(counted), oldest: (await store.read(OLDEST)).rows[0]?.[0] };
  };

  const count = async (): Promise<QueueStats> => {
    const started = clock.now();
    let { queues, oldest } = await countAll();
    // What changed its state meanwhile may be counted in neither; that nothing waits is said only if it is true.
    while (queues.length === 0 && typeof oldest === "number") ({ queues, oldest } = await countAll());
    last = {
      queues,
      recipients: queues.reduce((sum, { recipients }) => sum + recipients, 0),
      messages: await countMessages(),
      oldest: typeof oldest === "number" ? new Date(oldest).toISOString() : null,
    };
    fresh = clock.now() + REUSE * (clock.now() - started);
    return last;
  };

  return () => {
    // Only what took a noticeable time is kept at all.
    if (last !== undefined && fresh - clock.now() > 1000) return Promise.resolve(last);
    return counting ??= count().finally(() => {
      counting = undefined;
    });
  };
}

/** Recipients of a queue in one state. */
interface Group {
  readonly queue: SqlValue;
  readonly state: SqlValue;
  readonly count: number;
  readonly due: number;
}

/** Groups as people see them: what is due and claimed is in the same state as what is not claimed. */
function joined(groups: readonly Group[]): QueueStats["queues"] {
  const together = new Map<string, Group>();
  for (const group of groups) {
    if (group.count === 0) continue;
    const key = `${group.state} ${group.queue}`;
    const { count = 0, due = Infinity } = together.get(key) ?? {};
    together.set(key, { ...group, count: count + group.count, due: Math.min(due, group.due) });
  }
  return [...together.values()].map(({ queue, state, count, due }) => ({
    queue: String(queue),
    state: stateName(state),
    recipients: count,
    due: new Date(due).toISOString(),
  }));
}
