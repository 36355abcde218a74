/** Messages between the store and its worker. Blobs travel in one transferred buffer, everything else is flat. */

import type { Row, SqlValue, Statement } from "./types.ts";

/** How to reach the database. */
export interface Target {
  readonly url: string;
  readonly authToken: string | undefined;
  /** Milliseconds. */
  readonly timeout: number;
  readonly allowInvalidCerts: boolean;
}

/** Groups of statements for the worker. */
export interface Work {
  readonly kind: "work";
  /** SQL texts not sent before; they get the next numbers. */
  readonly texts: readonly { readonly sql: string; readonly joint: boolean }[];
  /** For each group its number of statements; a query outside of any transaction counts as -1. */
  readonly groups: readonly number[];
  /** For each statement the number of its text. */
  readonly statements: readonly number[];
  /** For each statement its number of arguments. */
  readonly arity: readonly number[];
  /** Arguments of all statements; `undefined` stands for the next blob. */
  readonly args: readonly (Exclude<SqlValue, Uint8Array> | undefined)[];
  /** Length of each blob. */
  readonly lengths: readonly number[];
  /** The blobs, one after the other; room after them is not used. */
  readonly bytes: ArrayBuffer;
}

/** Why a group failed. */
export type Failure =
  /** `unknown`: it may have been committed all the same. */
  | { readonly kind: "unavailable"; readonly message: string; readonly full: boolean; readonly unknown: boolean }
  | { readonly kind: "statement"; readonly message: string; readonly code: string };

/** The worker's answer to one {@link Work}. */
export interface Done {
  readonly kind: "done";
  /** For each statement the number of rows it changed. */
  readonly changes: readonly number[];
  /** For statements that gave rows: number of the statement, column names, rows. */
  readonly rows: readonly (readonly [number, readonly string[], readonly Row[]])[];
  /** The buffer of the blobs, given back to be used again. */
  readonly bytes: ArrayBuffer | undefined;
  /** Whether another connection was opened meanwhile: the file behind it may be another one. */
  readonly reopened: boolean;
  /** For groups that failed: number of the group and why. */
  readonly failures: readonly (readonly [number, Failure])[];
}

export type ToWorker = { readonly kind: "open"; readonly target: Target } | Work | { readonly kind: "close" };
export type FromWorker = { readonly kind: "opened"; readonly failure: Failure | undefined } | Done | {
  readonly kind: "closed";
};

/** One group as the worker runs it. */
export interface Group {
  readonly query: boolean;
  readonly statements: readonly Statement[];
}

/** What became of one group: for each statement changes, columns and rows; or why not. */
export type GroupResult = readonly StatementResult[] | Failure;

