/** The smaller extensions, by what a script's author would notice. */

import assert from "node:assert/strict";
import { actionsOf, errorsOf, holds, run } from "./script.ts";

const variables = 'require ["variables", "fileinto"];';
/** The mailbox that a script with variables files into. */
const filed = async (script: string, message?: string) =>
  actionsOf(await run(`${variables}\n${script}`, message === undefined ? {} : { message }));

Deno.test("variables stand in strings, without case in their names", async () => {
  assert.deepEqual(await filed('set "Name" "x"; fileinto "a-${NAME}-${missing}b";'), ["store a-x-b"]);
  assert.deepEqual(await filed('set "a" "1"; set "b" "${a}2"; set "a" "3"; fileinto "${b}";'), ["store 12"]);
  assert.deepEqual(await filed('fileinto "${no name} $5 ${}";'), ["store ${no name} $5 ${}"]);
});

Deno.test("modifiers of set are applied from the highest order to the lowest", async () => {
  assert.deepEqual(await filed('set :lower :upperfirst "a" "fROM ABOVE"; fileinto "${a}";'), ["store From above"]);
  assert.deepEqual(await filed('set :length "a" "Grüße😀"; fileinto "${a}";'), ["store 6"]);
  // RFC 5229 §4.1.3: letters of ASCII alone have cases.
  assert.deepEqual(await filed('set :upper "a" "Größe"; set :lowerfirst "b" "Über"; fileinto "${a}${b}";'), [
    "store GRößEÜber",
  ]);
  assert.deepEqual(await filed('set :quotewildcard "a" "*?\\\\"; fileinto "${a}";'), ["store \\*\\?\\\\"]);
  assert.equal(errorsOf('require "variables"; set :lower :upper "a" "b";').length, 1);
});

Deno.test("wildcards capture as little as possible, and only when the whole matches", async () => {
  const subject = (text: string) => `Subject: ${text}\n\n`;
  const script = 'if header :matches "subject" "*[*]?*" { fileinto "${1}|${2}|${3}|${4}"; }';
  assert.deepEqual(await filed(script, subject("Re: [a] [b] c")), ["store Re: |a| |[b] c"]);
  const kept = 'if header :matches "subject" "*:*" { if header :matches "subject" "x*" {} fileinto "${1}"; }';
  assert.deepEqual(await filed(kept, subject("One: two")), ["store One"]);
});

Deno.test("a variable that grows is cut at its limit in octets, never within a character", async () => {
  const grow = 'set "a" "ü${a}${a}"; '.repeat(12);
  const outcome = await run(`${variables} ${grow} fileinto "\${a}";`, { limits: { variableSize: 101 } });
  const [action] = outcome.actions;
  assert.ok(action?.kind === "store");
  assert.equal(action.mailbox, "ü".repeat(50));
});

Deno.test("env and other namespaces are read through the host, unknown ones are errors", async () => {
  const namespaces = { env: { read: (_run: unknown, name: string) => name === "remote_ip" ? "192.0.2.1" : "" } };
  const outcome = await run('require ["variables", "fileinto"]; fileinto "${env.remote_ip}";', { namespaces });
  assert.deepEqual(actionsOf(outcome), ["store 192.0.2.1"]);
  assert.match(
    errorsOf('require "variables"; set "x" "${envy.remote_ip}";')[0] ?? "",
    /unknown variable namespace 'envy'/,
  );
  assert.match(errorsOf('require "variables"; set "env.x" "y";', { namespaces })[0] ?? "", /cannot be set/);
});

Deno.test("relations compare numbers and count values", async () => {
  const before = 'require ["relational", "comparator-i;ascii-numeric"];';
  const numeric = ':comparator "i;ascii-numeric"';
  assert.equal(await holds(`header :value "gt" ${numeric} "x-score" "5"`, { before }), true);
  assert.equal(await holds(`header :value "lt" ${numeric} "x-score" "100"`, { before }), true);
  assert.equal(await holds('header :value "gt" "x-score" "5"', { before }), false);
  assert.equal(await holds(`address :count "eq" ${numeric} ["to", "cc"] "4"`, { before }), true);
  assert.equal(errorsOf(`${before} if header :value "larger" "a" "b" {}`).length, 1);
});

