/** Reaching the queue for a command: on the store of a running server or a stopped one. */

import { systemClock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import { openQueueOffline, type QueueInspection } from "../queue/mod.ts";
import { closeStores, openStores } from "../server/mod.ts";
import { fromFileUrl } from "../store/mod.ts";
import { load } from "./configuration.ts";
import { type Output, printable } from "./output.ts";

/** Options of all `godwit queue` commands. */
export interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Opens the queue for `action` and closes it again; 1 if there is none. */
export async function withQueue(
  options: CommonOptions,
  output: Output,
  action: (queue: QueueInspection, config: Config) => Promise<number>,
): Promise<number> {
  const config = await load(options.config, output, { warnings: false });
  if (config === undefined) return 1;
  const data = config.stores.get(config.storage.data);
  const file = data?.type === "libsql" && data.url.startsWith("file:") ? fromFileUrl(data.url) : undefined;
  if (file !== undefined && !await exists(file)) {
    output.error(`there is no queue yet: ${file} (store.${config.storage.data}) is made when the server starts`);
    return 1;
  }
  const quiet = { emit: () => {}, clock: systemClock };
  const stores = await openStores(config, quiet, [config.storage.data]);
  try {
    const store = stores.get(config.storage.data);
    if (store === undefined) throw new Error(`store '${config.storage.data}' is not defined`);
    return await action(openQueueOffline({ store, clock: systemClock }), config);
  } finally {
    await closeStores(stores);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
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
