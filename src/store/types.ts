/** The database as the other rooms see it: groups of statements that commit together, reads, and how they fail. */

/** A value to bind, or one that came out of a column. Numbers are bound as they are; whole ones stay whole. */
export type SqlValue = null | string | number | bigint | Uint8Array;

/** One statement. `sql` is a constant of the program; whatever varies is in `args`, one for each parameter. */
export interface Statement {
  readonly sql: string;
  readonly args: readonly SqlValue[];
  /**
   * The statement inserts or deletes one row by its key, and it may run before all others of its group, together with
   * such statements of other groups. Its result says one row whatever happened.
   */
  readonly joint?: true;
}

/** One row, by column position. */
export type Row = readonly SqlValue[];

/** What a query found. */
export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** What one statement of a group did. */
export interface WriteResult {
  /** Rows inserted, changed or deleted; for a statement with RETURNING the number of rows it returned. */
  readonly changes: number;
  /** Rows of a statement with RETURNING; empty for others. */
  readonly rows: readonly Row[];
}

/** Options of {@link Store.write}. */
export interface WriteOptions {
  /**
   * What takes the group back. When the answer to a commit never came (time limit, broken connection), the group is
   * reported as failed although it may have been committed; the store then runs these statements as soon as it can.
   */
  readonly undo?: () => readonly Statement[];
}

/** A database. Several rooms share one; several processes may share what it stores. */
export interface Store {
  /**
   * Runs a group of statements: all of them are durable when this resolves, or none is. Groups that wait at the same
   * time share one commit, without sharing each other's failures.
   *
   * @returns one result for each statement
   * @throws {StoreUnavailable} if the database cannot be used for now
   * @throws {StatementError} if a statement of this group is wrong or breaks a constraint
   */
  write(statements: readonly Statement[], options?: WriteOptions): Promise<readonly WriteResult[]>;
  /**
   * Runs one query that changes nothing.
   *
   * @throws {StoreUnavailable} if the database cannot be used for now
   * @throws {StatementError} if the query is wrong
   */
  read(sql: string, args?: readonly SqlValue[]): Promise<Rows>;
  /** Lets what is under way end, then closes. Later calls reject. Never throws. */
  close(): Promise<void>;
}

/** The store is full, locked, unreachable or broken for now: inbound answers 451/452, deliveries pause. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
  constructor(message: string, readonly full: boolean, options?: ErrorOptions) {
    super(message, options);
  }
}

/** A statement is wrong, or breaks a constraint; the database itself is well. `code` is SQLite's name of the error. */
export class StatementError extends Error {
  override readonly name = "StatementError";
  constructor(message: string, readonly code: string) {
    super(message);
  }
}

/** The database was written by a newer version of the program. */
export class SchemaTooNew extends Error {
  override readonly name = "SchemaTooNew";
  constructor(readonly found: number, readonly known: number) {
    super(
      `the database has schema version ${found}, this program knows versions up to ${known}: ` +
        "it was used by a newer godwit; run that version or restore a backup from before the upgrade",
    );
  }
}
