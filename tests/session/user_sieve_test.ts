/** Scripts of users, run when their mail is delivered. */

import assert from "node:assert/strict";
import { submit } from "../support/client.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const SETTINGS = `
queue.route.home = { type = "local", path = "{folder}/mail/{domain}/{local}/Maildir", sieve = "{folder}/sieve/{domain}/{local}.sieve" }
queue.strategy.route = "'home'"
session.rcpt.relay = true
`;

/** Runs `test` with a server where `scripts` stand in their places, by the local part of their owner. */
async function withScripts(
  scripts: Readonly<Record<string, string>>,
  test: (server: TestServer) => Promise<void>,
  settings = "",
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  try {
    await Deno.mkdir(`${folder}/sieve/example.org`, { recursive: true });
    for (const [user, script] of Object.entries(scripts)) {
      await Deno.writeTextFile(`${folder}/sieve/example.org/${user}.sieve`, script);
    }
    await using server = await startTestServer(SETTINGS + settings, { folder });
    await test(server);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const send = (server: TestServer, content: string, to: readonly string[] = ["ana@example.org"]) =>
  submit(server.address("smtp"), { from: "a@example.net", to, content });

/** Bodies by folder of a Maildir. */
async function filed(
  server: TestServer,
  user: string,
  domain = "example.org",
): Promise<Readonly<Record<string, string[]>>> {
  const root = `${server.folder}/mail/${domain}/${user}/Maildir`;
  const found: Record<string, string[]> = {};
  const folders = [""];
  for await (const entry of Deno.readDir(root)) if (entry.name.startsWith(".")) folders.push(entry.name);
  for (const folder of folders) {
    for (const state of ["new", "cur"]) {
      for await (const entry of Deno.readDir(`${root}/${folder}/${state}`)) {
        const text = await Deno.readTextFile(`${root}/${folder}/${state}/${entry.name}`);
        (found[folder] ??= []).push(text.slice(text.indexOf("\r\n\r\n") + 4).trimEnd());
      }
    }
  }
  for (const texts of Object.values(found)) texts.sort();
  return found;
}

Deno.test("each recipient's mail is filed by its own script, others get it as usual", async () => {
  const ana =
    'require ["fileinto", "imap4flags"];\nif header :contains "subject" "list" { fileinto :flags "\\\\Seen" "Lists"; }';
  await withScripts({ ana }, async (server) => {
    await send(server, "Subject: a list\r\n\r\none\r\n", ["ana@example.org", "bob@example.org"]);
    await send(server, "Subject: other\r\n\r\ntwo\r\n");
    for (let i = 0; i < 3; i++) await server.event("delivery.delivered");
    assert.deepEqual(await filed(server, "ana"), { "": ["two"], ".Lists": ["one"] });
    assert.deepEqual(await filed(server, "bob"), { "": ["one"] });
  });
});

Deno.test("a script that was changed counts from the next message on", async () => {
  await withScripts({ ana: 'require "fileinto"; fileinto "Old";' }, async (server) => {
    await send(server, "\r\none\r\n");
    await server.event("delivery.delivered");
    await Deno.writeTextFile(
      `${server.folder}/sieve/example.org/ana.sieve`,
      'require "fileinto";\nfileinto "Newer";\n',
    );
    await send(server, "\r\ntwo\r\n");
    await server.event("delivery.delivered");
    assert.deepEqual(await filed(server, "ana"), { ".Old": ["one"], ".Newer": ["two"] });
  });
});

Deno.test("discard drops the copy of that user alone, and nobody is told", async () => {
  await withScripts({ ana: "discard;" }, async (server) => {
    await send(server, "\r\none\r\n", ["ana@example.org", "bob@example.org"]);
    const gone = await server.event("delivery.delivered", ({ fields }) => fields.to === "ana@example.org");
    assert.match(String(gone.fields.reason), /dropped by the script/);
    await server.event("delivery.delivered", ({ fields }) => fields.to === "bob@example.org");
    await assert.rejects(Deno.stat(`${server.folder}/mail/example.org/ana`), Deno.errors.NotFound);
  });
});

Deno.test("ereject reaches the sender as a delivery report", async () => {
  await withScripts({ ana: 'require "ereject"; ereject "I do not want this.";' }, async (server) => {
    await send(server, "\r\none\r\n");
    await server.event("delivery.failed");
    await server.event("delivery.delivered", ({ fields }) => fields.to === "a@example.net");
    const [report = ""] = await filed(server, "a", "example.net").then(({ "": inbox = [] }) => inbox);
    assert.match(report, /I do not want this\./);
    assert.match(report, /^Status: 5\.7\.1\r?$/m);
  });
});

Deno.test("reject is told by whoever refuses, with the exact words, and nobody else says anything", async () => {
  const ana = 'require ["reject", "editheader"];\naddheader "X-Mine" "yes";\nreject text:\nNö.\nNot this.\n.\n;';
  await withScripts({ ana }, async (server) => {
    await send(server, "Message-ID: <1@example.net>\r\nSubject: offer\r\n\r\none\r\n");
    const mine = await server.event("delivery.delivered", ({ fields }) => fields.to === "ana@example.org");
    assert.match(String(mine.fields.reason), /refused by the script of the recipient/);
    await server.event("delivery.delivered", ({ fields }) => fields.to === "a@example.net");
    const folder = `${server.folder}/mail/example.net/a/Maildir/new`;
    const notices: string[] = [];
    for await (const { name } of Deno.readDir(folder)) notices.push(await Deno.readTextFile(`${folder}/${name}`));
    const [notice = ""] = notices;
    assert.equal(notices.length, 1);
    for (
      const line of [
        "Return-Path: <>",
        "From: <ana@example.org>",
        "To: <a@example.net>",
        "Subject: Rejected: offer",
        "In-Reply-To: <1@example.net>",
        "Auto-Submitted: auto-replied (rejected)",
        "Content-Type: message/disposition-notification",
        "Final-Recipient: rfc822; ana@example.org",
        "Original-Message-ID: <1@example.net>",
        "Disposition: automatic-action/MDN-sent-automatically; deleted",
        "Content-Type: message/rfc822",
      ]
    ) assert.ok(notice.includes(`${line}\r\n`), line);
    assert.match(notice, /^Content-Type: multipart\/report; report-type=disposition-notification;/m);
    assert.match(notice, /\r\n\r\nN=C3=B6\.\r\nNot this\.\r\n/);
    // RFC 5429 §2.4: what the script has changed is not in it.
    assert.ok(!notice.includes("X-Mine"));
    await assert.rejects(Deno.stat(`${server.folder}/mail/example.org/ana`), Deno.errors.NotFound);
  });
});

Deno.test("nobody is told of a refusal where there is no return path, and the log says so", async () => {
  await withScripts({ ana: 'require "reject"; reject "No.";' }, async (server) => {
    await submit(server.address("smtp"), { from: "", to: ["ana@example.org"], content: "\r\none\r\n" });
    const { fields } = await server.event("sieve.action-reject");
    assert.deepEqual([fields.reason, fields.told], ["No.", false]);
    await server.event("delivery.delivered");
    assert.deepEqual(await server.server.queue.list(), []);
  });
});

Deno.test("redirections, replies and edits of a user's script are carried out", async () => {
  const ana = `require ["editheader", "copy", "vacation"];
