/** MD5 crypt, `$1$` (P.-H. Kamp, FreeBSD crypt-md5), and SHA-1 crypt, `$sha1$` (NetBSD). For imported accounts. */

import { createHash, createHmac } from "node:crypto";
import { isSameText, writeGroups } from "./crypt_base64.ts";

const MD5_FORMAT = /^\$1\$([^$:\n]{0,8})\$([./0-9A-Za-z]{22})$/;
const SHA1_FORMAT = /^\$sha1\$(\d{1,9})\$([./0-9A-Za-z]{1,64})\$([./0-9A-Za-z]{28})$/;

/** True if `hash` is an MD5 crypt. */
export function isMd5Crypt(hash: string): boolean {
  return MD5_FORMAT.test(hash);
}

/** Checks a password against a hash for which {@link isMd5Crypt} holds. */
export function verifyMd5Crypt(password: Uint8Array, hash: string): boolean {
  const [, saltText = "", expected = ""] = MD5_FORMAT.exec(hash) ?? [];
  const salt = new TextEncoder().encode(saltText);
  const md5 = () => createHash("md5");
  const inner = md5().update(password).update(salt).update(password).digest();
  const outer = md5().update(password).update("$1$").update(salt);
  for (let left = password.length; left > 0; left -= 16) outer.update(inner.subarray(0, Math.min(16, left)));
  const zero = new Uint8Array(1);
  for (let bits = password.length; bits > 0; bits >>= 1) outer.update(bits & 1 ? zero : password.subarray(0, 1));
  let current = outer.digest();
  for (let round = 0; round < 1_000; round++) {
    const next = md5().update(round & 1 ? password : current);
    if (round % 3 !== 0) next.update(salt);
    if (round % 7 !== 0) next.update(password);
    current = next.update(round & 1 ? current : password).digest();
  }
  const text = writeGroups(current, [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5], [-1, -1, 11]]);
  return isSameText(text, expected);
}

/** True if `hash` is a SHA-1 crypt. */
export function isSha1Crypt(hash: string): boolean {
  return SHA1_FORMAT.test(hash);
}

/** Checks a password against a hash for which {@link isSha1Crypt} holds. */
export function verifySha1Crypt(password: Uint8Array, hash: string): boolean {
  const [, rounds = "1", salt = "", expected = ""] = SHA1_FORMAT.exec(hash) ?? [];
  const hmac = (data: Uint8Array | string) => createHmac("sha1", password).update(data).digest();
  let current = hmac(`${salt}$sha1$${Number(rounds)}`);
  for (let round = 1; round < Number(rounds); round++) current = hmac(current);
  const text = writeGroups(current, [
    ...[0, 3, 6, 9, 12, 15].map((start) => [start, start + 1, start + 2] as const),
    [18, 19, 0],
  ]);
  return isSameText(text, expected);
}
