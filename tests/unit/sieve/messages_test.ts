/** Extensions that change messages or send some. */

import assert from "node:assert/strict";
import { messageBytes, type SieveMessage } from "../../../src/sieve/mod.ts";
import { errorsOf, holds, run, type RunOptions } from "./script.ts";

const text = async (message: SieveMessage) =>
  new TextDecoder().decode(await messageBytes(message)).replaceAll("\r\n", "\n");

Deno.test("added fields stand first or last, and every other byte stays", async () => {
  const message = "From: a@b.c\nX-Odd :  spaced \n folded\nbroken line\n\nBody\n";
  const script = 'require "editheader"; addheader "X-A" "one"; addheader :last "X-Z" "grün";';
  assert.equal(
    await text((await run(script, { message })).message),
    "X-A: one\n" + message.replace("\n\nBody", "\nX-Z: =?utf-8?b?Z3LDvG4=?=\n\nBody"),
  );
});

Deno.test("fields are deleted by name, place and value", async () => {
  const message = "X: 1\nY: 0\nX: 2\nX: 3\n\n";
  const left = async (command: string) =>
    await text((await run(`require "editheader"; ${command}`, { message })).message);
  assert.equal(await left('deleteheader "x";'), "Y: 0\n\n");
  assert.equal(await left('deleteheader :index 1 :last "X";'), "X: 1\nY: 0\nX: 2\n\n");
  assert.equal(await left('deleteheader :contains "X" ["1", "3"];'), "Y: 0\nX: 2\n\n");
  assert.equal(await left('deleteheader :index 2 "X" "1";'), message);
});

Deno.test("Received and Auto-Submitted cannot be deleted", async () => {
  const message = "Received: by x; now\nAuto-Submitted: yes\n\n";
  const script = 'require "editheader"; deleteheader "received"; deleteheader "auto-submitted";';
  assert.equal(await text((await run(script, { message })).message), message);
});

Deno.test("an action keeps the message as it was when it was taken", async () => {
  const script = 'require ["editheader", "fileinto"]; fileinto "a"; addheader "X-New" "1"; fileinto "b";';
  const outcome = await run(script, { message: "A: b\n\n" });
  assert.deepEqual(await Promise.all(outcome.actions.map(({ message }) => text(message))), [
    "A: b\n\n",
    "X-New: 1\nA: b\n\n",
  ]);
});

Deno.test("after an error the message is what it was", async () => {
  const outcome = await run('require ["editheader", "ihave"]; addheader "X" "1"; error "no";', { message: "A: b\n\n" });
  assert.equal(await text(outcome.message), "A: b\n\n");
});

const HOST = { addresses: ["bob@example.net"], messageId: () => "1@host.example" };

async function reply(command: string, options: RunOptions = {}): Promise<string | undefined> {
  const outcome = await run(`require ["vacation", "vacation-seconds"]; ${command}`, {
    ...options,
    host: { ...HOST, ...options.host },
  });
  assert.equal(outcome.error, undefined);
  assert.ok(outcome.implicitKeep !== undefined);
  const [action] = outcome.actions;
  assert.ok(action?.kind === "vacation");
  assert.ok(action.mail === undefined || (action.mail.from === "" && action.mail.to.join() === "ann@example.org"));
  return action.mail === undefined ? undefined : new TextDecoder().decode(action.mail.bytes).replaceAll("\r\n", "\n");
}

Deno.test("a vacation reply says who, to what, and that it is automatic", async () => {
  const message =
    "From: Ann <ann@example.org>\nTo: bob@example.net\nMessage-ID: <m@x>\nReferences: <r@x>\nSubject: Hi\n\n";
  assert.equal(
    await reply('vacation "Away.";', { message }),
    `Date: Thu, 01 Jan 1970 00:00:00 +0000
From: <bob@example.net>
To: "Ann" <ann@example.org>
Subject: Auto: Hi
Message-ID: <1@host.example>
In-Reply-To: <m@x>
References: <r@x> <m@x>
Auto-Submitted: auto-replied (vacation)
Precedence: bulk
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Away.
`,
  );
});

Deno.test("nobody gets a reply who must not have one", async () => {
  const mail = (field: string) => `From: ann@example.org\nTo: bob@example.net\n${field}\n\n`;
  assert.notEqual(await reply('vacation "Away.";', { message: mail("Auto-Submitted: no") }), undefined);
  const silent = [
    "List-Id: <l.example>",
    "Precedence: bulk",
    "Auto-Submitted: auto-replied",
    "X-Auto-Response-Suppress: OOF",
  ];
  for (const field of silent) {
    assert.equal(await reply('vacation "Away.";', { message: mail(field) }), undefined, field);
  }
  const from = (address: string) => ({ message: mail("A: b"), envelope: { from: address, to: "bob@example.net" } });
  for (const address of ["", "bob@example.net", "MAILER-DAEMON@x.org", "list-request@x.org", "owner-list@x.org"]) {
    assert.equal(await reply('vacation "Away.";', from(address)), undefined, address);
  }
  const other = { message: "From: ann@example.org\nTo: team@example.net\n\n" };
  assert.equal(await reply('vacation "Away.";', other), undefined);
  assert.match(await reply('vacation :addresses "TEAM@example.net" "Away.";', other) ?? "", /From: <team@example.net>/);
});

Deno.test("a sender gets one reply in the period that the script names", async () => {
  const asked: [string, number][] = [];
  const seen = (key: string, seconds: number) => {
    asked.push([key, seconds]);
    return Promise.resolve(asked.length > 1);
  };
  assert.notEqual(await reply('vacation :handle "h" :days 2 "Away.";', { host: { seen } }), undefined);
  assert.equal(await reply('vacation :handle "h" :seconds 90 "Elsewhere.";', { host: { seen } }), undefined);
  assert.notEqual(await reply('vacation :seconds 0 "Always.";', { host: { seen } }), undefined);
  assert.deepEqual(asked.map(([, seconds]) => seconds), [2 * 86_400, 90, 0]);
  assert.equal(asked[0]?.[0], asked[1]?.[0]);
});

Deno.test("vacation is used once, and never beside a refusal", async () => {
  assert.match((await run('require "vacation"; vacation "a"; vacation "b";')).error?.message ?? "", /once/);
  const both = await run('require ["vacation", "reject"]; vacation "a"; reject "b";');
  assert.match(both.error?.message ?? "", /cannot go with/);
  assert.equal(errorsOf('require "vacation"; vacation :from "nobody" "a";').length, 1);
});

Deno.test("scanners' verdicts come on one scale", async () => {
  const before = 'require ["spamtestplus", "virustest"];';
  const settings = new Map([
    ["sieve_spamtest_status_header", "X-Spam: .*score=([0-9.]+)"],
    ["sieve_spamtest_score_max_value", "5"],
    ["sieve_virustest_status_header", "X-Virus"],
    ["sieve_virustest_status_type", "text"],
    ["sieve_virustest_text_value/1", "clean"],
  ]);
  const message = "X-Spam: Yes, score=4.0 (high)\nX-Virus: clean\n\n";
  assert.equal(await holds('spamtest "8"', { before, settings, message }), true);
  assert.equal(await holds('spamtest :percent "80"', { before, settings, message }), true);
  assert.equal(await holds('virustest "1"', { before, settings, message }), true);
  assert.equal(await holds('spamtest "0"', { before, settings, message: "A: b\n\n" }), true);
  assert.equal(await holds('spamtest "0"', { before, message }), true);
});
