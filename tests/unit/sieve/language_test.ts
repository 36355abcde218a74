/** The base language (RFC 5228). */

import assert from "node:assert/strict";
import { actionsOf, errorsOf, holds, run } from "./script.ts";

Deno.test("a script that does nothing keeps the message", async () => {
  assert.deepEqual(actionsOf(await run("")), ["implicit keep"]);
  assert.deepEqual(actionsOf(await run("# nothing\n/* at\nall */")), ["implicit keep"]);
});

Deno.test("keep, fileinto, redirect and discard cancel the implicit keep", async () => {
  assert.deepEqual(actionsOf(await run("keep;")), ["keep"]);
  assert.deepEqual(actionsOf(await run("discard;")), ["discard"]);
  assert.deepEqual(actionsOf(await run('redirect "x@example.org";')), ["redirect x@example.org"]);
  assert.deepEqual(actionsOf(await run('require "fileinto"; fileinto "a/b";')), ["store a/b"]);
});

Deno.test("the same delivery twice is done once", async () => {
  const script =
    'require "fileinto"; keep; fileinto "Inbox"; fileinto "x"; fileinto "x"; redirect "a@b.c"; redirect "A <a@b.c>";';
  assert.deepEqual(actionsOf(await run(script)), ["keep", "store x", "redirect a@b.c"]);
});

Deno.test("stop ends the script, also inside a block", async () => {
  assert.deepEqual(actionsOf(await run("if true { keep; stop; } discard;")), ["keep"]);
});

Deno.test("the first branch whose test is true is taken, and no other", async () => {
  const chain = (a: string, b: string) =>
    `if ${a} { keep; } elsif ${b} { discard; } else { redirect "x@example.org"; }`;
  assert.deepEqual(actionsOf(await run(chain("true", "true"))), ["keep"]);
  assert.deepEqual(actionsOf(await run(chain("false", "true"))), ["discard"]);
  assert.deepEqual(actionsOf(await run(chain("false", "false"))), ["redirect x@example.org"]);
});

Deno.test("allof, anyof and not", async () => {
  assert.equal(await holds("allof (true, true, not false)"), true);
  assert.equal(await holds("allof (true, false, true)"), false);
  assert.equal(await holds("anyof (false, not true, true)"), true);
  assert.equal(await holds("anyof (false, false)"), false);
});

Deno.test("header compares decoded values without blanks around them", async () => {
  assert.equal(await holds('header :is "subject" "Grüße from the sea"'), true);
  assert.equal(await holds('header :contains ["x", "SUBJECT"] ["nothing", "THE"]'), true);
  assert.equal(await holds('header :comparator "i;octet" :contains "subject" "THE"'), false);
  assert.equal(await holds('header "x-score" "42"'), false);
});

Deno.test("an empty key is contained in every field that is there", async () => {
  assert.equal(await holds('header :contains "subject" ""'), true);
  assert.equal(await holds('header :contains "x-missing" ""'), false);
});

Deno.test(":matches knows *, ? and the backslash", async () => {
  assert.equal(await holds('header :matches "subject" "*from*sea"'), true);
  // RFC 5228 §2.7.1: a character is what the comparator takes for one, an octet of UTF-8 unless it says otherwise.
  assert.equal(await holds('header :matches "subject" "Gr????e from*"'), true);
  assert.equal(await holds('header :matches "subject" "Gr??e from*"'), false);
  assert.equal(await holds('header :comparator "i;unicode-casemap" :matches "subject" "gR??E fROM*"'), true);
  assert.equal(await holds('header :comparator "i;octet" :matches "subject" "Gr??\u00dfe*"'), true);
  assert.equal(await holds('header :matches "subject" "*from"'), false);
  const message = "Subject: what? *really*\n\n";
  assert.equal(await holds('header :matches "subject" "what\\\\? \\\\**\\\\*"', { message }), true);
  assert.equal(await holds('header :matches "subject" "whatx*"', { message }), false);
});

