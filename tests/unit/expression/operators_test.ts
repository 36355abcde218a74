import assert from "node:assert/strict";
import { TypeMismatch } from "../../../src/expression/mod.ts";
import { valueOf } from "./scope.ts";

function assertValues(cases: readonly (readonly [string, unknown])[]): void {
  for (const [source, expected] of cases) assert.deepEqual(valueOf(source), expected, source);
}

Deno.test("literals: numbers, texts, booleans and arrays stand for themselves", () => {
  assertValues([
    ["25", 25],
    ["-3", -3],
    ["1.26", 1.26],
    ["9007199254740992", 9007199254740992],
    ["true", true],
    ["false", false],
    ["'text'", "text"],
    ['"text"', "text"],
    ["''", ""],
    ["[]", []],
    ["['a', 7, true, 1 + 1]", ["a", 7, true, 2]],
    ["[['a'], []]", [["a"], []]],
  ]);
});

Deno.test("escapes: six are read, a backslash before anything else stays", () => {
  assertValues([
    ["'a\\nb'", "a\nb"],
    ["'a\\rb\\tc'", "a\rb\tc"],
    ["'a\\\\b'", "a\\b"],
    ["'it\\'s'", "it's"],
    ['"say \\"hi\\""', 'say "hi"'],
    ["'say \"hi\"'", 'say "hi"'],
    ["'\\d+\\.x'", "\\d+\\.x"],
    ["'\\\\.'", "\\."],
    ["'ä€😀'", "ä€😀"],
  ]);
});

Deno.test("a bare name reads its variable, with hyphens for underscores and ehlo_domain for helo_domain", () => {
  const variables = { authenticated_as: "ana", helo_domain: "h.example" };
  assert.equal(valueOf("authenticated_as", variables), "ana");
  assert.equal(valueOf("authenticated-as", variables), "ana");
  assert.equal(valueOf("ehlo_domain", variables), "h.example");
  assert.equal(valueOf("ehlo-domain", variables), "h.example");
});

Deno.test("a variable that is not known yet reads as the empty value of its type", () => {
  assertValues([
    ["sender", ""],
    ["remote_ip", ""],
    ["retry_num", 0],
    ["is_tls", false],
    ["recipients", []],
  ]);
});

Deno.test("a minus is subtraction with a blank on one side or a digit after it", () => {
  const variables = { retry_num: 5, priority: 2 };
  for (const source of ["retry_num - priority", "retry_num -priority", "retry_num- priority"]) {
    assert.equal(valueOf(source, variables), 3, source);
  }
  assert.equal(valueOf("retry_num-1", variables), 4);
  assert.equal(valueOf("3-1"), 2);
  assert.equal(valueOf("(retry_num)-priority", variables), 3);
});

Deno.test("arithmetic works on numbers and numeric text", () => {
  assertValues([
    ["2 + 3", 5],
    ["2 - 3", -1],
    ["2 * 3", 6],
    ["6 / 3", 2],
    ["6 / 4", 1.5],
    ["-(2 + 1)", -3],
    ["- 3", -3],
    ["--3", 3],
    ["'6' / 3", 2],
    ["1.5 + 1.5", 3],
  ]);
});

Deno.test("plus with a text on either side joins texts, with two arrays joins arrays", () => {
  assertValues([
    ["'a' + 'b'", "ab"],
    ["'a' + 1", "a1"],
    ["1 + 'a'", "1a"],
    ["'1' + 1", "11"],
    ["'x' + 1.5", "x1.5"],
    ["'x' + true", "xtrue"],
    ["['a'] + ['b', 'c']", ["a", "b", "c"]],
    ["'a' + 'b' + 1 + 2", "ab12"],
    ["1 + 2 + 'a'", "3a"],
  ]);
});

Deno.test("comparison: numbers as numbers, also with numeric text; text by code point with case", () => {
  assertValues([
    ["2 < 10", true],
    ["2 < '10'", true],
    ["'10' > 2", true],
    ["'2' < '10'", false],
    ["'10' < '2'", true],
    ["'a' < 'b'", true],
    ["'B' < 'a'", true],
    ["'a' < 'aa'", true],
    ["2 <= 2", true],
    ["2 >= 3", false],
    ["3 > 2", true],
    // U+FF5E is below U+1F600, although its UTF-16 unit is above the surrogate's.
    ["'～' < '😀'", true],
    ["'😀' > '～'", true],
  ]);
});

