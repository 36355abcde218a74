/** A node's place among the nodes on one store: its slot, its sign of life, and what it left behind at its last end. */

import type { Store } from "../store/mod.ts";
import { COMMAND_SLOT, createIdSource, type IdSource, SLOTS } from "./message_id.ts";
import type { Clock } from "../clock/mod.ts";
import { SHOWN_NO_MORE } from "./record.ts";

const FIND_NODE = "SELECT slot FROM nodes WHERE name = ?";
const TAKE_SLOT = "INSERT INTO nodes (slot, name, owner, seen) SELECT (SELECT min(slot) FROM " +
  "(SELECT 0 AS slot UNION ALL SELECT slot + 1 FROM nodes) WHERE slot NOT IN (SELECT slot FROM nodes) AND " +
  `slot < ${COMMAND_SLOT}), ?1, 0, ?2 WHERE true ON CONFLICT (name) DO UPDATE SET seen = ?2 RETURNING slot`;
// The clock may have been set back, so ids go on after the highest one in use.
const HIGHEST_ID = "SELECT max(coalesce((SELECT max(id) FROM messages), 0), " +
  "coalesce((SELECT max(message) FROM events), 0), coalesce((SELECT max(blob) FROM spills), 0), " +
  "coalesce((SELECT max(owner) FROM nodes), 0))";
const BEGIN_RUN = "UPDATE nodes SET owner = ?, seen = ? WHERE slot = ?";
const BEAT = "UPDATE nodes SET seen = ? WHERE slot = ? AND owner = ?";
const FORGET_NODES = "DELETE FROM nodes WHERE seen < ?";
// One step of a walk over the distinct queues; the index makes each step a single seek.
const QUEUES = "WITH RECURSIVE q(name) AS (SELECT min(queue) FROM recipients UNION ALL " +
  "SELECT (SELECT min(queue) FROM recipients WHERE queue > q.name) FROM q WHERE q.name IS NOT NULL) " +
  "SELECT name FROM q WHERE name IS NOT NULL";
const RECOVER = `UPDATE recipients SET state = 0, owner = NULL, due = attempt_at, ${SHOWN_NO_MORE} WHERE queue = ?1 ` +
  `AND state = 1 AND owner % ${SLOTS} = ?2 AND owner <> ?3`;
const MOVE = "UPDATE recipients SET queue = ? WHERE queue = ?";
const LEFT_SPILLS = "SELECT blob FROM spills WHERE node = ?1 OR node NOT IN (SELECT slot FROM nodes WHERE seen >= ?2)";
const DROP_SPILL = "DELETE FROM spills WHERE blob = ?";
const DROP_BLOB = "DELETE FROM blobs WHERE id = ?";

/** A node that is silent for this long gives its slot away when slots run out, in milliseconds. */
const FORGOTTEN_AFTER = 30 * 86_400_000;
/** This run of this node. */
export interface NodeIdentity {
  readonly slot: number;
  /** Stands in the leases of this run. */
  readonly owner: number;
  readonly ids: IdSource;
  /** Writes the sign of life; false if another process has started under this name. */
  beat(): Promise<boolean>;
}

/**
 * Takes the slot that belongs to `name`, or a free one.
 *
 * @throws {StoreUnavailable} if the store is unavailable
 */
export async function joinNodes(store: Store, name: string, clock: Clock): Promise<NodeIdentity> {
  const now = clock.now();
  const known = (await store.read(FIND_NODE, [name])).rows[0];
  if (known === undefined) await store.write([{ sql: FORGET_NODES, args: [now - FORGOTTEN_AFTER] }]);
  const [taken] = await store.write([{ sql: TAKE_SLOT, args: [name, now] }]);
  const slot = Number(taken?.rows[0]?.[0]);
  if (!Number.isInteger(slot)) throw new Error("no node slot was given");
  const highest = Number((await store.read(HIGHEST_ID)).rows[0]?.[0] ?? 0);
  const ids = createIdSource(clock, slot, highest);
  const owner = ids.next();
  await store.write([{ sql: BEGIN_RUN, args: [owner, now, slot] }]);
  return {
    slot,
    owner,
    ids,
    async beat() {
      const [result] = await store.write([{ sql: BEAT, args: [clock.now(), slot, owner] }]);
      return result?.changes === 1;
    },
  };
}

/**
 * Puts right what earlier runs left: recipients that this node had claimed are free again, recipients of queues that are
 * no longer defined move to `fallback`, content that never became a message is removed.
 */
export async function recoverNode(
  store: Store,
  node: NodeIdentity,
  queues: ReadonlySet<string>,
  fallback: string,
  now: number,
  lease: number,
): Promise<void> {
  const found = await store.read(QUEUES);
  for (const [value] of found.rows) {
    const queue = String(value);
    await store.write([{ sql: RECOVER, args: [queue, node.slot, node.owner] }]);
    if (!queues.has(queue)) await store.write([{ sql: MOVE, args: [fallback, queue] }]);
  }
  const spills = await store.read(LEFT_SPILLS, [node.slot, now - 2 * lease]);
  for (const [blob] of spills.rows) {
    if (blob === undefined) continue;
    await store.write([{ sql: DROP_BLOB, args: [blob] }, { sql: DROP_SPILL, args: [blob] }]);
  }
}
