/** Inbound limiters, the limits of sessions, early talkers and pauses, each through a whole server. */

import assert from "node:assert/strict";
import { connectClient } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { connectFrom, PROXIED } from "../support/proxied.ts";
import { startTestServer, testConfiguration } from "../support/server.ts";
import { until } from "../support/store.ts";

/** A limiter that is switched on. */
function limiter(settings: string): string {
  return `queue.limiter.inbound = [{ enable = true, ${settings} }]\n`;
}

/** A limiter, and all clients taken for the address they claim to have. */
const proxied = (settings: string) => PROXIED + limiter(settings);

Deno.test("connections over a rate are refused with 421 and closed, those of others are not", async () => {
  await using test = await startTestServer(proxied('key = ["remote_ip"], rate = "2/1h"'));
  for (let i = 0; i < 2; i++) {
    using client = await connectFrom("192.0.2.1", test.address("smtp"));
    assert.match(await client.reply(), /^220 /);
    await client.say("QUIT");
  }
  using third = await connectFrom("192.0.2.1", test.address("smtp"));
  assert.equal(await third.reply(), "421 4.4.5 Too many connections of this kind, try again later");
  await assert.rejects(third.reply(), /closed/);
  using other = await connectFrom("192.0.2.2", test.address("smtp"));
  assert.match(await other.reply(), /^220 /);
  const { fields } = await test.event("smtp.rate-limit-exceeded");
  assert.equal(fields.remoteIp, "192.0.2.1");
  assert.equal(fields.limiter, "queue.limiter.inbound[0]");
});

Deno.test("so many connections at a time, and another one as soon as one has ended", async () => {
  await using test = await startTestServer(limiter('key = ["listener"], concurrency = 2'));
  const first = await connectClient(test.address("smtp"));
  using second = await connectClient(test.address("smtp"));
  assert.match(await first.reply(), /^220 /);
  assert.match(await second.reply(), /^220 /);
  using third = await connectClient(test.address("smtp"));
  assert.match(await third.reply(), /^421 4\.4\.5 /);
  await test.event("smtp.concurrency-limit-exceeded");
  await test.event("smtp.connection-end");
  // Without QUIT: the connection just goes away.
  first[Symbol.dispose]();
  await test.event("smtp.connection-end");
  using fourth = await connectClient(test.address("smtp"));
  assert.match(await fourth.reply(), /^220 /);
});

Deno.test("two nodes on one store count connections together, and a node that is gone holds none", async () => {
  const settings = (node: string) => `cluster.node-id = "${node}"\n${limiter("key = [], concurrency = 1")}`;
  await using first = await startTestServer(settings("a"));
  {
    await using second = await startTestServer(settings("b"), { folder: first.folder });
    using holder = await connectClient(second.address("smtp"));
    assert.match(await holder.reply(), /^220 /);
    using client = await connectClient(first.address("smtp"));
    assert.match(await client.reply(), /^421 4\.4\.5 /);
  }
  using client = await connectClient(first.address("smtp"));
  assert.match(await client.reply(), /^220 /);
});

Deno.test("messages are counted at MAIL where the key needs the sender, and the session goes on", async () => {
  await using test = await startTestServer(limiter('key = ["sender"], rate = "1/1h"'));
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  assert.match(await client.say("MAIL FROM:<a@example.net>"), /^250 /);
  await client.say("RSET");
  assert.equal(
    await client.say("MAIL FROM:<A@example.net>"),
    "451 4.4.5 Too many messages of this kind, try again later",
  );
  assert.match(await client.say("RCPT TO:<ana@example.org>"), /^503 /);
  assert.match(await client.say("MAIL FROM:<b@example.net>"), /^250 /);
});

Deno.test("transactions at a time: the end of one makes room for the next", async () => {
  await using test = await startTestServer(limiter('key = ["sender_domain"], concurrency = 1'));
  using one = await connectClient(test.address("smtp"));
  using two = await connectClient(test.address("smtp"));
  for (const client of [one, two]) {
    await client.reply();
    await client.say("EHLO client.example");
  }
  assert.match(await one.say("MAIL FROM:<a@example.net>"), /^250 /);
  assert.match(await two.say("MAIL FROM:<b@example.net>"), /^451 4\.4\.5 /);
  assert.match(await two.say("MAIL FROM:<b@elsewhere.example>"), /^250 /);
  await two.say("RSET");
  await one.say("RCPT TO:<ana@example.org>");
  await one.say("DATA");
  assert.match(await one.say("Subject: x\r\n\r\nx\r\n."), /^250 /);
  // The slot comes back through the store; a client that is refused tries again.
  let answer = "";
  for (let round = 0; round < 100 && !answer.startsWith("250"); round++) {
    answer = await two.say("MAIL FROM:<b@example.net>");
  }
  assert.match(answer, /^250 /);
  assert.match(await one.say("MAIL FROM:<a@example.net>"), /^451 4\.4\.5 /);
});

