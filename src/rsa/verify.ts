/** Verifying RSA signatures, PKCS#1 v1.5 (RFC 8017 §8.2.2). */

import { bitLength, isPower, type Montgomery, montgomery } from "./montgomery.ts";

/** Hashes of signatures, as `node:crypto` names them. */
export type RsaHash = "sha1" | "sha256" | "sha512";

/** An RSA public key that is ready to verify. */
export interface RsaPublicKey {
  /** Bits of the modulus. */
  readonly bits: number;
  readonly modulus: bigint;
  /** The same, the most significant octet first. */
  readonly modulusOctets: Uint8Array;
  /** The binary digits of the exponent behind the first one, which is 1. */
  readonly exponentDigits: readonly boolean[];
  /**
   * The block that a signature has to hold, with room for the digest at its end; `undefined` if the key is too short.
   */
  readonly blocks: Readonly<Record<RsaHash, Uint8Array | undefined>>;
  /** The fast way, if there is one. */
  readonly field: Montgomery | undefined;
}

/** Bounds of what is computed with: below, anybody can forge; above, a stranger decides how long it takes. */
const LEAST_BITS = 512;
const MOST_BITS = 4096;
const MOST_EXPONENT_BITS = 32;

// RFC 8017 §9.2, note 1: DigestInfo up to the digest, and the digest's octets.
const DIGEST_INFO = {
  sha512: { start: "3051300d060960864801650304020305000440", length: 64 },
  sha256: { start: "3031300d060960864801650304020105000420", length: 32 },
  sha1: { start: "3021300906052b0e03021a05000414", length: 20 },
} as const;

/**
 * Makes a key of its two numbers, as octets, the most significant first.
 *
 * @param mostExponentBits how long the exponent may be
 * @returns `undefined` for what is no key, or too short or too long to be of use: 512 to 4096 bits are
 */
export function readRsaKey(
  numbers: { readonly modulus: Uint8Array; readonly exponent: Uint8Array },
  mostExponentBits = MOST_EXPONENT_BITS,
): RsaPublicKey | undefined {
  const modulus = toBigInt(numbers.modulus);
  const exponent = toBigInt(numbers.exponent);
  const bits = modulus === 0n ? 0 : bitLength(modulus);
  const usable = bits >= LEAST_BITS && bits <= MOST_BITS && (modulus & 1n) === 1n &&
    exponent >= 3n && exponent >> BigInt(mostExponentBits) === 0n && (exponent & 1n) === 1n;
  if (!usable) return undefined;
  const exponentDigits = Array.from(exponent.toString(2).slice(1), (digit) => digit === "1");
  const modulusOctets = Uint8Array.fromHex(modulus.toString(16).padStart(2 * Math.ceil(bits / 8), "0"));
  const blocks = { sha1: block(bits, "sha1"), sha256: block(bits, "sha256"), sha512: block(bits, "sha512") };
  return { bits, modulus, modulusOctets, exponentDigits, blocks, field: montgomery(modulus) };
}

function block(bits: number, hash: RsaHash): Uint8Array | undefined {
  const { start, length } = DIGEST_INFO[hash];
  const padding = Math.ceil(bits / 8) - start.length / 2 - length - 3;
  // RFC 8017 §9.2: at least eight octets of padding.
  return padding < 8 ? undefined : Uint8Array.fromHex(`0001${"ff".repeat(padding)}00${start}${"00".repeat(length)}`);
}

/**
 * Whether `signature` is one of `digest` by `key`.
 *
 * The public operation handles no secret, so it may take as long as it takes: {@link isPower} needs a tenth of the time
 * of `node:crypto` of this runtime. The block is not parsed but held against the only right one, octet for octet.
 */
export function verifyRsa(key: RsaPublicKey, hash: RsaHash, digest: Uint8Array, signature: Uint8Array): boolean {
  const { blocks, exponentDigits, field, modulusOctets } = key;
  const expected = blocks[hash];
  if (expected === undefined || digest.length !== DIGEST_INFO[hash].length) return false;
  if (signature.length !== modulusOctets.length || !isLess(signature, modulusOctets)) return false;
  expected.set(digest, expected.length - digest.length);
  return field === undefined
    ? power(toBigInt(signature), key) === toBigInt(expected)
    : isPower(field, signature, exponentDigits, expected);
}

/** Whether a number is less than another one with as many octets. */
function isLess(number: Uint8Array, other: Uint8Array): boolean {
  for (let i = 0; i < number.length; i++) {
    if (number[i] !== other[i]) return (number[i] as number) < (other[i] as number);
  }
  return false;
}

/** What {@link isPower} computes, with big integers of the language. */
function power(base: bigint, { exponentDigits, modulus }: RsaPublicKey): bigint {
  let result = base;
  for (const digit of exponentDigits) {
    result = result * result % modulus;
    if (digit) result = result * base % modulus;
  }
  return result;
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toHex()}`);
}
