import assert from "node:assert/strict";
import fc from "fast-check";
import { PROXY_HEADER_MAX, type ProxyResult, readProxyHeader } from "../../../src/net/proxy_protocol.ts";
import { bytes } from "./fixture.ts";

// Section numbers are those of "The PROXY protocol, Versions 1 & 2".
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

function v2(command: number, family: number, body: number[], length = body.length): Uint8Array {
  return Uint8Array.of(...SIGNATURE, command, family, length >> 8, length & 0xff, ...body);
}

const V4_BODY = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x00, 0x19];
const V6_BODY = [
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ...[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
  ...[0xdc, 0x04, 0x00, 0x19],
];

function header(result: ProxyResult) {
  assert.equal(result.kind, "header", JSON.stringify(result));
  return result.kind === "header" ? result : assert.fail();
}

const V1_GOOD: [string, unknown][] = [
  ["PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n", {
    source: { ip: "192.0.2.1", port: 56324 },
    destination: { ip: "198.51.100.2", port: 25 },
  }],
  ["PROXY TCP6 2001:db8::1 2001:DB8:0::2 56324 25\r\n", {
    source: { ip: "2001:db8::1", port: 56324 },
    destination: { ip: "2001:db8::2", port: 25 },
  }],
  ["PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", {
    source: { ip: "192.0.2.1", port: 1 },
    destination: { ip: "192.0.2.2", port: 2 },
  }],
  ["PROXY UNKNOWN\r\n", undefined],
  // §2.1: the longest line there is, 107 octets.
  [`PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535${" ".repeat(48)}\r\n`, undefined],
];

Deno.test("version 1 headers tell the client and what it connected to", () => {
  for (const [line, addresses] of V1_GOOD) {
    const { header: { version, addresses: got, tlvs }, length } = header(readProxyHeader(bytes(line)));
    assert.deepEqual({ version, got, tlvs, length }, { version: 1, got: addresses, tlvs: [], length: line.length });
  }
});

Deno.test("what follows a version 1 header is left alone", () => {
  const line = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 25\r\n";
  assert.equal(header(readProxyHeader(bytes(`${line}EHLO client.example\r\n`))).length, line.length);
});

Deno.test("broken version 1 headers are refused", () => {
  for (
    const line of [
      "EHLO client.example\r\n",
      "PROXX TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
      "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
      "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
      "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
      "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
      "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
      "PROXY \r\n",
      `PROXY UNKNOWN ${"x".repeat(120)}`,
      `PROXY UNKNOWN ${"x".repeat(92)}\r\n`,
    ]
  ) {
    assert.equal(readProxyHeader(bytes(line)).kind, "invalid", line);
  }
});

Deno.test("version 2 headers tell the client over IPv4 and IPv6", () => {
  assert.deepEqual(header(readProxyHeader(v2(0x21, 0x11, V4_BODY))), {
    kind: "header",
    header: {
      version: 2,
      addresses: { source: { ip: "192.0.2.1", port: 56324 }, destination: { ip: "198.51.100.2", port: 25 } },
      tlvs: [],
    },
    length: 28,
  });
  assert.deepEqual(header(readProxyHeader(v2(0x21, 0x21, V6_BODY))).header.addresses, {
    source: { ip: "2001:db8::1", port: 56324 },
    destination: { ip: "2001:db8::2", port: 25 },
  });
});

Deno.test("the fields after the addresses are read", () => {
  // PP2_TYPE_ALPN (1) "h2", PP2_TYPE_NOOP (4) of no octets, PP2_TYPE_AUTHORITY (2) "mx".
  const tlvs = [1, 0, 2, 0x68, 0x32, 4, 0, 0, 2, 0, 2, 0x6d, 0x78];
  const { header: read, length } = header(readProxyHeader(v2(0x21, 0x11, [...V4_BODY, ...tlvs])));
  assert.equal(length, 16 + 12 + tlvs.length);
  assert.deepEqual(read.tlvs.map(({ type, value }) => [type, new TextDecoder().decode(value)]), [
    [1, "h2"],
    [4, ""],
    [2, "mx"],
  ]);
});

Deno.test("LOCAL speaks for the proxy, whatever the rest holds", () => {
  // §2.2: the receiver must accept it, use the real endpoints, and discard the block including the family.
  for (const packet of [v2(0x20, 0x00, []), v2(0x20, 0x11, V4_BODY), v2(0x20, 0xff, [9, 9, 9])]) {
    const { header: read, length } = header(readProxyHeader(packet));
    assert.equal(read.addresses, undefined);
    assert.equal(length, packet.length);
  }
});

Deno.test("UNSPEC, UNIX and datagram families are taken and leave the socket's own addresses", () => {
  for (const [family, size] of [[0x00, 0], [0x00, 7], [0x31, 216], [0x32, 216], [0x12, 12], [0x22, 36]] as const) {
    // What follows the addresses, or all of it for UNSPEC, must read as fields: seven octets make one of four.
    const body = family === 0 && size === 7 ? [0xea, 0, 4, 1, 2, 3, 4] : new Array(size).fill(0);
    assert.equal(header(readProxyHeader(v2(0x21, family, body))).header.addresses, undefined, family.toString(16));
  }
});

Deno.test("broken version 2 headers are refused", () => {
  const broken: [string, Uint8Array][] = [
    ["version 1 in binary", v2(0x11, 0x11, V4_BODY)],
    ["unknown command", v2(0x22, 0x11, V4_BODY)],
    ["unknown family", v2(0x21, 0x41, V4_BODY)],
    ["unknown transport", v2(0x21, 0x13, V4_BODY)],
    ["too short for its addresses", v2(0x21, 0x11, V4_BODY.slice(0, 11))],
    ["too short for its addresses", v2(0x21, 0x21, V4_BODY)],
    ["field past the end", v2(0x21, 0x11, [...V4_BODY, 1, 0, 5, 1, 2])],
    ["field cut in its length", v2(0x21, 0x11, [...V4_BODY, 1, 0])],
    ["longer than any header", v2(0x21, 0x11, V4_BODY, 5000)],
    ["too many fields", v2(0x21, 0x11, [...V4_BODY, ...new Array(65 * 3).fill(0)])],
    ["wrong signature", Uint8Array.of(...SIGNATURE.slice(0, 11), 0x0b, 0x21, 0x11, 0, 12, ...V4_BODY)],
  ];
  for (const [why, packet] of broken) assert.equal(readProxyHeader(packet).kind, "invalid", why);
});

Deno.test("a header cut at any octet is incomplete, and complete with the last", () => {
  const packets = [
    ...V1_GOOD.map(([line]) => bytes(line)),
    v2(0x21, 0x11, V4_BODY),
    v2(0x21, 0x21, [...V6_BODY, 4, 0, 1, 0]),
    v2(0x20, 0x00, []),
    v2(0x21, 0x31, new Array(216).fill(7)),
  ];
  for (const packet of packets) {
    for (let cut = 0; cut < packet.length; cut++) {
      assert.equal(readProxyHeader(packet.subarray(0, cut)).kind, "incomplete", `${cut} of ${packet.length}`);
    }
    assert.equal(header(readProxyHeader(packet)).length, packet.length);
  }
});

Deno.test("any octets give a verdict at a bounded length, and never two different ones", () => {
  const likely = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }).map((rest) => Uint8Array.of(...SIGNATURE, 0x21, 0x11, ...rest)),
    fc.string({ maxLength: 120 }).map((rest) => bytes(`PROXY TCP4 ${rest}\r\n`)),
  );
  fc.assert(fc.property(likely, (packet) => {
    const whole = readProxyHeader(packet);
    for (let cut = 0; cut < packet.length; cut++) {
      const part = readProxyHeader(packet.subarray(0, cut));
      if (part.kind !== "incomplete") assert.deepEqual(part, whole);
    }
    if (whole.kind === "header") assert.ok(whole.length <= packet.length);
  }));
  const endless = new Uint8Array(PROXY_HEADER_MAX).fill(0x41);
  for (const start of [bytes("PROXY "), v2(0x21, 0x11, [], 4096)]) {
    endless.set(start);
    assert.notEqual(readProxyHeader(endless).kind, "incomplete");
  }
});
