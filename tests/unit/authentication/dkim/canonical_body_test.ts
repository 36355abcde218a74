import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  type Canonicalization,
  canonicalizeBody,
  canonicalLength,
} from "../../../../src/authentication/dkim/canonical_body.ts";

const KINDS: readonly Canonicalization[] = ["simple", "relaxed"];

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

function body(kind: Canonicalization, ...pieces: readonly string[]): string {
  let out = "";
  const canonicalizer = canonicalizeBody(kind, (bytes) => out += text(bytes));
  for (const piece of pieces) canonicalizer.push(latin1(piece));
  canonicalizer.finish();
  return out;
}

Deno.test("the body of the example of RFC 6376 §3.4.5", () => {
  assert.equal(body("relaxed", " C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n");
  assert.equal(body("simple", " C \r\nD \t E\r\n\r\n\r\n"), " C \r\nD \t E\r\n");
});

Deno.test("an empty body is one line end in the simple form and nothing in the relaxed one", () => {
  for (const nothing of ["", "\r\n", "\r\n\r\n\r\n"]) {
    assert.equal(body("simple", nothing), "\r\n");
    assert.equal(body("relaxed", nothing), "");
  }
  assert.equal(body("relaxed", " \t\r\n \r\n"), "");
  assert.equal(body("relaxed", " \t"), "");
  assert.equal(body("simple", " \r\n"), " \r\n");
});

Deno.test("a line end that is missing at the end is added", () => {
  assert.equal(body("simple", "a"), "a\r\n");
  assert.equal(body("relaxed", "a \t"), "a\r\n");
});

Deno.test("only empty lines at the end go; in the relaxed form lines of blanks are empty", () => {
  assert.equal(body("simple", "\r\n\r\na\r\n\r\nb\r\n \r\n\r\n"), "\r\n\r\na\r\n\r\nb\r\n \r\n");
  assert.equal(body("relaxed", "\r\n \r\na\r\n\t\r\nb\r\n \r\n\r\n"), "\r\n\r\na\r\n\r\nb\r\n");
});

Deno.test("a lone CR or LF ends no line", () => {
  assert.equal(body("simple", "a\r\n\r"), "a\r\n\r\r\n");
  assert.equal(body("simple", "a\n\n"), "a\n\n\r\n");
  assert.equal(body("relaxed", "a \nb \rc \r"), "a \nb \rc \r\r\n");
  assert.equal(body("relaxed", "\r"), "\r\r\n");
});

Deno.test("octets above 127 and NUL are kept as they are", () => {
  const odd = "\x00\x80\xff\xe4 \xa0\r\n";
  for (const kind of KINDS) assert.equal(body(kind, odd), odd);
});

// §3.4.3 and §3.4.4 in the words of the RFC, on a whole body.
function defined(kind: Canonicalization, whole: string): string {
  const lines = whole.split("\r\n");
  const kept = kind === "simple" ? lines : lines.map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  // Not by a pattern: it would try every run of blanks and line ends, which takes square time.
  while (kept.at(-1) === "") kept.pop();
  return kept.length === 0 && kind === "relaxed" ? "" : kept.join("\r\n") + "\r\n";
}

Deno.test("how a body is cut into pieces makes no difference", () => {
  const piece = fc.array(fc.constantFrom("a", "b", " ", "\t", "\r", "\n", "\r\n", "\r\n\r\n", " \r\n"), {
    maxLength: 8,
  }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.array(piece, { maxLength: 6 }), (kind, pieces) => {
      assert.equal(body(kind, ...pieces), defined(kind, pieces.join("")));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("long runs of empty lines and pieces beyond 64 KB come out whole", () => {
  const whole = "x".repeat(65_535) + " ".repeat(70_000) + "y" + "\r\n".repeat(50_000) + " z\r\n\r\n";
  for (const kind of KINDS) {
    assert.ok(body(kind, whole) === defined(kind, whole));
    assert.ok(body(kind, whole.slice(0, 65_536), whole.slice(65_536)) === defined(kind, whole));
  }
});

/** The canonical form, if it is a part of the body: asked of octets that stand anywhere in memory. */
function prefix(kind: Canonicalization, whole: string, offset: number): string | undefined {
  const bytes = new Uint8Array(offset + whole.length);
  bytes.set(latin1(whole), offset);
  const length = canonicalLength(kind, bytes.subarray(offset));
  return length < 0 ? undefined : whole.slice(0, length);
}

Deno.test("a body that is canonical but for empty lines at its end is known as such", () => {
  const line = "Two words, a comma; gr\xfc\xdfe and a lone\r or\n\r\n";
  for (const whole of [line, line.repeat(9), ` ${line}`, `\r\n${line}\r\n${line}`, "a\r\n", "a b\r\n", "abc d\r\n"]) {
    for (let offset = 0; offset < 4; offset++) {
      for (const kind of KINDS) {
        assert.equal(prefix(kind, whole, offset), whole);
        assert.equal(prefix(kind, `${whole}\r\n\r\n`, offset), whole);
      }
      assert.equal(prefix("relaxed", whole.replace(/\r\n$/, " \r\n"), offset), undefined);
      assert.equal(prefix("simple", whole.replace(/\r\n$/, ""), offset), undefined);
    }
  }
  assert.deepEqual([prefix("simple", "\r\n\r\n", 0), prefix("simple", "", 0)], ["\r\n", undefined]);
  assert.deepEqual([prefix("relaxed", "\r\n\r\n", 0), prefix("relaxed", "", 0)], ["", ""]);
});

Deno.test("what is taken for canonical is so wherever blanks and tabs stand", () => {
  const word = fc.constantFrom(
    "a",
    "bc",
    "def",
    "ghij",
    "\xe9\xa0",
    "\t",
    " ",
    "  ",
    " \r\n",
    "\r\n",
    "\r",
    "\n",
    "\0",
  );
  const whole = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom("ab ", "cde ", "f ") }, word), {
    maxLength: 20,
  }).map((parts) => `${parts.join("")}\r\n`);
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), whole, fc.nat({ max: 7 }), (kind, whole, offset) => {
      const known = prefix(kind, whole, offset);
      if (known !== undefined) assert.equal(known, defined(kind, whole));
      else assert.equal(kind, "relaxed");
    }),
    { numRuns: 5000 },
  );
});
