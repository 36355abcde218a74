/** The content of MIME parts: transfer encodings (RFC 2045 §6) and charsets undone. */

const EQUALS = 0x3d;
const CR = 0x0d;
const LF = 0x0a;

/**
 * Undoes a transfer encoding, named in lower case; those that are not known leave the bytes as they are. What an
 * encoding does not allow is passed over (RFC 2045 §6.7 and §6.8). Never throws.
 */
export function decodeTransfer(bytes: Uint8Array, encoding: string): Uint8Array {
  if (encoding === "base64") return decodeBase64(bytes);
  if (encoding === "quoted-printable") return decodeQuotedPrintable(bytes);
  return bytes;
}

/** Text in a charset; UTF-8 if it is not known or missing. A line ends in CRLF as it stands. */
export function decodeText(bytes: Uint8Array, charset: string | undefined): string {
  const name = charset?.trim().toLowerCase() ?? "";
  if (name !== "" && name !== "us-ascii" && name.length <= 40) {
    try {
      return new TextDecoder(name).decode(bytes);
    } catch {
      // A charset that nobody knows: UTF-8 shows most of it.
    }
  }
  return new TextDecoder().decode(bytes);
}

const SEXTETS = base64Sextets();

function base64Sextets(): Int8Array {
  const table = new Int8Array(256).fill(-1);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (let i = 0; i < alphabet.length; i++) table[alphabet.charCodeAt(i)] = i;
  return table;
}

function decodeBase64(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.floor(bytes.length * 3 / 4) + 3);
  let length = 0;
  let bits = 0;
  let held = 0;
  for (const octet of bytes) {
    // Padding ends the data; what was begun has too few bits to be an octet.
    if (octet === EQUALS) break;
    const sextet = SEXTETS[octet] as number;
    if (sextet < 0) continue;
    held = ((held << 6) | sextet) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[length++] = (held >> bits) & 0xff;
    }
  }
  return out.subarray(0, length);
}

function decodeQuotedPrintable(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const octet = bytes[i] as number;
    if (octet === EQUALS) {
      const soft = softBreak(bytes, i + 1);
      if (soft !== undefined) {
        i = soft;
        continue;
      }
      const high = hexDigit(bytes[i + 1]);
      const low = hexDigit(bytes[i + 2]);
      if (high >= 0 && low >= 0) {
        out[length++] = high * 16 + low;
        i += 2;
        continue;
      }
    } else if (octet === CR || octet === LF) {
      // RFC 2045 §6.7 (3): blanks at the end of a line were added on the way.
      while (length > 0 && isBlank(out[length - 1]) && isBlank(bytes[i - 1])) length--;
    }
    out[length++] = octet;
  }
  return out.subarray(0, length);
}

/** The last octet of a soft line break that begins at `from`. */
function softBreak(bytes: Uint8Array, from: number): number | undefined {
  let at = from;
  while (isBlank(bytes[at])) at++;
  if (bytes[at] === CR && bytes[at + 1] === LF) return at + 1;
  if (bytes[at] === LF) return at;
  return at >= bytes.length ? at - 1 : undefined;
}

function isBlank(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09;
}

function hexDigit(octet: number | undefined): number {
  if (octet === undefined) return -1;
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
