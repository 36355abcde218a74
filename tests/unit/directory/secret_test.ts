import assert from "node:assert/strict";
import { isPlainSecret, secretProblem } from "../../../src/directory/mod.ts";
import { readSecret, verifyRead } from "../../../src/directory/password/secret.ts";

const PASSWORD = "correct horse battery staple";
const UMLAUTS = "pässwörd";
const LONG = "x".repeat(100);

async function assertMatches(secret: string, password: string): Promise<void> {
  assert.equal(await verifyRead(readSecret(secret), password), true, `${secret} with ${password}`);
  for (const wrong of [password.slice(1), "", "x".repeat(2_000)]) {
    assert.equal(await verifyRead(readSecret(secret), wrong), false, `${secret} with ${wrong}`);
  }
}

// Made by crypt(3) of libxcrypt.
const CRYPTS: readonly (readonly [password: string, hash: string])[] = [
  [PASSWORD, "$1$abcdefgh$4/U5.w6NPtLkJ2WyrTwm91"],
  [UMLAUTS, "$1$abcdefgh$xYuxUFvxUOR4Pd6a7EeUS0"],
  [LONG, "$1$abcdefgh$ax3Kvr/hbxTbyc0QiTLcg/"],
  [PASSWORD, "$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i."],
  [PASSWORD, "$5$rounds=1234$longersaltstring$FQVaO6oxTM9uM.e9kMHhgnwexjsGXqewcVf6Xa.7FX0"],
  [UMLAUTS, "$5$saltsalt$JUyX9J5pA1EE4ZvGcIA.vpwPCUQ8GlJbo51r7M84au8"],
  [LONG, "$5$saltsalt$KYdc3hjfAdyHM6XPspIq1FaqoDPA6x.vXCibKNANhR3"],
  [
    PASSWORD,
    "$6$saltsalt$CPgxBHZBXfhC6lX1yxpdEsbQfXmg3WXVj8AoVwyNFLfb5AtbfM8k6A8yehv1z6sgzoH/DUIs7YK9hVnGhTjhW/",
  ],
  [
    UMLAUTS,
    "$6$rounds=1000$ab$NFbzU2DQLl3OZu83FviV.Xe95BlJnKVpTXGpWdG43xDccgNCWBG4KN48j4r6lcjj1x1PMxNzglXZOJteT8I.P.",
  ],
  [
    LONG,
    "$6$rounds=1000$ab$LKkTDMS/DBJYODTkgfGi.GHrMycqs.mJK9RJZTUxpRDhlJ3hCKojMcmrQsLa9i2/vxd6Bhv9B5u/5cYuAMKMX0",
  ],
  [PASSWORD, "$sha1$1000$jtNX3nZ2$lzGZnRymjPewLpXJeme4bOHMJ0e3"],
  [UMLAUTS, "$sha1$1000$jtNX3nZ2$rxe4OnHg.6fR1bkfpWlawTY0Oo1c"],
  [PASSWORD, "_J9..saltT8FhL9yRbho"],
  [UMLAUTS, "_J9..saltsToGB/S4baI"],
  [LONG, "_J9..saltHQ2wStzQ9Mk"],
  [PASSWORD, "$2b$05$abcdefghijklmnopqrstuuFiPhXf1sVd3pCCRO.uVh34H/qI/ZsuS"],
  [UMLAUTS, "$2b$05$abcdefghijklmnopqrstuuZVEMa1pjhlynBQ1qXmSvGBJpN9h1w8G"],
];

Deno.test("hashes of crypt(3) match their password and no other", async () => {
  for (const [password, hash] of CRYPTS) {
    await assertMatches(hash, password);
    await assertMatches(`{CRYPT}${hash}`, password);
    await assertMatches(`{crypt}${hash}`, password);
  }
});

