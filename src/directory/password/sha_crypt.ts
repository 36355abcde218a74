/** SHA crypt, `$5$` and `$6$` (U. Drepper, "Unix crypt using SHA-256 and SHA-512", 2008). */

import { createHash } from "node:crypto";
import { isSameText, writeGroups } from "./crypt_base64.ts";

type Group = readonly [number, number, number];

const SHA256_GROUPS: readonly Group[] = [
  ...rotated(10, (n) => n % 3 === 0 ? [0, 10, 20] : n % 3 === 1 ? [21, 1, 11] : [12, 22, 2]),
  [-1, 31, 30],
];
const SHA512_GROUPS: readonly Group[] = [
  ...rotated(21, (n) => n % 3 === 0 ? [0, 21, 42] : n % 3 === 1 ? [22, 43, 1] : [44, 2, 23]),
  [-1, -1, 63],
];

/** Group `n` of the digest: the starting group of its kind, moved on by the whole threes before it. */
function rotated(count: number, start: (n: number) => Group): Group[] {
  return Array.from({ length: count }, (_, n) => {
    const [a, b, c] = start(n);
    const moved = n - n % 3;
    return [a + moved, b + moved, c + moved] as const;
  });
}

const FORMAT = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$:\n]{0,16})\$([./0-9A-Za-z]+)$/;
const DEFAULT_ROUNDS = 5_000;
const LEAST_ROUNDS = 1_000;

/** True if `hash` is a SHA crypt. */
export function isShaCrypt(hash: string): boolean {
  const match = FORMAT.exec(hash);
  return match !== null && match[4]?.length === (match[1] === "5" ? 43 : 86);
}

/** Checks a password against a hash for which {@link isShaCrypt} holds. */
export function verifyShaCrypt(password: Uint8Array, hash: string): boolean {
  const [, id, rounds, salt = "", digest = ""] = FORMAT.exec(hash) ?? [];
  const algorithm = id === "5" ? "sha256" : "sha512";
  const count = rounds === undefined ? DEFAULT_ROUNDS : Math.max(LEAST_ROUNDS, Number(rounds));
  const computed = shaCrypt(password, new TextEncoder().encode(salt), count, algorithm);
  return isSameText(writeGroups(computed, id === "5" ? SHA256_GROUPS : SHA512_GROUPS), digest);
}

/** Steps 1 to 21 of the specification; the numbers below are its own. */
function shaCrypt(password: Uint8Array, salt: Uint8Array, rounds: number, algorithm: "sha256" | "sha512"): Uint8Array {
  const digest = (...parts: readonly Uint8Array[]): Uint8Array => {
    const hash = createHash(algorithm);
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  const b = digest(password, salt, password); // 4-8
  const parts = [password, salt, repeated(b, password.length)]; // 1-3, 9-10
  for (let bits = password.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? b : password); // 11
  let current = digest(...parts); // 12
  const p = repeated(digest(...Array<Uint8Array>(password.length).fill(password)), password.length); // 13-16
  const s = repeated(digest(...Array<Uint8Array>(16 + (current[0] ?? 0)).fill(salt)), salt.length); // 17-20
  for (let round = 0; round < rounds; round++) { // 21
    const hash = createHash(algorithm).update(round & 1 ? p : current);
    if (round % 3 !== 0) hash.update(s);
    if (round % 7 !== 0) hash.update(p);
    current = hash.update(round & 1 ? current : p).digest();
  }
  return current;
}

/** `bytes` again and again, to `length`. */
function repeated(bytes: Uint8Array, length: number): Uint8Array {
  const result = new Uint8Array(length);
  for (let start = 0; start < length; start += bytes.length) result.set(bytes.subarray(0, length - start), start);
  return result;
}
