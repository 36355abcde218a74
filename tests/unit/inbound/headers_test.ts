/** What the session writes on top of a message, and when it takes a message for one that is going round. */

import assert from "node:assert/strict";
import { formatMessageId } from "../../../src/queue/mod.ts";
import {
  type ClientOptions,
  dialogue,
  greeted,
  openSession,
  sendMessage,
  sessionWorld,
} from "../../support/session.ts";

const OPEN = `
session.auth.mechanisms = "['plain']"
session.auth.allow-plain-text = true
session.rcpt.relay = true
`;

async function topOf(
  settings: string,
  options: ClientOptions & { login?: boolean } = {},
  message: Parameters<typeof sendMessage>[1] = {},
): Promise<string> {
  const world = sessionWorld({ settings: `${OPEN}${settings}` });
  const client = await greeted(world, options);
  const sender = options.login ? { from: "ana@example.org" } : {};
  assert.match(await sendMessage(client, { ...sender, ...message }), /^250 /);
  return world.queue.text(0);
}

Deno.test("Received names client, server, protocol, id, recipient and time (RFC 5321 §4.4)", async () => {
  assert.match(
    await topOf(""),
    /^Received: from client\.example\.net \(\[192\.0\.2\.7\]\)\r\n\tby mx\.example\.org with ESMTP id [0-9a-z]{11}\r\n\tfor <ana@example\.org>;\r\n\tMon, 0?5 Jan 2026 12:00:00 \+0000\r\nSubject: x\r\n/,
  );
});

Deno.test("Received names no recipient if there are several (RFC 5321 §7.2)", async () => {
  const top = await topOf("", {}, { to: ["ana@example.org", "bob@example.org"] });
  assert.doesNotMatch(top, /for </);
});

// RFC 3848; HELO: RFC 5321 §4.4.
for (
  const [keyword, options] of [
    ["ESMTP", {}],
    ["ESMTPS", { tls: true }],
    ["ESMTPA", { login: true }],
    ["ESMTPSA", { tls: true, login: true }],
    ["LMTP", { protocol: "lmtp" }],
    ["LMTPS", { protocol: "lmtp", tls: true }],
    ["LMTPA", { protocol: "lmtp", login: true }],
    ["LMTPSA", { protocol: "lmtp", tls: true, login: true }],
  ] as const
) {
  Deno.test(`the protocol is ${keyword}`, async () => {
    const top = await topOf("", options);
    assert.match(top, new RegExp(` with ${keyword} id `));
    assert.equal(/\(TLSv1\.3 cipher TLS_AES_256_GCM_SHA384 bits 256\)/.test(top), "tls" in options);
  });
}

