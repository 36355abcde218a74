import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Canonicalization } from "../../../../src/authentication/dkim/canonical_body.ts";
import { canonicalizeField, writeOwnField } from "../../../../src/authentication/dkim/canonical_field.ts";

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

const field = (kind: Canonicalization, value: string) => text(canonicalizeField(kind, latin1(value)));

/** A field as it is hashed itself, standing between other octets. */
function own(kind: Canonicalization, value: string): string {
  const bytes = latin1(`b=x;${value}b=y;:`);
  const out = new Uint8Array(bytes.length);
  const end = writeOwnField(kind, bytes, { start: 4, end: 4 + value.length }, out, 1);
  return text(out.subarray(1, end));
}

Deno.test("the fields of the example of RFC 6376 §3.4.5", () => {
  assert.equal(field("relaxed", "A: X\r\n"), "a:X\r\n");
  assert.equal(field("relaxed", "B : Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
  assert.equal(field("simple", "A: X\r\n"), "A: X\r\n");
  assert.equal(field("simple", "B : Y\t\r\n\tZ  \r\n"), "B : Y\t\r\n\tZ  \r\n");
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
  const out = (value: string) => own("simple", value);
  assert.equal(out("DKIM-Signature: v=1; b=abc; bh=def\r\n"), "DKIM-Signature: v=1; b=; bh=def");
  assert.equal(out("DKIM-Signature: bh=b=; b=ab\r\n\tcd==\r\n"), "DKIM-Signature: bh=b=; b=");
  assert.equal(out("DKIM-Signature:b = a b ;\r\n d=b=c;\r\n"), "DKIM-Signature:b =;\r\n d=b=c;");
  assert.equal(out("DKIM-Signature: v=1;\r\n\tb\r\n\t= x; t=1"), "DKIM-Signature: v=1;\r\n\tb\r\n\t=; t=1");
  assert.equal(out("DKIM-Signature: bh=x; xb=y; B=z\r\n"), "DKIM-Signature: bh=x; xb=y; B=z");
  assert.equal(out("no field at all"), "no field at all");
  assert.equal(out("DKIM-Signature: b="), "DKIM-Signature: b=");
  const relaxed = (value: string) => own("relaxed", value);
  assert.equal(relaxed("DKIM-Signature: v=1; b=abc; bh=def\r\n"), "dkim-signature:v=1; b=; bh=def");
  assert.equal(relaxed("DKIM-Signature: bh=b=;  b=ab\r\n\tcd==\r\n"), "dkim-signature:bh=b=; b=");
  assert.equal(relaxed("DKIM-Signature:b = a b ;\r\n d=b=c;\r\n"), "dkim-signature:b =; d=b=c;");
  assert.equal(relaxed("DKIM-Signature: v=1;\r\n\tb\r\n\t=\r\n\tx; t=1"), "dkim-signature:v=1; b =; t=1");
});
