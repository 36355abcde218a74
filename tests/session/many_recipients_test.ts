/** A message to fifty thousand recipients, through a whole server. */

import assert from "node:assert/strict";
import { connectClient } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startFakePeer } from "../support/fake_peer.ts";
import { startTestServer } from "../support/server.ts";

const COUNT = 50_000;
// Lines that are sent before their replies are read.
const BATCH = 1000;

Deno.test("fifty thousand recipients get one message, the refused ones are told of in one report", async () => {
  await using peer = await startFakePeer({
    on: ({ verb, line }) => verb === "RCPT" && /<u\d*7@/.test(line) ? "550 5.1.1 nobody here" : undefined,
  });
  await using test = await startTestServer(
    `
session.rcpt.relay = true
session.rcpt.max-recipients = ${COUNT}
queue.strategy.route = [ { if = "is_local_domain('', rcpt_domain)", then = "'local'" }, { else = "'next'" } ]
queue.route.next = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false } }
`,
    { clock: new FakeClock() },
  );
  using client = await connectClient(test.address("smtp"));
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.say("EHLO client.example.net"), /^250/);
  assert.match(await client.say("MAIL FROM:<ana@example.org>"), /^250 /);
  for (let from = 0; from < COUNT; from += BATCH) {
    await client.write(Array.from({ length: BATCH }, (_, i) => `RCPT TO:<u${from + i}@list.example>\r\n`).join(""));
    for (let i = 0; i < BATCH; i++) assert.match(await client.reply(), /^250 /);
  }
  assert.match(await client.say("DATA"), /^354 /);
  assert.match(await client.say("Subject: hello\r\n\r\nhello\r\n."), /^250 /);

  await test.event("delivery.delivered", ({ fields }) => String(fields.to) === "ana@example.org");
  assert.equal(peer.messages.length, 1);
  assert.equal(peer.messages[0]?.rcpt.length, COUNT * 0.9);
  const reports = await test.mail("example.org/ana");
  assert.equal(reports.length, 1);
  assert.equal(reports[0]?.match(/^Action: failed\r$/mg)?.length, COUNT / 10);
  assert.equal((await test.server.queue.stats()).recipients, 0);
});
