/** MIME trees and address lists. */

import assert from "node:assert/strict";
import { allParts, parseAddressList, parseMime, parseParameterized } from "../../../src/message/mod.ts";

const bytes = (text: string) => new TextEncoder().encode(text.replace(/\n/g, "\r\n"));
const LIMITS = { parts: 100, depth: 10 };
const text = (part: { bytes: Uint8Array }, from: number, to: number) =>
  new TextDecoder().decode(part.bytes.subarray(from, to));

Deno.test("parts are found with the offsets of their bytes", () => {
  const source = bytes(`Content-Type: multipart/mixed; boundary="x y"

before
--x y
Content-Type: text/plain

one
--x y  

two

--x y--
after
`);
  const { root } = parseMime(source, LIMITS);
  assert.deepEqual(root.children.map((part) => text(part, part.contentStart, part.end)), ["one", "two\r\n"]);
  assert.equal(text(root, root.contentStart, root.preambleEnd), "before");
  assert.equal(text(root, root.epilogueStart, root.end), "after\r\n");
  assert.equal(text(root, root.children[0]!.start, root.children[0]!.end), "Content-Type: text/plain\r\n\r\none");
});

Deno.test("messages within messages are opened, also encoded ones", () => {
  const inner = "Subject: inner\r\n\r\nhello";
  const { root } = parseMime(
    bytes(`Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${btoa(inner)}\n`),
    LIMITS,
  );
  assert.equal(root.children[0]?.text(), "hello");
  assert.equal(root.children[0]?.header.fields[0]?.value(), "inner");
});

Deno.test("bombs stop at the limits and say so", () => {
  let deep = "Content-Type: text/plain\n\nx\n";
  for (let i = 0; i < 300; i++) deep = `Content-Type: multipart/mixed; boundary=b${i}\n\n--b${i}\n${deep}\n--b${i}--\n`;
  const nested = parseMime(bytes(deep), LIMITS);
  assert.equal([...allParts(nested.root)].length, 11);
  assert.equal(nested.cut, true);
  const wide = parseMime(
    bytes(`Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(10_000)}--b--\n`),
    LIMITS,
  );
  assert.equal([...allParts(wide.root)].length, 100);
  assert.equal(wide.cut, true);
});

Deno.test("without a closing boundary the last part goes on to the end", () => {
  const { root } = parseMime(bytes("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo"), LIMITS);
  assert.deepEqual(root.children.map((part) => part.text()), ["one", "two"]);
});

Deno.test("parameters come with quotes, comments, continuations and charsets", () => {
  const { value, parameters } = parseParameterized(
    'Text/Plain (yes); Name="a;\\"b" ; x*0*=iso-8859-1\'\'caf%E9; x*1=" au"; y*=utf-8\'en\'%e2%82%ac; broken; z=1',
  );
  assert.equal(value, "text/plain");
  assert.deepEqual([...parameters], [["name", 'a;"b'], ["x", "café au"], ["y", "€"], ["z", "1"]]);
});

Deno.test("address lists with names, groups, comments, routes and nonsense", () => {
  const shown = (value: string) =>
    parseAddressList(value).map((each) => each.valid ? `${each.name}|${each.local}|${each.domain}` : `?${each.source}`);
  assert.deepEqual(shown('A B <a@b.c>, "C, D" <"x y"@z> (note), plain@here'), [
    "A B|a|b.c",
    "C, D|x y|z",
    "|plain|here",
  ]);
  assert.deepEqual(shown("friends: a@b, c@d; , e@f"), ["|a|b", "|c|d", "|e|f"]);
  assert.deepEqual(shown("<@r1,@r2:u@h>, a (c (d) e) . b @ h . i"), ["|u|h", "|a.b|h.i"]);
  assert.deepEqual(shown("two words@h, <a@b, c@d>"), ["?two words@h", "?<a@b", "?c@d>"]);
  assert.deepEqual(shown('"unclosed'), ['?"unclosed']);
  assert.deepEqual(shown(""), []);
});
