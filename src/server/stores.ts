/** Opens the databases of a configuration. */

import type { Clock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import { openStore, type Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/mod.ts";

/**
 * Opens every libSQL store. Only those that hold godwit's own tables get its schema: the database of a directory or of
 * a list belongs to somebody else.
 *
 * @param only ids of the stores to open; all if left out
 * @throws {Error} naming the store that cannot be opened; the others are closed again
 */
export async function openStores(
  config: Config,
  options: { readonly emit: Emit; readonly clock: Clock },
  only: readonly string[] = [...config.stores.keys()],
): Promise<ReadonlyMap<string, Store>> {
  const stores = new Map<string, Store>();
  for (const [id, store] of config.stores) {
    if (store.type !== "libsql" || !only.includes(id)) continue;
    const own = id === config.storage.data || id === config.storage.lookup;
    try {
      stores.set(id, await openStore(store, own ? options : { ...options, migrations: [] }));
    } catch (error) {
      await closeStores(stores);
      throw new Error(`store.${id}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
  return stores;
}

/** Closes them all. Never rejects. */
export async function closeStores(stores: ReadonlyMap<string, Store>): Promise<void> {
  await Promise.all([...stores.values()].map((store) => store.close()));
}
