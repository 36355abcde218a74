/**
 * The DES of crypt(3): the traditional 13 characters, and BSDi's `_` with a count, a longer salt and passwords of any
 * length. For imported accounts. The cipher is DES (FIPS 46-3) whose expansion the salt disturbs, so no common
 * implementation can be used. Bits are kept one to a byte: slow and plain, a login takes some milliseconds.
 */

import { isSameText, readNumber, writeBits } from "./crypt_base64.ts";

// The tables of FIPS 46-3, bits counted from 1 as there.
const INITIAL = table(
  "58 50 42 34 26 18 10 2 60 52 44 36 28 20 12 4 62 54 46 38 30 22 14 6 64 56 48 40 32 24 16 8 " +
    "57 49 41 33 25 17 9 1 59 51 43 35 27 19 11 3 61 53 45 37 29 21 13 5 63 55 47 39 31 23 15 7",
);
const FINAL = table(
  "40 8 48 16 56 24 64 32 39 7 47 15 55 23 63 31 38 6 46 14 54 22 62 30 37 5 45 13 53 21 61 29 " +
    "36 4 44 12 52 20 60 28 35 3 43 11 51 19 59 27 34 2 42 10 50 18 58 26 33 1 41 9 49 17 57 25",
);
const EXPANSION = table(
  "32 1 2 3 4 5 4 5 6 7 8 9 8 9 10 11 12 13 12 13 14 15 16 17 " +
    "16 17 18 19 20 21 20 21 22 23 24 25 24 25 26 27 28 29 28 29 30 31 32 1",
);
const PERMUTATION = table("16 7 20 21 29 12 28 17 1 15 23 26 5 18 31 10 2 8 24 14 32 27 3 9 19 13 30 6 22 11 4 25");
const CHOICE_1 = table(
  "57 49 41 33 25 17 9 1 58 50 42 34 26 18 10 2 59 51 43 35 27 19 11 3 60 52 44 36 " +
    "63 55 47 39 31 23 15 7 62 54 46 38 30 22 14 6 61 53 45 37 29 21 13 5 28 20 12 4",
);
const CHOICE_2 = table(
  "14 17 11 24 1 5 3 28 15 6 21 10 23 19 12 4 26 8 16 7 27 20 13 2 " +
    "41 52 31 37 47 55 30 40 51 45 33 48 44 49 39 56 34 53 46 42 50 36 29 32",
);
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
// Each selection function row by row, a hexadecimal digit to an entry.
const SELECTIONS = [
  "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
  "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
  "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
  "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
  "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
  "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
  "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
  "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
].map((digits) => Uint8Array.from(digits, (digit) => Number.parseInt(digit, 16)));

function table(numbers: string): Uint8Array {
  return Uint8Array.from(numbers.split(" "), (number) => Number(number) - 1);
}

const DES_FORMAT = /^[./0-9A-Za-z]{13}$/;
const BSDI_FORMAT = /^_[./0-9A-Za-z]{19}$/;

/** True if `hash` is a traditional DES crypt. */
export function isDesCrypt(hash: string): boolean {
  return DES_FORMAT.test(hash);
}

/** Checks a password against a hash for which {@link isDesCrypt} holds. Only its first 8 octets count. */
export function verifyDesCrypt(password: Uint8Array, hash: string): boolean {
  const salt = readNumber(hash.slice(0, 2)) ?? 0;
  const block = encrypt(keyBits(password.subarray(0, 8)), new Uint8Array(64), salt, 25);
  return isSameText(writeBits(block), hash.slice(2));
}

/** True if `hash` is an extended DES crypt of BSDi. */
export function isBsdiCrypt(hash: string): boolean {
  return BSDI_FORMAT.test(hash);
}

/** Checks a password against a hash for which {@link isBsdiCrypt} holds. */
export function verifyBsdiCrypt(password: Uint8Array, hash: string): boolean {
  const count = readNumber(hash.slice(1, 5)) ?? 0;
  const salt = readNumber(hash.slice(5, 9)) ?? 0;
  let key = keyBits(password.subarray(0, 8));
  for (let start = 8; start < password.length; start += 8) {
    // Encrypted with itself, then mixed with the next 8 characters.
    const mixed = encrypt(key, key, 0, 1);
    const next = keyBits(password.subarray(start, start + 8));
    key = mixed.map((bit, index) => bit ^ (next[index] ?? 0));
  }
  return isSameText(writeBits(encrypt(key, new Uint8Array(64), salt, count)), hash.slice(9));
}

/** 7 bits of each character, the parity bit of DES left 0. */
function keyBits(characters: Uint8Array): Uint8Array {
  const bits = new Uint8Array(64);
  characters.forEach((character, index) => {
    for (let bit = 0; bit < 7; bit++) bits[index * 8 + bit] = (character >> (6 - bit)) & 1;
  });
  return bits;
}

/** Encrypts `block` `count` times over. Bit `i` of `salt` swaps the bits `i` and `i + 24` of the expansion. */
function encrypt(key: Uint8Array, block: Uint8Array, salt: number, count: number): Uint8Array {
  const keys = roundKeys(key);
  const expansion = Uint8Array.from(EXPANSION);
  for (let bit = 0; bit < 24; bit++) {
    if (((salt >> bit) & 1) === 0) continue;
    expansion[bit] = EXPANSION[bit + 24] ?? 0;
    expansion[bit + 24] = EXPANSION[bit] ?? 0;
  }
  let current = block;
  for (let done = 0; done < count; done++) {
    const start = pick(current, INITIAL);
    let left = start.subarray(0, 32);
    let right = start.subarray(32);
    for (const roundKey of keys) {
      const mixed = select(pick(right, expansion), roundKey);
      for (let bit = 0; bit < 32; bit++) mixed[bit] = (mixed[bit] ?? 0) ^ (left[bit] ?? 0);
      left = right;
      right = mixed;
    }
    const end = new Uint8Array(64);
    end.set(right, 0);
    end.set(left, 32);
    current = pick(end, FINAL);
  }
  return current;
}

function roundKeys(key: Uint8Array): Uint8Array[] {
  const chosen = pick(key, CHOICE_1);
  let left = chosen.subarray(0, 28);
  let right = chosen.subarray(28);
  return SHIFTS.map((shift) => {
    left = turned(left, shift);
    right = turned(right, shift);
    const both = new Uint8Array(56);
    both.set(left, 0);
    both.set(right, 28);
    return pick(both, CHOICE_2);
  });
}

function turned(bits: Uint8Array, shift: number): Uint8Array {
  return bits.map((_, index) => bits[(index + shift) % bits.length] ?? 0);
}

function pick(bits: Uint8Array, positions: Uint8Array): Uint8Array {
  return positions.map((position) => bits[position] ?? 0);
}

/** The selection functions on 48 bits, each 6 to 4, and the permutation of the 32 that come out. */
function select(expanded: Uint8Array, roundKey: Uint8Array): Uint8Array {
  const output = new Uint8Array(32);
  SELECTIONS.forEach((selection, box) => {
    const at = (offset: number) => (expanded[box * 6 + offset] ?? 0) ^ (roundKey[box * 6 + offset] ?? 0);
    const row = (at(0) << 1) | at(5);
    const column = (at(1) << 3) | (at(2) << 2) | (at(3) << 1) | at(4);
    const value = selection[row * 16 + column] ?? 0;
    for (let bit = 0; bit < 4; bit++) output[box * 4 + bit] = (value >> (3 - bit)) & 1;
  });
  return pick(output, PERMUTATION);
}