addheader "X-Mine" "yes";
redirect :copy "else@example.com";
vacation "Away.";`;
  await withScripts({ ana }, async (server) => {
    await send(server, "From: a@example.net\r\nTo: ana@example.org\r\nSubject: x\r\n\r\none\r\n");
    for (const to of ["ana@example.org", "else@example.com", "a@example.net"]) {
      await server.event("delivery.delivered", ({ fields }) => fields.to === to);
    }
    const read = async (path: string) => {
      const folder = `${server.folder}/mail/${path}/Maildir/new`;
      for await (const { name } of Deno.readDir(folder)) return await Deno.readTextFile(`${folder}/${name}`);
      return "";
    };
    assert.match(await read("example.org/ana"), /^X-Mine: yes\r$/m);
    assert.match(await read("example.com/else"), /^Return-Path: <a@example\.net>\r$/m);
    assert.match(await read("example.com/else"), /^X-Sieve-Redirected-From: ana@example\.org\r$/m);
    assert.match(await read("example.net/a"), /^Return-Path: <>\r\n[^]*^Auto-Submitted: auto-replied/m);
  });
});

Deno.test("a script with errors, or one that goes too far, is as none, and the log says why", async () => {
  const loop = 'require "fileinto"; fileinto "X";\n' + 'set "a" "b";\n'.repeat(40);
  for (
    const [script, reason] of [
      ["nonsense;", /1:1: unknown command/],
      ['require "vnd.stalwart.expressions"; keep;', /vnd\.stalwart\.expressions/],
      ['require "include"; include "bob";', /include/],
      [`require "variables"; ${loop}`, /more than 30 instructions/],
      [`# ${"x".repeat(5000)}\nkeep;`, /more than 5000/],
    ] as const
  ) {
    await withScripts({ ana: script }, async (server) => {
      await send(server, "\r\none\r\n");
      assert.match(String((await server.event("sieve.runtime-error")).fields.reason), reason);
      await server.event("delivery.delivered");
      assert.deepEqual(await filed(server, "ana"), { "": ["one"] });
    }, "sieve.user.limits.cpu = 30\nsieve.user.limits.script-size = 5000\n");
  }
});