Deno.test(":copy leaves the implicit keep", async () => {
  const outcome = await run('require ["copy", "fileinto"]; fileinto :copy "x"; redirect :copy "a@example.org";');
  assert.deepEqual(actionsOf(outcome), ["store x", "redirect a@example.org", "implicit keep"]);
});

Deno.test("reject cannot go with a delivery, before or after it", async () => {
  assert.deepEqual(actionsOf(await run('require "reject"; reject "No.";')), ["reject No."]);
  for (const script of ['reject "No."; keep;', 'keep; reject "No.";', 'reject "No."; redirect "a@example.org";']) {
    const outcome = await run(`require "reject"; ${script}`);
    assert.match(outcome.error?.message ?? "", /cannot go with/);
    assert.deepEqual(actionsOf(outcome), ["implicit keep"]);
  }
});

Deno.test("envelope knows its parts, and the null sender", async () => {
  const before = 'require "envelope";';
  assert.equal(await holds('envelope :domain "from" "example.org"', { before }), true);
  assert.equal(await holds('envelope "to" "bob@example.net"', { before }), true);
  assert.equal(await holds('envelope :domain "from" ""', { before, envelope: { from: "", to: "x@y.z" } }), true);
  assert.match(errorsOf(`${before} if envelope "sender" "x" {}`)[0] ?? "", /unknown envelope part 'sender'/);
});

Deno.test("an included script shares actions and global variables, and keeps its own ones", async () => {
  const scripts: Record<string, string> = {
    outer:
      'require ["include", "variables"]; global "g"; set "l" "inner"; set "g" "${g}!"; include :once "inner"; return; discard;',
    inner: 'require "fileinto"; fileinto "inner";',
    loop: 'require "include"; include "loop";',
    broken: "keep",
  };
  const loadScript = (_location: string, name: string) => scripts[name];
  const source = 'require ["include", "variables", "fileinto"]; global "g"; set "g" "a"; set "l" "mine";' +
    'include "outer"; include :once "inner"; fileinto "${g}${l}";';
  assert.deepEqual(actionsOf(await run(source, { loadScript })), ["store inner", "store a!mine"]);
  assert.match(errorsOf('require "include"; include "loop";', { loadScript }).join(), /includes itself/);
  assert.match(
    errorsOf('require "include"; include "missing";', { loadScript }).join(),
    /no personal script 'missing'/,
  );
  assert.deepEqual(errorsOf('require "include"; include :optional "missing";', { loadScript }), []);
  assert.equal(errorsOf('require "include"; include "broken";', { loadScript }).length, 2);
});

Deno.test("ihave loads what there is, and skips what stands behind the rest", async () => {
  const script = 'require "ihave"; if ihave "fileinto" { fileinto "x"; } elsif ihave "nonsense" { nonsense 5; }';
  assert.deepEqual(actionsOf(await run(script)), ["store x"]);
  const missing = 'require "ihave"; if not ihave "nonsense" { keep; } else { nonsense :odd "y"; }';
  assert.deepEqual(actionsOf(await run(missing)), ["keep"]);
  assert.equal((await run('require "ihave"; error "that is it";')).error?.message, "that is it");
});

Deno.test("dates are read in the zone that is asked for", async () => {
  const before = 'require ["date", "relational"];';
  const message = "Date: Tue, 01 Mar 2022 00:30:00 +0200\nReceived: by x; Mon, 28 Feb 2022 22:31:00 +0000\n\n";
  assert.equal(await holds('date :originalzone "date" "date" "2022-03-01"', { before, message }), true);
  assert.equal(await holds('date :zone "+0000" "date" "date" "2022-02-28"', { before, message }), true);
  assert.equal(
    await holds('date :zone "-0530" "date" "iso8601" "2022-02-28T17:00:00-05:30"', { before, message }),
    true,
  );
  assert.equal(await holds('date "received" "minute" "31"', { before, message }), true);
  assert.equal(await holds('date "date" "julian" "59638"', { before, message }), true);
  assert.equal(await holds('currentdate "weekday" "4"', { before, message }), true);
  assert.match(errorsOf(`${before} if currentdate "fortnight" "1" {}`)[0] ?? "", /not a part of a date/);
});

Deno.test(":index counts fields with one name, from either end", async () => {
  const before = 'require "index";';
  const message = "X: 1\nY: 0\nX: 2\nX: 3\n\n";
  assert.equal(await holds('header :index 2 "x" "2"', { before, message }), true);
  assert.equal(await holds('header :index 1 :last "x" "3"', { before, message }), true);
  assert.equal(await holds('header :index 4 :contains "x" ""', { before, message }), false);
  assert.equal(errorsOf(`${before} if header :last "x" "3" {}`).length, 1);
});

