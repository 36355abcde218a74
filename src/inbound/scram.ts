/** The messages and keys of SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side. */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** What the client begins with. */
export interface ClientFirst {
  /** The GS2 header as it came; the client repeats it in its last message. */
  readonly header: string;
  /** Whom the client wants to act for, `""` if it does not say. */
  readonly authorize: string;
  readonly name: string;
  readonly nonce: string;
  /** The message without its header. */
  readonly bare: string;
}

/** What the client ends with. */
export interface ClientFinal {
  readonly binding: string;
  readonly nonce: string;
  readonly proof: Uint8Array;
  readonly withoutProof: string;
}

// Channel binding (p=…) and mandatory extensions (m=…) are not understood, and must then end the exchange.
const FIRST = /^([ny],(?:a=([^,]*))?,)(n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s;
const FINAL = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?),p=([A-Za-z0-9+/=]+)$/s;

/** Reads client-first-message; `undefined` if it is none. */
export function parseClientFirst(text: string): ClientFirst | undefined {
  const [, header, authorize = "", bare, name, nonce] = FIRST.exec(text) ?? [];
  if (header === undefined || bare === undefined || name === undefined || nonce === undefined) return undefined;
  const user = decodeName(name);
  const other = decodeName(authorize);
  return user === undefined || user === "" || other === undefined
    ? undefined
    : { header, authorize: other, name: user, nonce, bare };
}

/** Reads client-final-message; `undefined` if it is none. */
export function parseClientFinal(text: string): ClientFinal | undefined {
  const [, withoutProof, binding, nonce, proof] = FINAL.exec(text) ?? [];
  if (withoutProof === undefined || binding === undefined || nonce === undefined || proof === undefined) {
    return undefined;
  }
  return { binding, nonce, withoutProof, proof: fromBase64(proof) };
}

/** RFC 5802 §5.1: comma and equals sign are written =2C and =3D; any other use of = is an error. */
function decodeName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  return prepare(text.replaceAll("=2C", ",").replaceAll("=3D", "="));
}

/** server-first-message. */
export function serverFirst(nonce: string, salt: Uint8Array, iterations: number): string {
  return `r=${nonce},s=${toBase64(salt)},i=${iterations}`;
}

/** The two keys that a server keeps (RFC 5802 §3). */
export interface ScramKeys {
  readonly stored: Uint8Array;
  readonly server: Uint8Array;
}

/** Derives the keys of a password. The work is done off this thread. */
export async function scramKeys(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<ScramKeys> {
  const octets = new TextEncoder().encode(prepare(password) ?? password);
  const key = await crypto.subtle.importKey("raw", octets, "PBKDF2", false, ["deriveBits"]);
  const salted = new Uint8Array(
    await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256),
  );
  const stored = createHash("sha256").update(hmac(salted, "Client Key")).digest();
  return { stored, server: hmac(salted, "Server Key") };
}

/** Whether a proof shows knowledge of the password behind `keys`. */
export function isProof(proof: Uint8Array, authMessage: string, { stored }: ScramKeys): boolean {
  const signature = hmac(stored, authMessage);
  if (proof.length !== signature.length) return false;
  const clientKey = signature.map((octet, index) => octet ^ (proof[index] ?? 0));
  return timingSafeEqual(createHash("sha256").update(clientKey).digest(), stored);
}

/** server-final-message: the server knows the password too. */
export function serverFinal(authMessage: string, { server }: ScramKeys): string {
  return `v=${toBase64(hmac(server, authMessage))}`;
}

/**
 * The form in which names and passwords are compared: SASLprep (RFC 4013) as far as Unicode's NFKC reaches; `undefined`
 * if it holds what may not stand there.
 */
export function prepare(text: string): string | undefined {
  const mapped = text
    // RFC 4013 §2.1: blanks of all kinds become one kind, and what has no form of its own becomes nothing.
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, " ")
    .replaceAll(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g, "")
    .normalize("NFKC");
  // RFC 4013 §2.3: controls, private use, surrogates and unassigned code points.
  return /[\p{Cc}\p{Co}\p{Cs}\p{Cn}]/u.test(mapped) ? undefined : mapped;
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    return new Uint8Array(0);
  }
}
