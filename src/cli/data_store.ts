/** Reaching the store for a command: that of a running server or a stopped one. */

import { systemClock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import { closeStores, openStores } from "../server/mod.ts";
import { fromFileUrl, type Store } from "../store/mod.ts";
import { load } from "./configuration.ts";
import type { Output } from "./output.ts";

/** Options of all commands that work on the store. */
export interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Opens the store that holds the queue and what is reported for `action`, and closes it again; 1 if there is none. */
export async function withDataStore(
  options: CommonOptions,
  output: Output,
  action: (store: Store, config: Config) => Promise<number>,
): Promise<number> {
  const config = await load(options.config, output);
  if (config === undefined) return 1;
  const data = config.stores.get(config.storage.data);
  const file = data?.type === "libsql" && data.url.startsWith("file:") ? fromFileUrl(data.url) : undefined;
  if (file !== undefined && !await exists(file)) {
    output.error(`there is no queue yet: ${file} (store.${config.storage.data}) is made when the server starts`);
    return 1;
  }
  const stores = await openStores(config, { emit: () => {}, clock: systemClock }, [config.storage.data]);
  try {
    const store = stores.get(config.storage.data);
    if (store === undefined) throw new Error(`store '${config.storage.data}' is not defined`);
    return await action(store, config);
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
