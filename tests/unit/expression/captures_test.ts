import assert from "node:assert/strict";
import { errorsOf, problemOf, scopeOf, settingOf, valueOf } from "./scope.ts";

Deno.test("matches is unanchored and sees case", () => {
  assert.equal(valueOf("matches('b', 'abc')"), true);
  assert.equal(valueOf("matches('^b', 'abc')"), false);
  assert.equal(valueOf("matches('B', 'abc')"), false);
  assert.equal(valueOf("matches('(?i)B', 'abc')"), true);
});

Deno.test("groups hold to the right of the call in the same expression", () => {
  assert.equal(valueOf("matches('^(.+)@(.+)$', 'ana@example.org') && $1 == 'ana' && $2 == 'example.org'"), true);
  assert.equal(valueOf("if_then(matches('^(.+)@', 'ana@example.org'), $0 + $1, 'none')"), "ana@ana");
  assert.equal(valueOf("if_then(matches('^(.+)@', 'ana@example.org'), ${1}, 'none')"), "ana");
});

Deno.test("a group that took no part is empty text", () => {
  assert.equal(valueOf("if_then(matches('^(a)|(b)', 'b'), '<' + $1 + $2 + $3 + '>', '')"), "<b>");
});

Deno.test("after several calls the last one that matched counts", () => {
  assert.equal(valueOf("if_then(matches('(a)', 'a') && matches('(b)', 'b'), $1, '')"), "b");
  assert.equal(valueOf("if_then(matches('(a)', 'a') && !matches('(b)', 'x'), $1, '')"), "a");
  assert.equal(valueOf("if_then(matches('(z)', 'a') || true, '<' + $1 + '>', '')"), "<>");
});

Deno.test("groups of a condition hold in the result of the same item only", () => {
  const setting = settingOf<string | false>({
    context: "mail",
    type: { kind: "str", orFalse: true },
    source: [
      { if: 'matches("^(.+)@[a-z]+\\.corp\\.example\\.net$", sender)', then: "$1 + '@example.net'" },
      { if: "matches('^(x+)$', sender)", then: "$1 + $1" },
      { else: false },
    ],
  });
  assert.equal(setting.evaluate(scopeOf({ sender: "ana@eng.corp.example.net" })), "ana@example.net");
  assert.equal(setting.evaluate(scopeOf({ sender: "xx" })), "xxxx");
  assert.equal(setting.evaluate(scopeOf({ sender: "ana@example.org" })), false);

  const [problem] = errorsOf({
    type: { kind: "str" },
    source: [{ if: "matches('(a)', sender)", then: "$1" }, { else: "$1" }],
  });
  assert.equal(problem?.item, 1);
  assert.equal(problem?.part, "else");
  assert.match(problem?.message ?? "", /'\$1' needs a matches\(…\) to its left/);
});

Deno.test("a group without a preceding matches is a load error", () => {
  assert.match(problemOf("$1"), /needs a matches/);
  assert.match(problemOf("$1 == 'a' && matches('(a)', sender)"), /needs a matches/);
  assert.match(problemOf("matches('(a)', $1)"), /needs a matches/);
});

Deno.test("two evaluations that wait at the same time keep their own groups", async () => {
  const setting = settingOf<string>({
    type: { kind: "str" },
    source: [{ if: "matches('^(.+)@', rcpt) && is_local_domain('', rcpt_domain)", then: "$1" }],
    default: "''",
  });
  const waiting: ((value: boolean) => void)[] = [];
  const isLocalDomain = () => new Promise<boolean>((resolve) => waiting.push(resolve));
  const first = setting.evaluate(scopeOf({ rcpt: "ana@a", rcpt_domain: "a" }, { isLocalDomain }));
  const second = setting.evaluate(scopeOf({ rcpt: "bob@a", rcpt_domain: "a" }, { isLocalDomain }));
  for (const answer of waiting.reverse()) answer(true);
  assert.deepEqual(await Promise.all([first, second]), ["ana", "bob"]);
});

Deno.test("patterns are constants in RE2 syntax, compiled at load", () => {
  assert.match(problemOf("matches(sender, 'a')"), /must be a constant text/);
  assert.match(problemOf("matches('(a', sender)"), /^bad regular expression: missing closing \)/);
  assert.match(problemOf("matches('(a)\\1', sender)"), /^bad regular expression/);
  assert.match(problemOf("matches('a(?=b)', sender)"), /^bad regular expression/);
  assert.match(problemOf("matches('(?<=b)a', sender)"), /^bad regular expression/);
  assert.equal(valueOf("matches('^' + 'a', 'ab')"), true);
});

Deno.test("bad UTF-16 and very long text do not disturb matches", () => {
  assert.equal(valueOf("matches('^.$', sender)", { sender: "\ud800" }), true);
  assert.equal(valueOf("matches('x$', sender)", { sender: "a".repeat(100_000) + "x" }), true);
});
