/**
 * A database in a file. Statements are prepared once and kept: `@libsql/client` prepares each statement at every use,
 * which costs more than running it, so this goes to the `libsql` binding underneath it.
 */

import Database from "libsql";
import { dirname, fromFileUrl } from "./path.ts";
import { DatabaseMoved, judgeLocal, unavailable } from "./failure.ts";
import { JOINT_ROWS, jointStatement } from "./joint.ts";
import { OpenError } from "./open_error.ts";
import { countParameters } from "./parameters.ts";
import type { Executor, Group, GroupResult, StatementResult, Target } from "./wire.ts";
import type { Row, SqlValue, Statement } from "./types.ts";

type Connection = InstanceType<typeof Database>;

interface Prepared {
  readonly parameters: number;
  /** Empty for a statement that gives no rows. */
  readonly columns: readonly string[];
  all(args: readonly SqlValue[]): Row[];
  run(args: readonly SqlValue[]): number;
}

interface Open {
  readonly connection: Connection;
  readonly prepared: Map<string, Prepared>;
  readonly inode: number | undefined;
}

// Statements that are built into the program are far fewer; named queries of the administrator share the rest.
const MOST_PREPARED = 300;

/** Milliseconds that writers wait for a lock that has been there for longer than the limit. */
const IMPATIENT_WAIT = 1000;

/** Runs groups against the file that `target` names. */
export function createLocalExecutor(target: Target): Executor {
  const path = fromFileUrl(target.url);
  let open: Open | undefined;
  let known = false;
  let reopened = false;

  const close = () => {
    const old = open;
    open = undefined;
    if (old === undefined) return;
    old.prepared.clear();
    try {
      if (old.connection.inTransaction) old.connection.exec("ROLLBACK");
      old.connection.close();
    } catch {
      // A connection that cannot even be closed is left to the garbage collector.
    }
  };

  const ready = (): Open => {
    const inode = inodeOf(path);
    // Only the first opening makes a file. Later a missing one was moved, or its disk is away: rows committed to a file
    // that has lost its name, or to a new one, would be gone once the old one is back.
    if (inode === undefined && known) throw new DatabaseMoved(path);
    if (open !== undefined && inode !== open.inode) close();
    if (open === undefined) {
      open = connect(path, target.timeout);
      known = true;
      reopened = true;
    }
    return open;
  };

  const transact = (db: Open, groups: readonly Group[]): StatementResult[][] => {
    run(db, { sql: "BEGIN IMMEDIATE", args: [] });
    const together = groups.length < JOINT_ROWS ? undefined : runJoint(db, groups);
    const results = groups.map((group) =>
      group.statements.map((statement) => together?.has(statement) === true ? ONE_ROW : run(db, statement))
    );
    run(db, { sql: "COMMIT", args: [] });
    return results;
  };

  const rollback = () => {
    try {
      if (open?.connection.inTransaction) open.connection.exec("ROLLBACK");
    } catch {
      close();
    }
  };

  // Once a lock has held for the whole limit, further writers are told soon instead of waiting as long one after another.
  let impatient = false;
  const wait = (milliseconds: number) => {
    try {
      open?.connection.exec(`PRAGMA busy_timeout=${milliseconds}`);
    } catch {
      // The next opening sets the limit anew.
    }
  };

  const attempt = (groups: readonly Group[]): GroupResult[] => {
    try {
      const results = transact(ready(), groups);
      if (impatient) wait(target.timeout);
      impatient = false;
      return results;
    } catch (error) {
      const judgement = judgeLocal(error);
      if (judgement.failure.kind === "unavailable" && !impatient) {
        impatient = true;
        wait(Math.min(target.timeout, IMPATIENT_WAIT));
      }
      rollback();
      if (judgement.reopen) close();
      // Which group was to blame is found by running each alone; that is rare, and the common case pays nothing for it.
      if (groups.length > 1 && judgement.failure.kind === "statement") return groups.flatMap((one) => attempt([one]));
      return groups.map(() => judgement.failure);
    }
  };

  const query = (group: Group): GroupResult => {
    try {
      const db = ready();
      return group.statements.map((statement) => run(db, statement));
    } catch (error) {
      const judgement = judgeLocal(error);
      if (judgement.reopen) close();
      return judgement.failure;
    }
  };

  return {
    open() {
      try {
        ready();
        reopened = false;
        return Promise.resolve();
      } catch (error) {
        return Promise.reject(new OpenError(judgeLocal(error).failure));
      }
    },
    copiesBlobs: true,
    takeReopened() {
      const was = reopened;
      reopened = false;
      return was;
    },
    run(groups) {
      const writes = groups.filter((group) => !group.query);
      const written = writes.length === 0 ? [] : attempt(writes);
      let next = 0;
      return Promise.resolve(
        groups.map((group) =>
          group.query ? query(group) : written[next++] ?? unavailable("the database gave no answer")
        ),
      );
    },
    close() {
      // Leaves a small log behind even if another process keeps the file open.
      try {
        open?.connection.exec("PRAGMA wal_checkpoint(PASSIVE)");
      } catch {
        // The next start takes the log over.
      }
      close();
    },
  };
}

