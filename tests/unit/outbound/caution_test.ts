import assert from "node:assert/strict";
import { startFakePeer } from "../../support/fake_peer.ts";
import { inShort, jobFor, MESSAGE, queueConfig, relay, setUp, untilQuiet } from "./setting.ts";

const TO = ["b@rcpt.example"];

for (const reply of ["500 5.5.1 what?", "502 5.5.1 not here", "503 5.5.1 send DATA first"]) {
  Deno.test(`a peer that offers CHUNKING and answers BDAT by ${reply.slice(0, 3)} gets DATA the next time`, async () => {
    await using peer = await startFakePeer({
      extensions: ["PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME"],
      on: ({ verb }) => verb === "BDAT" ? reply : undefined,
    });
    const { deliver, delivery, clock } = setUp(queueConfig([relay(peer.port)]), { pool: { maxMessages: 1 } });
    const [first] = await deliver(jobFor(TO));
    assert.equal(inShort(first), `deferred unexpected-reply ${reply.slice(0, 3)} 5.5.1`);
    assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["delivered"]);
    assert.equal(peer.messages[0]?.content, MESSAGE);
    // A day later it may have learned.
    await clock.advance(24 * 3_600_000);
    assert.match(inShort((await deliver(jobFor(TO)))[0]), /^deferred/);
    await delivery.close();
  });
}

Deno.test("a refusal of the message by BDAT stays a refusal", async () => {
  await using peer = await startFakePeer({
    extensions: ["CHUNKING"],
    on: ({ verb }) => verb === "BDAT" ? "554 5.7.1 spam" : undefined,
  });
  const { deliver, delivery } = setUp(queueConfig([relay(peer.port)]));
  assert.deepEqual((await deliver(jobFor(TO))).map(inShort), ["failed unexpected-reply 554 5.7.1"]);
  await delivery.close();
});

Deno.test("a peer that answers only the first of several commands is spoken to step by step the next time", async () => {
  let patient = true;
  await using peer = await startFakePeer({
    extensions: ["PIPELINING", "8BITMIME"],
    // It throws away what came with the command that it answers.
    on: ({ verb, connection: { number } }) => verb === "RCPT" && number === 1 && patient ? "silent" : undefined,
  });
  const setup = setUp(queueConfig([relay(peer.port)]));
  const outcomes = setup.deliver(jobFor(TO));
  await untilQuiet(peer, setup);
  await setup.clock.advance(180_000);
  assert.deepEqual((await outcomes).map(inShort), ["deferred connection 0 4.4.2"]);
  patient = false;
  const before = setup.writes.length;
  assert.deepEqual((await setup.deliver(jobFor(TO))).map(inShort), ["delivered"]);
  assert.deepEqual(setup.writes.slice(before, before + 4).map((text) => text.split("\r\n").length - 1), [1, 1, 1, 1]);
  await setup.delivery.close();
});
