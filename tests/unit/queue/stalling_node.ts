/** A program for tests: a node that takes three messages, begins to deliver them, and never ends. */

import { systemClock } from "../../../src/clock/mod.ts";
import { openStore } from "../../../src/store/mod.ts";
import { newMessage, openTestQueue, storeConfig } from "../../support/store.ts";

const store = await openStore(storeConfig(Deno.env.get("STORE_URL") ?? ""), { emit: () => {}, clock: systemClock });
const queue = await openTestQueue(store, systemClock, { nodeId: "stalling", lease: Number(Deno.env.get("LEASE")) });
let count = 0;
queue.start(() => {
  console.log(`delivering ${++count}`);
  return new Promise(() => {});
});
for (let i = 0; i < 3; i++) await queue.enqueue(newMessage(queue, [`u${i}@example.net`]));
