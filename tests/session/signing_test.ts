/** Messages that leave the server signed, through the whole program. */

import assert from "node:assert/strict";
import { type ArcResult, type DkimResult, verifySignatures } from "../../src/authentication/mod.ts";
import { memoryContent, parseHeader } from "../../src/message/mod.ts";
import { connectClient, submit } from "../support/client.ts";
import { milterPacket, startFakeMilter } from "../support/fake_milter.ts";
import { startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, testConfiguration } from "../support/server.ts";
import { createZone, type Zone, type ZoneEntry } from "../support/zone.ts";
import { octets, publicKeyText, type SigningKey, signingKey } from "../support/signing_keys.ts";

const CONTENT = "From: ana@example.org\r\nTo: x@elsewhere.example\r\nSubject: hello\r\n\r\nfirst\r\n.\r\nlast\r\n";

/** Everything that is not local goes to `port`. */
function relayTo(port: number, more = ""): string {
  return `
session.rcpt.relay = true
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${port}, tls = { implicit = false, allow-invalid-certs = true } }
${more}`;
}

/** A signature of example.org in TOML. */
function toml(key: SigningKey, id: string, rest = ""): string {
  return `
signature."${id}" = { private-key = """${key.pem}""", domain = "example.org", selector = "${key.selector}", algorithm = "${key.algorithm}"${rest} }
`;
}

function zone(...keys: readonly SigningKey[]): Zone {
  const entries: Record<string, ZoneEntry> = {};
  for (const key of keys) entries[`${key.selector}._domainkey.example.org`] = { txt: [publicKeyText(key)] };
  return createZone(entries);
}

/** What a receiver finds out about a message. */
async function receive(
  message: string,
  ...keys: readonly SigningKey[]
): Promise<{ dkim: readonly DkimResult[]; arc: ArcResult | undefined }> {
  const content = memoryContent(octets(message));
  const { dkim = [], arc } = await verifySignatures(
    { content, header: parseHeader(content.head) },
    { dkim: true, arc: true, strict: true },
    { resolver: zone(...keys), now: () => Date.now(), random: () => 0.5 },
  );
  return { dkim, arc };
}

/** Selector and result of each signature. */
function verdicts({ dkim }: { readonly dkim: readonly DkimResult[] }): readonly string[] {
  return dkim.map(({ selector, result }) => `${selector} ${result}`);
}

const rsa = signingKey("rsa-sha256", "r1");
const ed = signingKey("ed25519-sha256", "e1");
const latin1 = (text: string) => Array.from(new TextEncoder().encode(text), (o) => String.fromCharCode(o)).join("");

Deno.test("a message is signed with each signature that its settings compute, over all added fields", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(
    relayTo(
      peer.port,
      `auth.dkim.sign = "['rsa', 'ed_' + sender_domain, 'none_' + sender_domain]"
session.data.add-headers.message-id = true
session.data.add-headers.date = true
session.data.add-headers.return-path = true
${toml(rsa, "rsa")}${toml(ed, "ed_example.org", ', headers = ["From", "Date", "Message-ID", "Subject"]')}`,
    ),
    { resolver: zone() },
  );
  await submit(test.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
  const missing = await test.event("dkim.signer-not-found");
  assert.equal(missing.fields.key, "auth.dkim.sign");
  assert.match(String(missing.fields.reason), /none_example\.org/);
  await test.event("delivery.delivered");
  const [message] = peer.messages;
  assert.ok(message);
  assert.deepEqual(verdicts(await receive(message.content, rsa, ed)), ["r1 pass", "e1 pass"]);
  assert.match(message.content, /; h=From:From:Date:Date:Message-ID:Subject:Subject;/);
  assert.match(message.content, /^Return-Path: <ana@example\.org>\r\nDKIM-Signature: /);
  assert.ok(message.content.endsWith(CONTENT));
  const signed = await test.event("dkim.signed");
  assert.ok(message.content.includes(`with ESMTP id ${signed.fields.id}\r\n`));
});

