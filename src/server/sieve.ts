/** The scripts of a configuration, with what they reach. */

import type { Signer } from "../authentication/mod.ts";
import type { Clock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import { isGlob } from "../directory/mod.ts";
import type { FunctionHost } from "../expression/mod.ts";
import {
  createSeenMemory,
  type Filter,
  type FilterMakers,
  loadUserScripts,
  type RunUserScript,
  type ScriptLists,
  type UserScriptWorld,
} from "../filter/mod.ts";
import type { NewMessage } from "../queue/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Emit } from "../telemetry/mod.ts";
import { signOwn } from "./signing.ts";
import { VERSION } from "./version.ts";

/** What {@link createSieve} needs beside a configuration. */
export interface SieveSources {
  readonly stores: ReadonlyMap<string, Store>;
  readonly functions: FunctionHost;
  readonly filterMakers: FilterMakers;
  readonly queue: UserScriptWorld["outbox"];
  /** All addresses of the account behind an address. */
  readonly addressesOf: UserScriptWorld["addressesOf"];
  /** Absent if there are no signatures. */
  readonly signer: Signer | undefined;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** The scripts of a configuration. */
export interface Sieve {
  /** Those of the administrator; absent if no stage runs any. */
  readonly filter: Filter | undefined;
  /** Those of users. */
  readonly runUserScript: RunUserScript;
}

/** Prepares the scripts of a configuration. */
export function createSieve(config: Config, sources: SieveSources): Sieve {
  const { stores, functions, filterMakers, queue, signer, clock, emit, addressesOf } = sources;
  const store = stores.get(config.storage.lookup) ?? stores.get(config.storage.data);
  // Only where nothing is delivered, such as in an explanation without a database, is there none.
  if (store === undefined) return { filter: undefined, runUserScript: () => Promise.resolve(undefined) };
  const world = {
    config: config.sieve,
    functions,
    memory: createSeenMemory(store, clock),
    outbox: queue,
    ...(signer === undefined ? {} : {
      sign: (message: NewMessage, signatures: readonly string[]) => signOwn(message, signer, signatures),
    }),
    version: VERSION,
    clock,
    emit,
  };
  let run: Promise<RunUserScript> | undefined;
  return {
    filter: filterMakers.createSieveFilter?.({ ...world, lists: scriptLists(config) }),
    // Only Maildirs have scripts of users, and not all of them.
    async runUserScript(occasion) {
      run ??= loadUserScripts().then(({ createUserScripts }) =>
        createUserScripts({ ...world, hostname: config.server.hostname, addressesOf })
      );
      return await (await run)(occasion);
    },
  };
}

/** The lists that scripts may name. */
export function scriptLists({ environment, lookups, stores }: Config): ScriptLists {
  const names = new Set(["", ...environment.lists, ...environment.stores]);
  return {
    has: (name) => names.has(name),
    members(name) {
      const entries = lookups.get(name);
      const store = stores.get(name);
      const members = entries !== undefined ? [...entries.keys()] : store?.type === "memory" ? store.values : undefined;
      // Whom a wildcard stands for, nobody can tell.
      return members?.some(isGlob) === true ? undefined : members;
    },
  };
}
