/** How text that others wrote gets into a log line: one line stays one line, and no byte can act on a terminal. */

import type { FieldValue } from "./event.ts";

/** Longest value in UTF-16 units; what is longer is cut and marked with `…`. */
const LONGEST_VALUE = 1024;

/** Most items of a list that are shown. */
const MOST_ITEMS = 50;

// Printable ASCII without blank, quote, backslash and comma: nothing here can be taken for two fields or two items.
const PLAIN = /^[!#-+\--[\]-~]+$/;

// What is written as an escape inside quotes: quote and backslash, every control, format (bidirectional overrides,
// zero-width characters), private-use and unassigned character, lone surrogates, and the line separators.
const ESCAPED = /["\\\p{C}\p{Zl}\p{Zp}]/gu;

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/**
 * Text as it stands in a log line: bare if it is plain ASCII without blanks, else in double quotes with JSON-like
 * escapes (`\n`, `\"`, `\u001b`, `\u{e0001}`). The result never holds a control character.
 */
export function encodeText(text: string): string {
  if (text.length <= LONGEST_VALUE && PLAIN.test(text)) return text;
  return `"${escapeText(text)}"`;
}

/** The part of {@link encodeText} between the quotes. */
export function escapeText(text: string): string {
  const cut = text.length > LONGEST_VALUE ? text.slice(0, LONGEST_VALUE) + "…" : text;
  return cut.replace(ESCAPED, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  return code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
}

/** An address in angle brackets, `<>` for the null sender. */
export function encodeAddress(address: string): string {
  if (address === "") return "<>";
  return address.length <= LONGEST_VALUE && PLAIN.test(address) ? `<${address}>` : `"<${escapeText(address)}>"`;
}

/** The value of field `name`; lists are joined with commas. */
export function encodeField(name: string, value: Exclude<FieldValue, undefined>): string {
  const isAddress = name === "from" || name === "to";
  if (typeof value === "string") return isAddress ? encodeAddress(value) : encodeText(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const items = value.slice(0, MOST_ITEMS).map((item) =>
    typeof item === "number" ? String(item) : isAddress ? encodeAddress(item) : encodeText(item)
  );
  const left = value.length - items.length;
  return left > 0 ? `${items.join(",")},…(+${left})` : items.join(",");
}
