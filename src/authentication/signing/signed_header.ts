/** Which header fields a signature covers (RFC 6376 §5.4), and in what form they are hashed. */

import type { ParsedHeader } from "../../message/mod.ts";
import type { Canonicalization } from "../dkim/canonical_body.ts";
import { canonicalizeField } from "../dkim/canonical_field.ts";
import { concatenate } from "../dkim/signed_header.ts";

/** Fields by name in lower case, each list from top to bottom. */
export type FieldsByName = ReadonlyMap<string, readonly Uint8Array[]>;

/** Of these one more is signed than there is, so that none can be added (RFC 6376 §8.15). */
const OVERSIGNED: readonly string[] = ["from", "subject", "to", "date"];

/** Sorts the fields of a header by name. */
export function fieldsByName(head: Uint8Array, header: ParsedHeader): Map<string, Uint8Array[]> {
  const fields = new Map<string, Uint8Array[]>();
  for (const { lower, start, end } of header.fields) {
    const bytes = head.subarray(start, end);
    const same = fields.get(lower);
    if (same === undefined) fields.set(lower, [bytes]);
    else same.push(bytes);
  }
  return fields;
}

/** What is signed of a header. */
export interface SignedHeader {
  /** The value of `h=`. */
  readonly names: string;
  /** The fields in the order they are hashed. */
  readonly fields: readonly Uint8Array[];
}

/** Picks the fields with these names: each that is there, from the bottom upwards. */
export function signedHeader(fields: FieldsByName, names: readonly string[]): SignedHeader {
  const listed: string[] = [];
  const signed: Uint8Array[] = [];
  for (const name of names) {
    const lower = name.toLowerCase();
    // RFC 6376 §5.4.2: the last one that has not been taken yet.
    for (const field of (fields.get(lower) ?? []).toReversed()) {
      listed.push(name);
      signed.push(field);
    }
    if (OVERSIGNED.includes(lower)) listed.push(name);
  }
  return { names: listed.join(":"), fields: signed };
}

/** The octets a signature is computed over: the fields, then the signature's own field up to its value. */
export function signedOctets(
  kind: Canonicalization,
  fields: readonly Uint8Array[],
  own: Uint8Array,
): Uint8Array {
  const parts = fields.map((field) => canonicalizeField(kind, field));
  // RFC 6376 §3.7: without its line end.
  parts.push(canonicalizeField(kind, own).subarray(0, -2));
  return concatenate(parts);
}
