/** What a secret of a directory is, recognised by its prefix, and checking one in this thread. */

import { createHash } from "node:crypto";
import { isSame, readBase64 } from "./crypt_base64.ts";
import { isBsdiCrypt, isDesCrypt, verifyBsdiCrypt, verifyDesCrypt } from "./des_crypt.ts";
import {
  isArgon2,
  isBcrypt,
  isPbkdf2,
  isScrypt,
  verifyArgon2,
  verifyBcrypt,
  verifyPbkdf2,
  verifyScrypt,
} from "./key_derivation.ts";
import { isMd5Crypt, isSha1Crypt, verifyMd5Crypt, verifySha1Crypt } from "./md5_crypt.ts";
import { isShaCrypt, verifyShaCrypt } from "./sha_crypt.ts";

/** A secret, read. */
export type Secret =
  | { readonly kind: "plain"; readonly text: string }
  | { readonly kind: "digest"; readonly algorithm: string; readonly digest: Uint8Array; readonly salt: Uint8Array }
  /** Made to be slow; checked away from the main loop. */
  | { readonly kind: "slow"; readonly scheme: string; readonly hash: string; readonly verify: Verify }
  /** Has a prefix, but what follows is not of its form. Nothing matches it. */
  | { readonly kind: "malformed"; readonly prefix: string };

type Verify = (password: Uint8Array, hash: string) => boolean | Promise<boolean>;

interface Scheme {
  readonly prefix: string;
  readonly matches: (hash: string) => boolean;
  readonly verify: Verify;
}

const SLOW: readonly Scheme[] = [
  { prefix: "$argon2", matches: isArgon2, verify: verifyArgon2 },
  { prefix: "$pbkdf2", matches: isPbkdf2, verify: verifyPbkdf2 },
  { prefix: "$scrypt", matches: isScrypt, verify: verifyScrypt },
  { prefix: "$2", matches: isBcrypt, verify: verifyBcrypt },
  { prefix: "$6$", matches: isShaCrypt, verify: verifyShaCrypt },
  { prefix: "$5$", matches: isShaCrypt, verify: verifyShaCrypt },
  { prefix: "$sha1", matches: isSha1Crypt, verify: verifySha1Crypt },
  { prefix: "$1", matches: isMd5Crypt, verify: verifyMd5Crypt },
  { prefix: "_", matches: isBsdiCrypt, verify: verifyBsdiCrypt },
];
const DES: Scheme = { prefix: "{CRYPT}", matches: isDesCrypt, verify: verifyDesCrypt };

/** Name in braces, digest algorithm, octets of the digest. */
const DIGESTS: Readonly<Record<string, readonly [algorithm: string, length: number, salted: boolean]>> = {
  SHA: ["sha1", 20, false],
  SSHA: ["sha1", 20, true],
  SHA256: ["sha256", 32, false],
  SSHA256: ["sha256", 32, true],
  SHA512: ["sha512", 64, false],
  SSHA512: ["sha512", 64, true],
  MD5: ["md5", 16, false],
  SMD5: ["md5", 16, true],
};

const BRACES = /^\{(SHA|SSHA|SHA256|SSHA256|SHA512|SSHA512|MD5|SMD5|CRYPT|PLAIN|CLEAR|CLEARTEXT)\}/i;

/** Names that Dovecot writes before hashes which say themselves what they are. */
const NAMED_CRYPT = /^\{(?:SHA(?:256|512)-CRYPT|BLF-CRYPT|MD5-CRYPT|ARGON2(?:I|ID)?)\}/i;

/** Longest password that is looked at, in octets. An empty one matches nothing, whatever the secret says. */
const LONGEST_PASSWORD = 1024;

/** Reads a secret. */
export function readSecret(secret: string): Secret {
  const named = NAMED_CRYPT.exec(secret)?.[0];
  if (named !== undefined) return readCrypt(secret.slice(named.length)) ?? { kind: "malformed", prefix: named };
  const braces = BRACES.exec(secret);
  if (braces === null) return readCrypt(secret) ?? { kind: "plain", text: secret };
  const prefix = braces[0];
  const rest = secret.slice(prefix.length);
  const name = (braces[1] ?? "").toUpperCase();
  if (name === "PLAIN" || name === "CLEAR" || name === "CLEARTEXT") return { kind: "plain", text: rest };
  const malformed: Secret = { kind: "malformed", prefix };
  if (name === "CRYPT") return readCrypt(rest) ?? (isDesCrypt(rest) ? slow(DES, rest) : malformed);
  // Dovecot writes MD5 crypt under this name; LDAP writes a plain digest.
  if (name === "MD5" && isMd5Crypt(rest)) return { kind: "slow", scheme: "$1", hash: rest, verify: verifyMd5Crypt };
  const [algorithm, length, salted] = DIGESTS[name] ?? ["", 0, false];
  const bytes = readBase64(rest);
  if (bytes === undefined || (salted ? bytes.length <= length : bytes.length !== length)) return malformed;
  return { kind: "digest", algorithm, digest: bytes.subarray(0, length), salt: bytes.subarray(length) };
}

function readCrypt(text: string): Secret | undefined {
  const scheme = SLOW.find(({ prefix }) => text.startsWith(prefix));
  if (scheme === undefined) return undefined;
  return scheme.matches(text) ? slow(scheme, text) : { kind: "malformed", prefix: scheme.prefix };
}

function slow(scheme: Scheme, hash: string): Secret {
  return { kind: "slow", scheme: scheme.prefix, hash, verify: scheme.verify };
}

/** True if the secret is plain text without `{PLAIN}` or `{CLEAR}` in front: worth a warning. */
export function isPlainSecret(secret: string): boolean {
  return readSecret(secret).kind === "plain" && !BRACES.test(secret);
}

/** What is wrong with a secret that nothing can match; undefined if all is well. */
export function secretProblem(secret: string): string | undefined {
  const read = readSecret(secret);
  if (read.kind !== "malformed") return undefined;
  return `a secret that starts with ${read.prefix} is taken for a hash, but is none that is understood; ` +
    "a plain-text password that looks like one is written {PLAIN}…";
}

/**
 * Checks a password here and now: in this thread. What it costs depends on the secret alone, whether or not the
 * password is right.
 */
export function verifyRead(secret: Secret, password: string): boolean | Promise<boolean> {
  const bytes = new TextEncoder().encode(password);
  if (bytes.length === 0 || bytes.length > LONGEST_PASSWORD) return false;
  switch (secret.kind) {
    case "plain":
      return isSame(digest("sha256", bytes), digest("sha256", new TextEncoder().encode(secret.text)));
    case "digest":
      return isSame(digest(secret.algorithm, bytes, secret.salt), secret.digest);
    case "slow":
      return secret.verify(bytes, secret.hash);
    case "malformed":
      return false;
  }
}

function digest(algorithm: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
}
