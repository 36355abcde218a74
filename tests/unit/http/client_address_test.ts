import assert from "node:assert/strict";
import {
  forwardedAddress,
  hostName,
  isLoopback,
  isLoopbackHost,
  normalizeIp,
  rateKey,
} from "../../../src/http/client_address.ts";

Deno.test("addresses are spelled one way, and what is no address is none", () => {
  assert.equal(normalizeIp("192.0.2.7"), "192.0.2.7");
  assert.equal(normalizeIp("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(normalizeIp("2001:DB8:0:0::7"), "2001:db8::7");
  assert.equal(normalizeIp("fe80::1%eth0"), "fe80::1");
  for (const text of ["", "mx.example", "192.0.2", "1", "0x7f.1", "192.0.2.256", "::g"]) {
    assert.equal(normalizeIp(text), undefined, text);
  }
});

Deno.test("loopback is 127.0.0.0/8 and ::1, by address and by the names that mean it", () => {
  for (const ip of ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]) assert.ok(isLoopback(ip), ip);
  for (const ip of ["128.0.0.1", "0.0.0.0", "::", "::2", "10.0.0.1", "localhost"]) assert.ok(!isLoopback(ip), ip);
  for (const host of ["localhost", "LOCALHOST:80", "127.0.0.1:8025", "[::1]", "[::1]:8025"]) {
    assert.ok(isLoopbackHost(host), host);
  }
  for (const host of ["", "localhost.example", "example.localhost.net", "::1:8025:", "[::2]", "127.1"]) {
    assert.ok(!isLoopbackHost(host), host);
  }
});

Deno.test("the host name of a Host header has no port, brackets, capitals or final dot", () => {
  assert.equal(hostName("MX.Example.net.:443"), "mx.example.net");
  assert.equal(hostName("[2001:db8::1]:443"), "2001:db8::1");
  assert.equal(hostName("a:b:c"), "");
});

Deno.test("the last forwarded address counts: it is the one our proxy added", () => {
  const from = (headers: Record<string, string>) => forwardedAddress(new Headers(headers));
  assert.equal(from({}), undefined);
  assert.equal(from({ "x-forwarded-for": "198.51.100.1, 203.0.113.2 " }), "203.0.113.2");
  assert.equal(from({ "x-forwarded-for": "203.0.113.2:1234" }), "203.0.113.2");
  assert.equal(from({ "x-forwarded-for": "198.51.100.1, unknown" }), undefined);
  // RFC 7239 §4 and §7.1
  assert.equal(from({ forwarded: 'For="[2001:db8:cafe::17]:4711"' }), "2001:db8:cafe::17");
  assert.equal(from({ forwarded: "for=192.0.2.60;proto=http;by=203.0.113.43" }), "192.0.2.60");
  assert.equal(from({ forwarded: "for=192.0.2.43, for=198.51.100.17" }), "198.51.100.17");
  assert.equal(from({ forwarded: 'for=192.0.2.43, by="a,for=203.0.113.9"' }), undefined);
  assert.equal(from({ forwarded: "for=_hidden", "x-forwarded-for": "192.0.2.1" }), undefined);
});

Deno.test("IPv6 addresses are counted by their /64", () => {
  assert.equal(rateKey("2001:db8:1:2:3:4:5:6"), rateKey("2001:db8:1:2::1"));
  assert.notEqual(rateKey("2001:db8:1:2::1"), rateKey("2001:db8:1:3::1"));
  assert.equal(rateKey("::ffff:192.0.2.7"), "192.0.2.7");
});
