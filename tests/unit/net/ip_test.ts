import assert from "node:assert/strict";
import { canonicalIp, formatEndpoint, networkContains, networkSet, parseNetwork } from "../../../src/net/mod.ts";

Deno.test("every spelling of an address becomes one", () => {
  const spellings: [string, string | undefined][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["[::ffff:192.0.2.1]", "192.0.2.1"],
    // RFC 5952 §4: lower case, no leading zeros, the longest run of zeros as "::".
    ["2001:0DB8:0:0:0:0:0:0001", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::", "::"],
    ["", undefined],
    ["192.0.2", undefined],
    ["192.0.2.256", undefined],
    ["192.0.2.01", undefined],
    ["0x7f.1", undefined],
    ["2130706433", undefined],
    ["example.test", undefined],
    ["1::2::3", undefined],
    ["2001:db8::1/64", undefined],
  ];
  for (const [given, expected] of spellings) assert.equal(canonicalIp(given), expected, given);
});

Deno.test("networks are read with or without prefix, and lose the bits behind it", () => {
  assert.deepEqual(parseNetwork("10.1.2.3/8"), { address: "10.0.0.0", prefix: 8 });
  assert.deepEqual(parseNetwork("10.255.255.255/13"), { address: "10.248.0.0", prefix: 13 });
  assert.deepEqual(parseNetwork("192.0.2.7"), { address: "192.0.2.7", prefix: 32 });
  assert.deepEqual(parseNetwork("0.0.0.0/0"), { address: "0.0.0.0", prefix: 0 });
  assert.deepEqual(parseNetwork("2001:db8:ffff::1/33"), { address: "2001:db8:8000::", prefix: 33 });
  assert.deepEqual(parseNetwork("::1"), { address: "::1", prefix: 128 });
  assert.deepEqual(parseNetwork("::ffff:10.1.2.3/104"), { address: "10.0.0.0", prefix: 8 });
  for (const broken of ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "::/129", "net", "10/8"]) {
    assert.equal(parseNetwork(broken), undefined, broken);
  }
});

Deno.test("a network holds its first and last address and not their neighbours", () => {
  const network = { address: "192.0.2.64", prefix: 26 };
  assert.ok(networkContains(network, "192.0.2.64"));
  assert.ok(networkContains(network, "192.0.2.127"));
  assert.ok(networkContains(network, "::ffff:192.0.2.100"));
  assert.ok(!networkContains(network, "192.0.2.63"));
  assert.ok(!networkContains(network, "192.0.2.128"));
  assert.ok(!networkContains(network, "2001:db8::1"));
  assert.ok(!networkContains(network, "not an address"));
});

Deno.test("0.0.0.0/0 is all of IPv4 and nothing of IPv6", () => {
  const everything = networkSet([{ address: "0.0.0.0", prefix: 0 }]);
  assert.ok(everything("203.0.113.9"));
  assert.ok(!everything("::1"));
});

Deno.test("a set is the union of its networks", () => {
  const set = networkSet([{ address: "127.0.0.1", prefix: 32 }, { address: "2001:db8::", prefix: 32 }]);
  assert.deepEqual(["127.0.0.1", "127.0.0.2", "2001:db8:1::1", "2001:db9::1"].map(set), [true, false, true, false]);
  assert.ok(!networkSet([])("127.0.0.1"));
});

Deno.test("an IPv6 endpoint is written with brackets", () => {
  assert.equal(formatEndpoint({ ip: "192.0.2.1", port: 25 }), "192.0.2.1:25");
  assert.equal(formatEndpoint({ ip: "2001:db8::1", port: 25 }), "[2001:db8::1]:25");
});
