/** Lines wait in memory and go out in batches, so that writing a log never holds up a session. */

import type { Clock, Timer } from "../clock/mod.ts";

/** Longest time a line waits, in milliseconds. */
const FLUSH_AFTER = 100;

/** UTF-16 units that start a write at once. */
const FLUSH_SIZE = 64 * 1024;

/** Pause after a failed write, in milliseconds. */
const RETRY_AFTER = 1000;

/** What one write may take together, in UTF-16 units; bounds the extra memory of a write. */
const LARGEST_WRITE = 256 * 1024;

/** Waiting UTF-16 units of a `lossy` tracer, and of one that is to keep all it can. */
const LOSSY_BOUND = 1024 * 1024;
const PATIENT_BOUND = 16 * 1024 * 1024;

/** Where a batch goes: a stream, or the log file of its period. */
export interface BatchTarget {
  /** Period that a record of this time belongs to; a batch never mixes two. */
  periodOf(time: number): number;
  /** Writes all of `bytes`. @throws {Error} if that is not possible for now */
  write(bytes: Uint8Array, period: number): Promise<void>;
  close(): void;
}

/** A bounded buffer in front of a {@link BatchTarget}. */
export interface Batch {
  /** Takes one line. Never throws; drops the line when the buffer is full. */
  add(line: string, time: number): void;
  /** Resolves when everything taken so far is written or, after an error, kept for later. */
  flush(): Promise<void>;
  /** Writes what is left, once, and closes the target. */
  close(): Promise<void>;
}

/** What a batch tells about itself. */
export interface BatchOptions {
  readonly clock: Clock;
  readonly lossy: boolean;
  readonly onError: (error: unknown) => void;
  /** Called when lines can be written again after `count` were dropped. */
  readonly onDropped: (count: number) => void;
}

interface Chunk {
  readonly period: number;
  text: string;
}

/**
 * Makes a batch. With `lossy` it drops beyond 1 M characters waiting. Otherwise it keeps 16 M: mail is never stopped
 * for a log that nobody reads, so beyond that it drops too, and says how many.
 */
export function createBatch(target: BatchTarget, options: BatchOptions): Batch {
  const { clock } = options;
  const bound = options.lossy ? LOSSY_BOUND : PATIENT_BOUND;
  const encoder = new TextEncoder();
  const waiting: Chunk[] = [];
  let size = 0;
  let dropped = 0;
  let failed = false;
  let closed = false;
  let timer: Timer | undefined;
  let writing: Promise<void> | undefined;

  function add(line: string, time: number): void {
    if (closed) return;
    if (size + line.length > bound) {
      dropped++;
      return;
    }
    const period = target.periodOf(time);
    const last = waiting[waiting.length - 1];
    if (last === undefined || last.period !== period || last.text.length >= LARGEST_WRITE) {
      waiting.push({ period, text: line });
    } else {
      last.text += line;
    }
    size += line.length;
    if (writing !== undefined) return;
    // After a failure only the timer tries again: a full disk must not be hammered by every line.
    if (size >= FLUSH_SIZE && !failed) start();
    else if (timer === undefined) timer = clock.after(FLUSH_AFTER, start);
  }

  function start(): void {
    timer?.cancel();
    timer = undefined;
    if (writing !== undefined || waiting.length === 0) return;
    writing = drain().finally(() => {
      writing = undefined;
      if (waiting.length > 0 && !closed) timer = clock.after(failed ? RETRY_AFTER : FLUSH_AFTER, start);
    });
  }

  async function drain(): Promise<void> {
    for (let chunk = waiting[0]; chunk !== undefined; chunk = waiting[0]) {
      waiting.shift();
      try {
        await target.write(encoder.encode(chunk.text), chunk.period);
      } catch (error) {
        waiting.unshift(chunk);
        failed = true;
        options.onError(error);
        return;
      }
      size -= chunk.text.length;
      failed = false;
      if (dropped > 0) {
        const count = dropped;
        dropped = 0;
        options.onDropped(count);
      }
    }
  }

  async function flush(): Promise<void> {
    while (writing !== undefined) await writing;
    if (waiting.length === 0) return;
    start();
    await writing;
  }

  return {
    add,
    flush,
    async close() {
      if (closed) return;
      await flush();
      closed = true;
      timer?.cancel();
      timer = undefined;
      target.close();
    },
  };
}
