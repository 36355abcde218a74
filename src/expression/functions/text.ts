/** Functions of text. */

import { asNumber, isArray, isEqual, numberOf, textOf, TypeMismatch } from "../value.ts";
import type { Value } from "../types.ts";
import { binary, type PureFunction, ternary, unary } from "./function.ts";

/** Most parts that splitting makes; a peer may choose the text. */
const MOST_PARTS = 100_000;

const WRONG_LOWER = /(?!\p{Lowercase})\p{L}/u;
const WRONG_UPPER = /(?!\p{Uppercase})\p{L}/u;
const LOWER = /(?=\p{Lowercase})\p{L}/gu;
const UPPER = /(?=\p{Uppercase})\p{L}/gu;
const SPACE = /\s/gu;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;
const SURROGATE = /[\ud800-\udfff]/;

/** Functions of text, by name. */
export const TEXT_FUNCTIONS: Readonly<Record<string, PureFunction>> = {
  trim: unary((text) => textOf(text).trim()),
  trim_start: unary((text) => textOf(text).trimStart()),
  trim_end: unary((text) => textOf(text).trimEnd()),
  len: unary((value) => isArray(value) ? value.length : countCharacters(textOf(value))),
  to_lowercase: unary((text) => textOf(text).toLowerCase()),
  to_uppercase: unary((text) => textOf(text).toUpperCase()),
  is_lowercase: unary((text) => !WRONG_LOWER.test(textOf(text))),
  is_uppercase: unary((text) => !WRONG_UPPER.test(textOf(text))),
  has_digits: unary((text) => /\d/.test(textOf(text))),
  count_spaces: unary((text) => countMatches(SPACE, textOf(text))),
  count_uppercase: unary((text) => countMatches(UPPER, textOf(text))),
  count_lowercase: unary((text) => countMatches(LOWER, textOf(text))),
  count_chars: unary((text) => countCharacters(textOf(text))),
  contains: binary((value, part) =>
    isArray(value) ? value.some((item) => isEqual(item, part)) : textOf(value).includes(textOf(part))
  ),
  contains_ignore_case: binary((value, part) =>
    isArray(value)
      ? value.some((item) => isEqual(folded(item), folded(part)))
      : textOf(value).toLowerCase().includes(textOf(part).toLowerCase())
  ),
  eq_ignore_case: binary((a, b) => textOf(a).toLowerCase() === textOf(b).toLowerCase()),
  starts_with: binary((text, prefix) => textOf(text).startsWith(textOf(prefix))),
  ends_with: binary((text, suffix) => textOf(text).endsWith(textOf(suffix))),
  strip_prefix: binary((text, prefix) => stripPrefix(textOf(text), textOf(prefix))),
  strip_suffix: binary((text, suffix) => stripSuffix(textOf(text), textOf(suffix))),
  substring: ternary((text, start, end) => substring(textOf(text), numberOf(start), numberOf(end))),
  lines: unary((text) => splitLines(textOf(text))),
  split: binary((text, delimiter) => split(textOf(text), textOf(delimiter), MOST_PARTS)),
  rsplit: binary((text, delimiter) => split(textOf(text), textOf(delimiter), MOST_PARTS)),
  split_once: binary((text, delimiter) => split(textOf(text), textOf(delimiter), 1)),
  rsplit_once: binary((text, delimiter) => splitLast(textOf(text), textOf(delimiter))),
  split_n: ternary((text, delimiter, n) => split(textOf(text), textOf(delimiter), numberOf(n))),
  split_words: unary((text) => textOf(text).match(WORD) ?? []),
  is_number: unary((value) => asNumber(value) !== undefined),
};

function folded(value: Value): Value {
  return typeof value === "string" ? value.toLowerCase() : value;
}

function countMatches(pattern: RegExp, text: string): number {
  let count = 0;
  pattern.lastIndex = 0;
  while (pattern.exec(text) !== null) count++;
  return count;
}

/** Code points of `text`. */
function countCharacters(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function stripPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function stripSuffix(text: string, suffix: string): string {
  return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text;
}

function substring(text: string, start: number, end: number): string {
  const from = Math.max(0, start);
  const to = Math.max(from, end);
  if (!SURROGATE.test(text)) return text.slice(from, to);
  return Array.from(text).slice(from, to).join("");
}

/** Lines without their breaks; a break at the very end starts no further line. */
function splitLines(text: string): string[] {
  const lines = text.split(/\r?\n/, MOST_PARTS);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Splits at most `limit` times, from the left; the last part keeps the rest. An empty delimiter is nowhere. */
function split(text: string, delimiter: string, limit: number): string[] {
  if (Number.isNaN(limit)) throw new TypeMismatch("expected a number of splits");
  const parts: string[] = [];
  let position = 0;
  const most = Math.min(limit, MOST_PARTS);
  while (delimiter !== "" && parts.length + 1 <= most) {
    const found = text.indexOf(delimiter, position);
    if (found < 0) break;
    parts.push(text.slice(position, found));
    position = found + delimiter.length;
  }
  parts.push(text.slice(position));
  return parts;
}

function splitLast(text: string, delimiter: string): string[] {
  const found = delimiter === "" ? -1 : text.lastIndexOf(delimiter);
  return found < 0 ? [text] : [text.slice(0, found), text.slice(found + delimiter.length)];
}
