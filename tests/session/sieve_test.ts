/** The scripts of docs/sieve.md, through the whole program. */

import assert from "node:assert/strict";
import { connectClient, submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { createZone } from "../support/zone.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/sieve.md", import.meta.url));

/** The configuration under a heading of the page. */
function example(heading: string): string {
  const [, section = ""] = PAGE.split(`\n## ${heading}\n`);
  const [, block] = /```toml\n([^]*?)```/.exec(section.split("\n## ")[0] ?? "") ?? [];
  assert.ok(block, `no example under ${heading}`);
  return `${block}\n`;
}

const CONTENT = "From: Ana <ana@example.org>\r\nTo: bob@example.org\r\nSubject: hello\r\n\r\nfirst\r\n.\r\nlast\r\n";

/** The reply to each command of a dialogue that ends before the data. */
async function replies(test: TestServer, ...commands: readonly string[]): Promise<readonly string[]> {
  using client = await connectClient(test.address("smtp"));
  const heard = [await client.reply()];
  for (const command of commands) heard.push(await client.say(command));
  return heard;
}

/** Everything in a Maildir, by folder and state. */
async function mailbox(test: TestServer, user: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const root = `${test.folder}/mail/example.org/${user}/Maildir`;
  const found: Record<string, string[]> = {};
  const look = async (path: string, name: string) => {
    for (const state of ["new", "cur"]) {
      for await (const entry of Deno.readDir(`${path}/${state}`)) {
        const flags = entry.name.split(":2,")[1] ?? "";
        (found[`${name}/${state}${flags}`] ??= []).push(await Deno.readTextFile(`${path}/${state}/${entry.name}`));
      }
    }
  };
  await look(root, "");
  for await (const entry of Deno.readDir(root)) {
    if (entry.name.startsWith(".")) await look(`${root}/${entry.name}`, entry.name);
  }
  return found;
}

Deno.test("greylisting puts a stranger off and takes it when it comes back", async () => {
  const clock = new FakeClock();
  await using test = await startTestServer(example("Greylisting"), { clock });
  const rcpt = async (from: string) =>
    (await replies(test, "EHLO c.example", `MAIL FROM:<${from}>`, "RCPT TO:<bob@example.org>")).at(-1);
  assert.match(await rcpt("a@example.net") ?? "", /^451 4\.7\.1 Greylisted/);
  await clock.advance(200_000);
  assert.match(await rcpt("a@example.net") ?? "", /^451 4\.7\.1 Greylisted/);
  await clock.advance(101_000);
  assert.match(await rcpt("a@example.net") ?? "", /^250 /);
  assert.match(await rcpt("other@example.net") ?? "", /^451 /);
});

Deno.test("blocklists refuse by address and by domain", async () => {
  const resolver = createZone({ "1.0.0.127.bl.example": { a: ["127.0.0.2"] } });
  {
    await using test = await startTestServer(example("Blocklists"), { resolver });
    assert.deepEqual(await replies(test), ["554 5.7.1 127.0.0.1 is listed in bl.example."]);
  }
  await using test = await startTestServer(example("Blocklists"), { resolver: createZone({}) });
  for (
    const [from, code] of [
      ["a@x.spam.example", "550 5.7.1 Mail from"],
      ["a@junk.example", "550"],
      ["a@ok.example", "250"],
    ] as const
  ) {
    assert.ok((await replies(test, "EHLO c.example", `MAIL FROM:<${from}>`)).at(-1)?.startsWith(code), from);
  }
});

Deno.test("recipients are replaced, and the mail arrives with the new ones", async () => {
  await using test = await startTestServer(
    `${example("Other recipients")}session.rcpt.relay = true
session.rcpt.catch-all = "'ana@example.org'"\n`,
  );
  await submit(test.address("smtp"), {
    from: "a@example.net",
    to: ["ana@old.example", "sales@example.org"],
    content: CONTENT,
  });
  await test.event("delivery.delivered");
  await test.event("delivery.delivered");
  assert.equal((await test.mail("example.org/ana")).length, 1);
  const [message = ""] = await test.mail("example.org/bob");
  assert.match(message, /^Delivered-To: sales@example\.org\r$/m);
});

