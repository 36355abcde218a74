/**
 * `[[queue.limiter.outbound]]`: rates and numbers at the same time of attempts, counted together with
 * all other nodes.
 *
 * Recipients of one job share a transaction, but limiters may look at each of them. What they have in common is counted
 * once; those over a limit wait in the queue for the next place or period, the others go on.
 */

import type { Clock } from "../clock/mod.ts";
import type { OutboundLimiterConfig } from "../config/config.ts";
import type { QueuedRecipient } from "../queue/types.ts";
import { countKey, type RateCounter, type Release, type SlotCounter } from "../throttle/mod.ts";
import { type HostScope, lookAt } from "./host_scope.ts";
import { type Failure, failure } from "./verdict.ts";
import type { WaitingRoom } from "./waiting_room.ts";

/** Counts that all nodes share. */
export interface Counters {
  readonly rates: Pick<RateCounter, "take" | "giveBack" | "fullUntil">;
  readonly slots: Pick<SlotCounter, "acquire">;
}

/** Who may go. */
export interface OutboundAdmission {
  readonly admitted: number;
  /** Those who may not, by their position in the job. */
  readonly refused: ReadonlyMap<number, Failure>;
  /** The attempt is over. What was none does not count for rates. */
  end(attempted: boolean): void;
}

/** The outbound limiters of one configuration. */
export interface OutboundLimits {
  /**
   * Counts an attempt with a host for some recipients of a job.
   *
   * @param scope with the variables of the host
   * @param open positions of the recipients
   * @throws {LookupUnavailable} (rejects) if the counters, or what `match` looks up, cannot be reached
   */
  admit(
    scope: HostScope,
    recipients: readonly QueuedRecipient[],
    open: readonly number[],
  ): Promise<OutboundAdmission>;
}

/** Milliseconds until somebody looks whether another node has left a place. */
const LOOK = 1000;
/** Milliseconds that one who is sent away stays away at least. */
const SHORTEST_TURN = 1000;
/** What an attempt is believed to take before any has ended, in milliseconds, and the weight of the last one. */
const USUAL_ATTEMPT = 500;
const NEWEST = 0.1;

/** One thing that is counted for an attempt: a limiter with the values of its key. */
interface Count {
  readonly limiter: OutboundLimiterConfig;
  readonly key: string;
  /** Positions of the recipients that it concerns. */
  readonly concerned: number[];
}

