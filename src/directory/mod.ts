/**
 * Who exists: accounts, their addresses and passwords, and the fixed lists of the configuration.
 *
 * @module
 */

import { type Clock, systemClock } from "../clock/mod.ts";
import type { DirectoryConfig } from "../config/config.ts";
import type { Resolver } from "../dns/resolver.ts";
import type { Store } from "../store/types.ts";
import { withAnswers } from "./answers.ts";
import type { Directory } from "./directory.ts";
import { createLdapDirectory } from "./ldap.ts";
import { createMemoryDirectory } from "./memory.ts";
import { createOidcDirectory } from "./oidc.ts";
import { type PasswordPool, sharedPasswordPool } from "./password/password_pool.ts";
import { createRemoteDirectory } from "./remote.ts";
import { createSqlDirectory } from "./sql.ts";

/** What a directory works with. */
export interface DirectoryOptions {
  /** Most threads that check passwords (`server.thread-pool`). */
  readonly threadPool: number;
  /** Checks passwords; left out: the pool that all directories of the process share. */
  readonly pool?: Pick<PasswordPool, "verify">;
  readonly clock?: Clock;
  /** Stores by id, for directories of the type `sql`. */
  readonly stores: ReadonlyMap<string, Store>;
  /** Finds the servers of directories of the types `smtp`, `lmtp` and `imap`. */
  readonly resolver: Resolver;
  /** Name of this host, as those servers are told. */
  readonly hostname: string;
}

/** Makes the directory that `config` describes. Nothing is connected to before it is asked. */
export function createDirectory(config: DirectoryConfig, options: DirectoryOptions): Directory {
  const { clock = systemClock, resolver, hostname } = options;
  const pool = options.pool ?? sharedPasswordPool(options.threadPool);
  switch (config.type) {
    case "memory":
      return createMemoryDirectory(config, pool);
    case "sql": {
      const store = options.stores.get(config.store);
      return withAnswers(createSqlDirectory(config, { store, pool }), config.cache, clock);
    }
    case "ldap":
      return withAnswers(createLdapDirectory(config, { pool, clock }), config.cache, clock);
    case "smtp":
    case "lmtp":
    case "imap":
      return withAnswers(createRemoteDirectory(config, { clock, resolver, hostname }), config.cache, clock);
    case "oidc":
      return createOidcDirectory(config, { clock });
  }
}

export type { Account, Directory, LoginResult } from "./directory.ts";
export { createHttpLists, type HttpList, type HttpLists } from "./http_list.ts";
export { compileGlob, createList, isGlob, type KeyedList, type List } from "./lists.ts";
export { type ResolvedRecipient, type ResolveOptions, resolveRecipient, soughtAddress } from "./lookup.ts";
export {
  closePasswordPool,
  createPasswordPool,
  type PasswordPool,
  type PasswordPoolOptions,
  verifySecret,
} from "./password/password_pool.ts";
export { isPlainSecret, secretProblem } from "./password/secret.ts";
