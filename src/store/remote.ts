/** A database behind a libSQL server (sqld), over http, https, ws or wss. */

import { type Client, createClient, type InStatement, LibsqlError, type ResultSet } from "@libsql/client/web";
import { OpenError } from "./open_error.ts";
import { unavailable } from "./failure.ts";
import type { Executor, Failure, Group, GroupResult, StatementResult, Target } from "./wire.ts";
import type { Row, SqlValue } from "./types.ts";
import { uncheckedFetch } from "./unchecked_fetch.ts";

/** Runs groups against the server that `target` names. */
export function createRemoteExecutor(target: Target): Executor {
  let client: Client | undefined;

  const connect = (): Client =>
    createClient({
      // The runtime's WebSocket has no way to skip the check; the same server speaks https.
      url: target.allowInvalidCerts ? target.url.replace(/^(wss|libsql):/, "https:") : target.url,
      ...(target.authToken === undefined ? {} : { authToken: target.authToken }),
      intMode: "number",
      fetch: (request: Request) =>
        target.allowInvalidCerts
          ? uncheckedFetch(request, target.timeout)
          : fetch(request, { signal: AbortSignal.timeout(target.timeout) }),
    });

  const drop = () => {
    const old = client;
    client = undefined;
    try {
      old?.close();
    } catch {
      // It was closed from the other side.
    }
  };

  const within = async <T>(work: Promise<T>): Promise<T> => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new TimeLimit(target.timeout)), target.timeout);
    });
    try {
      return await Promise.race([work, limit]);
    } finally {
      clearTimeout(timer);
    }
  };

  const transact = async (groups: readonly Group[]): Promise<GroupResult[]> => {
    try {
      const statements = groups.flatMap((group) => group.statements.map(toStatement));
      client ??= connect();
      const sets = await within(client.batch(statements, "write"));
      let at = 0;
      return groups.map((group) => group.statements.map(() => toResult(sets[at++])));
    } catch (error) {
      const failure = judgeRemote(error);
      if (failure.kind === "unavailable") drop();
      if (groups.length > 1 && failure.kind === "statement") {
        const results: GroupResult[] = [];
        for (const group of groups) results.push(...await transact([group]));
        return results;
      }
      return groups.map(() => failure);
    }
  };

  const query = async (group: Group): Promise<GroupResult> => {
    try {
      client ??= connect();
      const sets = await within(client.batch(group.statements.map(toStatement), "read"));
      return sets.map(toResult);
    } catch (error) {
      const failure = judgeRemote(error);
      if (failure.kind === "unavailable") drop();
      return failure;
    }
  };

  return {
    async open() {
      const result = await query({ query: true, statements: [{ sql: "SELECT 1", args: [] }] });
      if ("kind" in result) throw new OpenError(result);
    },
    async run(groups) {
      const writes = groups.filter((group) => !group.query);
      const written = writes.length === 0 ? [] : await transact(writes);
      const queried = await Promise.all(groups.filter((group) => group.query).map(query));
      let write = 0;
      let read = 0;
      return groups.map((group) =>
        (group.query ? queried[read++] : written[write++]) ?? unavailable("the server gave no answer")
      );
    },
    // A server looks after its own files.
    takeReopened: () => false,
    // A request that was given up may still be on its way.
    copiesBlobs: false,
    close: drop,
  };
}

class TimeLimit extends Error {
  constructor(milliseconds: number) {
    super(`the database server did not answer within ${milliseconds} ms`);
  }
}

// Codes of the server that mean the statement, or what it did to the data, is at fault.
const STATEMENT_CODE = /^(SQLITE_(ERROR|CONSTRAINT|MISMATCH|TOOBIG|RANGE|MISUSE)|SQL_|ARGS_|UNKNOWN_)/;
// What it knows no code for still names the fault.
const STATEMENT_TEXT = /SQLite error: (no such |table .* has |near |ambiguous |wrong number |.* values for )/;

function judgeRemote(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof LibsqlError ? error.code : "";
  if (STATEMENT_CODE.test(code) || (code === "SQLITE_UNKNOWN" && STATEMENT_TEXT.test(message))) {
    return { kind: "statement", message, code };
  }
  if (error instanceof TypeError && !(/fetch|network|connect|error sending/i.test(message))) {
    return { kind: "statement", message, code: "SQLITE_MISUSE" };
  }
  const full = code.startsWith("SQLITE_FULL") || code === "BLOCKED" || /disk is full/i.test(message);
  // The server answered, so it did not commit; anything else may have happened after the commit.
  const answered = code.startsWith("SQLITE_") || code === "BLOCKED";
  return unavailable(message, full, !answered);
}

function toStatement(statement: { sql: string; args: readonly SqlValue[] }): InStatement {
  return { sql: statement.sql, args: statement.args.map((value) => value) };
}

function toResult(set: ResultSet | undefined): StatementResult {
  if (set === undefined) throw new Error("the server left a result out");
  if (set.columns.length === 0) return { changes: set.rowsAffected, columns: [], rows: [] };
  const rows: Row[] = set.rows.map((row) => set.columns.map((_, index) => toValue(row[index])));
  return { changes: rows.length, columns: set.columns, rows };
}

function toValue(value: unknown): SqlValue {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "bigint") return value;
  if (value instanceof Uint8Array) return value;
  return typeof value === "boolean" ? Number(value) : String(value);
}
