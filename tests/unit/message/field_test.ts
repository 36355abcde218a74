import assert from "node:assert/strict";
import {
  dateField,
  deliveredToField,
  foldField,
  formatDate,
  messageIdField,
  parseHeader,
  quotedPrintable,
  returnPathField,
} from "../../../src/message/mod.ts";

const decoder = new TextDecoder();
const text = (field: Uint8Array) => decoder.decode(field);

Deno.test("dates have the form of RFC 5322", () => {
  assert.equal(formatDate(Date.UTC(2026, 0, 5, 12, 3, 4)), "Mon, 05 Jan 2026 12:03:04 +0000");
  assert.equal(formatDate(Date.UTC(2026, 0, 5, 23, 30), 90), "Tue, 06 Jan 2026 01:00:00 +0130");
  assert.equal(formatDate(Date.UTC(2026, 0, 1, 1), -210), "Wed, 31 Dec 2025 21:30:00 -0330");
  assert.equal(formatDate(0), "Thu, 01 Jan 1970 00:00:00 +0000");
});

Deno.test("a short field is one line", () => {
  assert.equal(text(foldField("X-A", "b c")), "X-A: b c\r\n");
  assert.equal(text(foldField("X-A", "")), "X-A: \r\n");
});

Deno.test("a long field is folded at blanks and unfolds to what it was", () => {
  const value = Array.from({ length: 60 }, (_, i) => `word${i}`).join(" ");
  const folded = text(foldField("X-Long", value));
  assert.ok(folded.split("\r\n").every((line) => line.length <= 78));
  assert.equal(parseHeader(foldField("X-Long", value)).fields[0]?.value(), value);
});

Deno.test("a word longer than a line is not cut below the hard limit of 998", () => {
  const word = "x".repeat(900);
  assert.equal(text(foldField("X-W", word)), `X-W: ${word}\r\n`);
  const huge = text(foldField("X-W", "y".repeat(5000)));
  assert.ok(huge.split("\r\n").every((line) => line.length <= 998));
  assert.equal(huge.replace(/[^y]/g, "").length, 5000);
  const wide = foldField("X-W", "ü".repeat(3000));
  assert.ok(text(wide).split("\r\n").every((line) => new TextEncoder().encode(line).length <= 998));
  assert.ok(!text(wide).includes("\ufffd"));
});

Deno.test("folds of the caller are kept, other line breaks are not", () => {
  assert.equal(text(foldField("X", "a;\r\n b=1;\n\tc=2")), "X: a;\r\n b=1;\r\n\tc=2\r\n");
  assert.equal(text(foldField("X", "a\r\nBcc: evil\rx\ny")), "X: a Bcc: evil x y\r\n");
  assert.equal(text(foldField("X", "a\r\n \r\n b")), "X: a\r\n b\r\n");
  assert.equal(text(foldField("X", "a\0\x1b")), "X: a??\r\n");
  assert.equal(text(foldField("X", "a \r\n")), "X: a\r\n");
});

Deno.test("blanks without end make no line of blanks", () => {
  for (
    const value of [`a${" ".repeat(300)}b`, `${"a ".repeat(39)}${" ".repeat(200)}`, `a\r\n b${" ".repeat(200)}\r\n c`]
  ) {
    assert.ok(text(foldField("X", value)).split("\r\n").slice(0, -1).every((line) => line.trim() !== ""), value);
  }
});

Deno.test("a long value folds in time that grows with its length only", () => {
  const value = "word ".repeat(200_000);
  assert.ok(foldField("X", value).length >= value.length);
});

Deno.test("a bad field name is refused", () => {
  for (const name of ["", "a b", "a:", "ü", "a\r\n"]) assert.throws(() => foldField(name, "x"), TypeError);
});

Deno.test("the fields of a transfer agent", () => {
  assert.equal(text(dateField(Date.UTC(2026, 0, 5, 12))), "Date: Mon, 05 Jan 2026 12:00:00 +0000\r\n");
  assert.equal(text(messageIdField("abc.1", "mx.example.org")), "Message-ID: <abc.1@mx.example.org>\r\n");
  assert.equal(text(messageIdField("a>b c", "x y")), "Message-ID: <a_b_c@x_y>\r\n");
  assert.equal(text(returnPathField("")), "Return-Path: <>\r\n");
  assert.equal(text(returnPathField("a@example.org")), "Return-Path: <a@example.org>\r\n");
  assert.equal(text(returnPathField("a b@example.org")), 'Return-Path: <"a b"@example.org>\r\n');
  assert.equal(text(deliveredToField("a@example.org")), "Delivered-To: a@example.org\r\n");
  assert.equal(text(returnPathField("a>\r\nX: y@example.org")), 'Return-Path: <"a>??X: y"@example.org>\r\n');
});

Deno.test("quoted-printable keeps lines within 76 and escapes what it must", () => {
  assert.equal(quotedPrintable("Grüße = 1 \r\nb"), "Gr=C3=BC=C3=9Fe =3D 1=20\r\nb");
  assert.equal(quotedPrintable("a\tb"), "a=09b");
  const long = quotedPrintable("ü".repeat(100));
  assert.ok(long.split("\r\n").every((line) => line.length <= 76));
  assert.equal(long.replace(/=\r\n/g, ""), "=C3=BC".repeat(100));
});
