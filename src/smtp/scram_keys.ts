/** What both sides of SCRAM-SHA-256 compute (RFC 5802, RFC 7677). */

import { createHash, createHmac } from "node:crypto";

/** The keys behind a password (RFC 5802 §3). */
export interface ScramKeys {
  /** Known to the client alone. */
  readonly client: Uint8Array;
  /** What a server keeps of it. */
  readonly stored: Uint8Array;
  readonly server: Uint8Array;
}

/** Derives the keys of a password. The work is done off this thread. */
export async function scramKeys(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<ScramKeys> {
  const octets = new TextEncoder().encode(saslPrepare(password) ?? password);
  const key = await crypto.subtle.importKey("raw", octets, "PBKDF2", false, ["deriveBits"]);
  const salted = new Uint8Array(
    await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256),
  );
  const client = scramSignature(salted, "Client Key");
  return { client, stored: createHash("sha256").update(client).digest(), server: scramSignature(salted, "Server Key") };
}

/** HMAC of `text` with `key`. */
export function scramSignature(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}

/**
 * The form in which names and passwords are compared: SASLprep (RFC 4013) as far as Unicode's NFKC reaches; `undefined`
 * if it holds what may not stand there.
 */
export function saslPrepare(text: string): string | undefined {
  const mapped = text
    // RFC 4013 §2.1: blanks of all kinds become one kind, and what has no form of its own becomes nothing.
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, " ")
    .replaceAll(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g, "")
    .normalize("NFKC");
  // RFC 4013 §2.3: controls, private use, surrogates and unassigned code points.
  return /[\p{Cc}\p{Co}\p{Cs}\p{Cn}]/u.test(mapped) ? undefined : mapped;
}
