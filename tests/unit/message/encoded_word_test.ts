import assert from "node:assert/strict";
import { decodeHeaderText, encodeHeaderText } from "../../../src/message/mod.ts";

Deno.test("ASCII text stays as it is", () => {
  assert.equal(encodeHeaderText("Hello, world (really)"), "Hello, world (really)");
  assert.equal(encodeHeaderText(""), "");
});

Deno.test("other text becomes encoded words, the shorter encoding is taken", () => {
  assert.equal(encodeHeaderText("Grüße aus Wien"), "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_Wien?=");
  assert.equal(encodeHeaderText("日本語"), "=?utf-8?b?5pel5pys6Kqe?=");
});

Deno.test("text that looks like an encoded word is encoded, so that it comes back as it was", () => {
  const text = "=?utf-8?q?fake?=";
  assert.notEqual(encodeHeaderText(text), text);
  assert.equal(decodeHeaderText(encodeHeaderText(text)), text);
});

Deno.test("line breaks and control characters do not get into a header", () => {
  assert.equal(encodeHeaderText("a\r\nBcc: x\0"), "a Bcc: x?");
});

Deno.test("no encoded word is longer than 75 characters and none cuts a character", () => {
  for (const text of ["ü".repeat(300), "日本語😀".repeat(60), `${"plain ".repeat(40)}ü`]) {
    const words = encodeHeaderText(text).split(" ");
    assert.ok(words.length > 1);
    for (const word of words) {
      assert.ok(word.length <= 75, word);
      assert.ok(!decodeHeaderText(word).includes("\ufffd"), word);
    }
    assert.equal(decodeHeaderText(words.join("\r\n ").replace(/\r\n/g, "")), text);
  }
});

Deno.test("the examples of RFC 2047 §8 decode", () => {
  const table: [string, string][] = [
    ["=?ISO-8859-1?Q?a?=", "a"],
    ["=?ISO-8859-1?Q?a?= b", "a b"],
    ["=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"],
    ["=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"],
    ["=?ISO-8859-1?Q?a_b?=", "a b"],
    ["=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"],
    ["=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"],
    ["=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"],
    ["=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"],
  ];
  for (const [text, expected] of table) assert.equal(decodeHeaderText(text), expected, text);
});

Deno.test("a character cut in two between words is put together", () => {
  assert.equal(decodeHeaderText("=?utf-8?q?=C3?= =?utf-8?q?=BC?="), "ü");
});

Deno.test("a language after the charset is passed over", () => {
  assert.equal(decodeHeaderText("=?utf-8*en?q?a?="), "a");
});

Deno.test("malformed words and unknown charsets stay as they are", () => {
  for (
    const text of ["=?x-nothing?q?a?=", "=?utf-8?q?=G1?=", "=?utf-8?x?a?=", "=?utf-8?q?a", "=?utf-8?b?!?=", "=?=?="]
  ) {
    assert.equal(decodeHeaderText(text), text);
  }
  assert.equal(decodeHeaderText("=?utf-8?q?a?= =?x-nothing?q?b?= c"), "a =?x-nothing?q?b?= c");
});
