/** Reaching the queue for a command: on the store of a running server or a stopped one. */

import { systemClock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import { openQueueOffline, type QueueInspection } from "../queue/mod.ts";
import { type CommonOptions, withDataStore } from "./data_store.ts";
import { type Output, printable } from "./output.ts";

export type { CommonOptions } from "./data_store.ts";

/** Opens the queue for `action` and closes it again; 1 if there is none. */
export function withQueue(
  options: CommonOptions,
  output: Output,
  action: (queue: QueueInspection, config: Config) => Promise<number>,
): Promise<number> {
  return withDataStore(
    options,
    output,
    (store, config) => action(openQueueOffline({ store, clock: systemClock }), config),
  );
}

/** Says that there is no such message; the exit status. */
export function unknown(id: string, output: Output): number {
  output.error(`no message ${printable(id)} in the queue; godwit queue list shows what there is`);
  return 1;
}

/** A return path as people read it. */
export function path(address: string): string {
  return address === "" ? "<>" : address;
}
