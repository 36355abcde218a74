import assert from "node:assert/strict";
import { compileExpression, type FunctionHost, LookupUnavailable, type Value } from "../../../src/expression/mod.ts";
import { ENVIRONMENT, problemOf, problemsOf, scopeOf } from "./scope.ts";

/** Evaluates `source` with a host whose method `name` is recorded and answers `answer`. */
function call(source: string, name: keyof FunctionHost, answer: unknown, variables: Record<string, Value> = {}) {
  const calls: unknown[][] = [];
  const scope = scopeOf(variables, {
    [name]: (...args: unknown[]) => {
      calls.push(args);
      return answer;
    },
  });
  return { calls, value: compileExpression(source, { environment: ENVIRONMENT }).evaluate(scope) };
}

Deno.test("each function of the host is called with its arguments and gives its answer", () => {
  const cases: [string, keyof FunctionHost, unknown[], Value][] = [
    ["is_local_domain('staff', 'Example.ORG')", "isLocalDomain", ["staff", "example.org"], true],
    ["is_local_domain('', 'a')", "isLocalDomain", ["", "a"], true],
    ["is_local_domain('*', 'a')", "isLocalDomain", ["*", "a"], false],
    ["is_local_address('partners', 'Ana@Example.ORG')", "isLocalAddress", ["partners", "Ana@example.org"], true],
    ["key_get('relay-nets', '192.0.2.1')", "keyGet", ["relay-nets", "192.0.2.1"], "yes"],
    ["key_get('data/aliases', 'ana')", "keyGet", ["data/aliases", "ana"], ""],
    ["key_exists('blocked', 25)", "keyExists", ["blocked", "25"], true],
    ["key_exists('', 'a')", "keyExists", ["", "a"], false],
    ["key_set('data', 'k', 5)", "keySet", ["data", "k", 5], true],
    ["counter_get('data', 'c')", "counterGet", ["data", "c"], 3],
    ["counter_incr('', 'c', 2)", "counterIncr", ["", "c", 2], 5],
    ["sql_query('data', 'SELECT ?', ['a', 1])", "sqlQuery", ["data", "SELECT ?", ["a", 1]], "a"],
    ["sql_query('', 'SELECT $1', 'a')", "sqlQuery", ["", "SELECT $1", ["a"]], ["a", "b"]],
    ["sql_query('', 'SELECT 1')", "sqlQuery", ["", "SELECT 1", []], false],
    ["dns_query('example.org', 'MX')", "dnsQuery", ["example.org", "mx"], ["mx1.example.org"]],
  ];
  for (const [source, name, args, answer] of cases) {
    const { calls, value } = call(source, name, answer);
    assert.deepEqual(calls, [args], source);
    assert.deepEqual(value, answer, source);
  }
});

Deno.test("an answer that is there at once keeps the expression synchronous", () => {
  const source = "!is_local_domain('', rcpt_domain) && if_then(true, 1 + 1, 0) == 2";
  assert.equal(call(source, "isLocalDomain", false).value, true);
});

Deno.test("an answer that comes later may stand anywhere in an expression", async () => {
  const later = (source: string) => call(source, "keyGet", Promise.resolve("5"), { is_tls: true }).value;
  for (
    const [source, expected] of [
      ["key_get('', 'a')", "5"],
      ["!key_get('', 'a')", false],
      ["key_get('', 'a') + 'x'", "5x"],
      ["'x' + key_get('', 'a')", "x5"],
      ["key_get('', 'a') == 5", true],
      ["[1, key_get('', 'a'), key_get('', 'b')]", [1, "5", "5"]],
      ["['a', 'b'][key_get('', 'a') - 4]", "b"],
      ["is_tls && key_get('', 'a')", true],
      ["key_get('', 'a') && is_tls && !is_tls", false],
      ["!is_tls || key_get('', 'a') == 6 || is_tls", true],
      ["if_then(key_get('', 'a') == 5, 'yes', 'no')", "yes"],
      ["if_then(is_tls, key_get('', 'a'), 'no')", "5"],
      ["substring('abcdef', key_get('', 'a'), 9)", "f"],
      ["matches('^([0-9])$', key_get('', 'a')) && $1 == '5'", true],
      ["len(key_get('', key_get('', 'a')))", 1],
    ] as const
  ) {
    const value = later(source);
    assert.ok(value instanceof Promise, source);
    assert.deepEqual(await value, expected, source);
  }
});

