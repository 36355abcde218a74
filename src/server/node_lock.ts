/** Keeps two processes from being the same node: each would free and deliver again what the other has claimed. */

import { dirname } from "node:path";
import type { Config } from "../config/mod.ts";
import { fromFileUrl } from "../store/mod.ts";

/** A held lock. */
export interface NodeLock {
  /** Lets another process be this node. */
  release(): void;
}

/**
 * Locks a file beside the database; the system frees it when the process ends, however that comes about. A store on a
 * server has no such place: there a node that finds another process under its name stops claiming.
 *
 * @throws {Error} if another process holds the lock
 */
export async function lockNode(config: Config): Promise<NodeLock> {
  const store = config.stores.get(config.storage.data);
  if (store?.type !== "libsql" || !store.url.startsWith("file:")) return { release: () => {} };
  const path = `${fromFileUrl(store.url)}-${encodeURIComponent(config.cluster.nodeId)}.lock`;
  let file: Deno.FsFile;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    file = await Deno.open(path, { create: true, write: true });
  } catch (error) {
    throw new Error(`store.${store.id}: cannot make ${path}: ${error instanceof Error ? error.message : error}`);
  }
  if (!await file.tryLock(true)) {
    file.close();
    throw new Error(
      `another godwit runs on store.${store.id} as node '${config.cluster.nodeId}'; ` +
        "stop it first, or give this one a cluster.node-id of its own",
    );
  }
  return { release: () => file.close() };
}
