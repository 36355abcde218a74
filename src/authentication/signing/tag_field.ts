/** Header fields that are lists of tags, as signatures are written (RFC 6376 §3.2). */

import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/** Octets of a line that are not exceeded where a fold is possible (RFC 5322 §2.1.1). */
const WANTED = 78;

/** A tag and its value. Values are ASCII. */
export type Tag = readonly [name: string, value: string];

/** A field that is signed itself: all of it but the value of its last tag, `b=`. */
export interface UnsignedField {
  /** From the name to `b=`, folded, without a line end: what the signature is computed over. */
  readonly bytes: Uint8Array;
  /** The complete field with its line end, once the signature is known. */
  withSignature(signature: Uint8Array): Uint8Array;
}

/** Writes a field up to its `b=`. Long lists of names are folded after their colons. */
export function unsignedField(name: string, tags: readonly Tag[]): UnsignedField {
  const lines: string[] = [];
  let line = `${name}:`;
  for (const tag of [...tags.map(([tag, value]) => ` ${tag}=${value};`), " b="]) {
    for (const piece of tag.startsWith(" h=") ? tag.split(/(?<=:)/) : [tag]) {
      if (line.length + piece.length <= WANTED) {
        line += piece;
        continue;
      }
      lines.push(line);
      // A fold begins with the blank that the tag begins with, or one of its own.
      line = piece.startsWith(" ") ? piece : ` ${piece}`;
    }
  }
  lines.push(line);
  const text = lines.join("\r\n");
  return {
    bytes: encoder.encode(text),
    withSignature: (signature) =>
      encoder.encode(`${text}${foldBase64(Buffer.from(signature).toString("base64"), line.length)}\r\n`),
  };
}

/** Base64 in lines; the first one goes on after `used` octets. */
function foldBase64(text: string, used: number): string {
  const first = Math.max(0, WANTED - used);
  const rest = text.slice(first).match(/.{1,76}/g) ?? [];
  return [text.slice(0, first), ...rest].join("\r\n ");
}
