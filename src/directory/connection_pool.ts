/** Connections to a server that answers for a directory: a few, kept, each used by one question at a time. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { DirectoryPoolConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import { type ConnectionBound, createConnectionBound } from "./connection_bound.ts";

/** A connection as the pool sees it. */
export interface Pooled {
  /** Whether it can be used again. */
  readonly alive: boolean;
  /** Closes it, with a farewell if the protocol has one. Never throws. */
  close(): void;
}

/** The connection broke while it was used: it may have been dead before, so another one is tried. */
export class ConnectionBroken extends Error {
  override readonly name = "ConnectionBroken";
}

/** How connections are made. */
export interface ConnectionPoolOptions<T extends Pooled> {
  /** The directory and its server, for messages: `directory staff: ldap://…`. */
  readonly label: string;
  readonly config: DirectoryPoolConfig;
  readonly clock: Clock;
  readonly open: () => Promise<T>;
  /** Longest time that `work` may take, both attempts together, in milliseconds; for ever if it is left out. */
  readonly limit?: number;
  /** Counts the connections of other pools as well; left out: the pool has `config.maxConnections` by itself. */
  readonly bound?: ConnectionBound;
  /** Makes a used connection as good as new. */
  readonly recycle?: (connection: T) => Promise<void>;
}

/** The pool. */
export interface ConnectionPool<T extends Pooled> {
  /**
   * Runs `work` with a connection. One that was kept and proves dead is replaced by a new one.
   *
   * @throws {LookupUnavailable} (rejects) if none can be had or it breaks
   */
  use<R>(work: (connection: T) => Promise<R>): Promise<R>;
  /** Closes idle connections; others when they come back. */
  close(): void;
}

// A connection that nobody wants for so long is closed, in milliseconds.
const LONGEST_IDLE = 60_000;

/** Makes a pool without connections. */
export function createConnectionPool<T extends Pooled>(options: ConnectionPoolOptions<T>): ConnectionPool<T> {
  const { label, config, clock } = options;
  const idle: { readonly connection: T; readonly timer: Timer }[] = [];
  let closed = false;

  const bound = options.bound ?? createConnectionBound(label, config, clock);
  bound.join({
    get count() {
      return idle.length;
    },
    closeOne() {
      const oldest = idle.shift();
      oldest?.timer.cancel();
      oldest?.connection.close();
    },
  });

  const putBack = (connection: T) => {
    if (closed || !connection.alive) return connection.close();
    const entry = {
      connection,
      timer: clock.after(LONGEST_IDLE, () => {
        idle.splice(idle.indexOf(entry), 1);
        connection.close();
      }),
    };
    idle.push(entry);
  };

  const takeIdle = async (): Promise<T | undefined> => {
    while (true) {
      const entry = idle.pop();
      if (entry === undefined) return undefined;
      const { connection, timer } = entry;
      timer.cancel();
      try {
        if (connection.alive) {
          await within(clock, config.recycle, options.recycle?.(connection) ?? Promise.resolve(), () => {});
          if (connection.alive) return connection;
        }
      } catch {
        // Dead or confused: the next one, or a new one, will do.
      }
      connection.close();
    }
  };

  const openNew = () => {
    bound.makeRoom();
    return within(clock, config.create, options.open(), (late) => late.close());
  };

  const attempt = async <R>(connection: T, work: (connection: T) => Promise<R>, end: number): Promise<R> => {
    if (options.limit === undefined) {
      try {
        return await work(connection);
      } finally {
        putBack(connection);
      }
    }
    let done = false;
    try {
      const result = work(connection).finally(() => done = true);
      return await within(clock, end - clock.now(), result, () => {}, options.limit);
    } finally {
      if (done) putBack(connection);
      else connection.close();
    }
  };

  return {
    async use(work) {
      await bound.take();
      try {
        const kept = await takeIdle();
        const end = () => clock.now() + (options.limit ?? 0);
        if (kept === undefined) return await attempt(await openNew(), work, end());
        const first = end();
        try {
          return await attempt(kept, work, first);
        } catch (error) {
          // What took all the time there is would do so again.
          const isOver = options.limit !== undefined && clock.now() >= first;
          if (!(error instanceof ConnectionBroken) || isOver) throw error;
        }
        return await attempt(await openNew(), work, first);
      } catch (error) {
        if (error instanceof LookupUnavailable) throw error;
        const message = error instanceof Error ? error.message : String(error);
        throw new LookupUnavailable(`${label}: ${message}`, { cause: error });
      } finally {
        bound.give();
      }
    },
    close() {
      closed = true;
      for (const { connection, timer } of idle.splice(0)) {
        timer.cancel();
        connection.close();
      }
    },
  };
}

/** What `promise` gives, if it does so in time; what comes later goes to `late`. `named` is the limit in messages. */
export function within<T>(
  clock: Clock,
  limit: number,
  promise: Promise<T>,
  late: (value: T) => void,
  named = limit,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false;
    const timer = clock.after(limit, () => {
      over = true;
      reject(new ConnectionBroken(`no answer within ${named / 1000} s`));
    });
    promise.then((value) => {
      if (over) return late(value);
      timer.cancel();
      resolve(value);
    }, (error) => {
      if (over) return;
      timer.cancel();
      reject(error);
    });
  });
}
