/** Which errors of SQLite mean that the database is unusable for now, and which that a statement is wrong. */

import type { Failure } from "./wire.ts";

// Result codes, https://www.sqlite.org/rescode.html
const BUSY = 5;
const LOCKED = 6;
const FULL = 13;
const STATEMENT = new Set([1, 18, 19, 20, 21, 25]); // ERROR TOOBIG CONSTRAINT MISMATCH MISUSE RANGE
// After these the connection is opened anew: the file may be another one, or writable, by then.
const REOPEN = new Set([8, 10, 11, 14, 23, 26]); // READONLY IOERR CORRUPT CANTOPEN AUTH NOTADB

/** A failure, and whether the connection has to be opened anew. */
export interface Judgement {
  readonly failure: Failure;
  readonly reopen: boolean;
}

/** The file of an open database has lost its name; the connection to it is worth keeping. */
export class DatabaseMoved extends Error {
  override readonly name = "DatabaseMoved";
  constructor(path: string) {
    super(`the database file ${path} was moved or removed`);
  }
}

/** Judges an error that the local database threw. */
export function judgeLocal(error: unknown): Judgement {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof DatabaseMoved) return { failure: unavailable(message), reopen: false };
  const raw = codeOf(error);
  if (raw === undefined) return { failure: unavailable(message), reopen: true };
  const base = raw & 0xff;
  if (STATEMENT.has(base)) {
    return { failure: { kind: "statement", message, code: nameOf(error) }, reopen: false };
  }
  if (base === BUSY || base === LOCKED) return { failure: unavailable(`locked: ${message}`), reopen: false };
  return { failure: unavailable(message, base === FULL), reopen: REOPEN.has(base) };
}

/** A failure of the database as a whole. */
export function unavailable(message: string, full = false, unknown = false): Failure {
  return { kind: "unavailable", message, full, unknown };
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Error && "rawCode" in error && typeof error.rawCode === "number" ? error.rawCode : undefined;
}

function nameOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "SQLITE_ERROR";
}
