/**
 * A program for tests: takes messages as fast as it can and prints the id of each once it is in the queue. With `QUOTAS`
 * set it counts them by two quotas and delivers every other recipient.
 */

import { systemClock } from "../../../src/clock/mod.ts";
import { contentOf, formatMessageId } from "../../../src/queue/mod.ts";
import {
  constant,
  deferred,
  delivered,
  newMessage,
  openTemporaryStore,
  openTestQueue,
  queueConfig,
} from "../../support/store.ts";

const store = await openTemporaryStore(Deno.env.get("FOLDER") ?? "");
const quota = { messages: 1_000_000, size: undefined, match: constant(true) };
const quotas = Deno.env.get("QUOTAS") === undefined ? [] : [
  { ...quota, id: "queue.quota[0]", counts: "all", key: [] },
  { ...quota, id: "queue.quota[1]", counts: "each", key: ["rcpt" as const] },
];
const queue = await openTestQueue(store, systemClock, { config: queueConfig({ quotas }) });
if (quotas.length > 0) {
  queue.start((job) =>
    Promise.resolve(job.recipients[0]?.address === "a@example.net" ? delivered(job) : deferred(job))
  );
}
const output = new TextEncoder();
let number = 0;
await Promise.all(Array.from({ length: 16 }, async () => {
  while (true) {
    const size = 100 + (number % 7) * 1500;
    const text = `X-Number: ${number++}\r\n\r\n`.padEnd(size, "x");
    const message = newMessage(queue, ["a@example.net", "b@example.org"], { content: contentOf(output.encode(text)) });
    await queue.enqueue(message);
    Deno.stdout.writeSync(output.encode(`${formatMessageId(message.id)}\n`));
  }
}));