Deno.test("a message without a signature is handed on octet for octet, 8 bits and all", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(
    relayTo(
      peer.port,
      `auth.dkim.sign = [{ if = "sender_domain == 'example.org'", then = "['rsa']" }, { else = false }]\n${
        toml(rsa, "rsa")
      }`,
    ),
    { resolver: zone() },
  );
  const content = `Subject: x\r\n\r\nGr\u00fc\u00dfe ${"y".repeat(1200)}\r\n`;
  await submit(test.address("smtp"), { from: "a@example.net", to: ["x@elsewhere.example"], content });
  await test.event("delivery.delivered");
  assert.ok(peer.messages[0]?.content.endsWith(latin1(content)));
  assert.doesNotMatch(peer.messages[0]?.content ?? "", /DKIM-Signature|quoted-printable/);
});

Deno.test("8-bit text that is signed arrives with its signature intact where only 7 bits pass", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING"] });
  await using test = await startTestServer(relayTo(peer.port, `auth.dkim.sign = "'rsa'"\n${toml(rsa, "rsa")}`), {
    resolver: zone(),
  });
  const content = "From: ana@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
    "Content-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n";
  await submit(test.address("smtp"), {
    from: "ana@example.org",
    to: ["x@elsewhere.example"],
    content,
    mailParameters: " BODY=8BITMIME",
  });
  await test.event("delivery.delivered");
  const [message] = peer.messages;
  assert.match(message?.content ?? "", /Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n$/);
  assert.deepEqual(verdicts(await receive(message?.content ?? "", rsa)), ["r1 pass"]);
});

Deno.test("what somebody has signed before keeps its body, whatever is in it", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(relayTo(peer.port, `auth.dkim.sign = "'rsa'"\n${toml(rsa, "rsa")}`), {
    resolver: zone(),
  });
  const content = "DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=From; bh=AA==; b=AA==\r\n" +
    "From: ana@example.org\r\n\r\nGr\u00fc\u00dfe\r\n";
  await submit(test.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content });
  await test.event("delivery.delivered");
  const [message] = peer.messages;
  assert.ok(message);
  assert.ok(message.content.endsWith(latin1(content)));
  assert.deepEqual(verdicts(await receive(message.content, rsa))[0], "r1 pass");
});

Deno.test("a message that needs SMTPUTF8 is signed as it stands: whoever takes it takes 8 bits (RFC 6531 §3.1)", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING", "8BITMIME", "SMTPUTF8"] });
  await using test = await startTestServer(relayTo(peer.port, `auth.dkim.sign = "'rsa'"\n${toml(rsa, "rsa")}`), {
    resolver: zone(),
  });
  const content = "From: J\u00fcrg <ana@example.org>\r\nSubject: Gr\u00fc\u00dfe\r\n\r\nGr\u00fc\u00dfe\r\n";
  await submit(test.address("smtp"), {
    from: "ana@example.org",
    to: ["x@elsewhere.example"],
    content,
    mailParameters: " SMTPUTF8 BODY=8BITMIME",
  });
  await test.event("delivery.delivered");
  const [message] = peer.messages;
  assert.ok(message);
  assert.ok(message.content.endsWith(latin1(content)));
  assert.deepEqual(verdicts(await receive(message.content, rsa)), ["r1 pass"]);
});

