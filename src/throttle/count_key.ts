/** The keys of shared counters: what is counted and for whom, in bounded length whatever the client said. */

import { createHash } from "node:crypto";

/** Longest key that is stored as it is, in characters. */
const LONGEST_KEY = 200;

/** One key for a combination of texts; no two combinations share one. */
export function countKey(...parts: readonly string[]): string {
  const text = JSON.stringify(parts);
  return text.length <= LONGEST_KEY ? text : createHash("sha256").update(text).digest("base64url");
}
