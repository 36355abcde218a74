import assert from "node:assert/strict";
import fc from "fast-check";
import {
  compileExpression,
  evaluateText,
  ExpressionError,
  FUNCTION_NAMES,
  type FunctionHost,
  type Scope,
  TypeMismatch,
} from "../../src/expression/mod.ts";
import { runs } from "../support/fuzz_runs.ts";

const HOST: FunctionHost = {
  isLocalDomain: () => true,
  isLocalAddress: () => false,
  keyGet: () => "value",
  keyExists: () => true,
  keySet: () => true,
  counterGet: () => 1,
  counterIncr: () => 2,
  sqlQuery: () => ["a", "b"],
  dnsQuery: () => ["192.0.2.1"],
};

const SCOPE: Scope = {
  variables: { sender: "ana@example.org", is_tls: true, retry_num: 3, recipients: ["a@b", "c@d"] },
  functions: HOST,
};

/** Pieces that make expressions which often parse. */
const PIECE = fc.oneof(
  fc.constantFrom(..."()[],!-+*/<>=^&|".split(""), "==", "!=", "&&", "||", "<=", ">=", " ", "'", '"', "\\"),
  fc.constantFrom("sender", "is_tls", "retry_num", "recipients", "true", "false", "$0", "$1", "${2}", "90s"),
  fc.constantFrom(...FUNCTION_NAMES).map((name) => `${name}(`),
  fc.constantFrom("'text'", "''", "'a|(b)'", "'('", '"x"', "1", "0", "1.5", "9007199254740993", "ä", "😀", "\n"),
);

/** An expression that follows the grammar. */
const { expression } = fc.letrec<{ expression: string; leaf: string }>((tie) => ({
  leaf: fc.constantFrom(
    "sender",
    "is_tls",
    "retry_num",
    "recipients",
    "'x'",
    "''",
    "0",
    "2",
    "true",
    "['a', '']",
    "'5'",
  ),
  expression: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    fc.tuple(
      tie("expression"),
      fc.constantFrom("+", "-", "*", "/", "<", ">=", "==", "!=", "^", "&&", "||"),
      tie("expression"),
    )
      .map(([a, operator, b]) => `${a} ${operator} ${b}`),
    tie("expression").map((inner) => `(${inner})`),
    tie("expression").map((inner) => `!${inner}`),
    tie("expression").map((inner) => `[${inner}, 1]`),
    fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => `(${a})[${b}]`),
    fc.tuple(
      fc.constantFrom("len", "trim", "is_empty", "to_uppercase", "lines", "dedup", "is_number"),
      tie("expression"),
    )
      .map(([name, a]) => `${name}(${a})`),
    fc.tuple(fc.constantFrom("split", "contains", "sort", "starts_with"), tie("expression"), tie("expression"))
      .map(([name, a, b]) => `${name}(${a}, ${b})`),
    fc.tuple(tie("expression"), tie("expression"), tie("expression")).map(([a, b, c]) => `if_then(${a}, ${b}, ${c})`),
    tie("expression").map((inner) => `(matches('(x)|(.*)', ${inner}) && $1)`),
  ),
}));

function compilesOrExplains(source: string): void {
  try {
    compileExpression(source).evaluate(SCOPE);
  } catch (error) {
    if (error instanceof TypeMismatch) return;
    assert.ok(error instanceof ExpressionError, `${error}`);
    for (const problem of error.problems) {
      assert.ok(problem.position >= 0 && problem.position <= source.length);
      assert.notEqual(problem.message, "");
    }
  }
}

Deno.test("random text never does worse than an ExpressionError with a place inside it", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), compilesOrExplains), { numRuns: runs(500) });
  fc.assert(fc.property(fc.array(PIECE, { maxLength: 60 }).map((parts) => parts.join("")), compilesOrExplains), {
    numRuns: runs(3000),
  });
});

Deno.test("whatever follows the grammar compiles, and evaluates to a value each time the same", () => {
  fc.assert(
    fc.property(expression, (source) => {
      const value = evaluateText(source, SCOPE);
      assert.ok(!(value instanceof Promise));
      assert.deepEqual(evaluateText(source, SCOPE), value);
    }),
    { numRuns: runs(1000) },
  );
});

Deno.test("brackets, blanks and double negation do not change what an expression means", () => {
  fc.assert(
    fc.property(expression, (source) => {
      const plain = evaluateText(source, SCOPE);
      assert.deepEqual(evaluateText(`(${source})`, SCOPE), plain);
      assert.deepEqual(evaluateText(`\n  ${source}\t`, SCOPE), plain);
    }),
    { numRuns: runs(300) },
  );
});

Deno.test("any text put into quotes with its escapes reads as itself", () => {
  const quote = (text: string) =>
    `'${text.replace(/[\\'\n\r\t]/g, (found) => ({ "\n": "\\n", "\r": "\\r", "\t": "\\t" })[found] ?? `\\${found}`)}'`;
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
      assert.equal(evaluateText(quote(text), SCOPE), text);
    }),
    { numRuns: runs(500) },
  );
});
