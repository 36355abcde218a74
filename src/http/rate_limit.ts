/** Token buckets by key: so many requests per period, in bounded memory. */

import type { Clock } from "../clock/mod.ts";
import type { Rate } from "../config/config.ts";

/** Most keys that are remembered; beyond that the one used longest ago is forgotten. */
const MOST_KEYS = 10_000;

/** Buckets that share one rate. */
export interface TokenBuckets {
  /** Takes a token for `key`. @returns 0 if there was one, else milliseconds until there is one */
  take(key: string): number;
  /** As `take`, leaving the token where it is. */
  peek(key: string): number;
}

interface Bucket {
  tokens: number;
  updated: number;
}

/** Makes buckets that hold `rate.count` tokens and fill up evenly over `rate.period`. */
export function createTokenBuckets(rate: Rate, clock: Clock, mostKeys = MOST_KEYS): TokenBuckets {
  const buckets = new Map<string, Bucket>();
  const interval = rate.period / Math.max(1, rate.count);

  function refill(key: string): Bucket {
    const now = clock.now();
    const bucket = buckets.get(key);
    if (bucket === undefined) return { tokens: rate.count, updated: now };
    const tokens = Math.min(rate.count, bucket.tokens + Math.max(0, now - bucket.updated) / interval);
    return { tokens, updated: now };
  }

  function wait(bucket: Bucket): number {
    return bucket.tokens >= 1 ? 0 : Math.ceil((1 - bucket.tokens) * interval);
  }

  return {
    take(key) {
      const bucket = refill(key);
      const left = wait(bucket);
      if (left === 0) bucket.tokens--;
      // Deleting first moves the key to the young end of the map.
      buckets.delete(key);
      buckets.set(key, bucket);
      if (buckets.size > mostKeys) {
        const [oldest] = buckets.keys();
        if (oldest !== undefined) buckets.delete(oldest);
      }
      return left;
    },
    peek: (key) => wait(refill(key)),
  };
}
