/** Scripts and messages that want too much: each run stops at its limit, says at which, and the message is kept. */

import assert from "node:assert/strict";
import { compileScript, type Outcome, runScript, sieveMessage } from "../../../src/sieve/mod.ts";
import { actionsOf, errorsOf, run } from "./script.ts";

/** The message of the limit that was reached. Nothing but the keep may be left of what the script wanted. */
function limitOf(outcome: Outcome): string {
  const { error } = outcome;
  assert.ok(error?.limit === true, error?.message ?? "there was no error");
  assert.deepEqual(actionsOf(outcome), ["implicit keep"]);
  return error.message;
}

Deno.test("a script that loops ends after its instructions", async () => {
  const script = 'require ["fileinto", "vnd.stalwart.while"]; fileinto "a"; while "true" { fileinto "b"; }';
  assert.equal(limitOf(await run(script)), "the script took more than 10000 instructions");
});

Deno.test("a limit is met at the command that went beyond it, in whatever script that stands", async () => {
  const at = async (source: string, more: Readonly<Record<string, string>> = {}, message?: string) => {
    const { error } = await run(source, {
      loadScript: (_location, name) => more[name],
      ...(message === undefined ? {} : { message }),
    });
    assert.equal(error?.limit, true);
    return [error.script, error.at?.line, error.at?.column];
  };
  const loop = 'require "vnd.stalwart.while";\nif true {\n  while "true" {\n    keep;\n  }\n}';
  assert.deepEqual((await at(loop))[1], 3);
  assert.deepEqual(await at('require "include";\nkeep;\ninclude "other";', { other: loop.replace("keep;", "") }), [
    "other",
    3,
    3,
  ]);
  const bomb = `Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(2000)}--b--\n`;
  assert.deepEqual(await at('require "body";\nkeep;\n  if body :contains "z" {}', {}, bomb), [undefined, 3, 3]);
});

Deno.test("a script that takes too long ends at its time", async () => {
  let now = 0;
  const script = 'require "vnd.stalwart.while"; while "true" { }';
  const outcome = await run(script, {
    host: { now: () => now += 100 },
    limits: { instructions: 1_000_000, milliseconds: 5000 },
  });
  assert.equal(limitOf(outcome), "the script took longer than 5000 milliseconds");
});

Deno.test("scripts cannot include themselves, nor each other without end", () => {
  const scripts: Record<string, string> = {
    a: 'require "include"; include "b";',
    b: 'require "include"; include "a";',
  };
  const deep = (_location: string, name: string) => `require "include"; include "${name}x";`;
  const [itself] = errorsOf('require "include"; include "a";', { loadScript: (_location, name) => scripts[name] });
  assert.match(itself ?? "", /the script 'a' includes itself/);
  const [deeper] = errorsOf('require "include"; include "x";', { loadScript: deep });
  assert.match(deeper ?? "", /scripts are included deeper than 5/);
});

Deno.test("a variable that doubles stays within its size", async () => {
  const script = `require ["variables", "fileinto", "vnd.stalwart.while"];
    set "a" "0123456789"; while "true" { set "a" "\${a}\${a}"; }`;
  const limits = { instructions: 1000, variableSize: 5000 };
  assert.equal(limitOf(await run(script, { limits })), "the script took more than 1000 instructions");
});

Deno.test("actions, redirects and messages sent have limits of their own", async () => {
  const times = (count: number, line: (n: number) => string) =>
    Array.from({ length: count }, (_, n) => line(n)).join("\n");
  assert.match(
    limitOf(await run(`require "fileinto"; ${times(33, (n) => `fileinto "f${n}";`)}`)),
    /total number of actions exceeds policy limit: 32/,
  );
  assert.match(limitOf(await run(times(4, (n) => `redirect "a${n}@example.org";`))), /redirect actions .* 3/);
  assert.match(
    limitOf(await run(`require "enotify"; ${times(6, (n) => `notify "mailto:a${n}@example.org";`)}`)),
    /notify actions .* 5/,
  );
});

const LOOP = 'require ["foreverypart", "mime", "body", "fileinto"]; fileinto "a"; ';

