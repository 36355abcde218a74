/**
 * Who exists: accounts, their addresses and passwords, and the fixed lists of the configuration.
 *
 * @module
 */

import type { DirectoryConfig } from "../config/config.ts";
import type { Directory } from "./directory.ts";
import { createMemoryDirectory } from "./memory.ts";
import { type PasswordPool, sharedPasswordPool } from "./password/password_pool.ts";

/** What a directory works with. */
export interface DirectoryOptions {
  /** Most threads that check passwords (`server.thread-pool`). */
  readonly threadPool: number;
  /** Checks passwords; left out: the pool that all directories of the process share. */
  readonly pool?: Pick<PasswordPool, "verify">;
}

/** Makes the directory that `config` describes. */
export function createDirectory(config: DirectoryConfig, options: DirectoryOptions): Directory {
  return createMemoryDirectory(config, options.pool ?? sharedPasswordPool(options.threadPool));
}

export type { Account, Directory, LoginResult } from "./directory.ts";
export { compileGlob, createList, isGlob, type List } from "./lists.ts";
export { type ResolvedRecipient, type ResolveOptions, resolveRecipient } from "./lookup.ts";
export {
  closePasswordPool,
  createPasswordPool,
  type PasswordPool,
  type PasswordPoolOptions,
  verifySecret,
} from "./password/password_pool.ts";
export { isPlainSecret, secretProblem } from "./password/secret.ts";