function connect(path: string, timeout: number): Open {
  const folder = dirname(path);
  try {
    Deno.mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new Error(`the folder ${folder} of the database cannot be made: ${String(error)}`);
  }
  const connection = new Database(path, { timeout });
  try {
    for (const pragma of PRAGMAS) connection.exec(pragma);
  } catch (error) {
    connection.close();
    throw error;
  }
  return { connection, prepared: new Map(), inode: inodeOf(path) };
}

// Every commit is synced before it is answered (synchronous=FULL). A longer log than SQLite's usual one lets most
// messages leave again before a checkpoint copies them into the file.
const PRAGMAS = [
  "PRAGMA journal_mode=WAL",
  "PRAGMA synchronous=FULL",
  "PRAGMA wal_autocheckpoint=4000",
  "PRAGMA journal_size_limit=67108864",
  "PRAGMA cache_size=-8000",
  "PRAGMA temp_store=MEMORY",
];

function run(db: Open, statement: Statement): StatementResult {
  let prepared = db.prepared.get(statement.sql);
  if (prepared === undefined) {
    if (db.prepared.size >= MOST_PREPARED) db.prepared.clear();
    prepared = prepare(db.connection, statement.sql);
    db.prepared.set(statement.sql, prepared);
  }
  if (prepared.parameters !== statement.args.length) {
    throw new WrongArguments(prepared.parameters, statement.args.length);
  }
  if (prepared.columns.length === 0) return { changes: prepared.run(statement.args), columns: [], rows: [] };
  const rows = prepared.all(statement.args);
  return { changes: rows.length, columns: prepared.columns, rows };
}

const ONE_ROW: StatementResult = { changes: 1, columns: [], rows: [] };

/** Runs statements that may share a call, as far as they fill one; gives those that are done. */
function runJoint(db: Open, groups: readonly Group[]): Set<Statement> {
  const done = new Set<Statement>();
  const waiting = new Map<string, Statement[]>();
  for (const { statements } of groups) {
    for (const statement of statements) {
      if (statement.joint !== true) continue;
      const list = waiting.get(statement.sql);
      if (list === undefined) waiting.set(statement.sql, [statement]);
      else list.push(statement);
    }
  }
  for (const [sql, statements] of waiting) {
    const joint = jointStatement(sql);
    if (joint === undefined) continue;
    for (let at = 0; at + JOINT_ROWS <= statements.length; at += JOINT_ROWS) {
      const some = statements.slice(at, at + JOINT_ROWS);
      run(db, { sql: joint, args: some.flatMap(({ args }) => args) });
      for (const statement of some) done.add(statement);
    }
  }
  return done;
}

class WrongArguments extends Error {
  readonly code = "SQLITE_RANGE";
  readonly rawCode = 25;
  constructor(wanted: number, given: number) {
    super(`the statement takes ${wanted} arguments, ${given} were given`);
  }
}

function prepare(connection: Connection, sql: string): Prepared {
  const statement = connection.prepare<unknown[]>(sql);
  const columns = statement.reader ? statement.raw(true).columns().map((column) => column.name) : [];
  return {
    parameters: countParameters(sql),
    columns,
    all: (args) => statement.all(args).map(toRow),
    run: (args) => statement.run(args).changes,
  };
}

function toRow(values: unknown): Row {
  if (!Array.isArray(values)) throw new Error("the database gave a row of an unknown shape");
  return values.map((value: unknown) => {
    if (value instanceof Uint8Array) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "bigint") {
      return value;
    }
    throw new Error(`the database gave a value of an unknown type: ${typeof value}`);
  });
}

function inodeOf(path: string): number | undefined {
  try {
    return Deno.statSync(path).ino ?? 0;
  } catch {
    return undefined;
  }
}
