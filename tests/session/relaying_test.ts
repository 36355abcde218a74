/** What is asked for a message is passed on, or answered for here, whatever the next server offers. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connectClient } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { DEFAULT_EXTENSIONS, type FakePeer, startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { createZone } from "../support/zone.ts";

interface Submission {
  /** What the next server offers beside the usual. */
  readonly extensions?: readonly string[];
  readonly mail?: string;
  readonly rcpt?: string;
  readonly subject?: string;
}

/** Hands a message to a server whose next hop is a peer. */
async function relay(
  { extensions = [], mail = "<ana@example.org>", rcpt = "<x@elsewhere.example>", subject = "hello" }: Submission,
  body: (test: TestServer, peer: FakePeer) => Promise<void>,
): Promise<void> {
  await using peer = await startFakePeer({ extensions: [...DEFAULT_EXTENSIONS, ...extensions] });
  await using test = await startTestServer(
    `
session.rcpt.relay = true
session.extensions = { dsn = true, mt-priority = "mixer" }
queue.strategy.route = [ { if = "is_local_domain('', rcpt_domain)", then = "'local'" }, { else = "'next'" } ]
queue.route.next = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false } }
`,
    { clock: new FakeClock() },
  );
  using client = await connectClient(test.address("smtp"));
  assert.match(await client.reply(), /^220 /);
  assert.match(await client.say("EHLO client.example.net"), /^250/);
  assert.match(await client.say(`MAIL FROM:${mail}`), /^250 /);
  assert.match(await client.say(`RCPT TO:${rcpt}`), /^250 /);
  assert.match(await client.say("DATA"), /^354 /);
  assert.match(await client.say(`From: ana@example.org\r\nSubject: ${subject}\r\n\r\nhello\r\n.`), /^250 /);
  await body(test, peer);
}

/** The envelope that the peer was given, without the size. */
const envelopeOf = (peer: FakePeer) =>
  (peer.connections[0]?.lines ?? []).filter((line) => /^(MAIL|RCPT)/.test(line)).map((line) =>
    line.replace(/ SIZE=\d+/, "")
  );

/** The report that ana gets. */
async function reportOf(test: TestServer): Promise<string> {
  await test.event("delivery.delivered", ({ fields }) => String(fields.to) === "ana@example.org");
  const [report, ...more] = await test.mail("example.org/ana");
  assert.deepEqual(more, []);
  return report ?? "";
}

const WITH_REPORT: Submission = {
  mail: "<ana@example.org> RET=HDRS ENVID=QQ314159",
  rcpt: "<x@elsewhere.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ex@elsewhere.example",
};

Deno.test("a wish for reports is passed on to a server that offers DSN, and nothing is reported here", async () => {
  await relay({ ...WITH_REPORT, extensions: ["DSN"] }, async (test, peer) => {
    await test.event("delivery.delivered");
    assert.deepEqual(envelopeOf(peer), [
      "MAIL FROM:<ana@example.org> RET=HDRS ENVID=QQ314159",
      "RCPT TO:<x@elsewhere.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Ex@elsewhere.example",
    ]);
    assert.equal((await test.server.queue.stats()).recipients, 0);
    await assert.rejects(test.mail("example.org/ana"), Deno.errors.NotFound);
  });
});

Deno.test("a server that does not offer DSN gets none of it, and the sender hears that the message was relayed", async () => {
  await relay(WITH_REPORT, async (test, peer) => {
    const report = await reportOf(test);
    assert.deepEqual(envelopeOf(peer), ["MAIL FROM:<ana@example.org>", "RCPT TO:<x@elsewhere.example>"]);
    assert.match(report, /^Original-Envelope-Id: QQ314159\r$/m);
    assert.match(
      report,
      /^Original-Recipient: rfc822; Ex@elsewhere\.example\r\nFinal-Recipient: rfc822; x@elsewhere\.example\r\nAction: relayed\r\nStatus: 2\./m,
    );
    // RET=HDRS: the message itself does not come back.
    assert.doesNotMatch(report, /^hello\r$/m);
  });
});

for (
  const [what, extensions, wanted] of [
    ["offers it", ["MT-PRIORITY"], "MAIL FROM:<ana@example.org> MT-PRIORITY=3"],
    ["does not", [], "MAIL FROM:<ana@example.org>"],
  ] as const
) {
  Deno.test(`a priority is passed on as it came to a server that ${what}`, async () => {
    await relay({ mail: "<ana@example.org> MT-PRIORITY=3", extensions }, async (test, peer) => {
      await test.event("delivery.delivered");
      assert.equal(envelopeOf(peer)[0], wanted);
    });
  });
}

Deno.test("mail to an address that the next server cannot take comes back in the form for such addresses", async () => {
  await relay({ mail: "<ana@example.org> SMTPUTF8", rcpt: "<jürgen@elsewhere.example>" }, async (test, peer) => {
    const report = await reportOf(test);
    assert.equal(peer.messages.length, 0);
    // RFC 6531 §3.5, RFC 6533 §3, §4
    assert.match(report, /^Content-Type: message\/global-delivery-status\r$/m);
    assert.match(
      report,
      /^Final-Recipient: utf-8; ?jürgen@elsewhere\.example\r\nAction: failed\r\nStatus: 5\.6\.7\r$/m,
    );
  });
});

Deno.test("the same with a header that is not ASCII; a server that takes both gets them as they are", async () => {
  const international = { mail: "<ana@example.org> SMTPUTF8", subject: "grüße" };
  await relay(international, async (test, peer) => {
    assert.match(await reportOf(test), /^Status: 5\.6\.7\r$/m);
    assert.equal(peer.messages.length, 0);
  });
  await relay({ ...international, extensions: ["SMTPUTF8"] }, async (test, peer) => {
    await test.event("delivery.delivered");
    assert.match(envelopeOf(peer)[0]!, /^MAIL FROM:<ana@example\.org> (BODY=8BITMIME )?SMTPUTF8$/);
    assert.match(Buffer.from(peer.messages[0]!.content, "latin1").toString("utf8"), /^Subject: grüße\r$/m);
  });
});

Deno.test("mail to a domain beyond ASCII finds its way by the name that DNS knows", async () => {
  await using peer = await startFakePeer();
  const zone = createZone({
    "xn--bcher-kva.example": { mx: [[10, "mx.xn--bcher-kva.example"]] },
    "mx.xn--bcher-kva.example": { a: ["127.0.0.1"] },
    "xn--strae-oqa.example": { a: ["127.0.0.1"] },
  });
  await using test = await startTestServer("session.rcpt.relay = true\n", {
    clock: new FakeClock(),
    resolver: zone,
    mxPort: peer.port,
  });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example.net");
  // With MX records, and without.
  for (const domain of ["bücher.example", "straße.example"]) {
    assert.match(await client.say("MAIL FROM:<ana@example.org> SMTPUTF8"), /^250 /);
    assert.match(await client.say(`RCPT TO:<b@${domain}>`), /^250 /);
    assert.match(await client.say("DATA"), /^354 /);
    assert.match(await client.say("Subject: hello\r\n\r\nhello\r\n."), /^250 /);
    await test.event("delivery.delivered");
  }
  assert.deepEqual(peer.messages.map(({ rcpt }) => rcpt[0]), [
    "RCPT TO:<b@xn--bcher-kva.example>",
    "RCPT TO:<b@xn--strae-oqa.example>",
  ]);
  const hosts = test.events.filter(({ name }) => name === "delivery.connect").map(({ fields }) => fields.host);
  assert.deepEqual(hosts, ["mx.xn--bcher-kva.example", "xn--strae-oqa.example"]);
});
