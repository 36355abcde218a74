/** Gives back the memory that starting up has taken. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Collects all garbage of this thread, once: what loading modules and reading the configuration left behind would
 * otherwise stay for as long as a quiet server allocates little. Takes some tens of milliseconds.
 */
export function collectGarbage(): void {
  // The engine hands out its collector only to contexts made after this flag.
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect({ type: "major", flavor: "last-resort" });
}
