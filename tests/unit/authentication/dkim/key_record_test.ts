import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { type DkimKey, readKeyRecord } from "../../../../src/authentication/dkim/key_record.ts";
import { ed25519Key, rsaKey } from "../../../support/signed_message.ts";

const RSA = rsaKey();
const ED25519 = ed25519Key();
const DATA = Buffer.from("what is signed");
const DIGEST = createHash("sha256").update(DATA).digest();

function key(record: string): DkimKey {
  const read = readKeyRecord(record);
  if (read.kind !== "key") assert.fail(`${record}: ${read.reason}`);
  return read;
}

function reason(record: string): string {
  const read = readKeyRecord(record);
  if (read.kind === "key") assert.fail(`${record} is a key`);
  return read.reason;
}

Deno.test("an RSA key, as SubjectPublicKeyInfo or as RSAPublicKey", () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  for (const type of ["spki", "pkcs1"] as const) {
    const read = key(`p=${publicKey.export({ type, format: "der" }).toString("base64")}`);
    assert.deepEqual([read.type, read.bits, read.hashes, read.testing], ["rsa", 1024, undefined, false]);
    assert.ok(read.verify("sha256", DIGEST, sign("sha256", DATA, privateKey)));
  }
});

Deno.test("signatures with SHA-1 and with keys of 512 and 2048 bits", () => {
  for (const bits of [512, 2048]) {
    const { privateKey, record } = rsaKey(bits);
    const sha1 = createHash("sha1").update(DATA).digest();
    assert.ok(key(record).verify("sha1", sha1, sign("sha1", DATA, privateKey)));
    assert.ok(key(record).verify("sha256", DIGEST, sign("sha256", DATA, privateKey)));
    assert.ok(!key(record).verify("sha256", sha1, sign("sha1", DATA, privateKey)));
  }
});

