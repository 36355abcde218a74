/** Notifications (RFC 5435) by mail (RFC 5436). */

import assert from "node:assert/strict";
import { errorsOf, holds, run, type RunOptions } from "../script.ts";

/** The mail of the one notification that a script sends; its lines end in LF. */
async function notice(command: string, options: RunOptions = {}) {
  const outcome = await run(`require ["enotify", "variables"]; ${command}`, options);
  assert.equal(outcome.error, undefined);
  assert.ok(outcome.implicitKeep !== undefined);
  const [action] = outcome.actions;
  assert.ok(action?.kind === "notify");
  if (action.mail === undefined) return undefined;
  const { from, to, bytes } = action.mail;
  return { from, to, text: new TextDecoder().decode(bytes).replaceAll("\r\n", "\n") };
}

const field = (text: string, name: string) => new RegExp(`^${name}: (.*)$`, "im").exec(text)?.[1];

Deno.test("a notification is mail to those that the URI names", async () => {
  const { from, to, text } = await notice(
    'notify :importance "1" :from "bob@example.net" ' +
      '"mailto:a@example.org%2cb@example.org?cc=A@example.org&x-kind=new%20mail&subject=Hi&body=Ring!";',
  ) ?? {};
  assert.equal(from, "bob@example.net");
  assert.deepEqual(to, ["a@example.org", "b@example.org"]);
  assert.ok(text !== undefined);
  const wanted = { Subject: "Hi", "X-kind": "new mail", Importance: "high", To: "<a@example.org>, <b@example.org>" };
  for (const [name, value] of Object.entries(wanted)) assert.equal(field(text, name), value, name);
  assert.ok(text.endsWith("\n\nRing!\n"));
});

Deno.test("the subject is the text of the script, else that of the URI, else that of the message", async () => {
  const subject = async (command: string, message = "Subject: theirs\nFrom: ann@example.org\n\n") =>
    field((await notice(command, { message }))?.text ?? "", "subject");
  assert.equal(await subject('notify :message "ours" "mailto:a@example.org?subject=mailto";'), "ours");
  assert.equal(await subject('notify "mailto:a@example.org?subject=mailto";'), "mailto");
  assert.equal(await subject('notify "mailto:a@example.org";'), "theirs");
  assert.notEqual(await subject('notify "mailto:a@example.org";', "A: b\n\n"), "");
});

Deno.test("without a text a notification says who has written, and about what", async () => {
  const { text = "" } = await notice('notify "mailto:a@example.org";') ?? {};
  const [, body = ""] = text.split("Content-Transfer-Encoding: quoted-printable\n\n");
  assert.match(body, /^From: Ann Author <ann@example\.org>$/m);
  assert.match(body, /^Subject: Gr=C3=BC=C3=9Fe from the sea$/m);
});

Deno.test("a notification names its owner, also where there is no recipient yet", async () => {
  const owner = async (options: RunOptions) =>
    field((await notice('notify "mailto:a@example.org";', options))?.text ?? "", "auto-submitted");
  assert.equal(await owner({}), 'auto-notified; owner-email="bob@example.net"');
  const quoted = { envelope: { from: "ann@example.org", to: '"b b"@example.net' } };
  assert.equal(await owner(quoted), 'auto-notified; owner-email="\\"b b\\"@example.net"');
  const server = { envelope: {}, host: { addresses: ["Robot <robot@example.net>"] } };
  assert.equal(await owner(server), 'auto-notified; owner-email="robot@example.net"');
});

Deno.test("nobody is notified in the name of others, where the host says who they are", async () => {
  const host = { addresses: ["bob@example.net"], maySendFrom: (address: string) => address === "bob@example.net" };
  const other = await notice('notify :from "ceo@bank.example" "mailto:a@example.org";', { host });
  assert.deepEqual([other?.from, field(other?.text ?? "", "from")], ["bob@example.net", "bob@example.net"]);
  const own = await notice('notify :from "B <bob@example.net>" "mailto:a@example.org";', { host });
  assert.equal(field(own?.text ?? "", "from"), '"B" <bob@example.net>');
});

