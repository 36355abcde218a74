/** A message from a client to where it belongs, through the whole program. */

import assert from "node:assert/strict";
import { connectClient, submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startTestServer, testConfiguration } from "../support/server.ts";

const CONTENT = "From: smith@example.net\r\nSubject: dots\r\n\r\nfirst\r\n.\r\n..two\r\nlast\r\n";

/** Routes everything that is not local to `peer`. */
function relayTo(peer: { hostname: string; port: number }, more = ""): string {
  return `
session.rcpt.relay = true
queue.route.mx = { type = "relay", address = "${peer.hostname}", port = ${peer.port}, tls = { implicit = false, allow-invalid-certs = true } }
${more}`;
}

/** A port of the loopback address where nobody listens. */
function closedPort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

Deno.test("a message for a local account lands in its Maildir under the trace fields", async () => {
  await using test = await startTestServer();
  const [answer] = await submit(test.address("smtp"), {
    from: "smith@example.net",
    to: ["ana@example.org"],
    content: CONTENT,
  });
  assert.match(answer ?? "", /^250 2\.0\.0 Message queued with id \w+$/);
  await test.event("delivery.delivered");
  const [mail] = await test.mail("example.org/ana");
  assert.ok(mail);
  // RFC 5321 §4.4: Return-Path on top at final delivery, then this hop's Received.
  assert.match(
    mail,
    /^Return-Path: <smith@example\.net>\r\nDelivered-To: ana@example\.org\r\nReceived: from client\.example\.net \(\[127\.0\.0\.1\]\)\r\n\tby mx\.example\.org with ESMTP id /,
  );
  assert.ok(mail.endsWith(CONTENT), "the message itself is unchanged");
});

Deno.test("a reload decides whether copies that are written from then on get Delivered-To", async () => {
  await using test = await startTestServer();
  const send = async () => {
    await submit(test.address("smtp"), { from: "a@example.net", to: ["ana@example.org"], content: CONTENT });
    await test.event("delivery.delivered");
  };
  await send();
  await test.server.reload(testConfiguration("session.data.add-headers.delivered-to = false\n", test));
  await send();
  const copies = await test.mail("example.org/ana");
  assert.deepEqual(copies.map((copy) => copy.includes("Delivered-To: ")).sort(), [false, true]);
});

Deno.test("a list address reaches each of its accounts", async () => {
  await using test = await startTestServer();
  await submit(test.address("smtp"), { from: "a@example.net", to: ["staff@example.org"], content: CONTENT });
  await test.event("delivery.delivered");
  await test.event("delivery.delivered");
  assert.equal((await test.mail("example.org/ana")).length, 1);
  assert.equal((await test.mail("example.org/bob")).length, 1);
});

for (const protocol of ["smtp", "lmtp"] as const) {
  Deno.test(`a relayed message arrives octet for octet at the next server over ${protocol.toUpperCase()}`, async () => {
    await using peer = await startTestServer();
    const { hostname, port } = peer.address(protocol);
    await using test = await startTestServer(`
queue.strategy.route = "'next'"
queue.route.next = { type = "relay", address = "${hostname}", port = ${port}, protocol = "${protocol}", tls = { implicit = false, allow-invalid-certs = true } }
`);
    await submit(test.address("smtp"), { from: "smith@example.net", to: ["bob@example.org"], content: CONTENT });
    await peer.event("delivery.delivered");
    const [mail] = await peer.mail("example.org/bob");
    assert.ok(mail?.endsWith(CONTENT));
    assert.equal(mail?.match(/^Received: /gm)?.length, 2);
  });
}

Deno.test("a Maildir that cannot be written to is an error in the log, and the mail waits", async () => {
  await using test = await startTestServer(`queue.route.broken = { type = "local", path = "{folder}/blocked/{local}" }
queue.strategy.route = "'broken'"
`);
  await Deno.writeTextFile(`${test.folder}/blocked`, "");
  await submit(test.address("smtp"), { from: "smith@example.net", to: ["bob@example.org"], content: CONTENT });
  const { fields } = await test.event("message-ingest.error");
  assert.equal(fields.to, "bob@example.org");
  assert.match(String(fields.reason), /Not a directory|os error/);
  await test.event("delivery.deferred");
});

Deno.test("settings for a host that come to nothing usable are told as the event that says so", async () => {
  await using peer = await startTestServer();
  const { hostname, port } = peer.address("smtp");
  await using test = await startTestServer(`
queue.strategy.route = "'next'"
queue.strategy.connection = "'to-' + mx"
queue.strategy.tls = "if_then(mx == '' || size > 'big', 'default', 'default')"
queue.route.next = { type = "relay", address = "${hostname}", port = ${port}, tls = { implicit = false, allow-invalid-certs = true } }
`);
  await submit(test.address("smtp"), { from: "smith@example.net", to: ["bob@example.org"], content: CONTENT });
  await peer.event("delivery.delivered");
  const told = test.events.filter(({ fields }) => /^queue\.strategy\.(?:connection|tls)$/.test(String(fields.key)));
  assert.deepEqual(told.map(({ name, fields }) => [name, fields.key]), [
    ["smtp.id-not-found", "queue.strategy.connection"],
    ["eval.error", "queue.strategy.tls"],
  ]);
  assert.match(String(told[0]?.fields.reason), /^there is no connection(?: definition)? 'to-127\.0\.0\.1'/);
});

