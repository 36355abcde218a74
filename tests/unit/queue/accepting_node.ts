/** A program for tests: takes messages as fast as it can and prints the id of each once it is in the queue. */

import { systemClock } from "../../../src/clock/mod.ts";
import { contentOf, formatMessageId } from "../../../src/queue/mod.ts";
import { newMessage, openTemporaryStore, openTestQueue } from "../../support/store.ts";

const store = await openTemporaryStore(Deno.env.get("FOLDER") ?? "");
const queue = await openTestQueue(store, systemClock);
const output = new TextEncoder();
let number = 0;
await Promise.all(Array.from({ length: 16 }, async () => {
  while (true) {
    const size = 100 + (number % 7) * 1500;
    const text = `X-Number: ${number++}\r\n\r\n`.padEnd(size, "x");
    const message = newMessage(queue, ["a@example.net", "b@example.net"], { content: contentOf(output.encode(text)) });
    await queue.enqueue(message);
    Deno.stdout.writeSync(output.encode(`${formatMessageId(message.id)}\n`));
  }
}));