Deno.test("address takes addresses apart, in lists, groups and with names", async () => {
  assert.equal(await holds('address :domain "to" "example.com"'), true);
  assert.equal(await holds('address :localpart "to" "carol+list"'), true);
  assert.equal(await holds('address :all "cc" "eve@example.net"'), true);
  assert.equal(await holds('address :is "cc" "team"'), false);
  assert.equal(await holds('address "from" "ANN@EXAMPLE.ORG"'), true);
});

Deno.test("exists wants all of the fields", async () => {
  assert.equal(await holds('exists ["from", "to"]'), true);
  assert.equal(await holds('exists ["from", "bcc"]'), false);
});

Deno.test("size is neither over nor under itself", async () => {
  const message = "A: b\r\n\r\n" + "x".repeat(1016);
  assert.equal(await holds("size :over 1K", { message }), false);
  assert.equal(await holds("size :under 1K", { message }), false);
  assert.equal(await holds("size :over 1023", { message }), true);
  assert.equal(await holds("size :under 1025", { message }), true);
});

Deno.test("multi-line strings lose their dots and keep their lines", async () => {
  const outcome = await run('require "reject"; reject text: # a comment\nOne\n..two\n.\n;');
  assert.deepEqual(actionsOf(outcome), ["reject One\r\n.two\r\n"]);
});

Deno.test("errors are all found, with line and column", () => {
  assert.deepEqual(errorsOf("keep\n}"), [
    "2:1: expected ';' or a block '{' after the command 'keep', but found '}'",
  ]);
  assert.deepEqual(errorsOf('if size :over 1K { kep; }\nredirect "nobody";'), [
    "1:20: unknown command 'kep'; did you mean 'keep'?",
    "2:10: 'nobody' is not an address that mail can be sent to",
  ]);
  assert.deepEqual(errorsOf('fileinto "a";'), ["1:1: unknown command 'fileinto'; it needs: require \"fileinto\";"]);
});

Deno.test("what is broken on one line does not hide what is broken on the next", () => {
  assert.equal(errorsOf("if anyof (true, true,) { keep }\nif not { }\nkeep;").length, 2);
});

Deno.test("who wants all errors hears of those behind an error of the grammar, and of no others", () => {
  const source = `require "fileinto";
if header "subject" { keep }
fileinto 5;
else { kep; }
if size :over 1Q { stopp; }
elsif allof (true, header "a" "b" { nonsense; }
redirect ["a", ;
`;
  assert.deepEqual(
    errorsOf(source, { thorough: true }).map((error) => /^(\d+:\d+): (\S+ \S+ \S+)/.exec(error)?.slice(1)),
    [
      ["2:4", "the header test"],
      ["2:28", "expected ';' or"],
      ["3:10", "the fileinto command"],
      ["4:1", "else must follow"],
      ["4:8", "unknown command 'kep';"],
      ["5:15", "'Q' cannot follow"],
      ["5:20", "unknown command 'stopp';"],
      ["6:35", "expected ',' or"],
      ["6:37", "unknown command 'nonsense'"],
      ["7:16", "expected a string"],
      ["7:16", "expected ',' or"],
    ],
  );
  assert.equal(errorsOf(source).length, 5);
  // What is required cannot be told here, so nothing is said of what may need it.
  assert.equal(errorsOf('require ["fileinto" ;\nfileinto "a";\nkep;', { thorough: true }).length, 1);
});

Deno.test("limits end a script with an error and keep the message", async () => {
  const many = await run("keep; ".repeat(50), { limits: { instructions: 20 } });
  assert.match(many.error?.message ?? "", /more than 20 instructions/);
  assert.equal(many.error?.limit, true);
  assert.deepEqual(actionsOf(many), ["implicit keep"]);
  const redirects = await run('redirect "a@x.org"; redirect "b@x.org";', { limits: { redirects: 1 } });
  assert.match(redirects.error?.message ?? "", /number of redirect actions exceeds policy limit: 1/);
});

Deno.test("deep nesting is an error of the script, not of the program", () => {
  assert.match(errorsOf("if true { ".repeat(2000) + "}".repeat(2000)).join("\n"), /nested deeper than 32/);
  assert.match(errorsOf(`if ${"not ".repeat(5000)} true { }`).join("\n"), /nested deeper than 32/);
});
