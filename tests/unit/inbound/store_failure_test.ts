/** A store that fails: the client hears 451 or 452, and nothing is left behind. */

import assert from "node:assert/strict";
import { dialogue, greeted, memoryQueue, sendMessage, sessionWorld } from "../../support/session.ts";

const REPLIES = [
  { full: false, expected: "451 4.3.0 Queue is unavailable, try again later" },
  { full: true, expected: "452 4.3.1 Insufficient system storage, try again later" },
];

for (const step of ["write", "finish", "enqueue"] as const) {
  for (const { full, expected } of REPLIES) {
    Deno.test(`a store that is ${full ? "full" : "away"} at ${step} gives ${expected.slice(0, 9)} and keeps nothing`, async () => {
      const queue = memoryQueue();
      const client = await greeted(sessionWorld({ queue }));
      queue.failing = { step, full };
      assert.equal(await sendMessage(client), expected);
      assert.deepEqual(queue.messages, []);
      assert.equal(queue.pending, 0);
      queue.failing = undefined;
      assert.match(await sendMessage(client), /^250 /);
      assert.equal(queue.messages.length, 1);
    });

    Deno.test(`the same by BDAT at ${step}: ${expected.slice(0, 9)}`, async () => {
      const queue = memoryQueue();
      const client = await greeted(sessionWorld({ queue }));
      await dialogue(client, ["MAIL FROM:<a@example.net>", "250"], ["RCPT TO:<ana@example.org>", "250"]);
      queue.failing = { step, full };
      client.send("BDAT 3\r\nA: BDAT 7 LAST\r\nb\r\n\r\nc\n");
      const first = await client.reply();
      assert.equal(first.slice(0, 9), step === "write" ? expected.slice(0, 9) : "250 2.0.0");
      assert.match(await client.reply(), step === "write" ? /^45[12] 4\.3\./ : /^(?:45[12] 4\.3\.|554 5\.6\.0)/);
      assert.deepEqual(queue.messages, []);
      assert.equal(queue.pending, 0);
    });
  }
}

Deno.test("LMTP hears of the failure once for each recipient", async () => {
  const queue = memoryQueue();
  const client = await greeted(sessionWorld({ queue }), { protocol: "lmtp" });
  queue.failing = { step: "enqueue", full: false };
  assert.match(await sendMessage(client, { to: ["ana@example.org", "bob@example.org"] }), /^451 4\.3\.0 /);
  assert.match(await client.reply(), /^451 4\.3\.0 /);
  assert.match(await client.say("NOOP"), /^250 /);
});

Deno.test("a client that vanishes leaves nothing behind, whatever it was sending", async () => {
  for (const unfinished of ["DATA\r\nSubject: x\r\n", "BDAT 100\r\nhello", "BDAT 5\r\nhello"]) {
    const queue = memoryQueue();
    const client = await greeted(sessionWorld({ queue }));
    await dialogue(client, ["MAIL FROM:<a@example.net>", "250"], ["RCPT TO:<ana@example.org>", "250"]);
    client.send(unfinished);
    client.hangUp();
    await client.ended;
    assert.equal(queue.pending, 0, unfinished);
    assert.deepEqual(queue.messages, []);
  }
});
