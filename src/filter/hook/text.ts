/**
 * Octets as text in JSON, without loss. What is UTF-8 is the text it says. Any other octet, from 0x80 to 0xFF, becomes
 * the code unit U+DC80 to U+DCFF, which stands in no text by itself and is written `\udc80` to `\udcff`. Python knows this
 * as the error handler `surrogateescape` (PEP 383); JavaScript keeps such units as they are.
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Text for octets. */
export function textOf(octets: Uint8Array): string {
  try {
    return strict.decode(octets);
  } catch {
    return escapedText(octets);
  }
}

function escapedText(octets: Uint8Array): string {
  const parts: string[] = [];
  const units = new Uint16Array(PIECE + 2);
  let count = 0;
  for (let at = 0; at < octets.length;) {
    const length = sequenceLength(octets, at);
    const code = length === 0 ? 0xdc00 + (octets[at] as number) : codePoint(octets, at, length);
    at += Math.max(1, length);
    if (code > 0xffff) {
      units[count++] = 0xd800 + ((code - 0x10000) >> 10);
      units[count++] = 0xdc00 + ((code - 0x10000) & 0x3ff);
    } else {
      units[count++] = code;
    }
    if (count >= PIECE) {
      parts.push(String.fromCharCode(...units.subarray(0, count)));
      count = 0;
    }
  }
  parts.push(String.fromCharCode(...units.subarray(0, count)));
  return parts.join("");
}

/**
 * Text for octets that come in chunks: the same text in pieces, none of which ends within a character.
 *
 * @returns a function that takes the next chunk (undefined after the last) and gives the text that is certain by then
 */
export function textInPieces(): (chunk: Uint8Array | undefined) => string {
  let rest = new Uint8Array(0);
  return (chunk) => {
    const octets = new Uint8Array(rest.length + (chunk?.length ?? 0));
    octets.set(rest);
    if (chunk !== undefined) octets.set(chunk, rest.length);
    const end = chunk === undefined ? octets.length : octets.length - unfinished(octets);
    rest = octets.slice(end);
    return textOf(octets.subarray(0, end));
  };
}

/** How many octets at the end may be the beginning of a character. */
function unfinished(octets: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, octets.length); back++) {
    const octet = octets[octets.length - back] as number;
    if (octet >= 0xc2 && octet < 0xf5) return (octet < 0xe0 ? 2 : octet < 0xf0 ? 3 : 4) > back ? back : 0;
    if ((octet & 0xc0) !== 0x80) return 0;
  }
  return 0;
}

/** Code units that are made into text at once. */
const PIECE = 8192;

/** Octets of the character at `at` (Unicode, table 3-7); 0 if there is none. */
function sequenceLength(octets: Uint8Array, at: number): number {
  const first = octets[at] as number;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > octets.length) return 0;
  const second = octets[at + 1] as number;
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let i = 2; i < length; i++) if (((octets[at + i] as number) & 0xc0) !== 0x80) return 0;
  return length;
}

function codePoint(octets: Uint8Array, at: number, length: number): number {
  const first = octets[at] as number;
  let code = length === 1 ? first : first & (0x7f >> length);
  for (let i = 1; i < length; i++) code = (code << 6) | ((octets[at + i] as number) & 0x3f);
  return code;
}

/** The octets of a text: the opposite of {@link textOf}. Other halves of surrogate pairs become U+FFFD. */
export function octetsOf(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text)) return encoder.encode(text);
  const parts: Uint8Array[] = [];
  // With the flag, a half of a pair is met only where it stands alone.
  for (const piece of text.split(/([\udc80-\udcff]+)/u)) {
    if (/^[\udc80-\udcff]/u.test(piece)) parts.push(Uint8Array.from(piece, (unit) => unit.charCodeAt(0) & 0xff));
    else parts.push(encoder.encode(piece));
  }
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
