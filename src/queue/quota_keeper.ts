/** The quotas in force on a node, and their change while it runs. */

import type { Clock } from "../clock/mod.ts";
import type { QueueConfig } from "../config/config.ts";
import type { FunctionHost } from "../expression/types.ts";
import type { Store } from "../store/mod.ts";
import { type Emit, emitEvaluationErrors } from "../telemetry/event.ts";
import { createQuotas, type Quotas } from "./quota.ts";
import { createQuotaCount } from "./quota_count.ts";
import { createTurns } from "./turns.ts";

/** Messages that are being queued under one configuration. */
export interface Flight {
  count: number;
  whenOver: (() => void) | undefined;
}

/** What {@link createQuotaKeeper} needs. */
export interface QuotaKeeperContext {
  readonly store: Store;
  /** Slot of this node. */
  readonly node: number;
  readonly clock: Clock;
  readonly functions: FunctionHost;
  readonly emit: Emit;
}

/** Quotas of a node. */
export interface QuotaKeeper {
  /** Undefined if there are none. */
  readonly inForce: Quotas | undefined;
  /** What messages that are being queued now belong to: add one to its count, and call {@link land} at the end. */
  readonly flight: Flight;
  /** Puts the first quotas in force. @throws {StoreUnavailable} if the store is unavailable */
  open(config: QueueConfig["quotas"]): Promise<void>;
  /** Puts others in their place as soon as the store has heard of them. */
  change(config: QueueConfig["quotas"]): void;
  close(): void;
}

/** A message has been queued, or was not. */
export function land(flight: Flight): void {
  if (--flight.count === 0) flight.whenOver?.();
}

/** Makes the {@link QuotaKeeper} of a node; nothing is in force yet. */
export function createQuotaKeeper({ store, node, clock, functions, emit }: QuotaKeeperContext): QuotaKeeper {
  const count = createQuotaCount(store, node);
  let inForce: Quotas | undefined;
  let flight: Flight = { count: 0, whenOver: undefined };
  const turns = createTurns(clock, emit, "counting what quotas say");

  const make = (config: QueueConfig["quotas"]) => createQuotas(config, functions, emitEvaluationErrors(emit));

  /** What is on its way under the quotas before is in the store, or was given up. */
  const landed = (before: Flight) =>
    new Promise<void>((resolve) => {
      if (before.count === 0) resolve();
      else before.whenOver = resolve;
    });

  const take = (next: Quotas | undefined) => {
    const before = flight;
    inForce = next;
    flight = { count: 0, whenOver: undefined };
    return before;
  };

  const countRest = (mine: number, quotas: Quotas) =>
    turns.insist(mine, () => count.finish(quotas, () => clock.now(), () => turns.isOver(mine)));

  return {
    get inForce() {
      return inForce;
    },
    get flight() {
      return flight;
    },
    async open(config) {
      const mine = turns.next();
      const quotas = make(config);
      await count.begin(quotas);
      take(quotas);
      if (quotas !== undefined) void countRest(mine, quotas);
    },
    change(config) {
      const mine = turns.next();
      const quotas = make(config);
      if (quotas === undefined && inForce === undefined) return;
      void (async () => {
        if (!await turns.insist(mine, () => count.begin(quotas))) return;
        const before = take(quotas);
        if (quotas === undefined) return;
        await landed(before);
        await countRest(mine, quotas);
      })();
    },
    close: () => turns.close(),
  };
}
