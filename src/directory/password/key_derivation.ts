/** Hashes whose work is done by a library: Argon2, bcrypt, PBKDF2, scrypt. */

import { pbkdf2Sync, scryptSync } from "node:crypto";
import { isSame, readBase64 } from "./crypt_base64.ts";

// A hash from a foreign database may ask for anything: what would take the memory or minutes is refused.
const MOST_MEMORY = 1024 * 1024 * 1024;
const MOST_ITERATIONS = 10_000_000;

const ARGON2_FORMAT =
  /^\$argon2(?:id|i|d)\$v=19\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,8})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/;
const BCRYPT_FORMAT = /^\$2[aby]\$\d\d\$[./0-9A-Za-z]{53}$/;
const PBKDF2_FORMAT =
  /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(?:i=)?(\d{1,10})(?:,l=(\d{1,4}))?\$([A-Za-z0-9+/.]+={0,2})\$([A-Za-z0-9+/.]+={0,2})$/;
const SCRYPT_FORMAT =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/.]+={0,2})\$([A-Za-z0-9+/.]+={0,2})$/;

/** True if `hash` is an Argon2 of version 1.3 (RFC 9106), in the PHC form. */
export function isArgon2(hash: string): boolean {
  const match = ARGON2_FORMAT.exec(hash);
  return match !== null && Number(match[1]) * 1024 <= MOST_MEMORY && Number(match[2]) <= MOST_ITERATIONS;
}

/** Checks a password against a hash for which {@link isArgon2} holds. */
export async function verifyArgon2(password: Uint8Array, hash: string): Promise<boolean> {
  // Loaded where hashes are checked, not where they are only recognised: it weighs some megabytes.
  const { argon2Verify } = await import("hash-wasm");
  return await argon2Verify({ password, hash });
}

/** True if `hash` is a bcrypt. `$2x$`, the mark of hashes made by a faulty program, is not supported. */
export function isBcrypt(hash: string): boolean {
  return BCRYPT_FORMAT.test(hash);
}

/** Checks a password against a hash for which {@link isBcrypt} holds. Only its first 72 octets count. */
export async function verifyBcrypt(password: Uint8Array, hash: string): Promise<boolean> {
  const { bcryptVerify } = await import("hash-wasm");
  // The letters b and y mark programs free of old faults; what they compute is what `a` computes.
  return await bcryptVerify({ password: password.subarray(0, 72), hash: hash.replace(/^\$2[by]\$/, "$2a$") });
}

interface Derived {
  readonly salt: Uint8Array;
  readonly key: Uint8Array;
}

function readDerived(salt: string | undefined, key: string | undefined): Derived | undefined {
  const saltBytes = readBase64(salt ?? "");
  const keyBytes = readBase64(key ?? "");
  return saltBytes === undefined || keyBytes === undefined ? undefined : { salt: saltBytes, key: keyBytes };
}

function readPbkdf2(hash: string): Derived & { readonly digest: string; readonly iterations: number } | undefined {
  const match = PBKDF2_FORMAT.exec(hash);
  const derived = match === null ? undefined : readDerived(match[4], match[5]);
  const iterations = Number(match?.[2]);
  if (derived === undefined || iterations < 1 || iterations > MOST_ITERATIONS) return undefined;
  if (match?.[3] !== undefined && Number(match[3]) !== derived.key.length) return undefined;
  return { ...derived, digest: match?.[1] ?? "sha1", iterations };
}

/** True if `hash` is a PBKDF2 (RFC 8018), as `$pbkdf2-sha256$i=…,l=…$salt$key` or `$pbkdf2-sha256$rounds$salt$key`. */
export function isPbkdf2(hash: string): boolean {
  return readPbkdf2(hash) !== undefined;
}

/** Checks a password against a hash for which {@link isPbkdf2} holds. */
export function verifyPbkdf2(password: Uint8Array, hash: string): boolean {
  const read = readPbkdf2(hash);
  if (read === undefined) return false;
  return isSame(pbkdf2Sync(password, read.salt, read.iterations, read.key.length, read.digest), read.key);
}

function readScrypt(
  hash: string,
): Derived & { readonly N: number; readonly r: number; readonly p: number } | undefined {
  const match = SCRYPT_FORMAT.exec(hash);
  const derived = match === null ? undefined : readDerived(match[4], match[5]);
  const [logN, r, p] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  if (derived === undefined || logN < 1 || logN > 30 || r < 1 || p < 1) return undefined;
  const N = 2 ** logN;
  return 128 * N * r > MOST_MEMORY || N * r * p > MOST_ITERATIONS * 10 ? undefined : { ...derived, N, r, p };
}

/** True if `hash` is an scrypt (RFC 7914), as `$scrypt$ln=…,r=…,p=…$salt$key`. */
export function isScrypt(hash: string): boolean {
  return readScrypt(hash) !== undefined;
}

/** Checks a password against a hash for which {@link isScrypt} holds. */
export function verifyScrypt(password: Uint8Array, hash: string): boolean {
  const read = readScrypt(hash);
  if (read === undefined) return false;
  const { N, r, p, salt, key } = read;
  const maxmem = 128 * N * r + 128 * r * p + 1024 * 1024;
  return isSame(scryptSync(password, salt, key.length, { N, r, p, maxmem }), key);
}
