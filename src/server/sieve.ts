/** The scripts of a configuration, with what they reach. */

import type { Signer } from "../authentication/mod.ts";
import type { Clock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import type { FunctionHost } from "../expression/mod.ts";
import { createSeenMemory, createSieveFilter, type Filter, type Outbox, type ScriptLists } from "../filter/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/mod.ts";
import { signOwn } from "./signing.ts";
import { VERSION } from "./version.ts";

/** What {@link createSieve} needs beside a configuration. */
export interface SieveSources {
  readonly stores: ReadonlyMap<string, Store>;
  readonly functions: FunctionHost;
  readonly queue: Outbox;
  /** Absent if there are no signatures. */
  readonly signer: Signer | undefined;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Makes the filter of the scripts; nothing if no stage runs any. */
export function createSieve(config: Config, sources: SieveSources): Filter | undefined {
  const { stores, functions, queue, signer, clock, emit } = sources;
  const store = stores.get(config.storage.lookup) ?? stores.get(config.storage.data);
  if (store === undefined) return undefined;
  return createSieveFilter({
    config: config.sieve,
    functions,
    lists: listsOf(config),
    memory: createSeenMemory(store, clock),
    outbox: queue,
    ...(signer === undefined ? {} : { sign: (message, signatures) => signOwn(message, signer, signatures) }),
    version: VERSION,
    clock,
    emit,
  });
}

function listsOf({ environment, lookups, stores }: Config): ScriptLists {
  const names = new Set(["", ...environment.lists, ...environment.stores]);
  return {
    has: (name) => names.has(name),
    members(name) {
      const entries = lookups.get(name);
      if (entries !== undefined) return [...entries.keys()];
      const store = stores.get(name);
      return store?.type === "memory" ? store.values : undefined;
    },
  };
}
