import assert from "node:assert/strict";
import fc from "fast-check";
import { parse, stringify, type TomlPrimitive } from "smol-toml";
import { readToml } from "../../../src/config/toml/document.ts";
import type { Node } from "../../../src/config/toml/node.ts";

/** A document without its lines, for comparing. */
function plain(node: Node): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value instanceof Date ? node.value.toISOString() : node.value;
    case "array":
      return node.items.map(plain);
    case "table":
      return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plain(entry)]));
    case "broken":
      return undefined;
  }
}

/** Lines by path: `{ "a.b": 3 }`. */
function linesOf(node: Node, path = "", lines: Record<string, number> = {}): Record<string, number> {
  if (node.kind === "table") {
    for (const [key, entry] of node.entries) linesOf(entry, path === "" ? key : `${path}.${key}`, lines);
  } else if (node.kind === "array") {
    node.items.forEach((item, index) => linesOf(item, `${path}.${index}`, lines));
  } else {
    lines[path] = node.line;
  }
  return lines;
}

function problemsOf(text: string): string[] {
  return readToml(text).problems.map(({ severity, key, line, message }) => `${severity} ${key}:${line}: ${message}`);
}

Deno.test("dotted keys, headers and inline tables are the same setting", () => {
  for (const text of ["a.b.c = 1", "[a.b]\nc = 1", "a = { b = { c = 1 } }", '["a"]\nb."c" = 1']) {
    assert.deepEqual(plain(readToml(text).root), { a: { b: { c: 1 } } }, text);
  }
});

Deno.test("every value knows its line, in headers, arrays of tables, inline tables and lists of several lines", () => {
  const text = `top = 1
[a]
b.c = "x" # comment
"q.r" = { s = 1, t = 2 }
[[list]]
d = 1
[[list]]
d = [
  1, # one
  2,
]
text = """
two
lines"""
[list.sub]
e = true
`;
  assert.deepEqual(linesOf(readToml(text).root), {
    "top": 1,
    "a.b.c": 3,
    "a.q.r.s": 4,
    "a.q.r.t": 4,
    "list.0.d": 6,
    "list.1.d.0": 9,
    "list.1.d.1": 10,
    "list.1.text": 12,
    "list.1.sub.e": 16,
  });
});

