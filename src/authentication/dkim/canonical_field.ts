/** The forms in which header fields are hashed (RFC 6376 §3.4). Pure; never changes what it is given. */

import type { Canonicalization } from "./canonical_body.ts";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const SMALL_B = 0x62;

/** A part of some octets: from `start` to before `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The canonical form of one header field, with CRLF at its end.
 *
 * @param field from its name to its last line end; a line end that is missing is added
 */
export function canonicalizeField(kind: Canonicalization, field: Uint8Array): Uint8Array {
  const out = new Uint8Array(field.length + 2);
  return out.subarray(0, writeCanonicalField(kind, field, { start: 0, end: field.length }, out, 0));
}

/**
 * Writes the canonical form of a field that stands in `bytes`, as {@link canonicalizeField} gives it, into `out` at `at`,
 * which needs room for two octets more than the field has.
 *
 * @returns the place after it in `out`
 */
export function writeCanonicalField(
  kind: Canonicalization,
  bytes: Uint8Array,
  { start, end }: Range,
  out: Uint8Array,
  at: number,
): number {
  return writeLineEnd(out, write(kind, bytes, start, withoutLineEnd(bytes, start, end), NOTHING, out, at));
}

/**
 * Writes a signature field as it is hashed itself: canonical, without the value of its tag `b=` and without its last line
 * end (RFC 6376 §3.7). Other tags that end in `b`, such as `bh=`, stay.
 *
 * @returns the place after it in `out`, which needs as much room as the field has
 */
export function writeOwnField(
  kind: Canonicalization,
  bytes: Uint8Array,
  { start, end }: Range,
  out: Uint8Array,
  at: number,
): number {
  const stop = withoutLineEnd(bytes, start, end);
  return write(kind, bytes, start, stop, signatureValue(bytes, start, stop), out, at);
}

const NOTHING: Range = { start: -1, end: -1 };

function write(
  kind: Canonicalization,
  bytes: Uint8Array,
  start: number,
  end: number,
  without: Range,
  out: Uint8Array,
  at: number,
): number {
  if (kind === "relaxed") return relaxField(bytes, start, end, without, out, at);
  const cut = without.start < 0 ? end : without.start;
  out.set(bytes.subarray(start, cut), at);
  if (cut === end) return at + end - start;
  out.set(bytes.subarray(without.end, end), at + cut - start);
  return at + cut - start + end - without.end;
}

function writeLineEnd(out: Uint8Array, at: number): number {
  out[at] = CR;
  out[at + 1] = LF;
  return at + 2;
}

// RFC 6376 §3.4.2: the name in lower case, unfolded, runs of blanks as one, none around the colon and at the end.
function relaxField(
  bytes: Uint8Array,
  start: number,
  end: number,
  without: Range,
  out: Uint8Array,
  from: number,
): number {
  let at = from;
  let i = start;
  for (; i < end && bytes[i] !== COLON; i++) {
    const octet = bytes[i] as number;
    if (!isBlank(octet)) out[at++] = octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
  }
  if (i < end) out[at++] = COLON;
  i++;
  while (i < end && isBlank(bytes[i] as number)) i++;
  let blank = false;
  for (; i < end; i++) {
    if (i === without.start) {
      i = without.end;
      if (i === end) break;
    }
    const octet = bytes[i] as number;
    if (octet <= SPACE && isBlank(octet)) {
      blank = true;
      continue;
    }
    if (blank) {
      out[at++] = SPACE;
      blank = false;
    }
    out[at++] = octet;
  }
  return at;
}

// A line end inside a field is a fold, and a blank follows it.
function isBlank(octet: number): boolean {
  return octet === SPACE || octet === TAB || octet === CR || octet === LF;
}

function withoutLineEnd(bytes: Uint8Array, start: number, stop: number): number {
  let end = stop;
  if (end > start && bytes[end - 1] === LF) end--;
  if (end > start && bytes[end - 1] === CR) end--;
  return end;
}

/** Where the value of the tag `b=` stands in a field. */
function signatureValue(bytes: Uint8Array, first: number, last: number): Range {
  let start = placeOf(COLON, bytes, first, last) + 1;
  while (start < last) {
    const stop = placeOf(SEMICOLON, bytes, start, last);
    const equals = signatureTag(bytes, start, stop);
    if (equals >= 0) return { start: equals + 1, end: stop };
    start = stop + 1;
  }
  return NOTHING;
}

/** Where an octet stands first; `end` if it does not. */
function placeOf(octet: number, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== octet) at++;
  return at;
}

/** Where the `=` of the tag `b=` is that starts at `start`, -1 if another tag does. */
function signatureTag(field: Uint8Array, start: number, stop: number): number {
  let i = start;
  while (i < stop && isBlank(field[i] as number)) i++;
  if (field[i] !== SMALL_B) return -1;
  i++;
  while (i < stop && isBlank(field[i] as number)) i++;
  return i < stop && field[i] === EQUALS ? i : -1;
}
