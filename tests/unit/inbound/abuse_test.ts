/** Clients that mean no good, and what they get. */

import assert from "node:assert/strict";
import { settle } from "../../support/fake_clock.ts";
import { until } from "../../support/store.ts";
import { dialogue, greeted, openSession, sendMessage, sessionWorld, type TestClient } from "../../support/session.ts";

const QUICK = `session.rcpt.errors = { wait = "0s", total = 1000000 }`;
const AUTH = `
session.auth.mechanisms = "['plain', 'login']"
session.auth.allow-plain-text = true
session.auth.errors = { wait = "0s", total = 1000 }
`;
const MINUTE = 60_000;

Deno.test("a command line of 1 MB is refused once, and the session goes on", async () => {
  const client = await greeted(sessionWorld());
  for (const start of ["", "NOOP ", "MAIL FROM:<a@example.net> SIZE=", "RCPT TO:<", "AUTH PLAIN ", "X"]) {
    client.send(start + "x".repeat(1_000_000 - start.length) + "\r\n");
    assert.match(await client.reply(), /^500 5\.5\.[26] /, start);
    assert.match(await client.say("NOOP"), /^250 /);
    assert.equal(client.unread, "");
  }
});

Deno.test("a line that never ends is not kept: the session's time ends it", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  for (let i = 0; i < 9; i++) {
    client.send(new Uint8Array(1_000_000).fill(0x41));
    await settle();
    await world.clock.advance(MINUTE);
  }
  assert.match(await client.reply(), /^500 5\.5\.2 Command line is too long/);
  // Not more than one read and the longest line.
  assert.ok(client.session.input.length <= 16384, `${client.session.input.length}`);
  await world.clock.advance(MINUTE);
  assert.match(await client.reply(), /^421 4\.4\.2 /);
  await client.ended;
});

Deno.test("AUTH with 1 MB of base64 is refused, as initial response and as answer", async () => {
  const world = sessionWorld({ settings: AUTH });
  const client = await greeted(world);
  const much = "QUFB".repeat(250_000);
  assert.match(await client.say(`AUTH PLAIN ${much}`), /^500 5\.5\.[26] /);
  assert.match(await client.say("AUTH PLAIN"), /^334/);
  assert.match(await client.say(much), /^500 5\.5\.6 /);
  assert.match(await client.say("AUTH LOGIN"), /^334 VXNlcm5hbWU6/);
  assert.match(await client.say(much), /^500 5\.5\.6 /);
  assert.match(await client.say("AUTH PLAIN AGFuYQBzZWNyZXQ="), /^235 /);
});

