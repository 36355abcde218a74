/**
 * Which nodes are alive, by whether their sign of life changes while this node's clock runs. Their clocks may be wrong:
 * a lease that seems over may be in force, and one that seems in force may belong to nobody.
 */

import type { Clock } from "../clock/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";

const READ_NODES = "SELECT owner, seen, name FROM nodes";

/** The nodes on one store, as one of them sees them. */
export interface Peers {
  /**
   * Looks at the signs of life. True if a node has fallen silent since the last look.
   *
   * @throws {StoreUnavailable} if the store is unavailable
   */
  look(): Promise<boolean>;
  /** Runs of other nodes that give signs of life. */
  readonly alive: readonly number[];
  /** Runs of other nodes that have given none for as long as a lease. */
  readonly silent: readonly number[];
}

/** No clock is believed to be wrong by so many leases: whoever was seen before that is gone. */
const LONG_GONE = 30;

/** The last sign of life of a run. */
interface Sign {
  readonly node: string;
  readonly seen: number;
  /** When it was there first, by this node's clock. */
  readonly since: number;
  /** Whether another one came before it: whoever gave only one may have ended long ago. */
  readonly heard: boolean;
}

/** What {@link createPeers} needs. */
export interface PeersContext {
  readonly store: Pick<Store, "read">;
  readonly clock: Clock;
  /** The run of this node. */
  readonly owner: number;
  /** Milliseconds. */
  readonly lease: number;
  readonly emit: Emit;
}

/** Nothing is known yet of the other nodes. */
export function createPeers({ store, clock, owner, lease, emit }: PeersContext): Peers {
  let signs = new Map<number, Sign>();
  const members = new Set<string>();
  let alive: readonly number[] = [];
  let silent: readonly number[] = [];
  return {
    async look() {
      const { rows } = await store.read(READ_NODES);
      const now = clock.now();
      const before = signs;
      signs = new Map();
      for (const [run, time, node] of rows) {
        if (run === owner) continue;
        const seen = Number(time);
        const known = before.get(Number(run));
        const sign = { node: String(node), seen, since: now, heard: known !== undefined };
        signs.set(Number(run), known?.seen === seen ? known : sign);
      }
      const isSilent = ({ seen, since }: Sign) => now - since >= lease || now - seen > LONG_GONE * lease;
      const were = silent;
      silent = [...signs].filter(([, sign]) => isSilent(sign)).map(([run]) => run);
      alive = [...signs.keys()].filter((run) => !silent.includes(run));
      for (const [run, { node, heard }] of signs) {
        const isMember = members.has(node);
        if (!isMember && heard && !silent.includes(run)) {
          members.add(node);
          emit("cluster.node-joined", { node });
        } else if (isMember && silent.includes(run)) {
          members.delete(node);
          emit("cluster.node-lost", { node });
        }
      }
      return silent.some((run) => !were.includes(run));
    },
    get alive() {
      return alive;
    },
    get silent() {
      return silent;
    },
  };
}
