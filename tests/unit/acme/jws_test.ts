import assert from "node:assert/strict";
import { createHmac, createPublicKey, verify } from "node:crypto";
import {
  authorizationDigest,
  base64url,
  bindAccount,
  generateKey,
  keyAuthorization,
  readAccountKey,
  signRequest,
} from "../../../src/acme/jws.ts";

const text = (part: string) => new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" }));

// The key of RFC 7515, appendix A.3.1, as PKCS #8.
const A3 = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff
H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp
7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt
-----END PRIVATE KEY-----
`;

Deno.test("the public key is that of RFC 7515 A.3, its thumbprint that of the canonical JSON (RFC 7638)", () => {
  const key = readAccountKey(A3);
  assert.deepEqual(key.jwk, {
    crv: "P-256",
    kty: "EC",
    x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  });
  // sha256sum of those four members, in this order and without space.
  assert.equal(key.thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
});

Deno.test("a request is signed so that its key verifies it, with r and s side by side (RFC 7518 §3.4)", () => {
  const key = readAccountKey(generateKey());
  const signed = signRequest(key, { a: 1 }, { url: "https://ca.example/x", nonce: "n", jwk: key.jwk });
  const signature = Uint8Array.fromBase64(signed.signature, { alphabet: "base64url" });
  assert.equal(signature.length, 64);
  const data = new TextEncoder().encode(`${signed.protected}.${signed.payload}`);
  const publicKey = createPublicKey({ key: { ...key.jwk }, format: "jwk" });
  assert.ok(verify("sha256", data, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature));
  assert.deepEqual(JSON.parse(text(signed.protected)), {
    alg: "ES256",
    url: "https://ca.example/x",
    nonce: "n",
    jwk: key.jwk,
  });
  assert.deepEqual(JSON.parse(text(signed.payload)), { a: 1 });
});

Deno.test("a POST-as-GET has an empty payload, and an account signs by its URL (RFC 8555 §6.3)", () => {
  const key = readAccountKey(generateKey());
  const signed = signRequest(key, undefined, {
    url: "https://ca.example/x",
    nonce: "n",
    kid: "https://ca.example/a/1",
  });
  assert.equal(signed.payload, "");
  assert.deepEqual(JSON.parse(text(signed.protected)), {
    alg: "ES256",
    url: "https://ca.example/x",
    nonce: "n",
    kid: "https://ca.example/a/1",
  });
});

Deno.test("a binding is the key of the account, signed with the key of the authority (RFC 8555 §7.3.4)", () => {
  const key = readAccountKey(generateKey());
  const hmacKey = base64url(new TextEncoder().encode("secret of the authority"));
  const bound = bindAccount(key, { kid: "k-1", hmacKey }, "https://ca.example/new-account");
  assert.deepEqual(JSON.parse(text(bound.protected)), {
    alg: "HS256",
    kid: "k-1",
    url: "https://ca.example/new-account",
  });
  assert.deepEqual(JSON.parse(text(bound.payload)), key.jwk);
  const mac = createHmac("sha256", "secret of the authority").update(`${bound.protected}.${bound.payload}`);
  assert.equal(bound.signature, mac.digest("base64url"));
});

Deno.test("a proof is the token with the thumbprint of the account, a record its digest (RFC 8555 §8.1, §8.4)", () => {
  assert.equal(keyAuthorization("tok", { thumbprint: "thumb" }), "tok.thumb");
  // printf 'tok.thumb' | openssl dgst -sha256 -binary | basenc --base64url
  assert.equal(base64url(authorizationDigest("tok.thumb")), DIGEST);
});

const DIGEST = "sYAwVrqDtVOuJZvAHurSAYPoEt5fFV_C4bdSOOW-o5Y";
