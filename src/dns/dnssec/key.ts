/** Keys of zones, and the digests of them that stand in the zone above (RFC 4034 §2, §5; RFC 8624 §3). */

import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify } from "node:crypto";
import { readRsaKey, type RsaHash, verifyRsa } from "../../rsa/mod.ts";
import { compareOctets, toWire } from "./name.ts";
import { joined } from "./record.ts";

/** A key. */
export interface ZoneKey {
  readonly flags: number;
  readonly algorithm: number;
  readonly tag: number;
  /** The data of the DNSKEY record. */
  readonly data: Uint8Array;
}

/** A DS record, or an anchor in that form. */
export interface KeyDigest {
  readonly tag: number;
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Uint8Array;
}

const ZONE_KEY = 0x0100;
const REVOKED = 0x0080;
const DNSSEC_PROTOCOL = 3;

/** Reads a DNSKEY record; `undefined` if no zone can be signed with it. */
export function readKey(data: Uint8Array): ZoneKey | undefined {
  const [high = 0, low = 0, protocol = 0, algorithm = 0] = data;
  const flags = high * 256 + low;
  // RFC 5011 §2.1: a revoked key vouches for nothing but its own end.
  if (data.length < 5 || (flags & ZONE_KEY) === 0 || (flags & REVOKED) !== 0 || protocol !== DNSSEC_PROTOCOL) {
    return undefined;
  }
  return { flags, algorithm, tag: keyTag(data), data };
}

/** Where the algorithm stands in the data of a DNSKEY record; flags and protocol come before. */
export const ALGORITHM_AT = 3;

/**
 * Reads a DNSKEY record that says of itself that it is revoked (RFC 5011 §2.1).
 *
 * @returns the key as it signs its revocation, and its data as it was before; `undefined` if it is not revoked
 */
export function revocationOf(data: Uint8Array): { readonly key: ZoneKey; readonly before: Uint8Array } | undefined {
  const flags = (data[0] ?? 0) * 256 + (data[1] ?? 0);
  if ((flags & REVOKED) === 0) return undefined;
  // A copy, which slice() of a Buffer is not.
  const before = Uint8Array.from(data);
  before[1] = (data[1] ?? 0) & ~REVOKED;
  const key = readKey(before);
  return key === undefined ? undefined : { key: { ...key, flags, tag: keyTag(data), data }, before };
}

/** RFC 4034 appendix B. */
function keyTag(data: Uint8Array): number {
  let sum = 0;
  for (const [index, octet] of data.entries()) sum += (index & 1) === 1 ? octet : octet << 8;
  return (sum + (sum >> 16)) & 0xffff;
}

/** Reads a DS record; `undefined` if it is cut short. */
export function readDigest(data: Uint8Array): KeyDigest | undefined {
  const [high = 0, low = 0, algorithm = 0, digestType = 0] = data;
  if (data.length < 5) return undefined;
  return { tag: high * 256 + low, algorithm, digestType, digest: data.slice(4) };
}

// RFC 8624 §3.3. SHA-1 (1) is not to be relied on any more: a zone with nothing else counts as unsigned.
const DIGESTS: Readonly<Record<number, string>> = { 2: "sha256", 4: "sha384" };

/** Whether this program can follow the digest to a key. */
export function isSupported({ algorithm, digestType }: KeyDigest): boolean {
  return DIGESTS[digestType] !== undefined && ALGORITHMS[algorithm] !== undefined;
}

/** Whether the digest is that of the key of `zone`. */
export function isDigestOf({ tag, algorithm, digestType, digest }: KeyDigest, zone: string, key: ZoneKey): boolean {
  const hash = DIGESTS[digestType];
  if (hash === undefined || tag !== key.tag || algorithm !== key.algorithm) return false;
  return compareOctets(createHash(hash).update(joined(toWire(zone), key.data)).digest(), digest) === 0;
}

/** Whether a signature is that of a key, given as in its record, over some octets. May throw if the key is none. */
type Check = (key: Uint8Array, signed: Uint8Array, signature: Uint8Array) => boolean;

const RSA = (hash: RsaHash): Check => (key, signed, signature) => {
  // RFC 3110 §2: the length of the exponent in one octet, or in two after a zero.
  const long = key[0] === 0;
  const size = long ? (key[1] ?? 0) * 256 + (key[2] ?? 0) : key[0] ?? 0;
  const start = long ? 3 : 1;
  const modulus = key.subarray(start + size);
  // RFC 5702 §2.1, §2.2: 512 to 4096 bits; a long exponent would make checking a burden.
  if (size < 1 || size > 8 || modulus.length < 64 || modulus.length > 512) return false;
  const rsa = readRsaKey({ exponent: key.subarray(start, start + size), modulus }, 64);
  return rsa !== undefined && verifyRsa(rsa, hash, createHash(hash).update(signed).digest(), signature);
};

const CURVE = (hash: string, crv: string, size: number): Check => (key, signed, signature) =>
  key.length === size * 2 &&
  isSignedBy(
    { kty: "EC", crv, x: base64url(key.subarray(0, size)), y: base64url(key.subarray(size)) },
    hash,
    signed,
    signature,
  );

/** Algorithms by number (RFC 8624 §3.1, without those of SHA-1). */
const ALGORITHMS: Readonly<Record<number, Check>> = {
  8: RSA("sha256"),
  10: RSA("sha512"),
  13: CURVE("sha256", "P-256", 32),
  14: CURVE("sha384", "P-384", 48),
  15: (key, signed, signature) =>
    key.length === 32 && isSignedBy({ kty: "OKP", crv: "Ed25519", x: base64url(key) }, null, signed, signature),
};

function isSignedBy(
  jwk: Readonly<Record<string, string>>,
  hash: string | null,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = createPublicKey({ key: { ...jwk }, format: "jwk" });
  return verify(hash, signed, { key, dsaEncoding: "ieee-p1363" }, signature);
}

/** Whether `signature` is that of `key` over `signed`. Never throws. */
export function isSignedWith(key: ZoneKey, signed: Uint8Array, signature: Uint8Array): boolean {
  try {
    return ALGORITHMS[key.algorithm]?.(key.data.subarray(4), signed, signature) ?? false;
  } catch {
    return false;
  }
}

function base64url(octets: Uint8Array): string {
  return Buffer.from(octets).toString("base64url");
}
