import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { encodeSoaQuery, encodeUpdate, readMessage, zoneOf } from "../../../src/acme/dns_update.ts";
import { signMessage, type TsigKey, verifyResponse } from "../../../src/acme/tsig.ts";

const NOW = 1_600_000_000_000;
const KEY: TsigKey = { name: "acme", secret: new TextEncoder().encode("0123456789abcdef"), algorithm: "hmac-sha256" };
const hex = (bytes: Uint8Array) => bytes.toHex();
const bytes = (text: string) => Uint8Array.fromHex(text.replaceAll(/\s/g, ""));

Deno.test("an update adds a TXT record to the zone (RFC 2136 §2.3, §2.5.1)", () => {
  const message = encodeUpdate(0x1234, "example.net", { kind: "add", name: "_a.example.net", value: "abc", ttl: 300 });
  assert.equal(
    hex(message),
    hex(bytes(`1234 2800 0001 0000 0001 0000
      07 6578616d706c65 03 6e6574 00 0006 0001
      02 5f61 07 6578616d706c65 03 6e6574 00 0010 0001 0000012c 0004 03 616263`)),
  );
});

Deno.test("an update takes exactly that record away: class NONE, no TTL (RFC 2136 §2.5.4)", () => {
  const message = encodeUpdate(1, "example.net", { kind: "remove", name: "example.net", value: "abc", ttl: 300 });
  assert.equal(hex(message.slice(-18)), hex(bytes("03 6e6574 00 0010 00fe 00000000 0004 03 616263")).slice(-36));
  assert.throws(
    () => encodeUpdate(1, "example.net", { kind: "add", name: "example.net", value: "x".repeat(256), ttl: 1 }),
    RangeError,
  );
});

Deno.test("a signature covers the message and the variables of the key (RFC 8945 §4.3.3)", () => {
  const message = encodeSoaQuery(0xbeef, "example.net");
  const { bytes: signed, mac } = signMessage(message, KEY, NOW);
  // Name, class ANY, TTL, algorithm, time, fudge, error, other.
  const variables = bytes(`04 61636d65 00 00ff 00000000 0b 686d61632d736861323536 00
    0000 5f5e1000 012c 0000 0000`);
  assert.equal(hex(mac), createHmac("sha256", KEY.secret).update(message).update(variables).digest("hex"));
  assert.equal(hex(signed.slice(0, 12)), "beef00000001000000000001");
  const [record] = readMessage(signed).additionals;
  assert.deepEqual([record?.name, record?.type, record?.class, record?.ttl], ["acme", 250, 255, 0]);
  assert.equal(
    hex(record?.data ?? new Uint8Array()),
    `0b${hex(new TextEncoder().encode("hmac-sha256"))}0000005f5e1000012c0020${hex(mac)}beef00000000`,
  );
});

Deno.test("shortened algorithms sign with the name of the whole one", () => {
  const { bytes: signed, mac } = signMessage(encodeSoaQuery(1, "a"), { ...KEY, algorithm: "hmac-sha512-256" }, NOW);
  assert.equal(mac.length, 32);
  assert.ok(new TextDecoder("latin1").decode(signed).includes("\x0bhmac-sha512\0"));
});

/** A response with these flags, signed as a server does: over the MAC of the request too. */
function response(request: Uint8Array, key = KEY, time = NOW, flags = 0xa800): Uint8Array {
  const head = bytes(`0001 ${flags.toString(16)} 0000 0000 0000 0000`);
  const wire = new TextEncoder().encode(key.name);
  const name = Uint8Array.of(wire.length, ...wire, 0);
  const algorithm = new TextEncoder().encode("hmac-sha256");
  const seconds = bytes((time / 1000).toString(16).padStart(12, "0"));
  const common = [Uint8Array.of(algorithm.length, ...algorithm, 0), seconds, bytes("012c")];
  const mac = createHmac("sha256", key.secret);
  mac.update(Uint8Array.of(0, request.length)).update(request).update(head).update(name).update(bytes("00ff 00000000"));
  for (const part of common) mac.update(part);
  mac.update(bytes("0000 0000"));
  const data = [...common, bytes("0020"), mac.digest(), bytes("0001 0000 0000")].flatMap((part) => [...part]);
  head[11] = 1;
  return Uint8Array.of(...head, ...name, ...bytes("00fa 00ff 00000000"), data.length >> 8, data.length & 255, ...data);
}

Deno.test("a response counts if it is signed with the same key, over the same request, about now", () => {
  const { mac } = signMessage(encodeSoaQuery(1, "a"), KEY, NOW);
  assert.deepEqual(verifyResponse(response(mac), mac, KEY, NOW + 299_000), { kind: "good" });
  const bad = (message: Uint8Array, now = NOW) => {
    const verdict = verifyResponse(message, mac, KEY, now);
    return verdict.kind === "bad" ? verdict.reason : "good";
  };
  assert.match(bad(response(mac.toReversed())), /signature of the answer is wrong/);
  assert.match(bad(response(mac, { ...KEY, secret: new Uint8Array(16) })), /signature of the answer is wrong/);
  assert.match(bad(response(mac, { ...KEY, name: "other" })), /another key/);
  assert.match(bad(response(mac), NOW + 400_000), /another time/);
  const changed = response(mac);
  changed[3] = 5;
  assert.match(bad(changed), /signature of the answer is wrong/);
  assert.equal(bad(bytes("0001 a800 0000 0000 0000 0000")), "the answer is not signed");
  assert.equal(bad(bytes("0001 a805 0000 0000 0000 0000")), "REFUSED, not signed");
});

Deno.test("what the server says of the signature is told, with what to look at", () => {
  const { mac } = signMessage(encodeSoaQuery(1, "a"), KEY, NOW);
  const unsigned = (error: string) =>
    bytes(`0001 a809 0000 0000 0000 0001 04 61636d65 00 00fa 00ff 00000000 001d
      0b 686d61632d736861323536 00 00005f5e1000 012c 0000 0001 ${error} 0000`);
  const reason = (error: string) => {
    const verdict = verifyResponse(unsigned(error), mac, KEY, NOW);
    return verdict.kind === "bad" ? verdict.reason : "good";
  };
  assert.equal(reason("0011"), "the server says BADKEY: it has no key 'acme' for hmac-sha256");
  assert.equal(reason("0010"), "the server says BADSIG: its key 'acme' has another secret");
});

Deno.test("the zone of a name is that of the SOA record, wherever it stands", () => {
  const soa = "07 6578616d706c65 03 6e6574 00 0006 0001 00000000 0000";
  assert.equal(zoneOf(readMessage(bytes(`0001 8400 0000 0000 0001 0000 ${soa}`))), "example.net");
  assert.equal(zoneOf(readMessage(bytes(`0001 8400 0000 0001 0000 0000 ${soa}`))), "example.net");
  assert.equal(zoneOf(readMessage(bytes("0001 8405 0000 0000 0000 0000"))), undefined);
});

Deno.test("messages that are broken are refused, and end the reading", () => {
  for (
    const text of [
      "0001",
      "0001 8400 0001 0000 0000 0000",
      "0001 8400 0000 0001 0000 0000 c00c 0006 0001 00000000 0000",
      "0001 8400 0000 0001 0000 0000 00 0006 0001 00000000 0005 00",
      `0001 8400 0000 ffff 0000 0000 ${"00 0006 0001 00000000 0000".repeat(300)}`,
    ]
  ) assert.throws(() => readMessage(bytes(text)), RangeError, text);
});
