/** Workers that check slow password hashes: started when needed, as many as allowed, gone when idle. */

import { type Clock, systemClock, type Timer } from "../../clock/mod.ts";
import { LookupUnavailable } from "../../expression/types.ts";
import type { PasswordAnswer, PasswordQuestion } from "./password_worker.ts";
import { readSecret, verifyRead } from "./secret.ts";

/** Checks passwords. */
export interface PasswordPool {
  /**
   * Whether `password` matches `secret`: at once for plain text and digests, later for hashes made to be slow.
   *
   * Rejects with {@link LookupUnavailable} if too many are waiting, if it took too long or if the pool is closed.
   */
  verify(secret: string, password: string): boolean | Promise<boolean>;
  /** Allows at least so many workers. */
  grow(threads: number): void;
  /** Ends all workers. What is waiting fails. */
  close(): void;
}

/** How a pool works; the defaults are meant for all but tests. */
export interface PasswordPoolOptions {
  /** Most workers at once. */
  readonly threads: number;
  readonly clock?: Clock;
  /** Most passwords that wait for a worker. */
  readonly queueLimit?: number;
  /** Milliseconds for one password, waiting included. */
  readonly timeout?: number;
  /** Milliseconds without work after which a worker ends. */
  readonly idle?: number;
}

interface Job extends PasswordQuestion {
  readonly settle: (answer: PasswordAnswer) => void;
  readonly limit: Timer;
  worker: Worker | undefined;
}

/** Makes a pool. No worker is started before the first slow hash. */
export function createPasswordPool(options: PasswordPoolOptions): PasswordPool {
  const { clock = systemClock, queueLimit = 256, timeout = 30_000, idle = 30_000 } = options;
  let threads = Math.max(1, options.threads);
  const waiting: Job[] = [];
  const busy = new Map<Worker, Job>();
  const free = new Map<Worker, Timer>();

  const next = () => {
    while (waiting.length > 0) {
      const worker = takeFree() ?? (busy.size < threads ? start() : undefined);
      const job = worker === undefined ? undefined : waiting.shift();
      if (worker === undefined || job === undefined) return;
      job.worker = worker;
      busy.set(worker, job);
      worker.postMessage({ secret: job.secret, password: job.password });
    }
  };

  const takeFree = (): Worker | undefined => {
    for (const [worker, timer] of free) {
      timer.cancel();
      free.delete(worker);
      return worker;
    }
    return undefined;
  };

  const start = (): Worker => {
    const worker = new Worker(new URL("./password_worker.ts", import.meta.url), { type: "module", name: "password" });
    worker.onmessage = ({ data }: MessageEvent<PasswordAnswer>) => {
      const job = busy.get(worker);
      busy.delete(worker);
      const ending = clock.after(idle, () => {
        free.delete(worker);
        worker.terminate();
      });
      free.set(worker, ending);
      job?.settle(data);
      next();
    };
    worker.onerror = (event) => {
      event.preventDefault();
      const job = busy.get(worker);
      drop(worker);
      job?.settle({ failure: event.message });
      next();
    };
    return worker;
  };

  const drop = (worker: Worker) => {
    busy.delete(worker);
    free.get(worker)?.cancel();
    free.delete(worker);
    worker.terminate();
  };

  /** A hash may ask for hours of work: its worker is given up. */
  const giveUp = (job: Job) => {
    if (job.worker !== undefined) drop(job.worker);
    else waiting.splice(waiting.indexOf(job), 1);
    job.settle({ failure: `not checked within ${timeout} ms` });
    next();
  };

  const enqueue = (secret: string, password: string): Promise<boolean> => {
    if (waiting.length >= queueLimit) {
      return Promise.reject(new LookupUnavailable("too many passwords wait to be checked"));
    }
    return new Promise((resolve, reject) => {
      const job: Job = {
        secret,
        password,
        worker: undefined,
        limit: clock.after(timeout, () => giveUp(job)),
        settle: (answer) => {
          job.limit.cancel();
          if ("failure" in answer) reject(new LookupUnavailable(`the password cannot be checked: ${answer.failure}`));
          else resolve(answer.accepted);
        },
      };
      waiting.push(job);
      next();
    });
  };

  return {
    verify(secret, password) {
      const read = readSecret(secret);
      return read.kind === "slow" ? enqueue(secret, password) : verifyRead(read, password);
    },
    grow(wanted) {
      threads = Math.max(threads, wanted);
    },
    close() {
      const unfinished = [...busy.values(), ...waiting.splice(0)];
      for (const worker of [...busy.keys(), ...free.keys()]) drop(worker);
      for (const job of unfinished) job.settle({ failure: "the program stops" });
    },
  };
}

let shared: PasswordPool | undefined;

/** The pool that all directories of this process share, with room for at least `threads` workers. */
export function sharedPasswordPool(threads: number): PasswordPool {
  shared ??= createPasswordPool({ threads });
  shared.grow(threads);
  return shared;
}

/** Ends the workers of the shared pool; a later check starts new ones. */
export function closePasswordPool(): void {
  shared?.close();
}

/** Checks a password against a secret or hash with the shared pool. See {@link PasswordPool.verify}. */
export function verifySecret(secret: string, password: string): boolean | Promise<boolean> {
  return sharedPasswordPool(1).verify(secret, password);
}