Deno.test("a disclaimer is put under the text of those who are logged in", async () => {
  await using test = await startTestServer(
    `${example("Disclaimers")}session.auth.allow-plain-text = true\nsession.auth.mechanisms = ["plain"]\n`,
  );
  for (const login of [false, true]) {
    using client = await connectClient(test.address("smtp"));
    await client.reply();
    await client.say("EHLO c.example");
    if (login) assert.match(await client.say(`AUTH PLAIN ${btoa("\0ana\0secret")}`), /^235 /);
    await client.say("MAIL FROM:<ana@example.org>");
    await client.say("RCPT TO:<bob@example.org>");
    await client.say("DATA");
    assert.match(await client.say(`${CONTENT.replace("\r\n.\r\n", "\r\n..\r\n")}.`), /^250 /);
    await test.event("delivery.delivered");
  }
  const texts = (await test.mail("example.org/bob")).map((text) => text.slice(text.indexOf("\r\n\r\n") + 4));
  assert.deepEqual(texts.sort(), [
    "first\r\n.\r\nlast\r\n",
    "first\r\n.\r\nlast\r\n\r\n-- \r\nThis message is for whom it was sent to.\r\n",
  ]);
});

Deno.test("forbidden attachments are taken out, and every other octet stays", async () => {
  const part = (name: string, body: string) =>
    `Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n${body}\r\n`;
  const whole = `From: a@example.net\r\nSUBJECT:odd  blanks \r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n` +
    `preamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello  \r\n--b\r\n${part("evil.EXE", "MZ")}` +
    `--b\r\n${part("good.txt", "fine")}--b--\r\nepilogue\r\n`;
  await using test = await startTestServer(example("Attachments"));
  await submit(test.address("smtp"), { from: "a@example.net", to: ["bob@example.org"], content: whole });
  await test.event("delivery.delivered");
  const [message = ""] = await test.mail("example.org/bob");
  assert.match(message, /^X-Attachment-Removed: yes\r$/m);
  assert.doesNotMatch(message, /MZ|evil/);
  assert.match(message, /A file was removed here: its kind is not allowed\./);
  const [before = "", after = ""] = whole.split(part("evil.EXE", "MZ"));
  assert.ok(message.includes(before.slice(before.indexOf("SUBJECT"))));
  assert.ok(message.endsWith(after));
});

Deno.test("copies and folders: local mail is filed with its flags, a copy goes elsewhere, and somebody hears of it", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(
    `${example("Copies and folders")}
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false, allow-invalid-certs = true } }`,
  );
  const send = (content: string) =>
    submit(test.address("smtp"), { from: "a@example.net", to: ["ana@example.org"], content });
  await send("List-Id: <deno.example>\r\n\r\nlist\r\n");
  await send("Subject: [build] green\r\n\r\nbuilt\r\n");
  await send("From: x@important.example\r\n\r\nplain\r\n");
  for (let i = 0; i < 5; i++) await test.event("delivery.delivered");
  const found = await mailbox(test, "ana");
  const bodies = Object.entries(found).map(([place, texts]) => [place, texts.map((text) => text.split("\r\n\r\n")[1])]);
  assert.deepEqual(bodies.sort(), [
    [".Builds.client.example.net/curS", ["built\r\n"]],
    [".Lists/new", ["list\r\n"]],
    ["/new", ["plain\r\n"]],
  ]);
  const [copy] = peer.messages;
  assert.deepEqual(copy?.rcpt, ["RCPT TO:<archive@example.com>"]);
  assert.match(
    copy?.content ?? "",
    /^Received: from client\.example\.net [^]*^X-Sieve-Redirected-From: ana@example\.org\r$/m,
  );
  const [notice = ""] = await test.mail("example.org/bob");
  assert.match(notice, /^Subject: Somebody important has written\r$/m);
  assert.match(notice, /^Return-Path: <>\r\n/);
});

