/** A queue on a store of its own, with a clock that is moved by hand and somebody who looks at it from outside. */

import { openQueueOffline, type Queue, type QueueInspection } from "../../../src/queue/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  eventLog,
  newMessage,
  openTemporaryStore,
  openTestQueue,
  queueConfig,
  schedule,
  temporaryFolder,
  until,
} from "../../support/store.ts";

/** The queue, and what belongs to it. */
export interface WatchedQueue {
  readonly queue: Queue;
  readonly outside: QueueInspection;
  readonly store: Store;
  readonly clock: FakeClock;
  readonly log: ReturnType<typeof eventLog>;
  /** Moves time until `condition` holds. */
  pass(condition: () => boolean | Promise<boolean>, what: string): Promise<void>;
}

/** Runs `body` with a queue that has two places, or `remote.threads`, and the usual schedule but for what `remote` says. */
export async function withQueue(
  body: (watched: WatchedQueue) => Promise<void>,
  remote: Parameters<typeof schedule>[1] & { readonly threads?: number } = {},
): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path, { timeout: 30_000 });
  const clock = new FakeClock();
  const log = eventLog();
  const { threads = 2, ...rest } = remote;
  const config = queueConfig({
    threads: { remote: threads, dsn: 1 },
    schedules: [schedule("remote", rest), schedule("dsn")],
  });
  const queue = await openTestQueue(store, clock, { config, emit: log.emit });
  await body({
    queue,
    outside: openQueueOffline({ store, clock }),
    store,
    clock,
    log,
    pass: (condition, what) =>
      until(async () => {
        if (await condition()) return true;
        await clock.advance(500);
        return false;
      }, what),
  });
  await queue.close();
  await store.close();
}

/** Queues a message for each of the addresses. */
export const send = (queue: Queue, ...addresses: readonly string[]): Promise<unknown> =>
  Promise.all(addresses.map((address) => queue.enqueue(newMessage(queue, [address]))));
