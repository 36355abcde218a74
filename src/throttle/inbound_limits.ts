/** `[[queue.limiter.inbound]]`: all that match apply, each at the first stage that knows enough. */

import type { InboundLimiterConfig, LimiterStage } from "../config/config.ts";
import type { Scope } from "../expression/types.ts";
import { countKey } from "./count_key.ts";
import type { RateCounter } from "./rate_counter.ts";
import type { Release, SlotCounter } from "./slot_counter.ts";

/** Whether something may happen now. */
export type Admission =
  | {
    readonly kind: "admitted";
    /** Says that it is over, for limiters of what happens at the same time. */
    readonly release: Release;
  }
  | {
    readonly kind: "refused";
    readonly by: "rate" | "concurrency";
    /** Key path of the limiter. */
    readonly limiter: string;
  };

/** The inbound limiters of one configuration. */
export interface InboundLimits {
  /**
   * Counts a connection, message or recipient.
   *
   * @param scope with the variables of the stage
   * @throws {LookupUnavailable} (rejects) if the counters, or what `match` looks up, cannot be reached
   */
  admit(stage: LimiterStage, scope: Scope): Admission | Promise<Admission>;
}

const ADMITTED: Admission = { kind: "admitted", release: () => {} };

/** Nothing is limited. */
export const NO_LIMITS: InboundLimits = { admit: () => ADMITTED };

/** Makes the limits that `limiters` ask for. */
export function createInboundLimits(
  limiters: readonly InboundLimiterConfig[],
  counters: { readonly rates: RateCounter; readonly slots: SlotCounter },
): InboundLimits {
  const of = (stage: LimiterStage) => limiters.filter((limiter) => limiter.stage === stage);
  const stages = { connection: of("connection"), message: of("message"), recipient: of("recipient") };
  return {
    admit(stage, scope) {
      const concerned = stages[stage];
      return concerned.length === 0 ? ADMITTED : admitAll(concerned, scope, counters);
    },
  };
}

async function admitAll(
  limiters: readonly InboundLimiterConfig[],
  scope: Scope,
  { rates, slots }: { readonly rates: RateCounter; readonly slots: SlotCounter },
): Promise<Admission> {
  const counted: string[] = [];
  const taken: Release[] = [];
  const release = () => {
    for (const free of taken.splice(0)) free();
  };
  // What is refused has not happened: limiters that let it pass do not count it.
  const refuse = (by: "rate" | "concurrency", limiter: InboundLimiterConfig): Admission => {
    release();
    for (const key of counted) rates.giveBack(key);
    return { kind: "refused", by, limiter: limiter.id };
  };
  try {
    for (const limiter of limiters) {
      if (!await limiter.match.evaluate(scope)) continue;
      if (limiter.concurrency !== undefined) {
        const free = await slots.acquire(keyOf(limiter, "concurrency", scope), limiter.concurrency);
        if (free === undefined) return refuse("concurrency", limiter);
        taken.push(free);
      }
      if (limiter.rate !== undefined) {
        const key = keyOf(limiter, "rate", scope);
        if (!await rates.take(key, limiter.rate)) return refuse("rate", limiter);
        counted.push(key);
      }
    }
  } catch (error) {
    release();
    throw error;
  }
  return { kind: "admitted", release };
}

/** Another limit begins another count, so that a reload does not judge by what was counted for the old one. */
function keyOf(limiter: InboundLimiterConfig, kind: "rate" | "concurrency", { variables }: Scope): string {
  const { rate } = limiter;
  const limit = kind === "rate" && rate !== undefined ? `${rate.count}/${rate.period}` : "";
  const values = limiter.key.flatMap((name) => [name, String(variables[name] ?? "").toLowerCase()]);
  return countKey(limiter.id, kind, limit, ...values);
}