Deno.test("a bare CR that is mended and binary content that is encoded do not break the signature", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING"] });
  await using test = await startTestServer(
    relayTo(
      peer.port,
      `auth.dkim.sign = "'rsa'"\nsession.data.bare-newline = "'normalize'"\n${toml(rsa, "rsa")}`,
    ),
    { resolver: zone() },
  );
  await submit(test.address("smtp"), {
    from: "ana@example.org",
    to: ["x@elsewhere.example"],
    content: "From: ana@example.org\r\n\r\none\rtwo\nthree\r\n",
  });
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO client.example.net");
  await client.say("MAIL FROM:<ana@example.org> BODY=BINARYMIME");
  await client.say("RCPT TO:<x@elsewhere.example>");
  const binary = octets("From: ana@example.org\r\nContent-Type: image/png\r\n\r\n\x89\r\0\n\xff");
  await client.write(`BDAT ${binary.length} LAST\r\n`);
  await client.write(binary);
  assert.match(await client.reply(), /^250 /);
  await test.event("delivery.delivered");
  await test.event("delivery.delivered");
  const contents = peer.messages.map(({ content }) => content).toSorted((a, b) => a.length - b.length);
  assert.ok(contents[0]?.endsWith("\r\n\r\none\r\ntwo\r\nthree\r\n"));
  assert.ok(contents[1]?.endsWith(`base64\r\n\r\n${btoa("\x89\r\0\n\xff")}\r\n`));
  for (const content of contents) assert.deepEqual(verdicts(await receive(content, rsa)), ["r1 pass"]);
});

Deno.test("a message larger than memory allows is rewritten and signed as well", async () => {
  await using peer = await startFakePeer({ extensions: ["PIPELINING"] });
  await using test = await startTestServer(relayTo(peer.port, `auth.dkim.sign = "'ed'"\n${toml(ed, "ed")}`), {
    resolver: zone(),
  });
  const lines = Array.from({ length: 60_000 }, (_, index) => `line ${index} of a long text: \u00e4\u00f6\u00fc\r\n`)
    .join("");
  await submit(test.address("smtp"), {
    from: "ana@example.org",
    to: ["x@elsewhere.example"],
    content: `From: ana@example.org\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${lines}`,
  });
  await test.event("delivery.delivered");
  const [message] = peer.messages;
  assert.deepEqual(verdicts(await receive(message?.content ?? "", ed)), ["e1 pass"]);
  assert.ok(message?.content.endsWith("line 59999 of a long text: =C3=A4=C3=B6=C3=BC\r\n"));
});

Deno.test("delivery reports are signed, and go out unsigned rather than not at all", async () => {
  await using peer = await startFakePeer({ on: ({ verb }) => verb === "RCPT" ? "550 5.1.1 nobody" : undefined });
  await using test = await startTestServer(
    relayTo(
      peer.port,
      `report.dsn.sign = [{ if = "sender == 'ana@example.org'", then = "'rsa'" }, { else = "'r_' + sender" }]
${toml(rsa, "rsa", ', headers = ["From", "To", "Subject", "Date", "Message-ID", "Content-Type"]')}`,
    ),
    { resolver: zone() },
  );
  const content = "From: ana@example.org\r\nSubject: x\r\n\r\nGr\u00fc\u00dfe\r\n";
  for (const from of ["ana@example.org", "bob@example.org"]) {
    await submit(test.address("smtp"), { from, to: ["x@elsewhere.example"], content });
    await test.event("delivery.delivered");
  }
  const [report] = await test.mail("example.org/ana");
  assert.deepEqual(verdicts(await receive(latin1(report ?? ""), rsa)), ["r1 pass"]);
  assert.match(report ?? "", /\r\nAction: failed\r\n/);
  const missing = await test.event("dkim.signer-not-found");
  assert.deepEqual([missing.fields.key, missing.fields.reason], [
    "report.dsn.sign",
    "there is no signature 'r_bob@example.org'",
  ]);
  const [other] = await test.mail("example.org/bob");
  assert.match(other ?? "", /\r\nAction: failed\r\n/);
  assert.doesNotMatch(other ?? "", /DKIM-Signature/);
});