Deno.test("recipients are counted at RCPT where match needs one, and others go through", async () => {
  await using test = await startTestServer(
    limiter(`key = ["remote_ip"], match = "rcpt == 'ana@example.org'", rate = "1/1h"`),
  );
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  await client.say("MAIL FROM:<a@example.net>");
  assert.match(await client.say("RCPT TO:<ana@example.org>"), /^250 /);
  assert.equal(
    await client.say("RCPT TO:<ana@example.org>"),
    "451 4.4.5 Too many recipients of this kind, try again later",
  );
  assert.match(await client.say("RCPT TO:<bob@example.org>"), /^250 /);
});

Deno.test("what one limiter refuses is not counted by another one that let it pass", async () => {
  await using test = await startTestServer(`queue.limiter.inbound = [
  { enable = true, match = "sender_domain == 'example.net'", rate = "2/1h" },
  { enable = true, match = "sender == 'a@example.net'", rate = "1/1h" },
]
`);
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  const answers: string[] = [];
  for (const name of ["a", "a", "a", "b", "b"]) {
    answers.push((await client.say(`MAIL FROM:<${name}@example.net>`)).slice(0, 3));
    await client.say("RSET");
  }
  assert.deepEqual(answers, ["250", "451", "451", "250", "451"]);
});

Deno.test("a rate for logins leaves clients without one alone", async () => {
  const settings = `session.auth = { mechanisms = "['plain']", allow-plain-text = true, require = false }\n` +
    limiter(`key = ["authenticated_as"], match = "!is_empty(authenticated_as)", rate = "1/1h"`);
  await using test = await startTestServer(settings);
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  for (let i = 0; i < 3; i++) {
    assert.match(await client.say("MAIL FROM:<ana@example.org>"), /^250 /);
    await client.say("RSET");
  }
  assert.match(await client.say(`AUTH PLAIN ${btoa("\0ana\0secret")}`), /^235 /);
  assert.match(await client.say("MAIL FROM:<ana@example.org>"), /^250 /);
  await client.say("RSET");
  assert.match(await client.say("MAIL FROM:<ana@example.org>"), /^451 4\.4\.5 /);
});

Deno.test("a reload brings other limiters into force", async () => {
  await using test = await startTestServer();
  using before = await connectClient(test.address("smtp"));
  assert.match(await before.reply(), /^220 /);
  const { folder, certificate } = test;
  await test.server.reload(testConfiguration(limiter("key = [], concurrency = 1"), { folder, certificate }));
  using first = await connectClient(test.address("smtp"));
  assert.match(await first.reply(), /^220 /);
  using second = await connectClient(test.address("smtp"));
  assert.match(await second.reply(), /^421 4\.4\.5 /);
});

Deno.test("a client that speaks before the greeting is refused, unless it is trusted", async () => {
  await using test = await startTestServer(`${PROXIED}server.allowed-ip = ["192.0.2.9"]\n`);
  using early = await connectFrom("192.0.2.1", test.address("smtp"), "EHLO client.example\r\n");
  assert.equal(await early.reply(), "554 5.5.1 You spoke before the greeting, that is a protocol error");
  await assert.rejects(early.reply(), /closed|reset/i);
  assert.equal((await test.event("smtp.early-talker")).fields.remoteIp, "192.0.2.1");

  using patient = await connectFrom("192.0.2.1", test.address("smtp"));
  assert.match(await patient.reply(), /^220 /);
  assert.match(await patient.say("EHLO client.example"), /^250/);
  using trusted = await connectFrom("192.0.2.9", test.address("smtp"), "EHLO client.example\r\n");
  assert.match(await trusted.reply(), /^220 /);
  assert.match(await trusted.reply(), /^250/);
  using lmtp = await connectFrom("192.0.2.1", test.address("lmtp"), "LHLO client.example\r\n");
  assert.match(await lmtp.reply(), /^220 /);
});

Deno.test("a refused recipient costs its pause, in which nothing is read and nothing else waits", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer('session.rcpt.errors = { wait = "7s", total = 3 }', { clock });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  await client.say("MAIL FROM:<a@example.net>");
  // The reply to NOOP goes out before the pause; the one to RCPT, and what comes behind it, after it.
  await client.write("NOOP\r\nRCPT TO:<nobody@example.org>\r\nRSET\r\n");
  assert.match(await client.reply(), /^250 /);
  await test.event("smtp.mailbox-does-not-exist");
  await until(() => clock.firesIn(7_000), "the pause");
  let answer: string | undefined;
  const answered = client.reply().then((text) => answer = text);
  await clock.advance(6_999);
  // Another client is served meanwhile.
  using other = await connectClient(test.address("smtp"));
  assert.match(await other.reply(), /^220 /);
  assert.equal(answer, undefined);
  await clock.advance(1);
  await answered;
  assert.match(answer ?? "", /^550 5\.1\.1 /);
  assert.match(await client.reply(), /^250 /);
});