Deno.test("results of checks decide, and the script waits for them", async () => {
  const resolver = createZone({ "_dmarc.example.com": { txt: ["v=DMARC1; p=quarantine"] } });
  await using test = await startTestServer(example("Results of checks"), { resolver, checks: true });
  await submit(test.address("smtp"), {
    from: "a@example.net",
    to: ["ana@example.org"],
    content: "From: boss@example.com\r\n\r\nx\r\n",
  });
  await test.event("delivery.delivered");
  const { ".Junk/new": junk = [] } = await mailbox(test, "ana");
  assert.match(junk[0] ?? "", /^X-Suspicious: DMARC quarantine, SPF none, DKIM none\r$/m);
});

Deno.test("databases and programs are asked", async () => {
  await using test = await startTestServer(example("Databases and programs"));
  assert.match((await replies(test, "EHLO c.example", "MAIL FROM:<a@example.net>")).at(-1) ?? "", /^250 /);
  assert.match(
    (await replies(test, "EHLO c.example", "MAIL FROM:<nobody@example.net>")).at(-1) ?? "",
    /^550 5\.7\.1 Nobody sends no mail/,
  );
});

Deno.test("a large message keeps its octets through an edit of its header and a redirection", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(
    `session.data.script = "'s'"
sieve.trusted.scripts.s.contents = 'addheader "X-Edited" "yes"; redirect :copy "x@example.com";'
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false, allow-invalid-certs = true } }`,
  );
  const body = `${"0123456789abcdef".repeat(4)}\r\n`.repeat(40_000);
  await submit(test.address("smtp"), {
    from: "a@example.net",
    to: ["ana@example.org"],
    content: `Subject: large\r\n\r\n${body}`,
  });
  await test.event("delivery.delivered");
  await test.event("delivery.delivered");
  const [local = ""] = await test.mail("example.org/ana");
  const wanted = `X-Edited: yes\r\nSubject: large\r\n\r\n${body}`;
  assert.ok(local.endsWith(wanted));
  assert.ok(peer.messages[0]?.content.endsWith(wanted));
});

Deno.test("what is filed for somebody elsewhere is delivered as usual, and the log says that there is no mailbox", async () => {
  await using peer = await startFakePeer();
  await using test = await startTestServer(
    `session.rcpt.relay = true
session.data.script = "'s'"
sieve.trusted.scripts.s.contents = 'fileinto "Archive";'
queue.route.mx = { type = "relay", address = "127.0.0.1", port = ${peer.port}, tls = { implicit = false, allow-invalid-certs = true } }`,
  );
  await submit(test.address("smtp"), { from: "a@example.net", to: ["x@example.com"], content: CONTENT });
  const { fields } = await test.event("sieve.not-supported");
  assert.deepEqual([fields.to, fields.action], ["x@example.com", "fileinto"]);
  await test.event("delivery.delivered");
  assert.ok(peer.messages[0]?.content.endsWith(CONTENT));
});

Deno.test("a list is a distribution list if all its members are known, else the message is kept", async () => {
  await using test = await startTestServer(
    `session.data.script = "'s'"
sieve.trusted.scripts.s.contents = '''
if header "subject" "team" { redirect :list "team"; } else { redirect :list "all"; }
'''
lookup.team."bob@example.org" = true
lookup.team."ana@example.org" = true
lookup.all."*@example.org" = true\n`,
  );
  const send = (subject: string) =>
    submit(test.address("smtp"), {
      from: "a@example.net",
      to: ["postmaster@example.org"],
      content: `Subject: ${subject}\r\n\r\nx\r\n`,
    });
  await send("team");
  for (let i = 0; i < 2; i++) await test.event("delivery.delivered");
  assert.equal((await test.mail("example.org/ana")).length, 1);
  assert.equal((await test.mail("example.org/bob")).length, 1);
  await send("all");
  const { fields } = await test.event("sieve.runtime-error");
  assert.match(String(fields.reason), /the members of the list 'all' cannot be told/);
  const kept = await test.event("delivery.delivered");
  assert.equal(kept.fields.to, "postmaster@example.org");
});
