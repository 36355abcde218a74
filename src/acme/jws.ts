/** JSON Web Signatures as ACME wants them (RFC 7515, RFC 8555 §6.2), with the keys behind them. */

import { createHash, createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A signed request: the flattened JSON serialization. */
export interface SignedRequest {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}

/** The public half of a P-256 key as JWK (RFC 7518 §6.2). */
export interface PublicJwk {
  readonly crv: "P-256";
  readonly kty: "EC";
  readonly x: string;
  readonly y: string;
}

/** The key of an account: ECDSA on P-256, which every authority takes. */
export interface AccountKey {
  readonly pem: string;
  readonly jwk: PublicJwk;
  /** Digest of the public key (RFC 7638), base64url. */
  readonly thumbprint: string;
  /** Signs by ES256: r and s, 64 octets (RFC 7518 §3.4). */
  sign(text: string): Uint8Array;
}

/** Makes a new private key on P-256, PKCS #8 in PEM. */
export function generateKey(): string {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
    .export({ type: "pkcs8", format: "pem" }).toString();
}

/**
 * Reads the key of an account.
 *
 * @throws {Error} if it is not a private key on P-256
 */
export function readAccountKey(pem: string): AccountKey {
  const key = createPrivateKey(pem);
  const jwk = publicJwk(key);
  // RFC 7638 §3: the required members in the order of their names, without space.
  const canonical = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y });
  return {
    pem,
    jwk,
    thumbprint: createHash("sha256").update(canonical).digest("base64url"),
    sign: (text) => sign("sha256", new TextEncoder().encode(text), { key, dsaEncoding: "ieee-p1363" }),
  };
}

function publicJwk(key: KeyObject): PublicJwk {
  const { crv, x, y } = key.export({ format: "jwk" });
  if (crv !== "P-256" || x === undefined || y === undefined) throw new Error("the account key is not one on P-256");
  return { crv, kty: "EC", x, y };
}

/** What proves control of a name (RFC 8555 §8.1): the token of the challenge, bound to the account. */
export function keyAuthorization(token: string, key: Pick<AccountKey, "thumbprint">): string {
  return `${token}.${key.thumbprint}`;
}

/** SHA-256 of a key authorization: the TXT record of `dns-01` is its base64url (RFC 8555 §8.4). */
export function authorizationDigest(authorization: string): Uint8Array {
  return createHash("sha256").update(authorization).digest();
}

/**
 * Signs a request to an authority.
 *
 * @param payload `undefined` makes a POST-as-GET (RFC 8555 §6.3)
 * @param header `kid` once the account is known, `jwk` before
 */
export function signRequest(
  key: AccountKey,
  payload: unknown,
  header: { readonly url: string; readonly nonce: string } & ({ readonly kid: string } | { readonly jwk: PublicJwk }),
): SignedRequest {
  const head = encode(JSON.stringify({ alg: "ES256", ...header }));
  const body = payload === undefined ? "" : encode(JSON.stringify(payload));
  return { protected: head, payload: body, signature: base64url(key.sign(`${head}.${body}`)) };
}

/**
 * Binds a new account to one that the authority knows already (RFC 8555 §7.3.4).
 *
 * @param eab `hmacKey` in base64url
 * @param url that of the request for the account
 */
export function bindAccount(
  key: AccountKey,
  eab: { readonly kid: string; readonly hmacKey: string },
  url: string,
): SignedRequest {
  const head = encode(JSON.stringify({ alg: "HS256", kid: eab.kid, url }));
  const body = encode(JSON.stringify(key.jwk));
  const mac = createHmac("sha256", Uint8Array.fromBase64(eab.hmacKey, { alphabet: "base64url" }));
  return { protected: head, payload: body, signature: mac.update(`${head}.${body}`).digest("base64url") };
}

function encode(text: string): string {
  return base64url(new TextEncoder().encode(text));
}

/** Octets in base64url without padding (RFC 7515 §2). */
export function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
