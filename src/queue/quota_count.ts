/** Keeps what quotas count in step with the configuration: what was queued before a quota was there counts as well. */

import type { Statement, Store } from "../store/mod.ts";
import { StatementError } from "../store/mod.ts";
import type { Quotas } from "./quota.ts";
import { MESSAGE_COLUMNS, type MessageRecord, readMessage, readRecipient, RECIPIENT_COLUMNS } from "./record.ts";

// The trigger is there only while something is counted: without quotas no recipient pays for them.
const ADD_RELEASE = "CREATE TRIGGER IF NOT EXISTS quota_release AFTER DELETE ON recipients BEGIN " +
  "DELETE FROM quota_uses WHERE message = old.message AND seq = old.seq; END";
const DROP_RELEASE = "DROP TRIGGER IF EXISTS quota_release";
const HAS_RELEASE = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = 'quota_release'";
// Breaks the rule that `counts` is not null, and so the whole group, while anybody counts.
const UNLESS_COUNTED = "INSERT INTO quota_nodes (node, counts, done) SELECT 0, NULL, 0 WHERE EXISTS (SELECT 1 FROM " +
  "quota_uses) OR EXISTS (SELECT 1 FROM quota_nodes WHERE node IN (SELECT slot FROM nodes))";
const FORGET = "DELETE FROM quota_nodes WHERE node = ? AND counts NOT IN (SELECT value FROM json_each(?))";
const BEGIN = "INSERT OR IGNORE INTO quota_nodes (node, counts, done) SELECT ?, value, 0 FROM json_each(?)";
const DONE = "UPDATE quota_nodes SET done = 1 WHERE node = ? AND counts IN (SELECT value FROM json_each(?))";
const OPEN = "SELECT counts FROM quota_nodes WHERE node = ? AND done = 0";

const RECIPIENTS = `SELECT message, ${RECIPIENT_COLUMNS} FROM recipients WHERE (message, seq) > (?, ?) ` +
  "ORDER BY message, seq LIMIT ?";
const MESSAGES = `SELECT ${MESSAGE_COLUMNS} FROM messages WHERE id IN (SELECT value FROM json_each(?))`;
// Only what still waits, and is not counted yet.
const COUNT_WAITING = "INSERT INTO quota_uses (message, seq, quota, size) SELECT r.message, r.seq, u.value ->> 2, " +
  "u.value ->> 3 FROM json_each(?) u JOIN recipients r ON r.message = u.value ->> 0 AND r.seq = u.value ->> 1 WHERE " +
  "NOT EXISTS (SELECT 1 FROM quota_uses q WHERE q.message = r.message AND q.seq = r.seq AND q.quota = u.value ->> 2)";

// Recipients looked at in one step: commits of mail run between two.
const STEP = 500;

/** What one node counts. */
export interface QuotaCount {
  /**
   * Prepares the store for `quotas`, before anything is queued under them. After {@link finish} all that waits counts.
   *
   * @throws {StoreUnavailable} if the store is unavailable
   */
  begin(quotas: Quotas | undefined): Promise<void>;
  /** Counts what was queued without these quotas. @throws {StoreUnavailable} if the store is unavailable */
  finish(quotas: Quotas, now: () => number, stopped: () => boolean): Promise<void>;
}

/** What the node with the slot `node` counts in `store`. */
export function createQuotaCount(store: Store, node: number): QuotaCount {
  return {
    async begin(quotas) {
      const wanted = JSON.stringify(quotas?.config.map(({ counts }) => counts) ?? []);
      if (quotas !== undefined) {
        await store.write([
          { sql: ADD_RELEASE, args: [] },
          { sql: FORGET, args: [node, wanted] },
          { sql: BEGIN, args: [node, wanted] },
        ]);
        return;
      }
      if ((await store.read(HAS_RELEASE)).rows.length === 0) return;
      await store.write([{ sql: FORGET, args: [node, wanted] }]);
      try {
        await store.write([{ sql: UNLESS_COUNTED, args: [] }, { sql: DROP_RELEASE, args: [] }]);
      } catch (error) {
        // Another node counts, or something that was counted still waits.
        if (!(error instanceof StatementError)) throw error;
      }
    },
    async finish(quotas, now, stopped) {
      const open = (await store.read(OPEN, [node])).rows.map(([counts]) => String(counts));
      if (open.length === 0) return;
      for (let message = 0, seq = -1; !stopped();) {
        const { rows } = await store.read(RECIPIENTS, [message, seq, STEP]);
        const last = rows.at(-1);
        if (last === undefined) {
          await store.write([{ sql: DONE, args: [node, JSON.stringify(open)] }]);
          return;
        }
        message = Number(last[0]);
        seq = Number(last[1]);
        const statement = await counting(store, quotas, rows, now());
        if (statement !== undefined) await store.write([statement]);
      }
    },
  };
}

async function counting(
  store: Store,
  quotas: Quotas,
  rows: Awaited<ReturnType<Store["read"]>>["rows"],
  now: number,
): Promise<Statement | undefined> {
  const ids = [...new Set(rows.map(([id]) => Number(id)))];
  const messages = new Map<number, MessageRecord>();
  for (const row of (await store.read(MESSAGES, [JSON.stringify(ids)])).rows) {
    messages.set(Number(row[0]), readMessage(row, ""));
  }
  const uses: (readonly [number, number, string, number])[] = [];
  for (const row of rows) {
    const message = messages.get(Number(row[0]));
    if (message === undefined) continue;
    const recipient = readRecipient(row, 1);
    const alone = message.addresses.length === 1 ? { ...message, addresses: [recipient.address] } : message;
    const plan = await quotas.plan(alone, [recipient], now);
    for (const [seq, key] of plan?.uses ?? []) uses.push([message.id, seq, key, message.size]);
  }
  return uses.length === 0 ? undefined : { sql: COUNT_WAITING, args: [JSON.stringify(uses)] };
}
