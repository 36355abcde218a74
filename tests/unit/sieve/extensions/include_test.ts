/** Scripts in scripts (RFC 6609). */

import assert from "node:assert/strict";
import { messageBytes } from "../../../../src/sieve/mod.ts";
import { actionsOf, errorsOf, run } from "../script.ts";

/** A script with those that it may include. */
const included = (scripts: Readonly<Record<string, string>>) => ({
  loadScript: (location: string, name: string) => scripts[`${location}/${name}`] ?? scripts[name],
});

const PARTS = `Subject: whole
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain
Subject: first

one
--b
Content-Type: message/rfc822
X-Kind: forwarded

Subject: inner

two
--b--
`;

const LOOP = 'require ["include", "foreverypart", "mime", "variables"];';

Deno.test("within a loop an included script takes the part for the whole message", async () => {
  const scripts = {
    look: `require ["include", "variables", "foreverypart", "body", "relational", "mime"];
      global "seen";
      if header :matches "subject" "*" { set "seen" "\${seen}\${1}"; }
      if size :under 80 { set "seen" "\${seen}<"; }
      if body :text :contains "two" { set "seen" "\${seen}!"; }
      foreverypart { set "seen" "\${seen}."; }
      set "seen" "\${seen},";`,
  };
  const script = `${LOOP} global "seen"; foreverypart { include "look"; if exists "x-kind" { discard; } }
    if header "subject" "whole" { redirect "kept@example.org"; }
    if string :is "\${seen}" "whole!...,first<,<!.,inner<!," { keep; }`;
  const outcome = await run(script, { message: PARTS, ...included(scripts) });
  assert.equal(outcome.error, undefined);
  assert.deepEqual(actionsOf(outcome), ["redirect kept@example.org", "keep"]);
});

Deno.test("what it changes is changed in the part, and the loop goes on behind it", async () => {
  const scripts = {
    change: `require ["editheader", "replace", "include", "variables"]; global "n"; set "n" "\${n}.";
      if header "subject" "first" { addheader "X-Seen" "yes"; replace "new"; return; discard; }`,
  };
  const script = `${LOOP} global "n"; foreverypart { include "change"; }
    if string "\${n}" "...." { keep; }`;
  const outcome = await run(script, { message: PARTS, ...included(scripts) });
  assert.equal(outcome.error, undefined);
  assert.deepEqual(actionsOf(outcome), ["keep"]);
  const text = new TextDecoder().decode(await messageBytes(outcome.message)).replaceAll("\r\n", "\n");
  const [before = "", rest = ""] = PARTS.split("Content-Type: text/plain\nSubject: first\n\none\n");
  assert.ok(text.startsWith(before));
  assert.ok(text.endsWith(rest));
  const part = text.slice(before.length, -rest.length);
  assert.match(part, /^X-Seen: yes\nSubject: first\nMIME-Version: 1\.0\nContent-Type: text\/plain; charset=utf-8\n/);
  assert.match(part, /\n\nnew\n+$/);
});

Deno.test("what it does is done with the whole message, and stop ends everything", async () => {
  const scripts = { file: 'require "fileinto"; if header "subject" "inner" { fileinto "x"; stop; }' };
  const script = `${LOOP} foreverypart { include "file"; } discard;`;
  const outcome = await run(script, { message: PARTS, ...included(scripts) });
  assert.deepEqual(actionsOf(outcome), ["store x"]);
  const [action] = outcome.actions;
  assert.ok(action !== undefined);
  assert.equal(new TextDecoder().decode(await messageBytes(action.message)), PARTS.replaceAll("\n", "\r\n"));
});

Deno.test("a script cannot leave the loops of another", () => {
  const scripts = { leave: 'require "foreverypart"; break;', go: 'require "vnd.stalwart.while"; continue;' };
  for (const name of ["leave", "go"]) {
    assert.match(
      errorsOf(`${LOOP} foreverypart { include "${name}"; }`, included(scripts)).join("\n"),
      /must stand inside a loop/,
    );
  }
});

Deno.test("edits of the header go both ways, requirements neither way", async () => {
  const scripts = { inner: 'require "editheader"; if exists "x-a" { deleteheader "x-a"; addheader "X-B" "1"; }' };
  const script = 'require ["include", "editheader"]; addheader "X-A" "1"; include "inner"; ' +
    'if allof(not exists "x-a", exists "x-b") { discard; }';
  assert.deepEqual(actionsOf(await run(script, included(scripts))), ["discard"]);
  const needs = { inner: 'fileinto "x";' };
  assert.match(
    errorsOf('require ["include", "fileinto"]; include "inner";', included(needs)).join(),
    /require "fileinto"/,
  );
});

Deno.test("personal and global scripts are different ones, return in the first script is stop", async () => {
  const scripts = {
    "personal/a": 'require "fileinto"; fileinto "p";',
    "global/a": 'require "fileinto"; fileinto "g";',
  };
  const script = 'require "include"; include "a"; include :global "a"; include :once :personal "a"; return; discard;';
  assert.deepEqual(actionsOf(await run(script, included(scripts))), ["store p", "store g"]);
  for (const name of ["a/b", "", "a\u0001", "..", "x".repeat(300)]) {
    assert.match(errorsOf(`require "include"; include "${name}";`).join(), /is not the name of a script/, name);
  }
  assert.equal(errorsOf('require "include"; include :personal :global "a";', included(scripts)).length, 1);
});

Deno.test("a variable is global unless it was set before, and one that nobody has set is empty", async () => {
  const scripts = { inner: 'require ["include", "variables"]; global ["a", "b"]; set "b" "${a}!"; set "c" "mine";' };
  const script = 'require ["include", "variables", "fileinto"]; if string "${a}" "" { global ["a", "b"]; }\n' +
    'set "global.a" "x"; include "inner"; fileinto "${a}${b}${global.b}${c}";';
  assert.deepEqual(actionsOf(await run(script, included(scripts))), ["store xx!x!"]);
  for (
    const wrong of [
      'set "a" "x"; global "a";',
      'global "a.b";',
      'global "1";',
      'global "global.a";',
      'set "global.a.b" "x";',
      'set "global.12" "x";',
    ]
  ) assert.equal(errorsOf(`require ["include", "variables"]; ${wrong}`).length, 1, wrong);
  assert.equal(errorsOf('require "include"; global "a";').length, 1);
  assert.equal(errorsOf('require "variables"; set "global.a" "x";').length, 1);
});
