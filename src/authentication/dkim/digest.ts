/** Hashes that signatures of mail are made with (RFC 6376 §3.3). */

import { hash as hashAtOnce } from "node:crypto";

/** Their names, as `node:crypto` has them. */
export type SignatureHash = "sha256" | "sha1";

/** The digest of octets that are all there. By way of a text, as no buffer need be made for what is 32 octets long. */
export function digest(hash: SignatureHash, octets: Uint8Array): Uint8Array {
  return Uint8Array.fromHex(hashAtOnce(hash, octets, "hex"));
}
