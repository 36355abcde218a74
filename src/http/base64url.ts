/** Text as base64url without padding (RFC 4648 §5), for names in URLs. */

/** Encodes text. */
export function encodeBase64Url(text: string): string {
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Decodes text; nothing if it is not base64url of UTF-8. */
export function decodeBase64Url(encoded: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(encoded, { alphabet: "base64url" }));
  } catch {
    return undefined;
  }
}