Deno.test("all four string forms, numbers and dates are read as TOML says", () => {
  const { root, problems } = readToml(
    String.raw`a = "tab\t\u00e9"
b = 'C:\x'
c = """
one \
   two"""
d = '''
raw \n'''
e = """"quoted""""
f = [0x42, 1_000, 1.5, -3, true]
g = 2024-05-06 07:08:09Z
`.replaceAll("\n", "\r\n"),
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(plain(root), {
    a: "tab\té",
    b: "C:\\x",
    c: "one two",
    d: "raw \\n",
    e: '"quoted"',
    f: [66, 1000, 1.5, -3, true],
    g: "2024-05-06T07:08:09.000Z",
  });
});

Deno.test("a byte order mark at the beginning is not part of the first key", () => {
  assert.deepEqual(plain(readToml("\ufeffa = 1").root), { a: 1 });
});

Deno.test("escapes that TOML does not have are kept, with a warning that names key and line", () => {
  const { root, problems } = readToml('[session]\npattern = "^a\\.b\\d+\\n$"\n');
  assert.deepEqual(plain(root), { session: { pattern: "^a\\.b\\d+\n$" } });
  assert.deepEqual(problems.map(({ severity, key, line }) => [severity, key, line]), [
    ["warning", "session.pattern", 2],
    ["warning", "session.pattern", 2],
  ]);
  assert.match(problems[0]?.message ?? "", /the escape \\\. is not TOML and is kept/);
});

Deno.test("the escapes that only TOML 1.1 has, and cut-off unicode escapes, are kept too", () => {
  const { root, problems } = readToml(String.raw`a = "\x41\e\u12"`);
  assert.deepEqual(plain(root), { a: String.raw`\x41\e\u12` });
  assert.equal(problems.length, 3);
});

Deno.test("a repeated key is an error that names both lines; the first value stays", () => {
  for (
    const [text, key] of [
      ["[a]\nb = 1\nb = 2", "a.b"],
      ["a.b = 1\n\na.b = 2", "a.b"],
      ["\na.b = { c = 1 }\na.b.c = 2", "a.b"],
      ["a = { x = 1,\nb.c = 1,\nb.c = 2 }", "a.b.c"],
    ] as const
  ) {
    const { root, problems } = readToml(text);
    assert.equal(problems.length, 1, text);
    assert.equal(problems[0]?.key, key);
    assert.equal(problems[0]?.line, 3);
    assert.match(problems[0]?.message ?? "", /already on line [12], found again on line 3/);
    assert.ok(!JSON.stringify(plain(root)).includes("2"));
  }
});

Deno.test("a repeated header is an error that names both lines", () => {
  assert.deepEqual(problemsOf("[a.b]\nc = 1\n[a.b]\nd = 2"), [
    "error a.b:3: this header repeats the table of line 1, found again on line 3; keep one of them",
  ]);
  assert.equal(problemsOf("[a]\nb = 1\n[[a]]\n").length, 1);
  assert.equal(problemsOf("a = [1]\n[[a]]\n").length, 1);
  assert.equal(problemsOf("[a]\nb.c = 1\n[a.b]\nd = 1").length, 1);
  assert.equal(problemsOf("a = { b = 1 }\n[a.c]\nd = 1").length, 1);
});

Deno.test("a table that only its sub-tables made may get a header of its own", () => {
  assert.deepEqual(problemsOf("[a.b]\nc = 1\n[a]\nd = 1"), []);
});

Deno.test("set braces are refused with a hint that shows the list and the table form", () => {
  for (const text of ['a = { "x", "y" }\nb = 1', "a = {\n  'x', # } \n  'y'\n}\nb = 1", 'a = { "x" }\nb = 1']) {
    const { root, problems } = readToml(text);
    assert.equal(problems.length, 1, text);
    assert.equal(problems[0]?.key, "a");
    assert.equal(problems[0]?.line, 1);
    assert.match(problems[0]?.message ?? "", /\["a", "b"\].*\{ "a" = true, "b" = true \}/);
    assert.deepEqual(plain(root), { a: undefined, b: 1 });
  }
});

Deno.test("a syntax error says line, column, what was expected and what was found", () => {
  for (
    const [text, wanted] of [
      ["a = foo", /^error a:1: column 5: expected a value .*found "foo"; text needs quotes/],
      ["\na 1", /^error a:2: column 3: expected a "=" after the key, found "1"/],
      ["a = 1 2", /^error a?:1: column 7: expected the end of the line, found "2"/],
      ["a = [1, 2\nb = 3", /^error a:2: column 1: expected "," or "\]" in the list that begins on line 1, found "b"/],
      ["[a\nb = 1", /^error a:1: column 3: expected "\]" at the end of the header, found the end of the line/],
      ['a = "x\nb = 1', /^error a:1: column 7: expected a closing " .*found the end of the line/],
      ['a = """x', /^error a:1: column 9: expected a closing """ .*found the end of the file/],
      ["a = { b = 1\nc", /^error a:2: column 1: expected "," or "\}"/],
      ["a =", /^error a:1: column 4: expected a value .*found the end of the file/],
      ["= 1", /^error :1: column 1: expected a key, found "="/],
      ["a = 99999999999999999999", /^error a:1: column 5: .*cannot be represented/],
      ["a = 01", /^error a:1: column 5: /],
    ] as const
  ) {
    const [first] = problemsOf(text);
    assert.match(first ?? "", wanted, text);
  }
});

Deno.test("reading goes on after a syntax error, so all of them are reported", () => {
  const { root, problems } = readToml("a = foo\nb = 1\nc = [1,\nd = 2\n[e\nf = x\ng = 3\n");
  assert.deepEqual(problems.map(({ line }) => line), [1, 4, 5, 6]);
  assert.deepEqual(plain(root), { a: undefined, b: 1, c: undefined, d: 2, e: { f: undefined, g: 3 } });
});

Deno.test("a header that makes no sense takes the keys under it out of the document", () => {
  const { root, complete } = readToml("[a]\nx = 1\n[=]\ny = 2\n");
  assert.deepEqual(plain(root), { a: { x: 1 } });
  assert.equal(complete, false);
});

Deno.test("hostile nesting is refused instead of exhausting the stack", () => {
  assert.match(problemsOf(`a = ${"[".repeat(100_000)}`)[0] ?? "", /at most 100 levels/);
  assert.match(problemsOf(`a = ${"{b=".repeat(100_000)}`)[0] ?? "", /at most 100 levels/);
});

Deno.test("control characters are refused wherever they stand", () => {
  for (const text of ['a = "x\u0001"', "a = 1 # \u0001", "a = 1\r"]) {
    assert.equal(readToml(text).problems.length > 0, true, JSON.stringify(text));
  }
});

const scalar: fc.Arbitrary<TomlPrimitive> = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.boolean(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const value = fc.letrec<{ value: TomlPrimitive }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(scalar, { maxLength: 4 }),
    fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), tie("value"), { maxKeys: 4, noNullPrototype: true }),
    fc.array(fc.dictionary(fc.string({ maxLength: 4 }), scalar, { maxKeys: 3, noNullPrototype: true }), {
      maxLength: 3,
    }),
  ),
})).value;

Deno.test("whatever a TOML writer writes is read as the TOML library reads it", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ maxLength: 8 }), value, { noNullPrototype: true }), (table) => {
      const text = stringify(table);
      const { root, problems } = readToml(text);
      assert.deepEqual(problems, []);
      const wanted: unknown = parse(text);
      assert.equal(JSON.stringify(plain(root)), JSON.stringify(wanted));
    }),
    { numRuns: 300 },
  );
});

const fragment = fc.constantFrom(
  "[",
  "]",
  "[[",
  "]]",
  "{",
  "}",
  "=",
  ".",
  ",",
  "#",
  '"',
  "'",
  '"""',
  "'''",
  "\n",
  "\r\n",
  " ",
  "a",
  "b",
  "1",
  "1.5",
  "true",
  "\\",
  "\\u00",
  "a = 1\n",
  "[a]\n",
  "[[a]]\n",
  "[a.b]\n",
  "a.b = 'x'\n",
  "2024-01-01",
  "\u0000",
  "é",
  "0x",
); // deno-fmt-ignore

Deno.test("what is accepted without error is what the TOML library accepts, and nothing crashes", () => {
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 30 }), (fragments) => {
      const text = fragments.join("");
      const { root, problems } = readToml(text);
      if (problems.some((problem) => problem.severity === "error")) return;
      if (problems.length > 0) return; // Kept escapes: the library refuses those.
      assert.equal(JSON.stringify(plain(root)), JSON.stringify(parse(text)));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("what the TOML library accepts is accepted", () => {
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 30 }), (fragments) => {
      const text = fragments.join("");
      try {
        parse(text);
      } catch {
        return;
      }
      assert.deepEqual(readToml(text).problems.filter((problem) => problem.severity === "error"), [], text);
    }),
    { numRuns: 3000 },
  );
});
