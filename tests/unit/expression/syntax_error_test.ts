import assert from "node:assert/strict";
import { compileExpression, ExpressionError, formatProblem } from "../../../src/expression/mod.ts";
import { problemOf, problemsOf } from "./scope.ts";

/** Each source, where in it the problem is, and what is said of it. */
function assertProblems(cases: readonly (readonly [source: string, position: number, message: RegExp])[]): void {
  for (const [source, position, message] of cases) {
    const [problem] = problemsOf(source);
    assert.match(problem?.message ?? "", message, source);
    assert.equal(problem?.position, position, source);
    assert.equal(problem?.source, source);
  }
}

Deno.test("what is no token is named with its place", () => {
  assertProblems([
    ["sender == 'a", 10, /no closing '/],
    ["sender == \"a'", 10, /no closing "/],
    ["sender == 'a\\'", 10, /no closing '/],
    ["sender ; 1", 7, /unexpected ";"/],
    ["sender == #", 10, /unexpected "#"/],
    ["größe", 2, /unexpected 'ö'; put text in quotes/],
    ["$x", 0, /must be followed by the number of a group/],
    ["${1", 0, /must be followed by the number of a group/],
    ["%{sender}%", 0, /macros are written/],
    ["a.b", 1, /unexpected "\."/],
    ["'a' ? 'b'", 4, /unexpected "\?"/],
  ]);
});

Deno.test("what is no expression is named with its place", () => {
  assertProblems([
    ["", 0, /empty/],
    ["  ", 0, /empty/],
    ["1 +", 3, /expected a value, found the end/],
    ["1 2", 2, /expected an operator or the end, found '2'/],
    ["'a' 'b'", 4, /expected an operator or the end, found a text/],
    ["(1", 2, /expected '\)' for the '\(' at character 1, found the end/],
    ["[1, 2", 5, /expected '\]' for the '\[' at character 1/],
    ["len('a'", 7, /expected '\)'/],
    ["len('a',)", 8, /expected a value, found '\)'/],
    ["[1,]", 3, /expected a value/],
    ["1)", 1, /expected an operator or the end, found '\)'/],
    ["&& 1", 0, /expected a value, found '&&'/],
    ["1 == == 2", 5, /expected a value, found '=='/],
    ["!", 1, /expected a value/],
    ["recipients[", 11, /expected a value/],
    ["1 === 1", 4, /expected a value, found '=='/],
  ]);
});

Deno.test("a duration or rate inside an expression is refused with a hint", () => {
  assertProblems([
    ["if_then(is_tls, 90s, 1)", 16, /'90s' is neither a number nor a name; a duration stands alone/],
    ["1e5", 0, /'1e5' is neither/],
  ]);
});

Deno.test("an unknown name is named with the nearest known one", () => {
  assertProblems([
    ["sendr == 'a'", 0, /unknown name 'sendr'; did you mean 'sender'\?/],
    ["1 + remote_iq", 4, /did you mean 'remote_ip'\?/],
    ["smarthost", 0, /unknown name 'smarthost'; text is written in quotes: 'smarthost'/],
    ["lenn('a')", 0, /unknown function 'lenn'; did you mean 'len'\?/],
    ["is-empty('a')", 0, /unknown function 'is-empty'; did you mean 'is_empty'\?/],
    ["frobnicate('a')", 0, /unknown function 'frobnicate'$/],
    ["is_tls && len", 10, /the function 'len' needs arguments/],
    ["toString", 0, /unknown name 'toString'/],
    ["constructor('a')", 0, /unknown function 'constructor'/],
    ["env_from", 0, /unknown name 'env_from'/],
  ]);
  assert.match(problemOf("priority-size"), /subtraction needs a blank: 'priority - size'/);
});

Deno.test("a variable of another context is named with the contexts that have it", () => {
  assert.throws(
    () => compileExpression("rcpt == 'a'", { context: "mail" }),
    (error) =>
      error instanceof ExpressionError &&
      /'rcpt' is not known at this stage, only in: rcpt, data, queue, host/.test(error.message),
  );
  assert.throws(
    () => compileExpression("remote_ip", { context: "queue" }),
    /'remote_ip' is not known at this stage, only in: conn, ehlo, mail, rcpt, data, host, http/,
  );
});

Deno.test("a wrong number of arguments says how many there should be", () => {
  assertProblems([
    ["len()", 0, /'len' takes 1 argument, not 0/],
    ["1 + split('a')", 4, /'split' takes 2 arguments, not 1/],
    ["sql_query('')", 0, /'sql_query' takes 2 to 3 arguments, not 1/],
    ["matches('a')", 0, /'matches' takes 2 arguments, not 1/],
    ["if_then(1, 2)", 0, /'if_then' takes 3 arguments, not 2/],
    ["config_get()", 0, /'config_get' takes 1 argument, not 0/],
  ]);
});

Deno.test("too deep nesting is an error, not a crash", () => {
  const deep = 10_000;
  for (
    const source of [
      "(".repeat(deep) + "1" + ")".repeat(deep),
      "[".repeat(deep) + "]".repeat(deep),
      "!".repeat(deep) + "1",
      "-".repeat(deep) + "sender",
      "len(".repeat(deep) + "''" + ")".repeat(deep),
      "recipients" + "[0]".repeat(deep),
      "1" + " + sender".repeat(2_000),
      "1" + "[0".repeat(deep),
    ]
  ) {
    assert.match(problemOf(source), /nested deeper than 200 levels/, source.slice(0, 20));
  }
  assert.match(problemOf("1" + " ".repeat(70_000)), /longer than 65536 characters/);
});

Deno.test("a problem is shown with item, column and the text around it", () => {
  assert.equal(
    formatProblem({ message: "unknown name 'x'", position: 3, source: "!!(x)", item: 1, part: "if" }),
    `unknown name 'x' (item 2, "if", character 4 of "!!(x)")`,
  );
  assert.equal(formatProblem({ message: "expected a table", position: 0, source: "" }), "expected a table");
  const long = "a".repeat(100) + "!" + "b".repeat(100);
  const shown = formatProblem({ message: "m", position: 100, source: long });
  assert.match(shown, /^m \(character 101 of …"a{30}!b{29}"…\)$/);
});