Deno.test("after HELO the protocol is SMTP, with SMTPUTF8 it is UTF8SMTP and kin (RFC 6531 §4.3)", async () => {
  const world = sessionWorld();
  const old = openSession(world);
  await old.reply();
  await dialogue(old, ["HELO client.example.net", "250"]);
  assert.match(await sendMessage(old), /^250 /);
  assert.match(world.queue.text(0), / with SMTP id /);
  const client = await greeted(world, { tls: true });
  await dialogue(client, ["MAIL FROM:<ü@example.net> SMTPUTF8", "250"], ["RCPT TO:<ana@example.org>", "250"], [
    "DATA",
    "354",
  ]);
  client.send("A: b\r\n\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  assert.match(world.queue.text(1), / with UTF8SMTPS id /);
});

Deno.test("a name that fits no Received field stands in a comment, and nothing breaks out of it", async () => {
  const world = sessionWorld({ settings: `session.ehlo.reject-non-fqdn = false` });
  const client = openSession(world);
  await client.reply();
  await dialogue(client, ["EHLO a)(b\\c", "250"]);
  assert.match(await sendMessage(client), /^250 /);
  assert.match(world.queue.text(0), /^Received: from \[192\.0\.2\.7\] \(\[192\.0\.2\.7\]\) \(helo a\?\?b\?c\)\r\n/);
});

Deno.test("add-headers.received = false leaves the message as it came", async () => {
  assert.equal(await topOf("session.data.add-headers.received = false"), "Subject: x\r\n\r\nbody\r\n");
});

Deno.test("add-headers.return-path puts the sender on top and takes older ones out", async () => {
  const content =
    "Return-Path: <old@example.net>\r\nSubject: x\r\nRETURN-PATH: <older@example.net>\r\n\r\nReturn-Path: body\r\n";
  const top = await topOf("session.data.add-headers = { return-path = true, received = false }", {}, { content });
  assert.equal(top, "Return-Path: <a@example.net>\r\nSubject: x\r\n\r\nReturn-Path: body\r\n");
  const off = await topOf("session.data.add-headers.received = false", {}, { content });
  assert.equal(off, content);
  const empty = await topOf("session.data.add-headers = { return-path = true, received = false }", {}, { from: "" });
  assert.match(empty, /^Return-Path: <>\r\n/);
});

Deno.test("Message-ID and Date are added where they are missing and wanted", async () => {
  const on = "session.data.add-headers = { message-id = true, date = true, received = false }";
  assert.match(
    await topOf(on),
    /^Message-ID: <[0-9a-z]{11}@mx\.example\.org>\r\nDate: Mon, 0?5 Jan 2026 12:00:00 \+0000\r\nSubject: x\r\n/,
  );
  const there = "message-id: <1@x>\r\ndate: today\r\n\r\n";
  assert.equal(await topOf(on, {}, { content: there }), there);
  // By default on submission ports only.
  assert.doesNotMatch(await topOf(""), /Message-ID/);
  assert.match(
    await topOf("", { localPort: 587, listener: "submission", login: true }),
    /\r\nMessage-ID: [^]*\r\nDate: /,
  );
});

Deno.test("a message with more Received fields than permitted is looping", async () => {
  const world = sessionWorld({ settings: "session.data.limits.received-headers = 3" });
  const client = await greeted(world);
  const trace = "Received: from a by b with SMTP id c; Mon, 5 Jan 2026 11:00:00 +0000\r\n";
  assert.match(await sendMessage(client, { content: `${trace.repeat(3)}\r\n` }), /^250 /);
  assert.match(await sendMessage(client, { content: `${trace.repeat(4)}\r\n` }), /^554 5\.4\.6 /);
  assert.equal(world.queue.messages.length, 1);
  assert.equal(world.queue.pending, 0);
});

Deno.test("a message that this server has traced five times is looping, whatever else is permitted", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  assert.match(await sendMessage(client), /^250 /);
  const own = world.queue.text(0).split(/(?=Subject: x)/)[0]!;
  assert.match(await sendMessage(client, { content: `${own.repeat(4)}\r\n` }), /^250 /);
  assert.match(await sendMessage(client, { content: `${own.repeat(5)}\r\n` }), /^554 5\.4\.6 This server/);
  // Others' fields do not count, nor do such that name this server with an id it never gives.
  const other = own.replace("by mx.example.org", "by mx.example.com");
  assert.match(await sendMessage(client, { content: `${other.repeat(9)}\r\n` }), /^250 /);
  const id = /id (\w{11})/.exec(own)![1]!;
  const forged = own.replace(id, "UUUUUUUUUUU");
  assert.match(await sendMessage(client, { content: `${forged.repeat(9)}\r\n` }), /^250 /);
  assert.equal(formatMessageId(world.queue.messages[0]!.id), id);
});

Deno.test("a header without end that is too big for memory is refused, a message of header alone is not", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  assert.match(await sendMessage(client, { content: "Subject: only\r\n" }), /^250 /);
  assert.match(world.queue.text(0), /\r\nSubject: only\r\n$/);
  assert.match(await sendMessage(client, { content: "" }), /^250 /);
});

Deno.test("a header with more fields than are told apart is refused", async () => {
  const world = sessionWorld();
  const client = await greeted(world);
  const content = (fields: number) => `${"X: y\r\n".repeat(fields)}\r\nbody\r\n`;
  assert.match(await sendMessage(client, { content: content(9999) }), /^250 /);
  assert.match(await sendMessage(client, { content: content(10_001) }), /^552 5\.3\.4 .*too many fields/);
});

Deno.test("at the end of data `rcpt` is the last recipient that was accepted", async () => {
  const world = sessionWorld({
    settings: `session.rcpt.errors = { wait = "0s" }
session.data.add-headers = { received = false, return-path = "rcpt == 'bob@example.org' && rcpt_domain == 'example.org'" }`,
  });
  const client = await greeted(world);
  await dialogue(
    client,
    ["MAIL FROM:<a@example.net>", "250"],
    ["RCPT TO:<ana@example.org>", "250"],
    ["RCPT TO:<bob@example.org>", "250"],
    ["RCPT TO:<nobody@example.org>", "550"],
    ["RCPT TO:<x@elsewhere.example>", "550"],
    ["DATA", "354"],
  );
  client.send("A: b\r\n\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  assert.match(world.queue.text(0), /^Return-Path: /);
});
