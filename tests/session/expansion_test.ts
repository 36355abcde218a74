/** Addresses that lead to others, from RCPT to the Maildir. */

import assert from "node:assert/strict";
import { connectClient, submit } from "../support/client.ts";
import { startTestServer } from "../support/server.ts";

Deno.test("a copy names the address it was sent to, whichever account took it", async () => {
  await using test = await startTestServer(
    `session.rcpt.catch-all = [{ if = "rcpt_domain == 'example.org'", then = "'bob@example.org'" }, { else = false }]`,
  );
  await submit(test.address("smtp"), {
    from: "smith@example.net",
    to: ["anybody@example.org"],
    content: "A: b\r\n\r\n",
  });
  await test.event("delivery.delivered");
  const [copy = ""] = await test.mail("example.org/bob");
  assert.match(copy, /^Return-Path: <smith@example\.net>\r\nDelivered-To: anybody@example\.org\r\nReceived: /);
  assert.match(copy, /\n\tfor <anybody@example\.org>/);
});

Deno.test("a list that is expanded is reported to the sender who asks, its members get the mail", async () => {
  await using test = await startTestServer("session.extensions.dsn = true");
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example.net");
  assert.match(await client.say("MAIL FROM:<bob@example.org>"), /^250 /);
  assert.match(await client.say("RCPT TO:<staff@example.org> NOTIFY=SUCCESS"), /^250 /);
  assert.match(await client.say("DATA"), /^354 /);
  assert.match(await client.say("Subject: hello\r\n\r\nbody\r\n."), /^250 /);
  // Ana's copy, Bob's, and the notification to Bob.
  for (let copies = 0; copies < 3; copies++) await test.event("delivery.delivered");
  assert.match((await test.mail("example.org/ana"))[0] ?? "", /^Return-Path: <bob@example\.org>\r\nDelivered-To: ana@/);
  const [notice = "", ...others] = (await test.mail("example.org/bob")).filter((text) =>
    /^Auto-Submitted:/m.test(text)
  );
  assert.equal(others.length, 0);
  assert.match(notice, /^Return-Path: <>\r\n/);
  assert.match(notice, /\r\nFinal-Recipient: rfc822; staff@example\.org\r\nAction: expanded\r\nStatus: 2\.0\.0\r\n/);
});
