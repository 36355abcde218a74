import assert from "node:assert/strict";
import { authorDomains } from "../../../../src/authentication/dmarc/author.ts";

const one = (value: string) => authorDomains([value]);
const certain = (...domains: string[]) => ({ domains, dubious: false });

Deno.test("mailboxes with and without names", () => {
  for (
    const value of [
      "alice@example.org",
      "<alice@example.org>",
      "Alice <alice@example.org>",
      'Alice "The Baker" Smith <alice@EXAMPLE.org>',
      "=?utf-8?q?Al=C3=ADce?= <alice@example.org>",
      "alice@example.org (Alice)",
      "Alice <alice@example.org> (from work)",
      "  alice @ example . org ",
      "alice@example.org.",
      "\u5c71\u7530 <alice@example.org>",
    ]
  ) assert.deepEqual(one(value), certain("example.org"), value);
});

Deno.test("quoted strings and comments hold anything, also what looks like an address", () => {
  for (
    const value of [
      '"bank@example.com" <alice@example.org>',
      '"a\\"<bank@example.com>" <alice@example.org>',
      '"a,b;c:d" <alice@example.org>',
      "(bank@example.com) alice@example.org",
      "alice(<bank@example.com>, (nested \\) ) )@example.org",
      '"bank@example.com"@example.org',
      '"<bank@example.com>, "@example.org',
      "bank@example.com <alice@example.org>",
    ]
  ) assert.deepEqual(one(value), certain("example.org"), value);
});

Deno.test("a comma in a name that should have been quoted makes no other author", () => {
  for (const value of ["Smith, Alice <alice@example.org>", "J. R. Smith, PhD, MD <alice@example.org>"]) {
    assert.deepEqual(one(value), certain("example.org"), value);
  }
});

Deno.test("lists and groups have several authors, each domain once", () => {
  assert.deepEqual(one("a@example.org, B <b@example.com>, c@example.org"), certain("example.org", "example.com"));
  assert.deepEqual(one("Team: a@example.org, b@example.com;"), certain("example.org", "example.com"));
  assert.deepEqual(one("One: a@example.org; Two: b@example.com;, c@example.net").domains, [
    "example.org",
    "example.com",
    "example.net",
  ]);
});

Deno.test("a route of old is no author", () => {
  assert.deepEqual(one("<@relay.example.com,@hub.example.com:alice@example.org>"), certain("example.org"));
});

Deno.test("international domains come as A-labels", () => {
  assert.deepEqual(one("J\u00fcrg <j\u00fcrg@b\u00fccher.example>"), certain("xn--bcher-kva.example"));
  assert.deepEqual(one("a@XN--Bcher-KVA.example"), certain("xn--bcher-kva.example"));
});

Deno.test("fields without an address have no author", () => {
  for (const value of ["", "Undisclosed:;", "   ", "(nobody)", "Alice", "<>"]) {
    assert.deepEqual(one(value), certain(), value);
  }
  for (const value of ["alice@", "@example.org", "alice@[192.0.2.1]", "a@exa_mple..org"]) {
    assert.deepEqual(one(value), { domains: [], dubious: true }, value);
  }
});

Deno.test("whoever can be read as an author in some way is one", () => {
  for (
    const value of [
      "<a@example.org> <b@example.com>",
      "<a@example.org> b@example.com",
      "<a@example.org>, b@example.com",
    ]
  ) assert.deepEqual(one(value).domains, ["example.org", "example.com"], value);
  for (
    const value of [
      '"unclosed <a@example.org>, b@example.com',
      "(unclosed a@example.org b@example.com",
      "<a@example.org, b@example.com",
    ]
  ) {
    const { domains, dubious } = one(value);
    assert.deepEqual([[...domains].sort(), dubious], [["example.com", "example.org"], true], value);
  }
});

Deno.test("what is shown as an address where there is none puts the author in doubt", () => {
  // "admin@example.com" and "<admin@example.com>" in Base64.
  const encoded = ["=?utf-8?b?YWRtaW5AZXhhbXBsZS5jb20=?=", "=?utf-8?q?=3Cadmin=40example.com=3E?="] as const;
  for (
    const value of [
      "admin@example.com <>",
      "admin@example.com <root>",
      '"admin@example.com" <root>',
      "(admin@example.com)",
      '"admin@example.com"',
      ...encoded,
      `${encoded[0]} <>`,
    ]
  ) assert.deepEqual(one(value), { domains: ["example.com"], dubious: true }, value);
  for (
    const value of [
      "admin@example.com <root>, a@example.org",
      "a@example.org, admin@example.com <>",
      `${encoded[0]}, <a@example.org>`,
      `<a@example.org>, ${encoded[1]}`,
      "admin@example.com: a@example.org;",
      "<admin@example.com@example.org>",
      "admin@example.com(comment)@example.org",
    ]
  ) {
    const { domains, dubious } = one(value);
    assert.deepEqual([[...domains].sort(), dubious], [["example.com", "example.org"], true], value);
  }
  // A name is a name beside an address.
  for (const name of ["admin@example.com", '"admin@example.com"', encoded[0]]) {
    assert.deepEqual(one(`${name} <a@example.org>`), certain("example.org"), name);
  }
  for (
    const value of [
      "MAILER-DAEMON <>",
      "Alice <root>",
      "=?utf-8?q?J=C3=BCrg?= <root>",
      "=?utf-8?q?Smith?=, Al <a@b.org>",
    ]
  ) {
    assert.equal(one(value).dubious, false, value);
  }
});

Deno.test("several fields are read one by one", () => {
  assert.deepEqual(authorDomains(["a@example.org", "b@example.com"]), certain("example.org", "example.com"));
  assert.deepEqual(authorDomains(['"open a@example.org', "b@example.com"]).domains, ["example.org", "example.com"]);
});

Deno.test("more than four domains are too many to tell apart", () => {
  const list = Array.from({ length: 1000 }, (_, i) => `a@d${i}.example`).join(", ");
  assert.deepEqual(one(list), { domains: ["d0.example", "d1.example", "d2.example", "d3.example"], dubious: true });
});

Deno.test("a field of a megabyte is read within bounds", () => {
  for (const piece of ["(", '"', "<", "@", "a@b,", "\\", ":;"]) {
    assert.ok(one(piece.repeat(500_000)).domains.length <= 4);
  }
});
