/** The base64 of crypt(3), and comparing without telling how much was right. */

import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";

const ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The 6-bit value of a character; undefined if it is not of the alphabet. */
export function sixBits(character: string): number | undefined {
  const value = ALPHABET.indexOf(character);
  return character.length === 1 && value >= 0 ? value : undefined;
}

/** The number in `text`, 6 bits a character, the lowest first; undefined if a character is not of the alphabet. */
export function readNumber(text: string): number | undefined {
  let number = 0;
  for (const [index, character] of [...text].entries()) {
    const value = sixBits(character);
    if (value === undefined) return undefined;
    number += value * 64 ** index;
  }
  return number;
}

/** Writes `count` characters of `value`, the lowest 6 bits first. */
export function writeNumber(value: number, count: number): string {
  let text = "";
  for (let left = value, index = 0; index < count; index++, left >>>= 6) text += ALPHABET[left & 63];
  return text;
}

/**
 * Writes bytes as the MD5 and SHA crypts do: each group holds the indexes of up to three bytes, the first one highest;
 * -1 stands for a byte of zero that has no bits of its own.
 */
export function writeGroups(bytes: Uint8Array, groups: readonly (readonly [number, number, number])[]): string {
  return groups.map(([high, middle, low]) => {
    const value = ((bytes[high] ?? 0) << 16) | ((bytes[middle] ?? 0) << 8) | (bytes[low] ?? 0);
    return writeNumber(value, high >= 0 ? 4 : middle >= 0 ? 3 : 2);
  }).join("");
}

/** Writes bits, the first one highest, 6 to a character; the last character is filled up with zeros. */
export function writeBits(bits: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bits.length; start += 6) {
    let value = 0;
    for (let offset = 0; offset < 6; offset++) value = (value << 1) | (bits[start + offset] ?? 0);
    text += ALPHABET[value];
  }
  return text;
}

/** Compares two byte strings in a time that depends on their lengths only. */
export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Compares two texts likewise. */
export function isSameText(a: string, b: string): boolean {
  return isSame(new TextEncoder().encode(a), new TextEncoder().encode(b));
}

/** Reads base64, standard or with `.` for `+`, with or without padding; undefined if it is none. */
export function readBase64(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/.]+={0,2}$/.test(text)) return undefined;
  const bytes = Uint8Array.from(Buffer.from(text.replaceAll(".", "+"), "base64"));
  return bytes.length === 0 ? undefined : bytes;
}
