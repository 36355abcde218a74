/** Keys for DKIM, made for a test. */

import { createPublicKey, generateKeyPairSync } from "node:crypto";

/** A key and what is published of it. */
export interface SigningKey {
  readonly algorithm: "rsa-sha256" | "ed25519-sha256";
  readonly selector: string;
  /** PKCS #8. */
  readonly pem: string;
}

/** Makes a key. */
export function signingKey(algorithm: SigningKey["algorithm"], selector: string): SigningKey {
  const { privateKey } = algorithm === "rsa-sha256"
    ? generateKeyPairSync("rsa", { modulusLength: 2048 })
    : generateKeyPairSync("ed25519");
  return { algorithm, selector, pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** The TXT record of a key (RFC 6376 §3.6.1, RFC 8463 §4.2). */
export function publicKeyText({ algorithm, pem }: SigningKey): string {
  const der = createPublicKey(pem).export({ type: "spki", format: "der" });
  // RFC 8463 §4: of Ed25519 the bare 32 octets, the last of the structure.
  return algorithm === "rsa-sha256"
    ? `v=DKIM1; k=rsa; p=${der.toString("base64")}`
    : `v=DKIM1; k=ed25519; p=${der.subarray(-32).toString("base64")}`;
}

/** Octets of a text in Latin-1. */
export function octets(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}
