/** All counters and the ban list of a running server. */

import type { Clock } from "../clock/mod.ts";
import type { AutoBanConfig } from "../config/config.ts";
import type { Statement, Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { type AbuseWatch, createAbuseWatch } from "./abuse_watch.ts";
import { type BanList, openBanList } from "./ban_list.ts";
import { createRateCounter, type RateCounter } from "./rate_counter.ts";
import { openSlotCounter, type SlotCounter } from "./slot_counter.ts";

/** What {@link openThrottle} needs. */
export interface ThrottleOptions {
  /** `storage.lookup`: the counters. */
  readonly counters: Store;
  /** `storage.data`: the bans. */
  readonly data: Store;
  readonly clock: Clock;
  readonly emit: Emit;
  /** `cluster.node-id` and `cluster.lease`. */
  readonly nodeId: string;
  readonly lease: number;
  readonly autoBan: AutoBanConfig;
  /** Whether an address is never banned. */
  allowed(ip: string): boolean;
  /** Called when addresses have come to be banned, on whatever node. */
  onBan(isBanned: (ip: string) => boolean): void;
}

/** What outlives a configuration. */
export interface Throttle {
  readonly rates: RateCounter;
  readonly slots: SlotCounter;
  readonly bans: BanList;
  readonly abuse: AbuseWatch;
  /** Gives back what this node holds. Never rejects. */
  close(): Promise<void>;
}

/** Opens the counters. @throws {StoreUnavailable} if a store cannot be used */
export async function openThrottle(options: ThrottleOptions): Promise<Throttle> {
  const { clock, emit, allowed } = options;
  const rates = createRateCounter({ store: options.counters, clock });
  const slots = await openSlotCounter({
    store: options.counters,
    clock,
    holder: options.nodeId,
    lease: options.lease,
  });
  const bans = await openBanList({ store: options.data, clock, onBan: options.onBan });
  const abuse = createAbuseWatch({ config: options.autoBan, rates, bans, emit, allowed });
  return {
    rates,
    slots,
    bans,
    abuse,
    async close() {
      bans.close();
      await slots.close();
    },
  };
}

/** What deletes rows that mean nothing any more, for the store's regular purge. */
export function purgeStatements(now: number): readonly Statement[] {
  return [
    { sql: "DELETE FROM rates WHERE ends <= ?", args: [now] },
    { sql: "DELETE FROM slots WHERE until <= ?", args: [now] },
    { sql: "DELETE FROM bans WHERE expires <= ?", args: [now] },
  ];
}
