/**
 * How many messages a second the queue takes and settles on this machine, and what each costs in processor time.
 *
 * ```sh
 * deno run -A tests/bench/queue_bench.ts [--messages 20000] [--callers 64] [--size 4096] [--folder DIR] [--url URL]
 * ```
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { parseArgs } from "node:util";
import { systemClock } from "../../src/clock/mod.ts";
import { contentOf } from "../../src/queue/mod.ts";
import { openStore } from "../../src/store/mod.ts";
import { delivered, newMessage, openTestQueue, queueConfig, storeConfig } from "../support/store.ts";

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "20000" },
    callers: { type: "string", default: "64" },
    size: { type: "string", default: "4096" },
    folder: { type: "string" },
    url: { type: "string" },
  },
});
const messages = Number(values.messages);
const callers = Number(values.callers);
const content = contentOf(new Uint8Array(Number(values.size)).fill(65));

async function measure(name: string, work: () => Promise<void>): Promise<void> {
  const cpu = cpuUsage();
  const start = performance.now();
  await work();
  const elapsed = performance.now() - start;
  const used = cpuUsage(cpu);
  const each = (used.user + used.system) / messages;
  const rss = Math.round(Deno.memoryUsage().rss / 1e6);
  console.log(
    `${name.padEnd(34)} ${String(Math.round(messages / elapsed * 1000)).padStart(7)}/s  ` +
      `${each.toFixed(0).padStart(4)} us cpu each  rss ${rss} MB`,
  );
}

const folder = values.folder ?? await Deno.makeTempDir({ prefix: "godwit-bench-" });
const store = await openStore(storeConfig(values.url ?? `file:${folder}/queue.db`, 15_000), {
  emit: () => {},
  clock: systemClock,
});
const queue = await openTestQueue(store, systemClock, {
  config: queueConfig({ threads: { remote: 100, dsn: 5 } }),
});

async function enqueueAll(): Promise<void> {
  let left = messages;
  await Promise.all(Array.from({ length: callers }, async () => {
    while (left-- > 0) await queue.enqueue(newMessage(queue, ["bob@example.net"], { content }));
  }));
}

await measure("enqueue, nothing delivered", enqueueAll);

let settled = 0;
let whenSettled: (() => void) | undefined;
const target = (count: number) =>
  new Promise<void>((resolve) => {
    settled = 0;
    whenSettled = () => {
      if (settled >= count) resolve();
    };
  });
const drained = async () => {
  while ((await queue.stats()).recipients > 0) await new Promise((resolve) => setTimeout(resolve, 20));
};

await measure("deliver from the store", async () => {
  const done = target(messages);
  queue.start((job) => {
    settled += job.recipients.length;
    whenSettled?.();
    return Promise.resolve(delivered(job));
  });
  await done;
  await drained();
});

await measure("enqueue and deliver", async () => {
  const done = target(messages);
  await enqueueAll();
  await done;
  await drained();
});

await queue.close();
await store.close();
if (values.folder === undefined) await Deno.remove(folder, { recursive: true });