/** Makes the limits that `limiters` ask for. */
export function createOutboundLimits(
  limiters: readonly OutboundLimiterConfig[],
  { rates, slots, waiting, clock }: Counters & { readonly waiting: WaitingRoom; readonly clock: Clock },
): OutboundLimits {
  const durations = new Map<OutboundLimiterConfig, number>();
  /** Slots that are taken here, by key. */
  const own = new Map<string, number>();

  /** What is counted for these recipients, each thing once. */
  const countsOf = async (scope: HostScope, recipients: readonly QueuedRecipient[], open: readonly number[]) => {
    const counts = new Map<string, Count>();
    for (const index of open) {
      const recipient = recipients[index];
      if (recipient === undefined) continue;
      lookAt(scope, recipient);
      for (const limiter of limiters) {
        const matches = limiter.match.evaluate(scope);
        if (!(matches instanceof Promise ? await matches : matches)) continue;
        const values = limiter.key.flatMap((name) => [name, String(scope.variables[name] ?? "").toLowerCase()]);
        const key = countKey(limiter.id, ...values);
        const known = counts.get(key);
        if (known === undefined) counts.set(key, { limiter, key, concerned: [index] });
        else known.concerned.push(index);
      }
    }
    return counts.values();
  };

  /** Another limit begins another count, so that a reload does not judge by what was counted for the old one. */
  const rateKey = ({ limiter: { rate }, key }: Count) => countKey("rate", `${rate?.count}/${rate?.period}`, key);
  const slotKey = ({ key }: Count) => countKey("concurrency", key);

  const overRate = (count: Count, rate: NonNullable<OutboundLimiterConfig["rate"]>, host: string): Failure => {
    const key = rateKey(count);
    const begins = Math.max(SHORTEST_TURN, (rates.fullUntil(key) ?? 0) - clock.now());
    const waits = waiting.sentAway(key, begins, () => waiting.turn(key, rate.period / rate.count, begins));
    const text = `${count.limiter.id} allows ${attempts(rate.count)} in ${rate.period / 1000} s, and no more are left`;
    // RFC 3463 X.4.5: mail system congestion.
    return failure("deferred", "rate", "4.4.5", text, { host, waits });
  };

  const overConcurrency = (count: Count, limit: number, host: string): Failure => {
    const spacing = (durations.get(count.limiter) ?? USUAL_ATTEMPT) / limit;
    const key = slotKey(count);
    const turn = () => waiting.turn(key, spacing, SHORTEST_TURN);
    const waits = waiting.sentAway(key, LOOK, turn, () => !own.has(key));
    const text = `${count.limiter.id} allows ${attempts(limit)} at the same time`;
    return failure("deferred", "concurrency", "4.4.5", text, { host, waits });
  };

  return {
    async admit(scope, recipients, open) {
      const host = String(scope.variables.mx ?? "");
      const refused = new Map<number, Failure>();
      const taken: { readonly count: Count; release: Release | undefined; rate: string | undefined }[] = [];
      const giveBack = (what: (typeof taken)[number], attempted: boolean) => {
        if (what.rate !== undefined && !attempted) {
          rates.giveBack(what.rate);
          if (waiting.occupied) waiting.wake(what.rate);
        }
        what.rate = undefined;
        if (what.release === undefined) return;
        what.release();
        what.release = undefined;
        const key = slotKey(what.count);
        const left = (own.get(key) ?? 1) - 1;
        if (left > 0) own.set(key, left);
        else own.delete(key);
        if (waiting.occupied) waiting.wake(key);
      };
      const isWanted = ({ concerned }: Count) => concerned.some((index) => !refused.has(index));
      try {
        for (const count of await countsOf(scope, recipients, open)) {
          if (!isWanted(count)) continue;
          const { concurrency, rate } = count.limiter;
          const what: (typeof taken)[number] = { count, release: undefined, rate: undefined };
          taken.push(what);
          let over: Failure | undefined;
          if (concurrency !== undefined) {
            const key = slotKey(count);
            const asked = slots.acquire(key, concurrency);
            what.release = asked instanceof Promise ? await asked : asked;
            if (what.release === undefined) over = overConcurrency(count, concurrency, host);
            else {
              own.set(key, (own.get(key) ?? 0) + 1);
              if (waiting.occupied) waiting.admitted(key);
            }
          }
          if (rate !== undefined && over === undefined) {
            const key = rateKey(count);
            const within = rates.take(key, rate);
            if (within instanceof Promise ? await within : within) {
              what.rate = key;
              if (waiting.occupied) waiting.admitted(key);
            } else over = overRate(count, rate, host);
          }
          if (over !== undefined) { for (const index of count.concerned) refused.set(index, over); }
        }
      } catch (error) {
        for (const what of taken) giveBack(what, false);
        throw error;
      }
      // What was counted only for recipients that are held back after all has not happened.
      for (const what of taken) if (!isWanted(what.count)) giveBack(what, false);
      const began = clock.now();
      return {
        admitted: open.length - refused.size,
        refused,
        end(attempted) {
          const took = clock.now() - began;
          for (const what of taken) {
            if (attempted && what.release !== undefined) {
              const { limiter } = what.count;
              const mean = durations.get(limiter) ?? USUAL_ATTEMPT;
              durations.set(limiter, mean + NEWEST * (took - mean));
            }
            giveBack(what, attempted);
          }
        },
      };
    },
  };
}

function attempts(count: number): string {
  return count === 1 ? "1 attempt" : `${count} attempts`;
}
