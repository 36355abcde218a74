import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readRsaKey, type RsaHash, verifyRsa } from "../../../src/rsa/mod.ts";

function numbersOf(key: KeyObject) {
  const { n = "", e = "" } = key.export({ format: "jwk" });
  return { modulus: Buffer.from(n, "base64url"), exponent: Buffer.from(e, "base64url") };
}

/** A number of so many bits, the first and the last of which are 1. */
function numberOf(bits: number): Uint8Array {
  const number = (1n << BigInt(bits - 1)) | 1n;
  return Uint8Array.fromHex(number.toString(16).padStart(2 * Math.ceil(bits / 8), "0"));
}

Deno.test("signatures made by node:crypto verify, with every hash and in sizes of both ways to compute", () => {
  const data = Buffer.from("what is signed");
  for (const bits of [768, 1024, 2048, 3072]) {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: bits });
    const key = readRsaKey(numbersOf(publicKey));
    assert.ok(key !== undefined);
    assert.equal(key.bits, bits);
    for (const hash of ["sha1", "sha256", "sha512"] satisfies RsaHash[]) {
      const signature = sign(hash, data, privateKey);
      const digest = createHash(hash).update(data).digest();
      assert.ok(verifyRsa(key, hash, digest, signature), `${bits} ${hash}`);
      for (const place of [0, 1, signature.length >> 1, signature.length - 1]) {
        const changed = Uint8Array.from(signature);
        changed[place] = (changed[place] as number) ^ 1;
        assert.ok(!verifyRsa(key, hash, digest, changed), `${bits} ${hash} changed at ${place}`);
      }
      assert.ok(!verifyRsa(key, hash, createHash(hash).update("something else").digest(), signature));
      assert.ok(!verifyRsa(key, hash, digest, signature.subarray(1)));
      assert.ok(!verifyRsa(key, hash, digest, Buffer.concat([Buffer.alloc(1), signature])));
      assert.ok(!verifyRsa(key, hash, digest.subarray(1), signature));
    }
  }
});

Deno.test("a key that another follows is not changed by it", () => {
  const data = Buffer.from("what is signed");
  const digest = createHash("sha256").update(data).digest();
  const pairs = [2048, 2048, 1024].map((modulusLength) => generateKeyPairSync("rsa", { modulusLength }));
  const keys = pairs.map(({ publicKey, privateKey }) => {
    return { key: readRsaKey(numbersOf(publicKey)), signature: sign("sha256", data, privateKey) };
  });
  for (let turn = 0; turn < 3; turn++) {
    for (const { key } of keys) {
      for (const other of keys) {
        assert.equal(key !== undefined && verifyRsa(key, "sha256", digest, other.signature), key === other.key);
      }
    }
  }
});

Deno.test("keys that are too short, too long or even, and exponents that no key has, are none", () => {
  const modulus = numberOf(1024);
  const exponent = Uint8Array.of(1, 0, 1);
  assert.ok(readRsaKey({ modulus, exponent }) !== undefined);
  assert.ok(readRsaKey({ modulus, exponent: numberOf(32) }) !== undefined);
  assert.equal(readRsaKey({ modulus, exponent: numberOf(33) }), undefined);
  assert.ok(readRsaKey({ modulus, exponent: numberOf(64) }, 64) !== undefined);
  assert.equal(readRsaKey({ modulus, exponent: numberOf(65) }, 64), undefined);
  for (const odd of [[], [0], [1], [2], [1, 0, 0]]) {
    assert.equal(readRsaKey({ modulus, exponent: Uint8Array.from(odd) }), undefined, `exponent ${odd}`);
  }
  assert.equal(readRsaKey({ modulus: numberOf(511), exponent }), undefined);
  assert.equal(readRsaKey({ modulus: numberOf(4097), exponent }), undefined);
  assert.equal(readRsaKey({ modulus: modulus.with(127, 2), exponent }), undefined);
  assert.equal(readRsaKey({ modulus: new Uint8Array(128), exponent }), undefined);
});