Deno.test("names that Dovecot and slappasswd write in front are understood", async () => {
  const named = { "$1$": "MD5-CRYPT", "$5$": "SHA256-CRYPT", "$6$": "SHA512-CRYPT", "$2b": "BLF-CRYPT" };
  for (const [password, hash] of CRYPTS) {
    const name = Object.entries(named).find(([prefix]) => hash.startsWith(prefix))?.[1];
    if (name !== undefined) await assertMatches(`{${name}}${hash}`, password);
  }
  // Made by Python: base64(md5(password + salt) + salt).
  await assertMatches("{SMD5}ob+IXUZhf+EKPTN/wjvJvHNhbHRzYWx0", PASSWORD);
  await assertMatches(`{CLEARTEXT}${PASSWORD}`, PASSWORD);
  for (const bad of ["{SHA512-CRYPT}abc", "{BLF-CRYPT}$2b$05$short", "{ARGON2ID}x", "{SMD5}ob+IXUZhf+EKPTN/wjvJvA=="]) {
    assert.notEqual(secretProblem(bad), undefined, bad);
    assert.equal(await verifyRead(readSecret(bad), bad), false, bad);
  }
});

Deno.test("bcrypt looks at the first 72 octets of a password", async () => {
  const hash = "$2b$05$abcdefghijklmnopqrstuujf8SX2ahXLwp9w/B.Y5XdysS6yR576q";
  for (const [length, expected] of [[71, false], [72, true], [73, true], [100, true]] as const) {
    assert.equal(await verifyRead(readSecret(hash), "x".repeat(length)), expected, `${length} octets`);
  }
});

Deno.test("traditional DES is known behind {CRYPT}; only 8 characters of the password count", async () => {
  for (const [password, hash] of [[PASSWORD, "abhfCpXqd4GrI"], [UMLAUTS, "abzp3RXJm5gNA"]] as const) {
    await assertMatches(`{CRYPT}${hash}`, password);
  }
  assert.equal(await verifyRead(readSecret("{CRYPT}abhfCpXqd4GrI"), "correct house"), true);
  assert.equal(readSecret("abhfCpXqd4GrI").kind, "plain");
});

Deno.test("the test vector of the SHA-crypt specification matches", async () => {
  await assertMatches("$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!");
  await assertMatches(
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    "Hello world!",
  );
});

// Made by another mail server's password tool.
Deno.test("Argon2 and bcrypt hashes of another server match", async () => {
  for (
    const hash of [
      "$argon2id$v=19$m=65536,t=3,p=1$0neTFrqzW0fPoZyxZrf8Tw$M3BfgEa6vt+i2GC+QBQDLu9Ys0kT0LgrlEKDZzXfEow",
      "$argon2i$v=19$m=32768,t=4,p=1$6NNxak9ER7lIe/ZBCp0UIw$3fugqsP8+ufLrrlO7ndnU5fRB2/4SF6dAz2LRGXMFbc",
      "{CRYPT}$2y$05$kt.mdekGaAuD1aSGx3P4RONcFoMcgBjb.qbwWdV1jlxr8hQ6fdh6C",
      "$2y$05$RlebnIiutZwslCVo5PMhIuxKCpyM3Z4XNhPjrict3CnH1E/aRfGJq",
      "{MD5}$1$JsNQiBhh$VwcaazvKPIvnEPvcTFbWg1",
    ]
  ) {
    await assertMatches(hash, "correct horse");
  }
});

// Keys computed with another implementation of RFC 8018 and RFC 7914; the salt is "0123456789abcdef".
Deno.test("PBKDF2 matches in both forms it is written in, scrypt in its one", async () => {
  const salt = "MDEyMzQ1Njc4OWFiY2RlZg";
  const sha1 = "aUfE2vx5Q7zgbb0jx49AaNpXUQQ";
  const sha256 = "cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M";
  const sha512 = "OM0FAoIqCVK1sWtxDiffVlBejtLa+ks4TP71JiecwuSZCG8iLbnlIEPOMoVX+i2B2wkSxjQ8CRGR9OkNGuIPMQ";
  for (
    const hash of [
      `$pbkdf2$1000$${salt}$${sha1}`,
      `$pbkdf2-sha256$1000$${salt}$${sha256}`,
      `$pbkdf2-sha256$i=1000,l=32$${salt}$${sha256}`,
      `$pbkdf2-sha512$1000$${salt}$${sha512.replaceAll("+", ".")}`,
      `$pbkdf2-sha512$i=1000$${salt}$${sha512}`,
      `$scrypt$ln=10,r=8,p=1$${salt}$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M`,
    ]
  ) {
    await assertMatches(hash, "correct horse");
  }
});

