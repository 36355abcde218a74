/** The signs of life of this node, the leases that it keeps by them, and those of others that it misses. */

import type { Clock, Timer } from "../clock/mod.ts";
import { StoreUnavailable } from "../store/mod.ts";
import type { Leases } from "./leases.ts";
import type { NodeIdentity } from "./node.ts";
import type { Peers } from "./peers.ts";

/** What {@link createHeartbeat} needs. */
export interface HeartbeatContext {
  readonly clock: Clock;
  readonly random: () => number;
  /** Milliseconds. */
  readonly lease: number;
  readonly node: NodeIdentity;
  readonly leases: Leases;
  readonly peers: Peers;
  /** Another process has started under this node's name. */
  readonly onDisplaced: () => void;
  readonly onStoreLost: () => void;
  /** Another node has fallen silent. */
  readonly onSilence: () => void;
}

/** Gives signs of life several times in a lease. */
export interface Heartbeat {
  /** Gives one now. @throws {StoreUnavailable} if the store is unavailable */
  beat(): Promise<void>;
  /** Looks for nodes that have fallen silent. Never rejects. */
  lookAround(): Promise<void>;
  start(): void;
  stop(): void;
}

/** Makes the heartbeat of a node, which stands still at first. */
export function createHeartbeat(context: HeartbeatContext): Heartbeat {
  const { clock, leases, peers } = context;
  let timer: Timer | undefined;
  let beating = false;

  const beat = async () => {
    if (!await context.node.beat()) context.onDisplaced();
  };

  const lookAround = async () => {
    if (await peers.look().catch(() => false)) context.onSilence();
  };

  const start = () => {
    // Nodes that were started together need not write together.
    timer = clock.after(context.lease * (0.2 + 0.05 * context.random()), start);
    if (beating) return leases.dropUnsafe();
    beating = true;
    void (async () => {
      try {
        await beat();
        await leases.renew(false);
      } catch (error) {
        if (error instanceof StoreUnavailable) context.onStoreLost();
        leases.dropUnsafe();
      } finally {
        beating = false;
      }
      await lookAround();
    })();
  };

  return { beat, lookAround, start, stop: () => timer?.cancel() };
}