Deno.test("what the left side decides is not asked for on the right", () => {
  assert.equal(call("is_tls || key_exists('', 'a')", "keyExists", true, { is_tls: true }).calls.length, 0);
  assert.equal(call("is_tls && key_exists('', 'a')", "keyExists", true, { is_tls: false }).calls.length, 0);
  assert.equal(call("if_then(is_tls, 1, key_get('', 'a'))", "keyGet", "", { is_tls: true }).calls.length, 0);
});

Deno.test("a host that throws or rejects in any way is unavailable, never an answer", async () => {
  const source = "key_exists('', sender) || true";
  const expression = compileExpression(source, { environment: ENVIRONMENT });
  const cause = new TypeError("connection lost");
  assert.throws(
    () =>
      expression.evaluate(scopeOf({}, {
        keyExists: () => {
          throw cause;
        },
      })),
    (error) => error instanceof LookupUnavailable && error.cause === cause && error.message.includes("connection lost"),
  );
  const rejected = expression.evaluate(scopeOf({}, { keyExists: () => Promise.reject(cause) }));
  await assert.rejects(Promise.resolve(rejected), LookupUnavailable);
  const known = new LookupUnavailable("directory staff is down");
  const passed = expression.evaluate(scopeOf({}, { keyExists: () => Promise.reject(known) }));
  await assert.rejects(Promise.resolve(passed), (error) => error === known);
});

Deno.test("an undefined directory, store or list is a load error with the nearest name", () => {
  assert.match(problemOf("is_local_domain('stuff', rcpt_domain)"), /no directory 'stuff'; did you mean 'staff'\?/);
  assert.match(problemOf("is_local_address('nobody', rcpt)"), /no directory 'nobody'$/);
  assert.match(problemOf("key_get('relay-net', rcpt)"), /no list or store 'relay-net'; did you mean 'relay-nets'\?/);
  assert.match(problemOf("key_exists('data/alias', rcpt)"), /no list or store 'data\/alias'/);
  assert.match(problemOf("counter_get('dat', rcpt)"), /no store 'dat'; did you mean 'data'\?/);
  assert.match(problemOf("sql_query('x', 'SELECT 1', [])"), /no store 'x'/);
});

Deno.test("writing to a lookup list or a memory store is a load error", () => {
  assert.match(problemOf("key_set('relay-nets', 'a', 1)"), /'relay-nets' is a fixed list/);
  assert.match(problemOf("key_set('blocked', 'a', 1)"), /'blocked' is a fixed list/);
  assert.match(problemOf("counter_incr('blocked', 'a', 1)"), /'blocked' is a fixed list/);
});

Deno.test("directory, store, list and SQL arguments are constants", () => {
  for (
    const source of [
      "is_local_domain(sender, 'a')",
      "key_get(sender, 'a')",
      "key_set(sender, 'a', 1)",
      "counter_get(1, 'a')",
      "sql_query('', 'SELECT ' + sender, [])",
    ]
  ) {
    assert.match(problemOf(source), /expected a constant text/, source);
  }
});

Deno.test("dns_query names the record types that it takes", () => {
  assert.match(
    problemOf("dns_query('a.example', 'srv')"),
    /'srv' is no record type \(a, aaaa, mx, txt, ptr, ns, cname\)/,
  );
});

Deno.test("every problem of an expression is found at once, from left to right", () => {
  assert.deepEqual(
    problemsOf("key_get('nolist', sendr) + lenn('a')").map((problem) => problem.position),
    [8, 18, 27],
  );
});
