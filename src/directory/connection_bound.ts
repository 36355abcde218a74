/** How many connections to a server there may be, for all pools of a directory together. */

import type { Clock } from "../clock/mod.ts";
import type { DirectoryPoolConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";

/** What a bound knows of a pool: its connections that nobody uses. */
export interface IdleConnections {
  readonly count: number;
  /** Closes one of them. */
  closeOne(): void;
}

/** A bound of `config.maxConnections` connections. */
export interface ConnectionBound {
  /** @throws {LookupUnavailable} (rejects) if no connection may be used within `config.wait` */
  take(): Promise<void>;
  /** Lets somebody else use a connection. */
  give(): void;
  /** Counts the idle connections of one more pool. */
  join(idle: IdleConnections): void;
  /** Closes idle connections until those that are in use, the next one included, leave no more than allowed. */
  makeRoom(): void;
}

/** Makes a bound; `label` is the directory and its server, for messages. */
export function createConnectionBound(label: string, config: DirectoryPoolConfig, clock: Clock): ConnectionBound {
  const waiting: (() => void)[] = [];
  const pools: IdleConnections[] = [];
  let busy = 0;
  return {
    async take() {
      if (busy < config.maxConnections) {
        busy++;
        return;
      }
      await new Promise<void>((resolve, reject) => {
        const turn = () => {
          timer.cancel();
          resolve();
        };
        const timer = clock.after(config.wait, () => {
          waiting.splice(waiting.indexOf(turn), 1);
          const text = `all ${config.maxConnections} connections were busy for ${config.wait / 1000} s`;
          reject(new LookupUnavailable(`${label}: ${text}`));
        });
        waiting.push(turn);
      });
    },
    give() {
      const next = waiting.shift();
      if (next === undefined) busy--;
      else next();
    },
    join: (idle) => void pools.push(idle),
    makeRoom() {
      let idle = pools.reduce((sum, pool) => sum + pool.count, 0);
      for (const pool of pools) {
        for (; idle > 0 && pool.count > 0 && busy + idle > config.maxConnections; idle--) pool.closeOne();
      }
    },
  };
}