Deno.test("what a script of the administrator filed holds where the user's script says nothing", async () => {
  const settings = "session.data.script = \"'s'\"\nsieve.trusted.scripts.s.contents = 'fileinto \"Junk\";'\n";
  const ana = 'require "fileinto"; if header "subject" "mine" { fileinto "Mine"; }';
  await withScripts({ ana }, async (server) => {
    await send(server, "Subject: x\r\n\r\none\r\n");
    await send(server, "Subject: mine\r\n\r\ntwo\r\n");
    await server.event("delivery.delivered");
    await server.event("delivery.delivered");
    assert.deepEqual(await filed(server, "ana"), { ".Junk": ["one"], ".Mine": ["two"] });
  }, settings);
});

Deno.test("copies of what a script sends are filed with flags, also where the message is dropped", async () => {
  const ana = `require ["vacation", "enotify", "fcc", "imap4flags", "mailbox"];
vacation :fcc "Sent" :create :flags "\\\\Seen" "Away.";
notify :fcc "INBOX/Notices" :message "They write" "mailto:boss@example.com";
discard;`;
  await withScripts({ ana }, async (server) => {
    const content = "From: a@example.net\r\nTo: ana@example.org\r\n\r\none\r\n";
    await send(server, content);
    for (const to of ["ana@example.org", "a@example.net", "boss@example.com"]) {
      await server.event("delivery.delivered", ({ fields }) => fields.to === to);
    }
    const found = await filed(server, "ana");
    assert.deepEqual(Object.keys(found).sort(), [".Notices", ".Sent"]);
    assert.deepEqual(found[".Sent"], ["Away."]);
    const folder = `${server.folder}/mail/example.org/ana/Maildir/.Sent/cur`;
    for await (const { name } of Deno.readDir(folder)) {
      assert.match(name, /:2,S$/);
      assert.match(await Deno.readTextFile(`${folder}/${name}`), /^Date: [^]*^Auto-Submitted: auto-replied/m);
    }
    // Nothing is sent the second time, so there is no second copy of it.
    await send(server, content);
    await server.event("delivery.delivered", ({ fields }) => fields.to === "boss@example.com");
    assert.equal((await filed(server, "ana"))[".Sent"]?.length, 1);
  });
});

Deno.test("a refused message leaves the copy of the notification about it", async () => {
  const ana = `require ["reject", "enotify", "fcc"];
notify :fcc "Notices" :message "Refused" "mailto:boss@example.com";
reject "No.";`;
  await withScripts({ ana }, async (server) => {
    await send(server, "\r\none\r\n");
    await server.event("sieve.action-reject");
    await server.event("delivery.delivered", ({ fields }) => fields.to === "boss@example.com");
    assert.deepEqual(Object.keys(await filed(server, "ana")), [".Notices"]);
  });
});

Deno.test("a script may ask which folders there are", async () => {
  const ana = `require ["fileinto", "mailbox"];
if mailboxexists ["INBOX", "Lists"] { fileinto "Lists"; } elsif header "subject" "make" { fileinto "Lists"; }`;
  await withScripts({ ana }, async (server) => {
    for (const [subject, text] of [["x", "one"], ["make", "two"], ["x", "three"]]) {
      await send(server, `Subject: ${subject}\r\n\r\n${text}\r\n`);
      await server.event("delivery.delivered");
    }
    assert.deepEqual(await filed(server, "ana"), { "": ["one"], ".Lists": ["three", "two"] });
  });
});

Deno.test("users write in their own names only", async () => {
  const ana = `require "enotify";
notify :from "ceo@bank.example" "mailto:one@example.com";
notify :from "Ana <postmaster+news@example.org>" "mailto:two@example.com";`;
  await withScripts({ ana }, async (server) => {
    await send(server, "\r\none\r\n");
    for (const [user, from] of [["one", "ana@example.org"], ["two", '"Ana" <postmaster+news@example.org>']]) {
      await server.event("delivery.delivered", ({ fields }) => fields.to === `${user}@example.com`);
      const folder = `${server.folder}/mail/example.com/${user}/Maildir/new`;
      for await (const { name } of Deno.readDir(folder)) {
        const text = await Deno.readTextFile(`${folder}/${name}`);
        assert.equal(/^From: (.*)\r$/m.exec(text)?.[1], from);
      }
    }
  });
});
