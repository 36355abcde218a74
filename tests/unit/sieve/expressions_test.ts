/** Expressions in scripts, loops over them, and what reaches outside by them. */

import assert from "node:assert/strict";
import { EMPTY_ENVIRONMENT, LookupUnavailable, type Value } from "../../../src/expression/mod.ts";
import { actionsOf, errorsOf, holds, run, type RunOptions } from "./script.ts";

const REQUIRE = 'require ["variables", "fileinto", "vnd.stalwart.expressions", "vnd.stalwart.while", ' +
  '"vnd.stalwart.execute", "editheader"];';

/** What a script makes of the variable `x`. */
async function valueOf(script: string, options: RunOptions = {}): Promise<string> {
  const outcome = await run(`${REQUIRE}\n${script}\nfileinto "[\${x}]";`, options);
  assert.equal(outcome.error, undefined);
  const [action] = outcome.actions;
  assert.ok(action?.kind === "store");
  return action.mailbox.slice(1, -1);
}

const FUNCTIONS = {
  isLocalDomain: () => false,
  isLocalAddress: () => false,
  keyGet: (_list: string, key: string) => `value of ${key}`,
  keyExists: () => Promise.resolve(true),
  keySet: () => true,
  counterGet: () => 0,
  counterIncr: () => 1,
  sqlQuery: (_store: string, _sql: string, _args: readonly Value[]): Value | Promise<Value> => false,
  dnsQuery: () => [],
};

Deno.test("let computes with variables, numbers stay numbers", async () => {
  assert.equal(await valueOf('let "i" "10"; let "x" "i * 2 + 1";'), "21");
  assert.equal(await valueOf('set "i" "10"; let "x" "i - 0.5";'), "9.5");
  assert.equal(await valueOf('set "a" "b"; let "x" "a + \'c\' + missing";'), "bc");
  assert.equal(await valueOf(`let "l" "['a', 'b']"; let "x" "l[1] + count(l)";`), "b2");
  assert.equal(await valueOf(`let "x" "['a', 'b']";`), "a b");
});

Deno.test("what is written like a number counts as one, anything else is text", async () => {
  assert.equal(await valueOf('set "a" "1"; set "b" "2.5"; let "x" "a + b";'), "3.5");
  assert.equal(await valueOf('set "a" "007"; let "x" "a + 1";'), "0071");
  assert.equal(await valueOf('set "a" "12345678901234567890"; let "x" "a + 1";'), "123456789012345678901");
  assert.equal(await valueOf('let "x" "header.x-count + 1";', { message: "X-Count: 41\n\n" }), "42");
  assert.equal(await valueOf(`set "a" "5"; let "x" "a + '-' + len(a)";`), "5-1");
});

Deno.test("a variable may have the name of a function", async () => {
  assert.equal(await valueOf('set "count" "3"; let "x" "count * 2";'), "6");
});

Deno.test("eval is a test, and a command for what it does", async () => {
  assert.equal(await holds('eval "1 < 2"', { before: REQUIRE }), true);
  assert.equal(await holds("eval \"''\"", { before: REQUIRE }), false);
  const asked: unknown[] = [];
  const host = { functions: { ...FUNCTIONS, keySet: (...args: unknown[]) => asked.push(args) > 0 } };
  await run(`${REQUIRE} eval "key_set('s', 'k', 1)";`, { host });
  assert.deepEqual(asked, [["s", "k", 1]]);
});

Deno.test("expressions read header fields, the text of the body, and namespaces", async () => {
  const message = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nX-A-B: 7\nContent-Type: text/html\n\n<p>one <b>two</b></p>\n";
  assert.equal(await valueOf('let "x" "header.subject";', { message }), "Grüße");
  assert.equal(await valueOf('let "x" "header.x-a-b * 2";', { message }), "14");
  assert.equal(await valueOf('let "x" "header.none";', { message }), "");
  assert.equal(await valueOf('let "x" "split_words(body.to_text)";', { message }), "one two");
  const namespaces = { env: { read: (_run: unknown, name: string) => `env ${name}` } };
  assert.equal(await valueOf('let "x" "env.remote_ip.reverse";', { namespaces }), "env remote_ip.reverse");
});

