import type { Clock, Timer } from "../clock/mod.ts";
import type { StoreConfig } from "../config/config.ts";
import type { Emit } from "../telemetry/event.ts";
import { migrate, type Migration } from "./migrate.ts";
import { MIGRATIONS } from "./migrations.ts";
import {
  type Row,
  type Rows,
  type SqlValue,
  type Statement,
  StatementError,
  type Store,
  StoreUnavailable,
  type WriteOptions,
  type WriteResult,
} from "./types.ts";
import { createPacker, type Done, type Failure, type FromWorker, type ToWorker } from "./wire.ts";

/** What {@link openStore} reads of a store's configuration. */
export type StoreTarget = Pick<
  Extract<StoreConfig, { type: "libsql" }>,
  "id" | "url" | "authToken" | "timeout" | "allowInvalidCerts"
>;

/** What {@link openStore} needs beside the configuration. */
export interface StoreOptions {
  readonly emit: Emit;
  readonly clock: Clock;
  /** Schema to bring the database to; the program's own by default. An empty list leaves the database as it is. */
  readonly migrations?: readonly Migration[];
}

/** A group on its way, or a query. */
interface Pending {
  readonly query: boolean;
  readonly statements: readonly Statement[];
  readonly undo: WriteOptions["undo"];
  readonly bytes: number;
  readonly since: number;
  readonly succeed: (results: readonly WriteResult[], columns: readonly string[]) => void;
  readonly fail: (error: Error) => void;
  /** Set once the caller was told that it failed, while the worker still has it. */
  abandoned: boolean;
}

// Two batches on their way: while one is being synced the next is being packed.
const MOST_BATCHES = 2;
const MOST_GROUPS = 512;
// What starting the worker may take, in milliseconds.
const WORKER_START = 10_000;
// What a group may take beyond the limits of statements, in milliseconds.
const ANSWER_MARGIN = 5000;
const MOST_BYTES = 8 * 1024 * 1024;
// What may wait to be undone. Beyond it the oldest are forgotten: a group that its caller believes failed then stays.
const MOST_UNDONE = 10_000;

/**
 * Opens a database, makes its folder if it is missing, and brings its schema up to date.
 *
 * Everything runs in a Web Worker of its own. What is waiting while a commit is under way joins the next one.
 *
 * @throws {StoreUnavailable} if the database cannot be reached or used
 * @throws {SchemaTooNew} if a newer version of the program has used it
 */
export async function openStore(
  config: StoreTarget,
  options: StoreOptions,
): Promise<Store> {
  const worker = new Worker(new URL("./store_worker.ts", import.meta.url), { type: "module", name: "store" });
  const link = createLink(config, options, worker, () => void update().catch(() => undefined));
  const update = async () => {
    const versions = await migrate(link.store, options.migrations ?? MIGRATIONS);
    if (versions.to > versions.from) options.emit("store.migrated", { id: config.id, ...versions });
  };
  try {
    await link.open();
    await update();
    return link.store;
  } catch (error) {
    await link.store.close();
    throw error;
  }
}

interface Link {
  readonly store: Store;
  open(): Promise<void>;
}

