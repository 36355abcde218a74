/** The messages and keys of SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side. */

import { createHash, timingSafeEqual } from "node:crypto";
import { saslPrepare, type ScramKeys, scramSignature } from "../smtp/mod.ts";

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
  return saslPrepare(text.replaceAll("=2C", ",").replaceAll("=3D", "="));
}

/** server-first-message. */
export function serverFirst(nonce: string, salt: Uint8Array, iterations: number): string {
  return `r=${nonce},s=${toBase64(salt)},i=${iterations}`;
}

/** Whether a proof shows knowledge of the password behind `keys`. */
export function isProof(proof: Uint8Array, authMessage: string, { stored }: Pick<ScramKeys, "stored">): boolean {
  const signature = scramSignature(stored, authMessage);
  if (proof.length !== signature.length) return false;
  const clientKey = signature.map((octet, index) => octet ^ (proof[index] ?? 0));
  return timingSafeEqual(createHash("sha256").update(clientKey).digest(), stored);
}

/** server-final-message: the server knows the password too. */
export function serverFinal(authMessage: string, { server }: Pick<ScramKeys, "server">): string {
  return `v=${toBase64(scramSignature(server, authMessage))}`;
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