Deno.test("groups come from matches in the expression, else from the test before", async () => {
  assert.equal(await valueOf(`let "x" "if_then(matches('^(.)(.)$', 'ab'), $2, '')";`), "b");
  const before = 'if header :matches "subject" "*from*" { let "x" "trim($2)"; }';
  assert.equal(await valueOf(before), "the sea");
});

Deno.test("a value of the wrong kind makes the expression false, and is logged", async () => {
  const logged: string[] = [];
  const host = { log: (text: string) => void logged.push(text) };
  assert.equal(await valueOf('set "a" "b"; let "x" "a / 2";', { host }), "false");
  assert.equal(await holds('eval "1 / 0"', { before: REQUIRE, host }), false);
  assert.equal(logged.length, 2);
  assert.match(logged[0] ?? "", /eval\.error/);
});

Deno.test("while goes on as long as its expression holds, with break and continue", async () => {
  assert.equal(await valueOf('set "x" ""; let "i" "3"; while "i > 0" { set "x" "${x}${i}"; let "i" "i - 1"; }'), "321");
  const skipping = `set "x" ""; let "i" "0"; while "true" {
    let "i" "i + 1";
    if eval "i == 6" { break; }
    if eval "contains([2, 4], i)" { continue; }
    set "x" "\${x}\${i}";
  }`;
  assert.equal(await valueOf(skipping), "135");
  const nested = 'set "x" ""; let "i" "2"; while "i > 0" { let "i" "i - 1"; while "true" { break; } set "x" "${x}i"; }';
  assert.equal(await valueOf(nested), "ii");
});

Deno.test("a loop that waits for the host in each turn goes on after it", async () => {
  const host = { functions: { ...FUNCTIONS, counterGet: () => Promise.resolve(1) } };
  const script = `set "x" ""; let "i" "3"; while "i > 0 && counter_get('', 'n') == 1" {
    let "i" "i - counter_get('', 'n')"; set "x" "\${x}\${i}";
  }`;
  assert.equal(await valueOf(script, { host }), "210");
});

Deno.test("stop inside a loop ends the script", async () => {
  const outcome = await run(`${REQUIRE} while "true" { discard; stop; } keep;`);
  assert.deepEqual(actionsOf(outcome), ["discard"]);
});

Deno.test("query asks the store with values bound, the store may be left out", async () => {
  const asked: unknown[] = [];
  const host = {
    functions: {
      ...FUNCTIONS,
      sqlQuery(...args: readonly unknown[]): Value {
        asked.push(args);
        return [7, "b"];
      },
    },
  };
  assert.equal(
    await valueOf(`set "a" "v"; let "r" "query('s', 'SELECT 1', [a, 2])"; let "x" "r[0] + r[1]";`, { host }),
    "7b",
  );
  assert.equal(await valueOf(`let "r" "query('SELECT 2', ['v'])"; let "x" "r[1]";`, { host }), "b");
  assert.equal(await valueOf(`let "r" "query('SELECT 3')"; set "x" "y";`, { host }), "y");
  const older = 'set "a" "v"; if query :use "s" :set ["n", "x"] "SELECT 4" ["${a}"] {}';
  assert.equal(await valueOf(older, { host }), "b");
  assert.equal(await valueOf('query "SELECT 5"; set "x" "y";', { host }), "y");
  assert.deepEqual(asked, [
    ["s", "SELECT 1", ["v", 2]],
    ["", "SELECT 2", ["v"]],
    ["", "SELECT 3", []],
    ["s", "SELECT 4", ["v"]],
    ["", "SELECT 5", []],
  ]);
});