export interface StatementResult {
  readonly changes: number;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** Runs groups against one database; the only thing that differs between a file and a server. */
export interface Executor {
  /** Opens or opens again. @throws {Unavailable} with the reason */
  open(): Promise<void>;
  /** Never rejects: what goes wrong is in the results. */
  run(groups: readonly Group[]): Promise<readonly GroupResult[]>;
  /** Whether the connection was opened anew since the last call. */
  takeReopened(): boolean;
  /** Whether blobs are not looked at any more once `run` has resolved. */
  readonly copiesBlobs: boolean;
  close(): void;
}

/** Packs groups for the worker. */
export interface Packer {
  pack(groups: readonly Group[]): Work;
  /** Takes a buffer back. */
  recycle(bytes: ArrayBuffer): void;
}

const SMALLEST_BUFFER = 64 * 1024;
const LARGEST_KEPT = 2 * 1024 * 1024;
const MOST_KEPT = 3;

/** A {@link Packer}: each SQL text crosses to the worker once, buffers are used again and again. */
export function createPacker(): Packer {
  const known = new Map<string, number>();
  const spare: ArrayBuffer[] = [];

  const bufferFor = (length: number): ArrayBuffer => {
    const index = spare.findIndex(({ byteLength }) => byteLength >= length);
    const [found] = index < 0 ? [] : spare.splice(index, 1);
    if (found !== undefined) return found;
    // A spare one that is too small gives way, so that the spare ones grow to what is needed.
    spare.shift();
    return new ArrayBuffer(Math.max(SMALLEST_BUFFER, 2 ** Math.ceil(Math.log2(length))));
  };

  return {
    recycle(bytes) {
      if (bytes.byteLength <= LARGEST_KEPT && spare.length < MOST_KEPT) spare.push(bytes);
    },
    pack(groups) {
      const texts: { sql: string; joint: boolean }[] = [];
      const sizes: number[] = [];
      const statements: number[] = [];
      const arity: number[] = [];
      const args: (Exclude<SqlValue, Uint8Array> | undefined)[] = [];
      const blobs: Uint8Array[] = [];
      const lengths: number[] = [];
      let total = 0;
      for (const group of groups) {
        sizes.push(group.query ? -1 : group.statements.length);
        for (const statement of group.statements) {
          let text = known.get(statement.sql);
          if (text === undefined) {
            text = known.size;
            known.set(statement.sql, text);
            texts.push({ sql: statement.sql, joint: statement.joint === true });
          }
          statements.push(text);
          arity.push(statement.args.length);
          for (const value of statement.args) {
            if (value instanceof Uint8Array) {
              args.push(undefined);
              blobs.push(value);
              lengths.push(value.length);
              total += value.length;
            } else {
              args.push(value);
            }
          }
        }
      }
      const bytes = total === 0 ? new ArrayBuffer(0) : bufferFor(total);
      const target = new Uint8Array(bytes);
      let at = 0;
      for (const blob of blobs) {
        target.set(blob, at);
        at += blob.length;
      }
      return { kind: "work", texts, groups: sizes, statements, arity, args, lengths, bytes };
    },
  };
}

/** The other end of {@link createPacker}. */
export function createUnpacker(): (work: Work) => Group[] {
  const texts: { readonly sql: string; readonly joint: boolean }[] = [];
  return (work) => {
    texts.push(...work.texts);
    let statement = 0;
    let arg = 0;
    let blob = 0;
    let at = 0;
    const unpack = (): Statement => {
      const { sql, joint } = texts[work.statements[statement] ?? -1] ?? { sql: "", joint: false };
      const args: SqlValue[] = [];
      const end = arg + (work.arity[statement] ?? 0);
      statement++;
      for (; arg < end; arg++) {
        const value = work.args[arg];
        if (value === undefined) {
          const length = work.lengths[blob++] ?? 0;
          args.push(new Uint8Array(work.bytes, at, length));
          at += length;
        } else {
          args.push(value);
        }
      }
      return joint ? { sql, args, joint } : { sql, args };
    };
    return work.groups.map((size) => {
      const statements: Statement[] = [];
      for (let i = 0; i < Math.abs(size); i++) statements.push(unpack());
      return { query: size < 0, statements };
    });
  };
}

/** Flattens results for the way back. */
export function packResults(
  groups: readonly Group[],
  results: readonly GroupResult[],
  rest: Pick<Done, "bytes" | "reopened">,
): Done {
  const changes: number[] = [];
  const rows: [number, readonly string[], readonly Row[]][] = [];
  const failures: [number, Failure][] = [];
  groups.forEach((group, index) => {
    const result = results[index];
    if (result === undefined || !isResult(result)) {
      failures.push([
        index,
        result ?? { kind: "unavailable", message: "the database gave no answer", full: false, unknown: true },
      ]);
      for (let i = 0; i < group.statements.length; i++) changes.push(0);
      return;
    }
    for (const one of result) {
      if (one.columns.length > 0) rows.push([changes.length, one.columns, one.rows]);
      changes.push(one.changes);
    }
  });
  return { kind: "done", changes, rows, failures, ...rest };
}

/** Whether a group went well. */
export function isResult(result: GroupResult): result is readonly StatementResult[] {
  return Array.isArray(result);
}

// Below this a copy costs less than the transfer.
const LEAST_TRANSFERRED = 32 * 1024;

/** The buffers of an answer that are worth moving instead of copying. */
export function transferable(done: Done): ArrayBuffer[] {
  const buffers: ArrayBuffer[] = done.bytes === undefined ? [] : [done.bytes];
  for (const [, , rows] of done.rows) {
    for (const row of rows) {
      for (const value of row) {
        if (
          value instanceof Uint8Array && value.buffer instanceof ArrayBuffer && value.length >= LEAST_TRANSFERRED &&
          value.length === value.buffer.byteLength
        ) buffers.push(value.buffer);
      }
    }
  }
  return buffers;
}
