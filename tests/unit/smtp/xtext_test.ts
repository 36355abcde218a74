import assert from "node:assert/strict";
import { xtextDecode, xtextEncode } from "../../../src/smtp/mod.ts";
import { utf8AddressDecode, utf8AddressEncode } from "../../../src/smtp/xtext.ts";

Deno.test("xtext escapes what RFC 3461 says: controls, blanks, + and =", () => {
  assert.equal(xtextEncode("Bob+tag=x@example.org"), "Bob+2Btag+3Dx@example.org");
  assert.equal(xtextEncode("a b\x00"), "a+20b+00");
  assert.equal(xtextEncode("ü"), "+C3+BC");
});

Deno.test("xtext decoding refuses what is none", () => {
  assert.equal(xtextDecode("Bob+2Btag+3dx"), "Bob+tag=x");
  assert.equal(xtextDecode("+C3+BC"), "ü");
  assert.equal(xtextDecode(""), "");
  for (const bad of ["a=b", "a+2", "a+", "a+zz", "a b", "ü", "+FF", "a\r\nb"]) {
    assert.equal(xtextDecode(bad), undefined, bad);
  }
});

Deno.test("utf-8 addresses are escaped as RFC 6533 says", () => {
  assert.equal(utf8AddressEncode("jürgen+x@bücher.example", true), "j\\x{FC}rgen\\x{2B}x@b\\x{FC}cher.example");
  assert.equal(utf8AddressEncode("jürgen+x@bücher.example", false), "jürgen\\x{2B}x@bücher.example");
  assert.equal(utf8AddressEncode("😀\\", true), "\\x{1F600}\\x{5C}");
  assert.equal(utf8AddressDecode("j\\x{FC}rgen\\x{2B}x"), "jürgen+x");
  for (const bad of ["\\", "\\x", "\\x{}", "\\x{110000}", "\\x{D800}", "\\x{00}", "\\n"]) {
    assert.equal(utf8AddressDecode(bad), undefined, bad);
  }
});
