/**
 * The database: one libSQL file or server that queue, reports, counters and lookups share.
 *
 * {@link openStore} gives a {@link Store}; a write is a group of statements that is durable when its promise resolves.
 * Groups that wait together share one commit, so many small writers cost little more than one.
 *
 * @example
 * ```ts
 * const store = await openStore(config, { emit, clock });
 * await store.write([{ sql: "INSERT INTO bans (ip) VALUES (?)", args: [ip] }]);
 * ```
 *
 * @module
 */

export { givesRows } from "./gives_rows.ts";
export { openStore, type StoreOptions, type StoreTarget } from "./open.ts";
export { type Migration } from "./migrate.ts";
export { fromFileUrl } from "./path.ts";
export { MIGRATIONS } from "./migrations.ts";
export {
  type Row,
  type Rows,
  SchemaTooNew,
  type SqlValue,
  type Statement,
  StatementError,
  type Store,
  StoreUnavailable,
  type WriteOptions,
  type WriteResult,
} from "./types.ts";
