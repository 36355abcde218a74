/**
 * Whether a handshake proves that the server has the key of its certificate.
 *
 * It does by a signature, which the runtime does not look at where its verifier cannot read the certificate: X.509 before
 * version 3, as `openssl x509 -req` makes it without extensions, and what is not strictly DER. Such a certificate can be
 * shown by anybody who has seen it.
 */

/** `[0] INTEGER 2`, version 3, the first element of a certificate's body (RFC 5280 §4.1). */
const VERSION_3 = [0xa0, 0x03, 0x02, 0x01, 0x02] as const;

/** @param certificate DER, as the server sent it */
export function handshakeProves(certificate: Uint8Array): boolean {
  // Within two sequences: the certificate and its body.
  const body = contentAt(certificate, contentAt(certificate, 0));
  if (!VERSION_3.every((octet, index) => certificate[body + index] === octet)) return false;
  const text = certificate.toBase64().replace(/.{64}/g, "$&\n");
  try {
    // The one place where the runtime says whether that verifier can read a certificate.
    Deno.createHttpClient({
      caCerts: [`-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`],
    }).close();
    return true;
  } catch {
    return false;
  }
}

/** Where the content of the element at `at` begins. */
function contentAt(der: Uint8Array, at: number): number {
  const length = der[at + 1] ?? 0;
  return at + 2 + (length > 0x80 ? length & 0x7f : 0);
}