Deno.test("digests in braces match, salted or not, whatever the case of their name", async () => {
  for (
    const secret of [
      "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
      "{SSHA}yIfaCj5jOLY4gO5gXKfM7tnS/zmzIXv6",
      "{ssha}yIfaCj5jOLY4gO5gXKfM7tnS/zmzIXv6",
      "{SHA256}QQTTb42iwlQ0n4WDZ5Pr4CngyVcGOjTJHC6SAxh7VjE=",
      "{SSHA256}Ox+/BKNir2C9rwiZhRqmDKRd9NYdP2nOl/FCVAFAkw6+zDT+",
      "{SHA512}VraY3v7bWkNbY0r+MyC7rz/c2SC2xQOkRvx7endrKY1HnRumqLYXgI6wv1ec6aldZoNHvKtxSQhayTyyeZUZew==",
      "{SSHA512}HvGhL1IUWbW2sdiNV2We9JYPRZIPjwPw3lm15ovHHoqte0rercNgBPmuLt8MSz3XS3Vbi02mLyV0KNrHLtzNzpf3NrM=",
      "{MD5}PLTnMmMfR+brlh80VUt83g==",
    ]
  ) {
    await assertMatches(secret, "correct horse");
  }
});

Deno.test("plain text matches itself; {PLAIN} and {CLEAR} say that it is meant to be plain", async () => {
  await assertMatches("secret", "secret");
  await assertMatches("{PLAIN}$6$not a hash", "$6$not a hash");
  await assertMatches("{CLEAR}_x", "_x");
  await assertMatches("{OTHER}x", "{OTHER}x");
  assert.equal(await verifyRead(readSecret("{PLAIN}"), ""), false);
});

Deno.test("only plain text without a prefix is worth a warning", () => {
  assert.equal(isPlainSecret("secret"), true);
  assert.equal(isPlainSecret("{OTHER}x"), true);
  assert.equal(isPlainSecret("{PLAIN}secret"), false);
  assert.equal(isPlainSecret("{CLEAR}secret"), false);
  for (const [, hash] of CRYPTS) assert.equal(isPlainSecret(hash), false);
});

Deno.test("what has a prefix but is no hash matches nothing and can be told", async () => {
  for (
    const secret of [
      "$6$",
      "$6$saltsalt$short",
      "$5$salt$CPgxBHZBXfhC6lX1yxpdEsbQfXmg3WXVj8AoVwyNFLfb5AtbfM8k6A8yehv1z6sgzoH/DUIs7YK9hVnGhTjhW/",
      "$100 bills",
      "_underscore",
      "$2x$05$abcdefghijklmnopqrstuuFiPhXf1sVd3pCCRO.uVh34H/qI/ZsuS",
      "$argon2id$v=19$m=99999999,t=3,p=1$0neTFrqzW0fPoZyxZrf8Tw$M3BfgEa6vt+i2GC+QBQDLu9Ys0kT0LgrlEKDZzXfEow",
      "$argon2id$",
      "$pbkdf2-sha256$0$YWJj$YWJj",
      "$pbkdf2-sha256$i=1000,l=9$YWJj$YWJj",
      "$scrypt$ln=40,r=8,p=1$YWJj$YWJj",
      "{SHA}short",
      "{SHA256}L55TUjtiq8FBorTWAZ0jy6g129A=",
      "{SSHA}L55TUjtiq8FBorTWAZ0jy6g129A=",
      "{MD5}not base64!",
      "{CRYPT}plain",
    ]
  ) {
    assert.match(secretProblem(secret) ?? "", /taken for a hash/, secret);
    assert.equal(await verifyRead(readSecret(secret), secret), false, secret);
    assert.equal(await verifyRead(readSecret(secret), "plain"), false, secret);
  }
  assert.equal(secretProblem("plain"), undefined);
  for (const [, hash] of CRYPTS) assert.equal(secretProblem(hash), undefined);
});