Deno.test("a number that is the signature modulo the key is no signature", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const read = key(`p=${publicKey.export({ type: "spki", format: "der" }).toString("base64")}`);
  const { n = "" } = publicKey.export({ format: "jwk" });
  const modulus = BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`);
  for (let i = 0;; i++) {
    const data = Buffer.from(`${i}`);
    const signature = sign("sha256", data, privateKey);
    const more = (BigInt(`0x${signature.toString("hex")}`) + modulus).toString(16);
    // It must be as long as a signature is.
    if (more.length > 512) continue;
    const digest = createHash("sha256").update(data).digest();
    assert.ok(read.verify("sha256", digest, signature));
    assert.ok(!read.verify("sha256", digest, Buffer.from(more, "hex")));
    break;
  }
});

Deno.test("an Ed25519 key", () => {
  const read = key(ED25519.record);
  assert.deepEqual([read.type, read.bits], ["ed25519", 256]);
  const signature = sign(null, DIGEST, ED25519.privateKey);
  assert.ok(read.verify("sha256", DIGEST, signature));
  assert.ok(!read.verify("sha256", DATA, signature));
  assert.ok(!read.verify("sha256", DIGEST, signature.subarray(1)));
  assert.ok(!read.verify("sha256", DIGEST, Buffer.alloc(64, 0xff)));
});

Deno.test("blanks inside a key and unknown tags do not matter", () => {
  const folded = RSA.record.replace(/(.{60})/g, "$1 \r\n\t").replace("v=DKIM1; ", "v=DKIM1; n=for a=b; unknown=x;");
  assert.equal(key(folded).bits, 1024);
});

Deno.test("flags and hashes", () => {
  const read = key(`${RSA.record}; t= y : x ; h= sha256 : sha1`);
  assert.deepEqual([read.testing, read.strictDomain, read.hashes], [true, false, ["sha256", "sha1"]]);
  assert.equal(key(`${RSA.record}; t=s`).strictDomain, true);
});

Deno.test("records without a usable key say why", () => {
  const data = RSA.record.slice(RSA.record.indexOf("p="));
  const long = generateKeyPairSync("rsa", { modulusLength: 4104 }).publicKey;
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /malformed/],
    ["v=DKIM1", /holds no key/],
    ["v=DKIM1; p=", /revoked/],
    ["v=DKIM1; p= \t", /revoked/],
    [`v=DKIM2; ${data}`, /not of version/],
    [`${data}; v=DKIM1`, /not of version/],
    [`v=DKIM1; p=a;${data}`, /stands twice/],
    ["p=not*base64", /not Base64/],
    ["p=AAAA", /cannot be used/],
    [`k=ed25519; ${data}`, /of type ed25519/],
    [`k=dsa; ${data}`, /of type dsa/],
    [ED25519.record.replace("k=ed25519", "k=rsa"), /of type rsa/],
    [`s=tlsrpt; ${data}`, /not meant for email/],
    [`p=${long.export({ type: "spki", format: "der" }).toString("base64")}`, /cannot be used/],
    // A modulus of nothing, and one that is even.
    ["p=MAYCAQACAQM=", /cannot be used/],
    [`p=${"A".repeat(64_000)}`, /cannot be used/],
  ];
  for (const [record, expected] of cases) assert.match(reason(record), expected);
});

/** Signs a block without padding it: what a forger with a flaw in the verifier would send. */
function rawSignature(privateKey: KeyObject, block: Buffer): Buffer {
  const { n = "", d = "" } = privateKey.export({ format: "jwk" });
  const number = (text: string) => BigInt(`0x${Buffer.from(text, "base64url").toString("hex")}`);
  const modulus = number(n);
  let base = BigInt(`0x${block.toString("hex")}`);
  let result = 1n;
  for (let exponent = number(d); exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = result * base % modulus;
    base = base * base % modulus;
  }
  return Buffer.from(result.toString(16).padStart(block.length * 2, "0"), "hex");
}

Deno.test("only the one right block is a signature (RFC 8017 §9.2)", () => {
  const info = Buffer.concat([Buffer.from("3031300d060960864801650304020105000420", "hex"), DIGEST]);
  const block = (padding: number, ...rest: Buffer[]) => {
    const start = Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(padding, 0xff), Buffer.from([0]), ...rest]);
    return Buffer.concat([start, Buffer.alloc(128 - start.length)]);
  };
  const read = key(RSA.record);
  const verify = (data: Buffer) => read.verify("sha256", DIGEST, rawSignature(RSA.privateKey, data));
  const full = 128 - 3 - info.length;
  assert.ok(verify(block(full, info)));
  assert.ok(!verify(block(8, info)), "octets after the digest");
  assert.ok(!verify(block(full - 2, info, Buffer.alloc(2))), "a shorter padding");
  const noNull = Buffer.concat([Buffer.from("302f300b0609608648016503040201" + "0420", "hex"), DIGEST]);
  assert.ok(!verify(block(128 - 3 - noNull.length, noNull)), "other parameters");
  const typeTwo = block(full, info);
  typeTwo[1] = 2;
  assert.ok(!verify(typeTwo), "another block type");
});

Deno.test("a signature of another length, or beyond the modulus, is none", () => {
  const read = key(RSA.record);
  const signature = sign("sha256", DATA, RSA.privateKey);
  assert.ok(!read.verify("sha256", DIGEST, Buffer.concat([Buffer.alloc(1), signature])));
  assert.ok(!read.verify("sha256", DIGEST, signature.subarray(1)));
  assert.ok(!read.verify("sha256", DIGEST, Buffer.alloc(0)));
  assert.ok(!read.verify("sha256", DIGEST, Buffer.alloc(128, 0xff)));
});

Deno.test("records that differ are told apart however many are seen", () => {
  for (let i = 0; i < 1100; i++) assert.equal(key(`${ED25519.record}; n=${i}`).type, "ed25519");
  assert.equal(key(`${ED25519.record}; n=0; t=y`).testing, true);
  assert.equal(key(`${ED25519.record}; n=0`).testing, false);
});