Deno.test("exec runs an absolute path with its arguments, through the host", async () => {
  const ran: unknown[] = [];
  const host = {
    execute: (program: string, args: readonly string[]) => {
      ran.push([program, ...args]);
      return Promise.resolve(true);
    },
  };
  assert.equal(await holds(`eval "exec('/bin/check', ['a b', 2])"`, { before: REQUIRE, host }), true);
  assert.deepEqual(ran, [["/bin/check", "a b", "2"]]);
  assert.match((await run(`${REQUIRE} eval "exec('check')";`, { host })).error?.message ?? "", /absolute path/);
  assert.match((await run(`${REQUIRE} eval "exec('/bin/check')";`)).error?.message ?? "", /cannot run/);
});

Deno.test("thread_name takes replies, forwards and list names off a subject", async () => {
  const subjects = {
    "Re: Fwd: [list] Re[2]: the  sea": "the sea",
    "AW: WG: the sea (fwd)": "the sea",
    "[fwd: the sea]": "the sea",
    "[only]": "[only]",
    "Regarding: the sea": "Regarding: the sea",
    "": "",
  };
  for (const [subject, wanted] of Object.entries(subjects)) {
    assert.equal(await valueOf(`set "s" "${subject}"; let "x" "thread_name(s)";`), wanted);
  }
});

Deno.test("what cannot be reached makes the whole run fail, not just the expression", async () => {
  const functions = { ...FUNCTIONS, keyExists: () => Promise.reject(new Error("down")) };
  await assert.rejects(run(`${REQUIRE} if eval "key_exists('l', 'k')" {}`, { host: { functions } }), LookupUnavailable);
});

Deno.test("errors of expressions name the place in them", () => {
  const errors = (script: string) => errorsOf(`${REQUIRE}\n${script}`).map((error) => error.replace(/^\d+:\d+: /, ""));
  assert.deepEqual(errors('if eval "1 +" {}'), [
    "expected a value, found the end of the expression (at character 4 of the expression)",
  ]);
  assert.deepEqual(errors('let "x" "nothing(1)";').map((error) => error.slice(0, 26)), ["unknown function 'nothing'"]);
  assert.deepEqual(errors('let "x" "nobody.home";'), ["unknown variable namespace 'nobody' in 'nobody.home'"]);
  assert.match(errors('let "x" "${a} + 1";')[0] ?? "", /stands by its name alone: 'a'/);
  assert.match(errors('let "x" "a-b";')[0] ?? "", /subtraction needs blanks/);
  assert.match(errors('let "not a name" "1";')[0] ?? "", /not the name of a variable/);
  assert.deepEqual(errors("break;"), ["break must stand inside a loop"]);
  assert.deepEqual(errors("continue;"), ["continue must stand inside a loop"]);
  assert.equal(errors("if eval 1 {}").length, 1);
  const environment = { ...EMPTY_ENVIRONMENT, writableStores: ["sql"], stores: ["sql"] };
  const checked = errorsOf(`${REQUIRE} let "x" "key_exists('lst', 'a')"; query :use "sq" "S";`, { environment });
  assert.equal(checked.length, 2);
});

Deno.test("loops and growing values end at the limits", async () => {
  const endless = await run(`${REQUIRE} while "true" {}`);
  assert.deepEqual([endless.error?.limit, endless.error?.message], [
    true,
    "the script took more than 10000 instructions",
  ]);
  const doubling = await run(`${REQUIRE} let "a" "['0123456789']"; while "true" { let "a" "a + a"; }`, {
    limits: { variableSize: 10_000 },
  });
  assert.equal(doubling.error?.limit, true);
  const nesting = await run(
    `${REQUIRE} let "a" "['x']"; let "i" "40"; while "i > 0" { let "a" "[a, a]"; let "i" "i - 1"; }`,
  );
  assert.equal(nesting.error, undefined);
  const long = await run(`${REQUIRE} set "a" "${"x".repeat(100_000)}"; while "len(a) > 0" {}`);
  assert.equal(long.error?.limit, true);
  assert.ok(long.instructions <= 10_200);
});
