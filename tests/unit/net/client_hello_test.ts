import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClientHello, readClientHello, versionsFor } from "../../../src/net/client_hello.ts";

const u16 = (value: number) => [value >> 8, value & 0xff];
const vector16 = (body: number[]) => [...u16(body.length), ...body];

/** A ClientHello after RFC 8446 §4.1.2, as one handshake message. */
function message(suites: number[], versions: number[] | undefined): number[] {
  const supported = versions === undefined
    ? []
    : [...u16(43), ...vector16([versions.length * 2, ...versions.flatMap(u16)])];
  const extensions = vector16([...u16(0), ...vector16(vector16([0, ...vector16([0x61])])), ...supported]);
  const body = [3, 3, ...new Array(32).fill(7), 0, ...vector16(suites.flatMap(u16)), 1, 0, ...extensions];
  return [1, 0, ...u16(body.length), ...body];
}

/** `message` in records of `size` octets. */
function records(content: number[], size = 16384): Uint8Array {
  const out: number[] = [];
  for (let at = 0; at < content.length; at += size) {
    out.push(22, 3, 1, ...vector16(content.slice(at, at + size)));
  }
  return Uint8Array.from(out);
}

function read(content: number[]): ClientHello {
  const result = readClientHello(records(content));
  assert.ok(result.kind === "hello");
  return result.hello;
}

const SUITES = [0x1302, 0x1301, 0xc030, 0xc02b];
const HELLO = message(SUITES, [0x0304, 0x0303, 0x0302]);

Deno.test("suites and versions are read in the client's order", () => {
  const { suites, versions, serverName } = read(HELLO);
  assert.deepEqual({ suites, versions, serverName }, {
    suites: SUITES,
    versions: ["TLSv1.3", "TLSv1.2"],
    serverName: "a",
  });
});

Deno.test("without supported_versions the legacy version counts", () => {
  const { suites, versions } = read(message(SUITES, undefined));
  assert.deepEqual({ suites, versions }, { suites: SUITES, versions: ["TLSv1.2"] });
});

Deno.test("a hello may be spread over records and cut at any octet", () => {
  for (const size of [1, 5, 40]) {
    const packet = records(HELLO, size);
    for (let cut = 0; cut < packet.length; cut++) {
      assert.equal(readClientHello(packet.subarray(0, cut)).kind, "incomplete", `${cut}`);
    }
    assert.equal(readClientHello(packet).kind, "hello");
  }
});

Deno.test("what is not a ClientHello is told at once", () => {
  const text = new TextEncoder().encode("EHLO client.example\r\n");
  const packets: [string, Uint8Array][] = [
    ["plain text", text],
    ["one octet of plain text", text.subarray(0, 1)],
    ["another handshake message", records([2, ...HELLO.slice(1)])],
    ["an empty record", Uint8Array.of(22, 3, 1, 0, 0)],
    ["a message longer than any", records([1, 1, 0, 0, 0, 0])],
    ["a vector past the end", records([1, 0, 0, 40, 3, 3, ...new Array(32).fill(0), 200, ...new Array(5).fill(0)])],
  ];
  for (const [why, packet] of packets) assert.equal(readClientHello(packet).kind, "invalid", why);
});

Deno.test("any octets give a verdict", () => {
  const mutated = fc.tuple(fc.nat(HELLO.length - 1), fc.nat(255)).map(([at, value]) => {
    const copy = HELLO.slice();
    copy[at] = value;
    return records(copy, 60);
  });
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (packet) => {
    assert.ok(["hello", "invalid", "incomplete"].includes(readClientHello(packet).kind));
  }));
});

Deno.test("the version is chosen so that the suite the client prefers is not a switched-off one", () => {
  const hello = read(message([0x1302, 0x1301, 0xc030, 0xc02f, 0xc02b], [0x0304, 0x0303]));
  const choose = (
    disableCiphers: string[],
    key: "rsa" | "ec" = "rsa",
    disableProtocols: ("TLSv1.2" | "TLSv1.3")[] = [],
  ) => versionsFor(hello, { disableCiphers, disableProtocols }, key)?.maxVersion;
  assert.equal(choose([]), "TLSv1.3");
  assert.equal(choose(["TLS13_AES_128_GCM_SHA256"]), "TLSv1.3");
  assert.equal(choose(["TLS13_AES_256_GCM_SHA384"]), "TLSv1.2");
  assert.equal(choose(["TLS13_AES_256_GCM_SHA384"], "rsa", ["TLSv1.2"]), undefined);
  assert.equal(choose(["TLS13_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]), undefined);
  // With an ECDSA certificate the client's suites for RSA do not come into question.
  assert.equal(choose(["TLS13_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], "ec"), "TLSv1.2");
  assert.equal(choose([], "rsa", ["TLSv1.3"]), "TLSv1.2");
  assert.equal(versionsFor({ ...hello, versions: [] }, { disableCiphers: [], disableProtocols: [] }, "rsa"), undefined);
});
