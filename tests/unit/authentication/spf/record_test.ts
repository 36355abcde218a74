/** The grammar of SPF records (RFC 7208 §12). */

import assert from "node:assert/strict";
import { isSpfRecord, parseSpfRecord } from "../../../../src/authentication/spf/record.ts";

Deno.test("a record begins with the version and a space, or is nothing but the version (RFC 7208 §4.5)", () => {
  for (const text of ["v=spf1", "v=spf1 -all", "V=SPF1 -all", "v=spf1  "]) assert.ok(isSpfRecord(text), text);
  for (const text of ["v=spf10 -all", "v=spf1-all", " v=spf1 -all", "v=spf2.0/pra", "v=spf1\t-all", ""]) {
    assert.ok(!isSpfRecord(text), text);
  }
});

const GOOD = [
  "all",
  "-ALL",
  "~all",
  "?all",
  "+a",
  "a/0",
  "a/24",
  "a//64",
  "a/24//64",
  "a:mail.example.net",
  "a:mail.example.net./32//128",
  // A slash and a colon are letters of a macro-string.
  "a:foo:bar/baz.example.net",
  "mx",
  "MX:example.net/28",
  "ptr",
  "ptr:example.net",
  "include:_spf.example.net",
  "exists:%{ir}.%{v}._spf.example.net",
  "exists:%{l1r+-}.example.net",
  "exists:%%x%_y%-z.example.net",
  "include:%{d2}",
  "ip4:192.0.2.0/24",
  "ip4:0.0.0.0/0",
  "ip4:192.0.2.1/32",
  "ip6:2001:db8::/32",
  "ip6:::1",
  "ip6:::ffff:192.0.2.1/128",
  "redirect=example.org",
  "REDIRECT=%{d}.example.org",
  "exp=explain._spf.%{d}",
  "unknown=",
  "moo.cow-far_out=man:dog/cat",
  "x=%{c}%{r}%{t}",
  "a:a.1-2",
  // Modifiers nobody knows, though they look like mechanisms.
  "a=example.net",
  "ip4=192.0.2.1",
];
for (const term of GOOD) {
  Deno.test(`the term ${term} is read`, () => {
    assert.equal(parseSpfRecord(`v=spf1 ${term}`).kind, "record");
  });
}

const BAD = [
  "all.",
  "all:x.example",
  "all/8",
  "--all",
  "!all",
  "moo",
  "a:",
  "a:/24",
  "a/",
  "a/33",
  "a/024",
  "a/-1",
  "a//129",
  "a///64",
  "a/24/64",
  "a:museum",
  "a:museum.",
  "a:192.0.2.1",
  "a:example.123",
  "a:example.-net",
  "a:example.net-",
  "mx:",
  "mx/abc",
  "ptr:",
  "ptr/8",
  "include",
  "include:",
  "include/24",
  "include:example.net/24",
  "exists",
  "exists:",
  "exists:example.net/24",
  "exists:%{a}.example.net",
  "exists:%{d0}.example.net",
  "exists:%{dr2}.example.net",
  "exists:%{d.example.net",
  "exists:%x.example.net",
  "exists:%",
  "exists:%{}.example.net",
  "exists:%{d;}.example.net",
  // RFC 7208 §7.2: c, r and t are for explanations.
  "exists:%{c}.example.net",
  "exists:%{r}.example.net",
  "exists:%{t}.example.net",
  "exists:%{d}com",
  "ip4",
  "ip4:",
  "ip4:192.0.2",
  "ip4:192.0.2.1.2",
  "ip4:192.0.2.256",
  "ip4:192.0.2.01",
  "ip4:192.0.2.0/33",
  "ip4:192.0.2.0/",
  "ip4:192.0.2.0//24",
  "ip4:mail.example.net",
  "ip4:2001:db8::1",
  "ip6",
  "ip6:192.0.2.1",
  "ip6:2001:db8::/129",
  "ip6:2001:db8::/032",
  "ip6:2001:db8::1::2",
  "ip6:2001:db8:::1",
  "ip6:fe80::1%eth0",
  "ip6:[2001:db8::1]",
  "redirect=",
  "redirect=example",
  "-redirect=example.org",
  "exp=",
  "exp=%{d}x",
  "x=%",
  "x=caf\u00e9",
  "a:ex\u00e4mple.net",
  "a\tmx",
  "1x=y",
];
for (const term of BAD) {
  Deno.test(`the term ${JSON.stringify(term)} spoils the record, also behind one that matches (RFC 7208 §4.6)`, () => {
    const record = parseSpfRecord(`v=spf1 +all ${term}`);
    assert.ok(record.kind === "broken", term);
    assert.ok(record.problem.includes(term.slice(0, 20)) || /\t/.test(term), record.problem);
  });
}

Deno.test("redirect= and exp= may each stand once", () => {
  assert.equal(parseSpfRecord("v=spf1 redirect=a.example Redirect=b.example").kind, "broken");
  assert.equal(parseSpfRecord("v=spf1 exp=a.example -all exp=a.example").kind, "broken");
  assert.equal(parseSpfRecord("v=spf1 x=1 x=2 exp=a.example redirect=b.example").kind, "record");
});

Deno.test("several spaces between terms are one (RFC 7208 §4.6.1)", () => {
  const record = parseSpfRecord("v=spf1   a    -all  ");
  assert.ok(record.kind === "record");
  assert.deepEqual(record.directives.map(({ text, verdict }) => [text, verdict]), [["a", "pass"], ["-all", "fail"]]);
});
