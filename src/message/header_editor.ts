/** Changes to a header that leave every other byte as it was. */

import { isFieldName, type ParsedHeader, parseHeader } from "./header.ts";

const CR = 0x0d;
const LF = 0x0a;
const CRLF = Uint8Array.of(CR, LF);

const decoder = new TextDecoder();

/** A piece of the header: a field, or lines that belong to none (`lower` is then `""`). */
interface Piece {
  readonly lower: string;
  readonly bytes: Uint8Array;
}

/** Edits the header of a message and keeps the order and the bytes of what is not touched. */
export interface HeaderEditor {
  /** Number of fields, or of those with one name. */
  count(name?: string): number;
  /** Which field (from 0) the `nth` one named `name` is; -1 if there is none. Counts as in `replace`. */
  indexOf(name: string, nth: number): number;
  /** Puts a complete field (with its line end, see `foldField`) before everything. */
  prepend(field: Uint8Array): void;
  /** Puts a complete field after the last one. */
  append(field: Uint8Array): void;
  /** Puts a complete field before the field that is now at `index` (from 0), at the end if there are fewer. */
  insert(index: number, field: Uint8Array): void;
  /**
   * Puts a complete field in the place of the `nth` field named `name`.
   *
   * @param nth from 0; negative counts from the last (-1)
   * @returns false if there is no such field
   */
  replace(name: string, nth: number, field: Uint8Array): boolean;
  /** Takes out the `nth` field named `name`; counts as in `replace`. */
  delete(name: string, nth: number): boolean;
  /** Takes out all fields named `name` and returns how many there were. */
  deleteAll(name: string): number;
  /** Whether anything was changed. */
  readonly changed: boolean;
  /** The bytes with the changes; the ones given if there are none. */
  result(): Uint8Array;
}

/**
 * Starts editing the header at the start of `bytes`; what follows the header is copied into the result.
 *
 * @param header what `parseHeader(bytes)` returned, if the caller has it already
 */
export function editHeader(bytes: Uint8Array, header: ParsedHeader = parseHeader(bytes)): HeaderEditor {
  const pieces = split(bytes, header);
  let changed = false;
  const find = (name: string, nth: number): number => {
    const lower = name.toLowerCase();
    const places = pieces.flatMap((piece, place) => piece.lower === lower && lower !== "" ? [place] : []);
    return places.at(nth) ?? -1;
  };
  const put = (place: number, removed: number, field?: Uint8Array) => {
    pieces.splice(place, removed, ...(field === undefined ? [] : [newPiece(field)]));
    changed = true;
  };
  return {
    count: (name) => {
      const lower = name?.toLowerCase();
      return pieces.filter((piece) => piece.lower !== "" && (lower === undefined || piece.lower === lower)).length;
    },
    indexOf(name, nth) {
      const place = find(name, nth);
      if (place < 0) return -1;
      let index = 0;
      for (let before = 0; before < place; before++) if (pieces[before]?.lower !== "") index++;
      return index;
    },
    prepend: (field) => put(0, 0, field),
    append: (field) => put(pieces.length, 0, field),
    insert(index, field) {
      const places = pieces.flatMap((piece, place) => piece.lower === "" ? [] : [place]);
      put(index <= 0 ? 0 : places[index] ?? pieces.length, 0, field);
    },
    replace(name, nth, field) {
      const place = find(name, nth);
      if (place >= 0) put(place, 1, field);
      return place >= 0;
    },
    delete(name, nth) {
      const place = find(name, nth);
      if (place >= 0) put(place, 1);
      return place >= 0;
    },
    deleteAll(name) {
      let count = 0;
      for (let place = find(name, -1); place >= 0; place = find(name, -1), count++) put(place, 1);
      return count;
    },
    get changed() {
      return changed;
    },
    result: () => changed ? join(pieces, bytes.subarray(header.end)) : bytes,
  };
}

function split(bytes: Uint8Array, header: ParsedHeader): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const { start, end, lower } of header.fields) {
    if (start > at) pieces.push({ lower: "", bytes: bytes.subarray(at, start) });
    pieces.push({ lower, bytes: bytes.subarray(start, end) });
    at = end;
  }
  if (header.end > at) pieces.push({ lower: "", bytes: bytes.subarray(at, header.end) });
  return pieces;
}

function newPiece(field: Uint8Array): Piece {
  const colon = field.indexOf(0x3a);
  const name = decoder.decode(field.subarray(0, Math.max(0, colon))).trim();
  if (!isFieldName(name)) throw new TypeError(`not a header field: ${JSON.stringify(name)}`);
  return { lower: name.toLowerCase(), bytes: field };
}

function join(pieces: readonly Piece[], rest: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  pieces.forEach(({ bytes }, place) => {
    parts.push(bytes);
    // A message may end in the middle of its header; what now follows needs a line of its own.
    const last = place === pieces.length - 1 && rest.length === 0;
    if (!last && bytes[bytes.length - 1] !== LF) parts.push(CRLF);
  });
  parts.push(rest);
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
