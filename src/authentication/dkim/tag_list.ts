/** Lists of `tag=value`, as signatures, keys and policies are written (RFC 6376 §3.2). */

import { Buffer } from "node:buffer";

/** Longest list that is read, in characters: a TXT record can hold no more. */
const LONGEST = 65_535;

/** Most tags that are told apart. */
const MOST_TAGS = 100;

/** The tags of a list by name, in order, or what is wrong with it. */
export type TagList =
  | { readonly kind: "tags"; readonly tags: ReadonlyMap<string, string> }
  | { readonly kind: "malformed"; readonly reason: string };

// RFC 6376 §3.2 tag-name: ALPHA *ALNUMPUNC.
const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;

// Blanks and folds between words are part of a value; other control characters never are. RFC 8616 allows UTF-8.
const CONTROLS = /[^\P{Cc}\t\r\n]/u;

/**
 * Reads a tag list. Names are told apart by case; values keep the blanks inside them, not those around them. A list in
 * which a tag stands twice is malformed (§3.2), as is one with an empty place between two semicolons.
 */
export function parseTagList(text: string): TagList {
  if (text.length > LONGEST) return malformed("the list is too long");
  const tags = new Map<string, string>();
  const controls = CONTROLS.test(text);
  const length = text.length;
  let start = 0;
  while (start < length) {
    const semicolon = text.indexOf(";", start);
    const end = semicolon < 0 ? length : semicolon;
    const equals = text.indexOf("=", start);
    if (equals < 0 || equals > end) {
      // Blanks may follow the last semicolon.
      const empty = trimmed(text, start, end) === "";
      if (end === length && tags.size > 0 && empty) break;
      return malformed(empty ? "a tag is missing between semicolons" : "a tag has no value");
    }
    const name = trimmed(text, start, equals);
    const value = trimmed(text, equals + 1, end);
    if (!NAME.test(name)) return malformed("a tag has a name with other characters than letters, digits and _");
    if (controls && CONTROLS.test(value)) return malformed(`the tag ${name} holds control characters`);
    if (tags.has(name)) return malformed(`the tag ${name} stands twice`);
    if (tags.size === MOST_TAGS) return malformed(`there are more than ${MOST_TAGS} tags`);
    tags.set(name, value);
    start = end + 1;
  }
  return tags.size === 0 ? malformed("the list is empty") : { kind: "tags", tags };
}

/** A value without the blanks inside it, as Base64 and lists of names are read. */
export function withoutBlanks(value: string): string {
  return /[ \t\r\n]/.test(value) ? value.replace(/[ \t\r\n]+/g, "") : value;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The octets of a value in Base64, which may have blanks in it; `undefined` if it is none. */
export function decodeBase64(value: string): Uint8Array | undefined {
  if (value === "") return undefined;
  try {
    return Uint8Array.fromBase64(value);
  } catch {
    // RFC 6376 §2.8 leaves open how much padding there is.
    const text = withoutBlanks(value);
    return BASE64.test(text) ? Buffer.from(text, "base64") : undefined;
  }
}

/** The entries of a list whose parts stand between colons, such as `h=`; blanks around them do not count. */
export function colonList(value: string): readonly string[] {
  return value.split(":").map((entry) => trimmed(entry, 0, entry.length));
}

/** A part of a text without what may be a fold around it (§2.8), and no other white space. */
function trimmed(text: string, first: number, last: number): string {
  let start = first;
  let end = last;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;
}

function malformed(reason: string): TagList {
  return { kind: "malformed", reason };
}