Deno.test("a client that has gone away during a pause is noticed when it ends", async () => {
  const clock = new FakeClock();
  const settings = 'session = { duration = "9d", rcpt.errors = { wait = "1h", total = 50 } }';
  await using test = await startTestServer(settings, { clock });
  const client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  await client.say("MAIL FROM:<a@example.net>");
  await client.write("RCPT TO:<nobody@example.org>\r\n");
  await test.event("smtp.mailbox-does-not-exist");
  client[Symbol.dispose]();
  await clock.advance(3_600_000);
  const { fields } = await test.event("smtp.connection-end");
  assert.match(String(fields.reason), /closed|broken/);
});

Deno.test("what a client that has gone away had sent ahead is not paused for to the end", async () => {
  const clock = new FakeClock();
  const settings = 'session = { duration = "9d", rcpt.errors = { wait = "1h", total = 50 } }';
  await using test = await startTestServer(settings, { clock });
  const client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  await client.say("MAIL FROM:<a@example.net>");
  await client.write("RCPT TO:<nobody@example.org>\r\n".repeat(30));
  client[Symbol.dispose]();
  let over = false;
  const ended = test.event("smtp.connection-end").then(() => over = true);
  while (!over) {
    await clock.advance(3_600_000);
    // A turn of the event loop, for the sockets.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  await ended;
  // The client's machine answers the reply after the first pause with a reset, which the next one finds.
  const pauses = test.events.filter(({ name }) => name === "smtp.mailbox-does-not-exist").length;
  assert.ok(pauses <= 3, `${pauses} pauses`);
});

Deno.test("a long pause does not count as silence of the client, and a stop does not wait for it", async () => {
  const clock = new FakeClock();
  const settings = 'session = { timeout = "1m", duration = "3h", rcpt.errors = { wait = "1h", total = 50 } }';
  await using test = await startTestServer(settings, { clock });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  await client.say("MAIL FROM:<a@example.net>");
  await client.write("RCPT TO:<nobody@example.org>\r\n");
  await test.event("smtp.mailbox-does-not-exist");
  await clock.advance(3_600_000);
  assert.match(await client.reply(), /^550 5\.1\.1 /);

  await client.write("RCPT TO:<nobody@example.org>\r\n");
  await test.event("smtp.mailbox-does-not-exist");
  const stopped = test.server.stop();
  // The time that a stop gives to transactions, and not an hour.
  await clock.advance(5_000);
  assert.match(await client.reply(), /^421 4\.3\.2 /);
  await clock.advance(5_000);
  await stopped;
});

Deno.test("a session that lasts too long, is silent too long or moves too much is ended", async () => {
  const clock = new FakeClock();
  const settings = 'session = { timeout = "1m", duration = "3m", transfer-limit = 20000 }';
  await using test = await startTestServer(settings, { clock });
  using silent = await connectClient(test.address("smtp"));
  using lasting = await connectClient(test.address("smtp"));
  using heavy = await connectClient(test.address("smtp"));
  for (const client of [silent, lasting, heavy]) {
    await client.reply();
    await client.say("EHLO client.example");
  }
  await heavy.say("MAIL FROM:<a@example.net>");
  await heavy.say("RCPT TO:<ana@example.org>");
  await heavy.say("DATA");
  await heavy.write(`${"x".repeat(998)}\r\n`.repeat(30));
  assert.match(await heavy.reply(), /^421 4\.7\.0 /);

  for (let i = 0; i < 3; i++) {
    assert.match(await lasting.say("NOOP"), /^250 /);
    await clock.advance(50_000);
  }
  assert.match(await silent.reply(), /^421 4\.4\.2 Nothing heard/);
  assert.match(await lasting.say("NOOP"), /^250 /);
  await clock.advance(30_000);
  assert.match(await lasting.reply(), /^421 4\.4\.2 Session has lasted/);
});

Deno.test("counters that have expired are deleted when the store is purged, and no others", async () => {
  const clock = new FakeClock();
  const settings = 'store.counters = { type = "sqlite", path = "{folder}/counters.db", purge.frequency = "15 * *" }\n' +
    'storage.lookup = "counters"\n' +
    'queue.limiter.inbound = [{ enable = true, key = ["sender"], rate = "1/10m" }, ' +
    '{ enable = true, key = ["sender"], rate = "1/3h" }]\n';
  await using test = await startTestServer(settings, { clock });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example");
  assert.match(await client.say("MAIL FROM:<a@example.net>"), /^250 /);
  // Time passes in steps that the store can keep up with, at most an hour in all.
  for (let step = 0; step < 360 && !test.events.some(({ name }) => name === "purge.started"); step++) {
    await clock.advance(10_000);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const { fields } = await test.event("purge.finished", ({ fields }) => fields.id === "counters");
  assert.equal(fields.deleted, 1);
});