Deno.test("a message of 10,000 parts ends a script that looks at all of them", async () => {
  const message = `Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(10_000)}--b--\n`;
  const wanted = "the message has more than 1000 parts, or more than 50 levels of them";
  for (
    const command of [
      "foreverypart { keep; }",
      'if header :mime :anychild :contains "content-type" "z" {}',
      'if body :text :contains "z" {}',
      'if body :content "text" :contains "z" {}',
    ]
  ) assert.equal(limitOf(await run(LOOP + command, { message })), wanted, command);
});

Deno.test("a message of 1,000 levels ends a script that looks into it, and no other", async () => {
  const levels = Array.from({ length: 1000 }, (_, n) => n);
  const open = levels.map((n) => `Content-Type: multipart/mixed; boundary=b${n}x\n\n--b${n}x\n`).join("");
  const message = `${open}\nText\n${levels.reverse().map((n) => `--b${n}x--\n`).join("")}`;
  const wanted = "the message has more than 1000 parts, or more than 50 levels of them";
  assert.equal(limitOf(await run(`${LOOP} foreverypart { keep; }`, { message })), wanted);
  const nested = `Content-Type: message/rfc822\n\n`.repeat(1000) + "Subject: deep\n\nText\n";
  assert.equal(limitOf(await run(`${LOOP} if body :text :contains "z" {}`, { message: nested })), wanted);
  const [action] = (await run(`${LOOP} if header "subject" "x" { discard; }`, { message })).actions;
  assert.equal(action?.kind, "store");
});

/** A message of 50 MB, made of one line that is there again and again. */
function hugeMessage(head: string): Uint8Array {
  const bytes = new Uint8Array(50 * 1024 * 1024).fill(0x78);
  for (let at = 76; at < bytes.length; at += 78) bytes.set([0x0d, 0x0a], at);
  bytes.set(new TextEncoder().encode(head.replaceAll("\n", "\r\n")));
  return bytes;
}

async function runHuge(source: string, head: string): Promise<Outcome> {
  const { script } = compileScript(source);
  assert.ok(script);
  return await runScript(script, {
    message: sieveMessage(hugeMessage(head)),
    envelope: { from: "ann@example.org", to: "bob@example.net" },
    host: { now: () => 0 },
  });
}

Deno.test("a message of 50 MB: its header costs nothing, its text more than there is", async () => {
  const head = "Subject: huge\n\n";
  const header = await runHuge('require "fileinto"; if header "subject" "huge" { fileinto "a"; }', head);
  assert.deepEqual(actionsOf(header), ["store a"]);
  assert.ok(header.instructions < 10);
  const body = ':text :contains "y"';
  for (const test of [body, ':raw :contains "y"', ':content "text" :matches "*y*z*"']) {
    const outcome = await runHuge(`require ["fileinto", "body"]; fileinto "a"; if body ${test} {}`, head);
    assert.equal(limitOf(outcome), "the script took more than 10000 instructions", test);
  }
});

Deno.test("a message of 50 MB can be changed, as long as that is not done again and again", async () => {
  const head =
    "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\ntext\n--b\nContent-Type: image/png\n\n";
  const require = 'require ["foreverypart", "mime", "replace", "vnd.stalwart.while"];';
  const once = 'foreverypart { if header :mime :type "content-type" "image" { replace "Taken out."; } }';
  const outcome = await runHuge(`${require} ${once}`, head);
  assert.equal(outcome.error, undefined);
  assert.ok(outcome.message.size < 1000);
  const endless = 'foreverypart { if header :mime :type "content-type" "text" { while "true" { replace "x"; } } }';
  assert.equal(limitOf(await runHuge(`${require} ${endless}`, head)), "the script took more than 10000 instructions");
});

Deno.test("subjects and patterns made to take long do not", async () => {
  const subject = `Subject: ${"a".repeat(60_000)}\n\n`;
  const glob = `require ["fileinto", "regex"]; if header :matches "subject" "${"*a".repeat(200)}*b" {}`;
  assert.equal((await run(glob, { message: subject })).error, undefined);
  const regex = 'require "regex"; if header :regex "subject" "(a+)+b" {}';
  assert.equal((await run(regex, { message: subject })).error, undefined);
});