Deno.test("of 100,000 recipients a message keeps as many as are permitted", async () => {
  const world = sessionWorld({ settings: `${QUICK}\nsession.rcpt.relay = true` });
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net>", "250"]);
  let accepted = 0;
  for (let batch = 0; batch < 100; batch++) {
    let lines = "";
    for (let i = 0; i < 1000; i++) lines += `RCPT TO:<user${batch * 1000 + i}@elsewhere.example>\r\n`;
    client.send(lines);
    for (let i = 0; i < 1000; i++) {
      const reply = await client.reply();
      if (reply === "250 2.1.5 Recipient OK") accepted++;
      else assert.equal(reply, "452 4.5.3 Too many recipients, the limit is 100");
    }
  }
  assert.equal(accepted, 100);
  await dialogue(client, ["DATA", "354"]);
  client.send("A: b\r\n\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  assert.equal(world.queue.messages[0]?.recipients.length, 100);
});

Deno.test("100,000 recipients are accepted where an administrator permits them", async () => {
  const world = sessionWorld({ settings: `session.rcpt.max-recipients = 100000\nsession.rcpt.relay = true` });
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net>", "250"]);
  for (let batch = 0; batch < 100; batch++) {
    let lines = "";
    for (let i = 0; i < 1000; i++) lines += `RCPT TO:<user${batch * 1000 + i}@elsewhere.example>\r\n`;
    client.send(lines);
    for (let i = 0; i < 1000; i++) assert.equal(await client.reply(), "250 2.1.5 Recipient OK");
  }
  await dialogue(client, ["RCPT TO:<more@elsewhere.example>", "452 4.5.3"], ["DATA", "354"]);
  client.send("A: b\r\n\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  assert.equal(world.queue.messages[0]?.recipients.length, 100_000);
});

Deno.test("unknown recipients cost time, and too many the session", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net>", "250"]);
  for (let i = 1; i <= 5; i++) {
    client.send(`RCPT TO:<guess${i}@example.org>\r\n`);
    await until(() => world.clock.firesIn(5_000), "the delay");
    assert.equal(client.unread, "");
    await world.clock.advance(4999);
    assert.equal(client.unread, "");
    await world.clock.advance(1);
    assert.match(await client.reply(), i < 5 ? /^550 5\.1\.1 / : /^421 4\.7\.0 /);
  }
  await client.ended;
});

// One octet a minute is never silent for five minutes; ten minutes are all it gets.
for (const phase of ["command", "DATA", "BDAT", "AUTH"] as const) {
  Deno.test(`one byte a minute in ${phase} ends when session.duration is over`, async () => {
    const world = sessionWorld({ settings: AUTH });
    const client = await greeted(world);
    if (phase === "AUTH") await dialogue(client, ["AUTH PLAIN", "334"]);
    if (phase === "DATA" || phase === "BDAT") {
      await dialogue(client, ["MAIL FROM:<a@example.net>", "250"], ["RCPT TO:<ana@example.org>", "250"]);
      if (phase === "DATA") await dialogue(client, ["DATA", "354"]);
      else client.send("BDAT 100 LAST\r\n");
    }
    for (let minute = 0; minute < 9; minute++) {
      client.send("A");
      await settle();
      await world.clock.advance(MINUTE);
      assert.equal(client.unread, "", `minute ${minute}`);
    }
    await world.clock.advance(MINUTE);
    assert.match(await client.reply(), /^421 4\.4\.2 /);
    await client.ended;
    assert.equal(world.queue.pending, 0);
  });
}

Deno.test("a client that says nothing is sent away after session.timeout, in every phase", async () => {
  for (const before of [[], ["EHLO client.example.net"], ["EHLO client.example.net", "MAIL FROM:<a@example.net>"]]) {
    const world = sessionWorld();
    const client = openSession(world);
    await client.reply();
    for (const line of before) await client.say(line);
    await world.clock.advance(5 * MINUTE - 1);
    assert.equal(client.unread, "");
    await world.clock.advance(1);
    assert.match(await client.reply(), /^421 4\.4\.2 /);
    await client.ended;
    assert.equal(world.clock.pending, 0);
  }
});

Deno.test("more octets than session.transfer-limit end the session, by DATA, by BDAT and by many small chunks", async () => {
  const settings = `session.transfer-limit = 100000\nsession.data.limits.size = 1000`;
  const attempts: ((client: TestClient) => void)[] = [
    (client) => {
      client.send("DATA\r\n");
      for (let i = 0; i < 200; i++) client.send("x".repeat(998) + "\r\n");
    },
    (client) => client.send("BDAT 100001\r\n"),
    (client) => {
      for (let i = 0; i < 200; i++) client.send(`BDAT 1000\r\n${"x".repeat(1000)}`);
    },
  ];
  for (const attempt of attempts) {
    const world = sessionWorld({ settings });
    const client = await greeted(world);
    await dialogue(client, ["MAIL FROM:<a@example.net>", "250"], ["RCPT TO:<ana@example.org>", "250"]);
    attempt(client);
    await client.ended;
    assert.match(client.unread, /\r\n421 4\.7\.0 [^\r]*\r\n$|^421 4\.7\.0 [^\r]*\r\n$/);
    assert.equal(world.queue.pending, 0);
  }
});

/** Each command with an argument, the rest of the line to be filled in. */
const ARGUMENTS = [
  "EHLO ?",
  "HELO ?",
  "MAIL FROM:<?@example.net>",
  "MAIL FROM:<a@?>",
  "MAIL FROM:<a@example.net> SIZE=?",
  "MAIL FROM:<a@example.net> BODY=?",
  "MAIL FROM:<a@example.net> AUTH=?",
  "MAIL FROM:<a@example.net> RET=?",
  "MAIL FROM:<a@example.net> ENVID=?",
  "MAIL FROM:<a@example.net> HOLDFOR=?",
  "MAIL FROM:<a@example.net> HOLDUNTIL=?",
  "MAIL FROM:<a@example.net> BY=?",
  "MAIL FROM:<a@example.net> MT-PRIORITY=?",
  "MAIL FROM:<a@example.net> SOLICIT=?",
  "MAIL FROM:<a@example.net> ?=1",
  "RCPT TO:<?@example.org>",
  "RCPT TO:<ana@?>",
  "RCPT TO:<ana@example.org> NOTIFY=?",
  "RCPT TO:<ana@example.org> ORCPT=rfc822;?",
  "RCPT TO:<ana@example.org> ORCPT=?;ana",
  "BDAT ?",
  "BDAT 1 ?",
  "AUTH ?",
  "AUTH PLAIN ?",
  "VRFY ?",
  "EXPN ?",
  "HELP ?",
  "NOOP ?",
  "?",
];

Deno.test("NUL, control octets and invalid UTF-8 are refused in every argument of every command", async () => {
  const poison = ["\0", "a\0b", "\x01", "\x08", "a\tb", "\x1b[2J", "\x7f", "a\rb", "a\nb", "\x80", "\xff\xfe"];
  // Overlong, surrogate, beyond Unicode, cut off; and the control characters of Latin-1.
  poison.push("\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\xc2\x85");
  const world = sessionWorld({ settings: QUICK + AUTH });
  for (const command of ARGUMENTS) {
    const client = await greeted(world);
    for (const octets of poison) {
      client.send(`${command.replace("?", octets)}\r\n`);
      const reply = await client.reply();
      assert.match(reply, /^500 5\.5\.2 [ -~]*$/, JSON.stringify([command, octets]));
    }
    assert.equal(client.unread, "");
    assert.match(await sendMessage(client), /^250 /);
  }
});

Deno.test("a client whose commands lead nowhere is sent away, however fast it sends them", async () => {
  // The EHLO at the start counts as one of the hundred that did nothing.
  const endless = {
    "FROBNICATE": 50,
    "MAIL FROM:<a@b": 50,
    "MAIL FROM:<a@example.net> X=1": 50,
    "STARTTLS now": 50,
    "NOOP": 149,
    "RSET": 149,
    "VRFY ana@example.org": 149,
    "EHLO client.example.net": 149,
    "RCPT TO:<ana@example.org>": 149,
    "BDAT 0": 149,
    [`NOOP ${"x".repeat(20_000)}`]: 50,
  };
  for (const [line, most] of Object.entries(endless)) {
    const world = sessionWorld({ settings: QUICK + AUTH });
    const client = await greeted(world);
    client.send(`${line}\r\n`.repeat(1000));
    await client.ended;
    const replies = client.unread.split("\r\n").filter((text) => /^\d{3} /.test(text));
    assert.equal(replies.length, most + 1, line.slice(0, 40));
    assert.equal(replies.at(-1), "421 4.7.0 Too many commands that lead nowhere, closing");
    assert.deepEqual(world.events.filter(({ name }) => name === "smtp.too-many-errors").length, 1);
  }
});

Deno.test("each message renews the patience with a client", async () => {
  const client = await greeted(sessionWorld({ settings: "session.data.limits.messages = 1000" }));
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 45; i++) await dialogue(client, ["FROBNICATE", "500 5.5.1"], ["NOOP", "250"]);
    assert.match(await sendMessage(client), /^250 /);
  }
});

Deno.test("a client that pipelines a hundred recipients behind a refused sender hears about each", async () => {
  const client = await greeted(sessionWorld({ settings: `session.mail.is-allowed = "sender != 'bad@example.net'"` }));
  client.send(`MAIL FROM:<bad@example.net>\r\n${"RCPT TO:<ana@example.org>\r\n".repeat(100)}DATA\r\n`);
  assert.match(await client.reply(), /^550 /);
  for (let i = 0; i < 101; i++) assert.match(await client.reply(), /^503 5\.5\.1 /);
  assert.match(await sendMessage(client), /^250 /);
});

Deno.test("nothing a client says comes back in a reply unless it is printable ASCII", async () => {
  const client = await greeted(sessionWorld({ settings: QUICK }));
  for (const line of ["EHLO ünïcode.example", "MAIL FROM:<ä@b> ÖÄ=1", "VRFY ä", "ÄÖÜ", "HELP ä", "NOOP ä"]) {
    assert.match(await client.say(line), /^[ -~\n]*$/, line);
  }
});
