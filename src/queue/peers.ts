/**
 * Which nodes are alive, by whether their sign of life changes while this node's clock runs. Their clocks may be wrong:
 * a lease that seems over may be in force, and one that seems in force may belong to nobody.
 */

import type { Clock } from "../clock/mod.ts";
import type { Store } from "../store/mod.ts";

const READ_NODES = "SELECT owner, seen FROM nodes";

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

/** Nothing is known yet of the other nodes; `owner` stands for the run of this one. */
export function createPeers(store: Store, clock: Clock, owner: number, lease: number): Peers {
  let signs = new Map<number, { readonly seen: number; readonly since: number }>();
  let alive: readonly number[] = [];
  let silent: readonly number[] = [];
  return {
    async look() {
      const { rows } = await store.read(READ_NODES);
      const now = clock.now();
      const before = signs;
      signs = new Map();
      for (const [run, time] of rows) {
        if (run === owner) continue;
        const seen = Number(time);
        const known = before.get(Number(run));
        signs.set(Number(run), known?.seen === seen ? known : { seen, since: now });
      }
      const isSilent = ({ seen, since }: { seen: number; since: number }) =>
        now - since >= lease || now - seen > LONG_GONE * lease;
      const were = silent;
      silent = [...signs].filter(([, sign]) => isSilent(sign)).map(([run]) => run);
      alive = [...signs.keys()].filter((run) => !silent.includes(run));
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