Deno.test("what the next server refuses for good comes back to the sender as one report", async () => {
  await using peer = await startTestServer(`session.rcpt.errors.wait = "0s"\n`);
  await using test = await startTestServer(relayTo(peer.address("smtp")));
  await submit(test.address("smtp"), {
    from: "ana@example.org",
    to: ["x@elsewhere.example", "y@elsewhere.example"],
    content: CONTENT,
  });
  await test.event("delivery.delivered", ({ fields }) => String(fields.to).includes("ana@example.org"));
  const [report, ...more] = await test.mail("example.org/ana");
  assert.ok(report);
  assert.deepEqual(more, []);
  assert.match(report, /^Return-Path: <>\r\n/);
  assert.match(report, /\r\nContent-Type: multipart\/report;[^]*?report-type="?delivery-status/i);
  assert.match(report, /\r\nAuto-Submitted: auto-replied\r\n/);
  assert.match(report, /\r\nFinal-Recipient: rfc822; ?x@elsewhere\.example\r\nAction: failed\r\nStatus: 5\.7\.1\r\n/);
  assert.match(report, /\r\nFinal-Recipient: rfc822; ?y@elsewhere\.example\r\nAction: failed\r\nStatus: 5\.7\.1\r\n/);
  assert.match(report, /\r\nSubject: dots\r\n/);
});

for (
  const { what, setting, from } of [
    {
      what: "is told by what the message is about",
      setting: "'bounces+' + received_via_port + '@' + rcpt_domain",
      from: (port: number) => `bounces+${port}@elsewhere.example`,
    },
    {
      what: "is the plain one where the setting gives no address",
      setting: "sender_domain",
      from: () => "MAILER-DAEMON@example.org",
    },
  ]
) {
  Deno.test(`the address in From of a report ${what}`, async () => {
    await using peer = await startTestServer(`session.rcpt.errors.wait = "0s"\n`);
    const settings = `report.dsn = { from-name = "sender_domain", from-address = "${setting}" }`;
    await using test = await startTestServer(relayTo(peer.address("smtp"), settings));
    await submit(test.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
    await test.event("delivery.delivered", ({ fields }) => String(fields.to).includes("ana@example.org"));
    const [report = ""] = await test.mail("example.org/ana");
    const [, field] = /\r\nFrom: (.*)\r\n/.exec(report) ?? [];
    assert.equal(field, `"example.org" <${from(test.address("smtp").port)}>`);
  });
}

Deno.test("a failed message from the null sender is reported to nobody", async () => {
  await using peer = await startTestServer(`session.rcpt.errors.wait = "0s"\n`);
  await using test = await startTestServer(relayTo(peer.address("smtp")));
  await submit(test.address("smtp"), { from: "", to: ["x@elsewhere.example"], content: CONTENT });
  await test.event("delivery.failed");
  assert.deepEqual(await test.server.queue.list({}), []);
});

Deno.test("a peer that cannot be reached is tried again after the first pause of the schedule", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer(relayTo({ hostname: "127.0.0.1", port: closedPort() }), { clock });
  await submit(test.address("smtp"), { from: "a@example.net", to: ["x@elsewhere.example"], content: CONTENT });
  await test.event("delivery.deferred");
  const [waiting] = await test.server.queue.list({});
  assert.equal(waiting?.recipients[0]?.attempts, 1);
  assert.equal(waiting?.recipients[0]?.lastError, "connection");
  // The first pause is two minutes.
  assert.equal(Date.parse(waiting?.due ?? "") - clock.now(), 120_000);
  await clock.advance(120_000);
  await test.event("delivery.deferred");
  const [again] = await test.server.queue.list({});
  assert.equal(again?.recipients[0]?.attempts, 2);
  // ... and the second five minutes.
  assert.equal(Date.parse(again?.due ?? "") - clock.now(), 300_000);
});

Deno.test("what waits in the queue when the server stops is delivered after the next start", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  const clock = new FakeClock();
  try {
    {
      await using test = await startTestServer(relayTo({ hostname: "127.0.0.1", port: closedPort() }), {
        folder,
        clock,
      });
      await submit(test.address("smtp"), { from: "a@example.net", to: ["x@elsewhere.example"], content: CONTENT });
      await test.event("delivery.deferred");
    }
    await using peer = await startTestServer("session.rcpt.relay = true\n");
    await using test = await startTestServer(relayTo(peer.address("smtp")), { folder, clock });
    await clock.advance(120_000);
    await test.event("delivery.delivered");
    assert.deepEqual(await test.server.queue.list({}), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a client that says nothing is sent away when session.timeout is over", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer("", { clock });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await clock.advance(299_000);
  assert.match(await client.say("NOOP"), /^250 /);
  await clock.advance(299_000);
  assert.match(await client.say("NOOP"), /^250 /);
  await clock.advance(300_000);
  assert.match(await client.reply(), /^421 4\.4\.2 /);
  assert.equal(await client.conn.read(new Uint8Array(10)), null);
});

Deno.test("a session ends when session.duration is over however busy it is", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer(`session.duration = "7m"\n`, { clock });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await clock.advance(240_000);
  assert.match(await client.say("NOOP"), /^250 /);
  await clock.advance(180_000);
  assert.match(await client.reply(), /^421 4\.4\.2 /);
});

Deno.test("a client that vanishes in mid-data leaves nothing behind", async () => {
  await using test = await startTestServer();
  {
    using client = await connectClient(test.address("smtp"));
    await client.reply();
    for (const line of ["EHLO a.example", "MAIL FROM:<a@example.net>", "RCPT TO:<ana@example.org>", "DATA"]) {
      await client.say(line);
    }
    // More than is kept in memory, so that part of it is in the store already.
    await client.write("Subject: x\r\n\r\n" + "0123456789abcdef\r\n".repeat(200_000));
  }
  await test.event("smtp.connection-end");
  assert.deepEqual(await test.server.queue.list({}), []);
});

Deno.test("a stop answers idle clients with 421 and lets a transaction end", async () => {
  const test = await startTestServer();
  using idle = await connectClient(test.address("smtp"));
  await idle.reply();
  using busy = await connectClient(test.address("smtp"));
  await busy.reply();
  for (const line of ["EHLO a.example", "MAIL FROM:<a@example.net>", "RCPT TO:<ana@example.org>"]) await busy.say(line);
  const stopped = test[Symbol.asyncDispose]();
  assert.match(await idle.reply(), /^421 4\.3\.2 /);
  assert.match(await busy.say("DATA"), /^354 /);
  assert.match(await busy.say("Subject: x\r\n\r\nx\r\n."), /^250 2\.0\.0 /);
  assert.match(await busy.reply(), /^421 4\.3\.2 /);
  await stopped;
});

Deno.test("a second server on the same store under the same node id is refused", async () => {
  await using test = await startTestServer();
  await assert.rejects(
    startTestServer("", { folder: test.folder }),
    /another godwit runs on store\.data as node '.+'; stop it first, or give this one a cluster\.node-id of its own/,
  );
  // The first one goes on.
  const [answer] = await submit(test.address("smtp"), {
    from: "a@example.net",
    to: ["ana@example.org"],
    content: CONTENT,
  });
  assert.match(answer ?? "", /^250 /);
});

Deno.test("a stop in mid-attempt costs no attempt, and the next start tries at once", async () => {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  const clock = new FakeClock();
  // Accepts connections and never greets.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = silent.accept();
  try {
    {
      const test = await startTestServer(relayTo({ hostname: "127.0.0.1", port: silent.addr.port }), { folder, clock });
      await submit(test.address("smtp"), { from: "a@example.net", to: ["x@elsewhere.example"], content: CONTENT });
      using _connection = await accepted;
      const stopped = test.server.stop();
      await clock.advance(5_000);
      await stopped;
    }
    await using peer = await startTestServer("session.rcpt.relay = true\n");
    await using test = await startTestServer(relayTo(peer.address("smtp")), { folder, clock });
    const delivered = await test.event("delivery.delivered");
    assert.equal(delivered.fields.to, "x@elsewhere.example");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("max-recipients counts every accepted recipient, also where many lead to one account", async () => {
  await using test = await startTestServer(`
session.rcpt.max-recipients = 3
session.rcpt.catch-all = "'ana@example.org'"
`);
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO a.example");
  await client.say("MAIL FROM:<a@example.net>");
  for (const name of ["x1", "x2", "x1"]) assert.match(await client.say(`RCPT TO:<${name}@example.org>`), /^250 /);
  assert.match(await client.say("RCPT TO:<x3@example.org>"), /^452 4\.5\.3 /);
});

Deno.test("mail for an address that an expression looks up elsewhere lands in the account's Maildir", async () => {
  await using test = await startTestServer(`
session.rcpt.sub-addressing = [
  { if = 'matches("^([^-]+)-.*@(.+)$", rcpt)', then = "$1 + '@' + $2" },
  { else = true },
]
`);
  await submit(test.address("smtp"), { from: "a@example.net", to: ["ana-news@example.org"], content: CONTENT });
  await test.event("delivery.delivered");
  assert.equal((await test.mail("example.org/ana")).length, 1);
});

Deno.test("AUTH before STARTTLS says what to do where it is offered on encrypted sessions only", async () => {
  await using test = await startTestServer(`session.auth.mechanisms = [{ if = "is_tls", then = "['plain']" }]\n`);
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO a.example");
  assert.match(await client.say("AUTH PLAIN AGFuYQBzZWNyZXQ="), /^538 5\.7\.11 .*STARTTLS/);
});
