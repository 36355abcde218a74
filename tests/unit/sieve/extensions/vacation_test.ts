/** Replies of those who are away (RFC 5230, RFC 6131). */

import assert from "node:assert/strict";
import { errorsOf, run, type RunOptions } from "../script.ts";

const MAIL = "From: ann@example.org\nTo: bob@example.net\nSubject: one\n\n";

/** The reply, with LF; undefined if there is none. */
async function reply(command: string, options: RunOptions = {}): Promise<string | undefined> {
  const outcome = await run(`require ["vacation", "vacation-seconds", "variables"]; ${command}`, {
    message: MAIL,
    ...options,
  });
  assert.equal(outcome.error, undefined);
  const action = outcome.actions.find(({ kind }) => kind === "vacation");
  assert.ok(action?.kind === "vacation");
  return action.mail && new TextDecoder().decode(action.mail.bytes).replaceAll("\r\n", "\n");
}

/** What the host is asked about a reply. */
async function asked(command: string, message = MAIL): Promise<string> {
  let key = "";
  const seen = (text: string) => {
    key = text;
    return false;
  };
  await reply(command, { message, host: { seen } });
  return key;
}

Deno.test("a reply is the same one whatever its variables hold, and another one with other words", async () => {
  const command = 'if header :matches "subject" "*" {} vacation :subject "Re: ${1}" "I am away, ${1}.";';
  const first = await asked(command);
  assert.equal(await asked(command, MAIL.replace("one", "two")), first);
  for (
    const other of [
      command.replace("away", "here"),
      command.replace("Re:", "Auto:"),
      command.replace("vacation", 'vacation :from "bob@example.net"'),
      command.replace("vacation", "vacation :mime"),
      'vacation :handle "h" "x";',
    ]
  ) assert.notEqual(await asked(other), first, other);
  assert.equal(await asked('vacation :handle "h" "x";'), await asked('vacation :handle "h" :days 3 "y";'));
  assert.notEqual(await asked('vacation "x";'), await asked('vacation :subject "x" "";'));
});

Deno.test("only who is named in a field for recipients is answered", async () => {
  for (const field of ["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"]) {
    const message = `From: ann@example.org\n${field}: Bob <BOB@example.net>\n\n`;
    assert.notEqual(await reply('vacation "x";', { message }), undefined, field);
  }
  for (const field of ["Apparently-To", "Delivered-To", "From"]) {
    const message = `${field}: bob@example.net\n\n`;
    assert.equal(await reply('vacation "x";', { message }), undefined, field);
  }
});

Deno.test(":from is a list of mailboxes, of which one has sent the reply", async () => {
  const one = await reply('vacation :from "Bob Builder <bob@example.com>" "x";');
  assert.match(one ?? "", /^From: "Bob Builder" <bob@example\.com>\nTo: /m);
  const two = await reply('vacation :from "Bob <bob@example.com>, carol@example.com" "x";');
  assert.match(two ?? "", /^From: "Bob" <bob@example\.com>, <carol@example\.com>\nSender: <bob@example\.net>$/m);
  for (const wrong of ["bob", "bob@example.com, carol", ""]) {
    assert.equal(errorsOf(`require "vacation"; vacation :from "${wrong}" "x";`).length, 1, wrong);
  }
  const late = await run('require ["vacation", "variables"]; set "a" "bob"; vacation :from "${a}" "x";');
  assert.match(late.error?.message ?? "", /'bob' is not an address/);
});

Deno.test("nobody writes in the name of others, where the host says who they are", async () => {
  const host = { maySendFrom: (address: string) => address.endsWith("@example.com") };
  const from = async (text: string) =>
    /^From: (.*)$/m.exec(await reply(`vacation :from "${text}" "x";`, { host }) ?? "")?.[1];
  assert.equal(await from("Bob <bob@example.com>"), '"Bob" <bob@example.com>');
  assert.equal(await from("ceo@bank.example"), "<bob@example.net>");
  assert.equal(await from("bob@example.com, ceo@bank.example"), "<bob@example.net>");
});

Deno.test("a MIME entity is sent as it is, and its header has no other characters than ASCII", async () => {
  const entity = (type: string, text: string) => `vacation :mime text:\nContent-Type: ${type}\n\n${text}\n.\n;`;
  const sent = await reply(entity("text/html; charset=utf-8", "<p>grün</p>"));
  assert.ok(sent?.endsWith("\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n<p>grün</p>\n"));
  assert.match(errorsOf(`require "vacation"; ${entity("text/grün", "x")}`)[0] ?? "", /beyond ASCII/);
  const late = await run(
    `require ["vacation", "variables"]; set "a" "grün"; ${entity("text/${a}", "x")}`,
    { message: MAIL },
  );
  assert.match(late.error?.message ?? "", /beyond ASCII/);
});

Deno.test("days are at least one, seconds may be none, and both at once are an error", async () => {
  const seconds: number[] = [];
  const seen = (_key: string, period: number) => {
    seconds.push(period);
    return true;
  };
  for (const period of ["", ":days 0", ":days 30", ":seconds 1800", ":seconds 2147483648"]) {
    assert.equal(await reply(`vacation ${period} "x";`, { host: { seen } }), undefined);
  }
  assert.deepEqual(seconds, [7 * 86_400, 86_400, 30 * 86_400, 1800, 2 ** 31]);
  assert.notEqual(await reply('vacation :seconds 0 "x";', { host: { seen } }), undefined);
  assert.equal(errorsOf('require "vacation-seconds"; vacation :days 1 :seconds 1 "x";').length, 1);
  assert.equal(errorsOf('require "vacation"; vacation :seconds 1 "x";').length, 1);
});

Deno.test("a subject is encoded only if it has to be", async () => {
  assert.match(await reply('vacation :subject "Away?" "x";') ?? "", /^Subject: Away\?$/m);
  assert.match(await reply('vacation :subject "grün" "x";') ?? "", /^Subject: =\?utf-8\?/m);
  assert.match(
    await reply('vacation "x";', { message: MAIL.replace("Subject: one\n", "") }) ?? "",
    /^Subject: Automated/m,
  );
});
