/** The header as a signature over a message covers it (RFC 6376 §3.7, §5.4.2). */

import type { HeaderField } from "../../message/mod.ts";
import type { Canonicalization } from "./canonical_body.ts";
import { type Range, writeCanonicalField, writeOwnField } from "./canonical_field.ts";
import { digest, type SignatureHash } from "./digest.ts";

/** Fields of a message by name in lower case, in the order of the header. */
export type FieldsByName = ReadonlyMap<string, readonly HeaderField[]>;

/** Sorts fields by name, once for all signatures. */
export function fieldsByName(fields: readonly HeaderField[]): FieldsByName {
  const byName = new Map<string, HeaderField[]>();
  for (const field of fields) {
    const same = byName.get(field.lower);
    if (same === undefined) byName.set(field.lower, [field]);
    else same.push(field);
  }
  return byName;
}

/**
 * The fields that `names` (`h=`, in lower case) stand for: of several with one name the last first, and nothing for a
 * name more than there are fields, so that a field added later breaks the signature.
 *
 * @param own the field of the signature itself, which no name stands for
 */
export function signedFields(fields: FieldsByName, names: readonly string[], own?: HeaderField): HeaderField[] {
  const used = new Map<string, number>();
  const chosen: HeaderField[] = [];
  for (const name of names) {
    const same = fields.get(name);
    if (same === undefined) continue;
    let at = used.get(name) ?? same.length;
    if (at > 0 && own !== undefined && same[at - 1] === own) at--;
    if (at === 0) continue;
    const field = same[at - 1];
    if (field !== undefined) chosen.push(field);
    used.set(name, at - 1);
  }
  return chosen;
}

// What is hashed at once is put together here: no header of usual size needs memory of its own for that.
const SCRATCH = new Uint8Array(16_384);

/**
 * The digest that a signature signs: the chosen fields, then its own field without the signature in it.
 *
 * @param bytes what the offsets of the fields count in
 */
export function headerDigest(
  bytes: Uint8Array,
  chosen: readonly Range[],
  own: Range,
  canonicalization: Canonicalization,
  hash: SignatureHash,
): Uint8Array {
  let room = own.end - own.start;
  for (const { start, end } of chosen) room += end - start + 2;
  const data = room <= SCRATCH.length ? SCRATCH : new Uint8Array(room);
  let at = 0;
  for (const field of chosen) at = writeCanonicalField(canonicalization, bytes, field, data, at);
  return digest(hash, data.subarray(0, writeOwnField(canonicalization, bytes, own, data, at)));
}

/** The canonical form of a signature field without its signature and without a line end. */
export function ownField(bytes: Uint8Array, field: Range, canonicalization: Canonicalization): Uint8Array {
  const out = new Uint8Array(field.end - field.start);
  return out.subarray(0, writeOwnField(canonicalization, bytes, field, out, 0));
}

/** All parts in one piece: hashing has a price for each call. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