function createLink(
  config: StoreTarget,
  { clock, emit }: StoreOptions,
  worker: Worker,
  onReopened: () => void,
): Link {
  const packer = createPacker();
  let waiting: Pending[] = [];
  const sent: Pending[][] = [];
  const undo: (() => readonly Statement[])[] = [];
  let flushing = false;
  let watch: Timer | undefined;
  let down = false;
  // A database that is locked can still be read, so only a write shows that writes work again.
  let downForWrites = false;
  let closing = false;
  let crashed: string | undefined;
  let whenOpened: ((failure: Failure | undefined) => void) | undefined;
  let whenClosed: (() => void) | undefined;
  let whenIdle: (() => void) | undefined;

  // The two batches before a group and its own may each wait for a lock up to the limit of one statement.
  const patience = 3 * config.timeout + ANSWER_MARGIN;

  const post = (message: ToWorker, transfer: Transferable[] = []) => worker.postMessage(message, transfer);

  const unavailable = (message: string, full = false) => new StoreUnavailable(`store ${config.id}: ${message}`, full);

  const note = (failure: Failure | undefined) => {
    if (failure?.kind === "unavailable" && !down) {
      down = true;
      emit("store.unavailable", { id: config.id, reason: failure.message, full: failure.full });
    } else if (failure === undefined && down) {
      down = false;
      emit("store.recovered", { id: config.id });
    }
  };

  const flush = () => {
    flushing = false;
    while (waiting.length > 0 && sent.length < MOST_BATCHES) {
      let bytes = 0;
      let count = 0;
      for (const group of waiting) {
        if (count > 0 && (count >= MOST_GROUPS || bytes + group.bytes > MOST_BYTES)) break;
        bytes += group.bytes;
        count++;
      }
      const batch = waiting.splice(0, count);
      sent.push(batch);
      const work = packer.pack(batch);
      post(work, [work.bytes]);
    }
    if (watch === undefined && (waiting.length > 0 || sent.length > 0)) {
      watch = clock.after(Math.max(50, config.timeout / 4), sweep);
    }
  };

  const schedule = () => {
    if (flushing) return;
    flushing = true;
    // Callers that go on in the same turn join the batch.
    queueMicrotask(flush);
  };

  // The worker keeps its own limits; these are for a worker, disk or network that hangs.
  const sweep = () => {
    watch = undefined;
    const now = clock.now();
    const late = waiting.filter((group) => now - group.since > patience);
    if (late.length > 0) {
      waiting = waiting.filter((group) => now - group.since <= patience);
      for (const group of late) group.fail(unavailable(`no turn within ${patience} ms`));
    }
    for (const group of sent.flat()) {
      if (group.abandoned || now - group.since <= patience) continue;
      group.abandoned = true;
      group.fail(unavailable(`no answer within ${patience} ms`));
      note({ kind: "unavailable", message: "the database does not answer", full: false, unknown: true });
    }
    flush();
  };

  const remember = (statements: WriteOptions["undo"]) => {
    if (statements === undefined) return;
    undo.push(statements);
    if (undo.length > MOST_UNDONE) undo.shift();
  };

  const undoLate = () => {
    for (const statements of undo.splice(0)) {
      submit(false, statements(), undefined).catch((error) => {
        if (error instanceof StoreUnavailable) remember(statements);
      });
    }
  };

  const finish = (done: Done) => {
    const batch = sent.shift();
    if (done.bytes !== undefined) packer.recycle(done.bytes);
    if (batch === undefined) return;
    const failures = new Map(done.failures);
    const all = failures.get(-1);
    const rows = new Map(done.rows.map(([statement, columns, found]) => [statement, { columns, found }] as const));
    let at = 0;
    let healthy = false;
    batch.forEach((group, index) => {
      const failure = all ?? failures.get(index);
      const first = at;
      at += group.statements.length;
      if (failure === undefined || failure.kind === "statement") healthy ||= !group.query || !downForWrites;
      if (failure !== undefined) {
        if (failure.kind === "unavailable") {
          downForWrites ||= !group.query;
          note(failure);
          if (failure.unknown) remember(group.undo);
        }
        if (!group.abandoned) {
          group.fail(
            failure.kind === "statement"
              ? new StatementError(failure.message, failure.code)
              : unavailable(failure.message, failure.full),
          );
        }
        return;
      }
      if (group.abandoned) {
        remember(group.undo);
        return;
      }
      const results: WriteResult[] = [];
      let columns: readonly string[] = [];
      for (let i = first; i < at; i++) {
        const found = rows.get(i);
        columns = found?.columns ?? [];
        results.push({ changes: done.changes[i] ?? 0, rows: found?.found ?? NO_ROWS });
      }
      group.succeed(results, columns);
    });
    if (healthy) {
      downForWrites = false;
      note(undefined);
      if (undo.length > 0) undoLate();
    }
    if (done.reopened) onReopened();
    if (waiting.length > 0) schedule();
    if (sent.length === 0 && waiting.length === 0) whenIdle?.();
  };

  const fail = (reason: string) => {
    crashed = reason;
    const failure: Failure = { kind: "unavailable", message: reason, full: false, unknown: true };
    if (!closing) note(failure);
    whenOpened?.(failure);
    for (const group of [...sent.splice(0).flat(), ...waiting.splice(0)]) {
      if (!group.abandoned) group.fail(unavailable(reason));
    }
    whenIdle?.();
    whenClosed?.();
  };

  worker.onmessage = (event: MessageEvent<FromWorker>) => {
    const message = event.data;
    if (message.kind === "done") finish(message);
    else if (message.kind === "opened") whenOpened?.(message.failure);
    else whenClosed?.();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(`the database worker ended: ${event.message}`);
  };

  const submit = (
    query: boolean,
    statements: readonly Statement[],
    undone: WriteOptions["undo"],
  ): Promise<{ results: readonly WriteResult[]; columns: readonly string[] }> => {
    if (crashed !== undefined) return Promise.reject(unavailable(crashed));
    let bytes = 0;
    for (const statement of statements) {
      for (const value of statement.args) {
        const size = sizeOf(value);
        if (size === undefined) {
          return Promise.reject(new StatementError(`a value of type ${typeof value} cannot be bound`, "SQLITE_MISUSE"));
        }
        bytes += size;
      }
    }
    return new Promise((resolve, reject) => {
      waiting.push({
        query,
        statements,
        undo: undone,
        bytes,
        since: clock.now(),
        succeed: (results, columns) => resolve({ results, columns }),
        fail: reject,
        abandoned: false,
      });
      schedule();
    });
  };

  return {
    open: () =>
      new Promise((resolve, reject) => {
        const start = WORKER_START + config.timeout;
        const late: Failure = {
          kind: "unavailable",
          message: `not open within ${start} ms`,
          full: false,
          unknown: false,
        };
        const limit = clock.after(start, () => whenOpened?.(late));
        whenOpened = (failure) => {
          whenOpened = undefined;
          limit.cancel();
          if (failure === undefined) resolve();
          else reject(unavailable(failure.message, failure.kind === "unavailable" && failure.full));
        };
        const { url, authToken, timeout, allowInvalidCerts } = config;
        post({ kind: "open", target: { url, authToken, timeout, allowInvalidCerts } });
      }),
    store: {
      async write(statements, writeOptions) {
        if (closing) throw unavailable("closed");
        if (statements.length === 0) return [];
        return (await submit(false, statements, writeOptions?.undo)).results;
      },
      async read(sql, args = []): Promise<Rows> {
        if (closing) throw unavailable("closed");
        const { results, columns } = await submit(true, [{ sql, args }], undefined);
        return { columns, rows: results[0]?.rows ?? NO_ROWS };
      },
      async close() {
        if (closing) return;
        closing = true;
        const limit = new Promise<void>((resolve) => clock.after(config.timeout, resolve));
        if (crashed === undefined) {
          const idle = new Promise<void>((resolve) => {
            whenIdle = resolve;
            if (sent.length === 0 && waiting.length === 0) resolve();
          });
          await Promise.race([idle, limit]);
          const closed = new Promise<void>((resolve) => {
            whenClosed = resolve;
          });
          post({ kind: "close" });
          await Promise.race([closed, limit]);
        }
        watch?.cancel();
        fail("closed");
        worker.terminate();
      },
    },
  };
}

const NO_ROWS: readonly Row[] = [];

// Checked here because the native binding ends the process on a type that it does not know.
function sizeOf(value: SqlValue | undefined | boolean): number | undefined {
  switch (typeof value) {
    case "string":
      return value.length;
    case "number":
      return Number.isFinite(value) ? 8 : undefined;
    case "bigint":
      return BigInt.asIntN(64, value) === value ? 8 : undefined;
    case "object":
      return value === null ? 0 : value instanceof Uint8Array ? value.length : undefined;
    default:
      return undefined;
  }
}