Deno.test("equality: values of unlike kinds are not equal, arrays are equal item by item", () => {
  assertValues([
    ["1 == 1", true],
    ["1 == '1'", true],
    ["1 == '1.0'", true],
    ["'1' == '1.0'", false],
    ["1 == 'one'", false],
    ["1 != 'one'", true],
    ["'a' == 'A'", false],
    ["true == true", true],
    ["true == 1", false],
    ["true == 'true'", false],
    ["false == ''", false],
    ["[] == ''", false],
    ["['a', 1] == ['a', '1']", true],
    ["['a'] == ['a', 'b']", false],
    ["['a'] != ['b']", true],
  ]);
});

Deno.test("truth: false, 0, empty text and empty array are false, everything else is true", () => {
  for (const source of ["false", "0", "''", "[]", "0.0", "-0"]) assert.equal(valueOf(`!${source}`), true, source);
  for (const source of ["true", "1", "-1", "'0'", "'false'", "[0]", "' '"]) {
    assert.equal(valueOf(`!!(${source})`), true, source);
  }
});

Deno.test("logical operators give booleans", () => {
  assertValues([
    ["'a' && 1", true],
    ["'a' && ''", false],
    ["'' || 'b'", true],
    ["'' || 0", false],
    ["true ^ true", false],
    ["true ^ false", true],
    ["'a' ^ ''", true],
    ["!'a'", false],
    ["true && true && false", false],
    ["false || false || true", true],
  ]);
});

Deno.test("the right side of && and || is evaluated only if the left does not decide", () => {
  assertValues([
    ["false && 1 / 0 == 1", false],
    ["true || 1 / 0 == 1", true],
  ]);
  assert.equal(valueOf("is_tls && 1 / 0", { is_tls: false }), false);
  assert.equal(valueOf("is_tls || 1 / 0", { is_tls: true }), true);
  assert.throws(() => valueOf("is_tls && 1 / 0", { is_tls: true }), TypeMismatch);
});

Deno.test("=, & and | are read as ==, && and ||", () => {
  assertValues([
    ["1 = 1 & 2 = 2", true],
    ["1 = 2 | 2 = 2", true],
  ]);
});

Deno.test("precedence: each level binds tighter than the next", () => {
  assertValues([
    // 1 before 2: index before negation
    ["-[1, 2][1]", -2],
    ["!['', 'a'][0]", true],
    // 2 before 3 and 6
    ["-2 * -3", 6],
    ["!0 == true", true],
    ["!(0 == true)", true],
    ["!1 == 1", false],
    // 3 before 4
    ["2 + 3 * 4", 14],
    ["2 * 3 + 4", 10],
    ["10 - 6 / 2", 7],
    // 4 before 5
    ["1 + 1 < 3", true],
    ["3 > 1 + 1", true],
    // 5 before 6
    ["1 < 2 == true", true],
    ["true == 1 < 2", true],
    // 6 before 7
    ["1 == 1 ^ 2 == 3", true],
    // 7 before 8
    ["false && true ^ true", false],
    ["true ^ false && false", false],
    ["true ^ true && false", false],
    ["false && false ^ true", false],
    // 8 before 9
    ["true || false && false", true],
    ["false && false || true", true],
    ["(true || false) && false", false],
  ]);
});

Deno.test("binary operators group from the left", () => {
  assertValues([
    ["10 - 4 - 3", 3],
    ["100 / 10 / 5", 2],
    ["2 * 6 / 4", 3],
    ["1 == 1 == true", true],
    ["true ^ true ^ true", true],
    ["3 - 2 + 1", 2],
  ]);
});

Deno.test("an index counts from 0; outside the array it gives empty text", () => {
  assertValues([
    ["['a', 'b'][0]", "a"],
    ["['a', 'b'][1]", "b"],
    ["['a', 'b'][2]", ""],
    ["['a', 'b'][-1]", ""],
    ["[['a', 'b']][0][1]", "b"],
    ["['a', 'b']['1']", "b"],
    ["split('x.y', '.')[1]", "y"],
  ]);
});

Deno.test("values of the wrong kind and division by zero are type mismatches", () => {
  for (
    const source of [
      "1 / 0",
      "1 / '0'",
      "'a' - 1",
      "'a' * 2",
      "-'a'",
      "true + 1",
      "[] + 1",
      "[] + 'a'",
      "true < false",
      "1 < 'a'",
      "[] < []",
      "'a'[0]",
      "['a']['x']",
      "len(true)",
      "trim([])",
    ]
  ) {
    assert.throws(() => valueOf(source), TypeMismatch, source);
  }
});

Deno.test("a long chain of || is one level deep", () => {
  const chain = Array.from({ length: 2000 }, (_, index) => `sender == 'a${index}'`).join(" || ");
  assert.equal(valueOf(chain, { sender: "a1999" }), true);
  assert.equal(valueOf(chain, { sender: "b" }), false);
});