Deno.test("after a reload messages are signed with the new key", async () => {
  await using peer = await startFakePeer();
  const settings = (key: SigningKey) => relayTo(peer.port, `auth.dkim.sign = "'k'"\n${toml(key, "k")}`);
  await using test = await startTestServer(settings(rsa), { resolver: zone() });
  const message = { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT };
  await submit(test.address("smtp"), message);
  await test.event("delivery.delivered");
  await test.server.reload(testConfiguration(settings(ed), test));
  await submit(test.address("smtp"), message);
  await test.event("delivery.delivered");
  const results = await Promise.all(peer.messages.map(({ content }) => receive(content, rsa, ed)));
  assert.deepEqual(results.map(verdicts), [["r1 pass"], ["e1 pass"]]);
});

Deno.test("what passes two servers that seal carries a chain of two sets that verifies", async () => {
  await using peer = await startFakePeer();
  const settings = `auth.arc.seal = "'rsa'"\nauth.dkim.sign = "'ed'"\n${toml(rsa, "rsa")}${toml(ed, "ed")}`;
  await using second = await startTestServer(relayTo(peer.port, settings), { resolver: zone(rsa, ed) });
  await using first = await startTestServer(relayTo(second.address("smtp").port, settings), {
    resolver: zone(rsa, ed),
  });
  await submit(first.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
  await second.event("delivery.delivered");
  const [message] = peer.messages;
  const { dkim, arc } = await receive(message?.content ?? "", rsa, ed);
  assert.deepEqual(verdicts({ dkim }), ["e1 pass", "e1 pass"]);
  assert.deepEqual([arc?.result, arc?.instance, arc?.domain, arc?.selector], ["pass", 2, "example.org", "r1"]);
  assert.match(message?.content ?? "", /^ARC-Seal: i=2; [^]*?; cv=pass;/m);
  assert.match(message?.content ?? "", /^ARC-Authentication-Results: i=2; mx\.example\.org;[^]*?arc=pass/m);
  const seals = await Promise.all([first.event("arc.sealed"), second.event("arc.sealed")]);
  assert.deepEqual(seals.map(({ fields }) => [fields.instance, fields.chain]), [[1, "none"], [2, "pass"]]);
});

Deno.test("what milters, scripts and hooks have changed is what is signed", async () => {
  await using peer = await startFakePeer();
  await using milter = await startFakeMilter({
    on: ({ command }) =>
      command === "E"
        ? [
          milterPacket("i", 0, "X-Top", "1"),
          milterPacket("b", octets("of the milter\r\n")),
          milterPacket("m", 1, "Subject", "of the milter"),
          milterPacket("c"),
        ]
        : undefined,
  });
  const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { message } = await request.json();
    const value = `${message.contents}and of the hook\n`;
    return Response.json({ action: "accept", modifications: [{ type: "replaceContents", value }] });
  });
  await using test = await startTestServer(
    relayTo(
      peer.port,
      `auth.dkim.sign = "['rsa']"
session.milter.m = { hostname = "127.0.0.1", port = ${milter.port} }
session.hook.h = { url = "http://127.0.0.1:${hook.addr.port}/" }
session.data.script = "'s'"
sieve.trusted.scripts.s.contents = '''require "editheader"; addheader :last "X-Script" "2";'''
${toml(rsa, "rsa", ', headers = ["From", "Subject", "X-Top", "X-Script"]')}`,
    ),
    { resolver: zone() },
  );
  await submit(test.address("smtp"), { from: "ana@example.org", to: ["x@elsewhere.example"], content: CONTENT });
  await test.event("delivery.delivered");
  const message = peer.messages[0]?.content ?? "";
  assert.match(message, /^DKIM-Signature: .*\r\n(?:[ \t].*\r\n)*X-Top: 1\r\nReceived: /);
  assert.match(message, /\r\nSubject: of the milter\r\nX-Script: 2\r\n\r\nof the milter\r\nand of the hook\r\n$/);
  assert.deepEqual(verdicts(await receive(message, rsa)), ["r1 pass"]);
  await hook.shutdown();
});