Deno.test("fields that tell where mail comes from are not taken from a URI", async () => {
  const uri = "mailto:a@example.org?from=x@example.org&auto-submitted=no&received=x&date=x&message-id=x&X-Kind=x";
  const { text = "" } = await notice(`notify "${uri}";`, { host: { addresses: ["robot@example.net"] } }) ?? {};
  assert.equal(field(text, "from"), "robot@example.net");
  assert.match(field(text, "auto-submitted") ?? "", /^auto-notified/);
  assert.equal(field(text, "date"), "Thu, 01 Jan 1970 00:00:00 +0000");
  assert.equal(field(text, "received"), undefined);
  assert.equal(field(text, "x-kind"), "x");
});

Deno.test("nobody is notified of automatic mail, or by methods that are not known", async () => {
  const automatic = { message: "Auto-Submitted: auto-replied\n\n" };
  assert.equal(await notice('notify "mailto:a@example.org";', automatic), undefined);
  const person = { message: "Auto-Submitted: No (really)\n\n", envelope: { from: "", to: "bob@example.net" } };
  // RFC 5436 §2.7: what has no sender is told of, by mail that has none.
  assert.equal((await notice('notify "mailto:a@example.org";', person))?.from, "");
  assert.match(
    errorsOf('require "enotify"; notify "xmpp:a@example.org";')[0] ?? "",
    /method 'xmpp:a@example.org' is not supported/,
  );
  const late = await run('require ["enotify", "variables"]; set "to" "tel:+123"; notify "${to}";');
  assert.match(late.error?.message ?? "", /'tel:\+123' is not supported/);
  assert.equal(errorsOf('require "enotify"; notify "mailto:a@example.org?subject=a<b";').length, 1);
});

Deno.test("tags of notify say what they take", () => {
  const errors = (tags: string) => errorsOf(`require "enotify"; notify ${tags} "mailto:a@example.org";`);
  assert.deepEqual(errors(':options ["a=b", "A.b-c_d=x\ty", "x="]'), []);
  for (const wrong of [':options "a"', ':options "=b"', ':options "-a=b"', ':importance "4"', ':from "nobody"']) {
    assert.equal(errors(wrong).length, 1, wrong);
  }
  assert.equal(errors(':options "a=x\r\ny"').length, 1);
});

Deno.test("a script may ask which methods there are, and what they can do", async () => {
  const before = 'require ["enotify", "relational", "comparator-i;ascii-numeric"];';
  const asks = (test: string) => holds(test, { before });
  assert.equal(await asks('valid_notify_method ["mailto:a@example.org", "mailto:b@example.org"]'), true);
  assert.equal(await asks('valid_notify_method ["mailto:a@example.org", "tel:+123"]'), false);
  assert.equal(await asks('valid_notify_method "mailto:nobody"'), false);
  assert.equal(await asks('notify_method_capability "mailto:a@example.org" "Online" "maybe"'), true);
  assert.equal(await asks('notify_method_capability "mailto:a@example.org" "online" "yes"'), false);
  assert.equal(await asks('notify_method_capability "mailto:nobody" "online" "maybe"'), false);
  assert.equal(await asks('notify_method_capability "mailto:" "fcc" "yes"'), true);
  assert.equal(await asks('notify_method_capability "xmpp:" "fcc" "no"'), false);
  assert.equal(await asks('notify_method_capability :contains "mailto:a@example.org" "constructor" ""'), false);
  const counted = ':count "eq" :comparator "i;ascii-numeric"';
  assert.equal(await asks(`notify_method_capability ${counted} "mailto:a@example.org" "online" "1"`), true);
});

Deno.test("where scripts may send nothing, notify cannot be used", () => {
  const [error = ""] = errorsOf('require "enotify";\nnotify "mailto:a@example.org";', { limits: { outMessages: 0 } });
  assert.match(error, /^2:1: local policy prohibits the use of a notify action/);
});

Deno.test("URIs are written with what has to be encoded", async () => {
  const before = 'require ["enotify", "variables"]; set :encodeurl "a" "Safe body&evil=ü~";';
  assert.equal(await holds('string "${a}" "Safe%20body%26evil%3D%C3%BC~"', { before }), true);
});
