import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  type Canonicalization,
  canonicalizeBody,
  canonicalizeField,
  withoutSignature,
} from "../../../../src/authentication/dkim/canonicalize.ts";

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

const field = (kind: Canonicalization, value: string) => text(canonicalizeField(kind, latin1(value)));

Deno.test("the example of RFC 6376 §3.4.5, relaxed", () => {
  assert.equal(field("relaxed", "A: X\r\n"), "a:X\r\n");
  assert.equal(field("relaxed", "B : Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
  assert.equal(body("relaxed", " C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n");
});

Deno.test("the example of RFC 6376 §3.4.5, simple", () => {
  assert.equal(field("simple", "A: X\r\n"), "A: X\r\n");
  assert.equal(field("simple", "B : Y\t\r\n\tZ  \r\n"), "B : Y\t\r\n\tZ  \r\n");
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
  if (kind === "simple") return whole.replace(/(\r\n)*$/, "") + "\r\n";
  const lines = whole.split("\r\n").map((line) => line.replace(/[ \t]+$/, "").replace(/[ \t]+/g, " "));
  const kept = lines.join("\r\n").replace(/(\r\n)*$/, "");
  return kept === "" ? "" : kept + "\r\n";
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

Deno.test("relaxed fields: names in lower case, folds and blanks as one blank, none at the ends", () => {
  assert.equal(field("relaxed", "SUBJECT \t :  a\r\n\t b  c \t\r\n"), "subject:a b c\r\n");
  assert.equal(field("relaxed", "X-Empty:\r\n"), "x-empty:\r\n");
  assert.equal(field("relaxed", "X-Folds: \r\n \r\n\t\r\n"), "x-folds:\r\n");
  assert.equal(field("relaxed", "Subject: G\xfc\xdfe: ja\r\n"), "subject:G\xfc\xdfe: ja\r\n");
});

Deno.test("a field without its last line end gets one", () => {
  assert.equal(field("simple", "A: X"), "A: X\r\n");
  assert.equal(field("relaxed", "A:  X "), "a:X\r\n");
});

Deno.test("the signature is taken out of a field, and nothing else", () => {
  const out = (value: string) => text(withoutSignature(latin1(value)));
  assert.equal(out("DKIM-Signature: v=1; b=abc; bh=def\r\n"), "DKIM-Signature: v=1; b=; bh=def");
  assert.equal(out("DKIM-Signature: bh=b=; b=ab\r\n\tcd==\r\n"), "DKIM-Signature: bh=b=; b=");
  assert.equal(out("DKIM-Signature:b = a b ;\r\n d=b=c;\r\n"), "DKIM-Signature:b =;\r\n d=b=c;");
  assert.equal(out("DKIM-Signature: v=1;\r\n\tb\r\n\t= x; t=1"), "DKIM-Signature: v=1;\r\n\tb\r\n\t=; t=1");
  assert.equal(out("DKIM-Signature: bh=x; xb=y; B=z\r\n"), "DKIM-Signature: bh=x; xb=y; B=z");
  assert.equal(out("no field at all"), "no field at all");
  assert.equal(out("DKIM-Signature: b="), "DKIM-Signature: b=");
});
