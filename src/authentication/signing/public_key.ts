/** The public side of a signing key, as DNS publishes it (RFC 6376 §3.6.1, RFC 8463 §4). */

import { createPublicKey, type KeyObject } from "node:crypto";

/** Octets of the key alone, at the end of the structure around it (RFC 8410 §4). */
const ED25519_OCTETS = 32;

/**
 * The TXT record that belongs to a private key, as one text.
 *
 * @throws {TypeError} if DKIM has no use for keys of that kind
 */
export function publicKeyRecord(privateKey: KeyObject): string {
  const der = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  switch (privateKey.asymmetricKeyType) {
    case "rsa":
      return `v=DKIM1; k=rsa; p=${der.toString("base64")}`;
    case "ed25519":
      return `v=DKIM1; k=ed25519; p=${der.subarray(-ED25519_OCTETS).toString("base64")}`;
    default:
      throw new TypeError(`no key for DKIM: ${privateKey.asymmetricKeyType}`);
  }
}
