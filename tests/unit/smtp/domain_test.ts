import assert from "node:assert/strict";
import {
  domainToAscii,
  domainToUnicode,
  formatAddressLiteral,
  isAddressLiteral,
  isDomain,
  isFqdn,
  parseAddressLiteral,
} from "../../../src/smtp/mod.ts";

Deno.test("a fully qualified name has two labels and no numeric last label", () => {
  const table: [string, boolean][] = [
    ["mx.example.org", true],
    ["a.b", true],
    ["xn--bcher-kva.example", true],
    ["bücher.example", true],
    ["host_name.example.org", true],
    [`${"a".repeat(63)}.example`, true],
    ["localhost", false],
    ["example.org.", false],
    [".example.org", false],
    ["a..b", false],
    ["-a.example.org", false],
    ["a-.example.org", false],
    ["192.0.2.1", false],
    ["example.123", false],
    ["[192.0.2.1]", false],
    [`${"a".repeat(64)}.example`, false],
    ["exa mple.org", false],
    ["exam/ple.org", false],
    ["", false],
    [`${"a.".repeat(127)}ab`, false], // 256 octets
  ];
  for (const [name, expected] of table) assert.equal(isFqdn(name), expected, name);
});

Deno.test("a domain may be a single label, but not an address literal", () => {
  assert.ok(isDomain("localhost"));
  assert.ok(!isDomain("[192.0.2.1]"));
  assert.ok(!isDomain("a@b"));
  assert.ok(!isDomain("ü".repeat(64) + ".example"), "its A-label would be longer than 63 octets");
});

Deno.test("address literals are IPv4, IPv6 or tagged", () => {
  const table: [string, string | undefined][] = [
    ["[192.0.2.1]", "192.0.2.1"],
    ["[IPv6:2001:db8::1]", "2001:db8::1"],
    ["[ipv6:2001:DB8:0:0:0:0:0:1]", "2001:db8::1"],
    ["[IPv6:::1]", "::1"],
    ["[IPv6:::ffff:192.0.2.1]", "192.0.2.1"],
    ["[192.0.2.256]", undefined],
    ["[192.0.2]", undefined],
    ["[010.0.2.1]", undefined],
    ["[2001:db8::1]", undefined], // without its tag
    ["[IPv6:2001:db8::g]", undefined],
    ["[IPv6:fe80::1%eth0]", undefined],
    ["[IPv6:192.0.2.1]", undefined],
    ["192.0.2.1", undefined],
    ["[]", undefined],
    ["[192.0.2.1", undefined],
  ];
  for (const [text, ip] of table) {
    assert.equal(parseAddressLiteral(text), ip, text);
    if (text !== "[2001:db8::1]") assert.equal(isAddressLiteral(text), ip !== undefined, text);
  }
  assert.ok(isAddressLiteral("[x400:c=gb]"));
  assert.equal(parseAddressLiteral("[x400:c=gb]"), undefined);
  assert.equal(formatAddressLiteral("192.0.2.1"), "[192.0.2.1]");
  assert.equal(formatAddressLiteral("2001:db8::1"), "[IPv6:2001:db8::1]");
});

Deno.test("domains are converted between A-labels and U-labels", () => {
  assert.equal(domainToAscii("Bücher.Example"), "xn--bcher-kva.example");
  assert.equal(domainToAscii("MX.Example.ORG"), "mx.example.org");
  assert.equal(domainToAscii("[IPv6:2001:DB8::1]"), "[ipv6:2001:db8::1]");
  assert.equal(domainToAscii("a b.example"), undefined);
  assert.equal(domainToAscii(""), undefined);
  assert.equal(domainToAscii("ü b.example"), undefined);
  assert.equal(domainToUnicode("xn--bcher-kva.example"), "bücher.example");
  assert.equal(domainToUnicode("mx.example.org"), "mx.example.org");
  assert.equal(domainToUnicode("xn--zzzz---.example"), "xn--zzzz---.example");
});
