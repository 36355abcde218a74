import assert from "node:assert/strict";
import {
  addressDomain,
  addressLocal,
  asciiAddress,
  formatPath,
  needsSmtpUtf8,
  quoteLocalPart,
  splitAddress,
  unquoteLocalPart,
} from "../../../src/smtp/mod.ts";

Deno.test("an address is split at the last @, or before an address literal", () => {
  const table: [string, string, string][] = [
    ["a@example.org", "a", "example.org"],
    ['"a@b"@example.org', '"a@b"', "example.org"],
    ["postmaster", "postmaster", ""],
    ["", "", ""],
    ["a@[192.0.2.1]", "a", "[192.0.2.1]"],
    ["a@[tag:x@y]", "a", "[tag:x@y]"],
    ['"x@[y"@[tag:z@w]', '"x@[y"', "[tag:z@w]"],
  ];
  for (const [address, local, domain] of table) {
    assert.deepEqual(splitAddress(address), { local, domain }, address);
    assert.equal(addressLocal(address), local);
    assert.equal(addressDomain(address), domain);
  }
});

Deno.test("a path quotes the local part where RFC 5321 needs it", () => {
  const table: [string, string][] = [
    ["", "<>"],
    ["a@example.org", "<a@example.org>"],
    ["a.b+c=d@example.org", "<a.b+c=d@example.org>"],
    ["a b@example.org", '<"a b"@example.org>'],
    ['"a b"@example.org', '<"a b"@example.org>'],
    [".a@example.org", '<".a"@example.org>'],
    ["a..b@example.org", '<"a..b"@example.org>'],
    ['a"b@example.org', '<"a\\"b"@example.org>'],
    ["a\\b@example.org", '<"a\\\\b"@example.org>'],
    ["a>\r\nDATA@example.org", '<"a>??DATA"@example.org>'],
    ["postmaster", "<postmaster>"],
    ["jürgen@bücher.example", "<jürgen@bücher.example>"],
  ];
  for (const [address, path] of table) assert.equal(formatPath(address), path);
});

Deno.test("quoting and unquoting a local part", () => {
  assert.equal(quoteLocalPart(""), '""');
  assert.equal(unquoteLocalPart('"a \\"b\\" \\\\c"'), 'a "b" \\c');
  assert.equal(unquoteLocalPart("plain"), "plain");
});

Deno.test("an international address has an ASCII form only if its local part is ASCII", () => {
  assert.equal(asciiAddress("a@example.org"), "a@example.org");
  assert.equal(asciiAddress("a@bücher.example"), "a@xn--bcher-kva.example");
  assert.equal(asciiAddress("ä@bücher.example"), undefined);
  assert.equal(asciiAddress("ä@example.org"), undefined);
  assert.ok(needsSmtpUtf8("a@bücher.example"));
  assert.ok(!needsSmtpUtf8("a@xn--bcher-kva.example"));
});
