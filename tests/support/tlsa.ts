/** TLSA records for certificates, worked out apart from the program. */

import type { TlsaRecord } from "../../src/dns/mod.ts";
import type { TestCertificate } from "./certificates.ts";

const DIGESTS: Readonly<Record<number, string>> = { 1: "SHA-256", 2: "SHA-512" };

/** The record `usage selector matchingType` for a certificate. */
export async function tlsaFor(
  certificate: TestCertificate,
  usage: number,
  selector: number,
  matchingType: number,
): Promise<TlsaRecord> {
  const selected = selector === 0
    ? certificate.der
    : new Uint8Array(await crypto.subtle.exportKey("spki", certificate.signer.keys.publicKey));
  const digest = DIGESTS[matchingType];
  const data = digest === undefined
    ? selected
    : new Uint8Array(await crypto.subtle.digest(digest, Uint8Array.from(selected)));
  return { usage, selector, matchingType, data };
}