Deno.test("flags reach the actions behind them, and :flags comes first", async () => {
  const script = 'require ["imap4flags", "fileinto"]; setflag ["\\\\Seen", "A B"]; fileinto "x"; removeflag "a";' +
    'addflag "\\\\Nonsense"; fileinto :flags "C" "y"; keep;';
  const outcome = await run(script);
  assert.deepEqual(outcome.actions.map((action) => "flags" in action ? action.flags : undefined), [
    ["\\Seen", "A", "B"],
    ["C"],
    ["\\Seen", "B"],
  ]);
  const implicit = await run('require "imap4flags"; setflag "X";');
  assert.deepEqual(implicit.implicitKeep?.flags, ["X"]);
  assert.equal((await run("")).implicitKeep?.flags, undefined);
});

Deno.test("regular expressions match parts of values, and time does not explode", async () => {
  const before = 'require ["regex", "variables"];';
  assert.equal(await holds('header :regex "subject" "gr.+ FROM"', { before }), true);
  assert.equal(await holds('header :comparator "i;octet" :regex "subject" "FROM"', { before }), false);
  const message = `Subject: ${"a".repeat(900)}!\n\n`;
  assert.equal(await holds('header :regex "subject" "^(a+)+$"', { before, message }), false);
  assert.match(errorsOf(`${before} if header :regex "a" "(" {}`)[0] ?? "", /regular expression/);
});

Deno.test("lists, mailboxes and duplicates are asked of the host, which may take its time", async () => {
  const host = {
    inList: (list: string, value: string) => Promise.resolve(list === "friends" && value === "ann@example.org"),
    mailboxExists: (name: string) => Promise.resolve(name !== "none"),
    seen: (key: string) => Promise.resolve(key.endsWith("\0seen")),
  };
  const before = 'require ["extlists", "mailbox", "duplicate", "variables"];';
  assert.equal(await holds('address :list "from" ["x", "friends"]', { before, host }), true);
  assert.equal(await holds('address :list "to" "friends"', { before, host }), false);
  assert.equal(await holds('mailboxexists ["a", "b"]', { before, host }), true);
  assert.equal(await holds('mailboxexists ["a", "none"]', { before, host }), false);
  assert.equal(await holds('duplicate :uniqueid "seen"', { before, host }), true);
  assert.equal(
    await holds('anyof (duplicate :uniqueid "new", allof (true, duplicate :uniqueid "x"))', { before, host }),
    false,
  );
});

Deno.test("body looks into parts, decoded, and not into their markup", async () => {
  const before = 'require "body";';
  const message = `Content-Type: multipart/mixed; boundary="b"

prologue
--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
--b
Content-Type: text/html
Content-Transfer-Encoding: base64

PHA+SGVsbG8gPGI+d29ybGQ8L2I+PC9wPg==
--b--
epilogue
`;
  assert.equal(await holds('body :text :contains "grüße"', { before, message }), true);
  assert.equal(await holds('body :text :contains "<b>"', { before, message }), false);
  assert.equal(await holds('body :content "text/html" :contains "<b>world"', { before, message }), true);
  assert.equal(await holds('body :content "multipart" :contains "prologue"', { before, message }), true);
  assert.equal(await holds('body :content "text" :contains "epilogue"', { before, message }), false);
  assert.equal(await holds('body :raw :contains "=FC=DF"', { before, message }), true);
  assert.equal(await holds('body :raw :contains ""', { before, message: "A: b\n" }), false);
});

Deno.test("subaddress takes user and detail apart", async () => {
  const before = 'require "subaddress";';
  assert.equal(await holds('address :detail "to" "list"', { before }), true);
  assert.equal(await holds('address :user "to" "carol"', { before }), true);
  assert.equal(await holds('address :detail "from" ""', { before }), false);
});

Deno.test("octets that a wildcard stands for are text again where they are whole characters", async () => {
  const subject = "Subject: Grüße an Jürgen?\n\n";
  assert.deepEqual(await filed('if header :matches "subject" "gr*??e*?" { fileinto "${1}|${4}|${5}"; }', subject), [
    "store ü| an Jürgen|?",
  ]);
});
