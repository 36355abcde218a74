/** What values do: truth, comparison, arithmetic and conversion. */

import type { Value } from "./types.ts";

/** A value of the wrong kind at run time; settings absorb it. */
export class TypeMismatch extends Error {
  override readonly name = "TypeMismatch";
}

/** Longest array or text (in UTF-16 units) that joining may build: peers choose the operands. */
const LONGEST_RESULT = 1_048_576;

const NUMERIC = /^[+-]?\d{1,32}(?:\.\d{1,32})?$/;

/** True if the value is an array; narrows where `Array.isArray` does not. */
export function isArray(value: Value): value is readonly Value[] {
  return typeof value === "object";
}

/** `false`, `0`, empty text and empty array are false; everything else is true. */
export function isTrue(value: Value): boolean {
  return isArray(value) ? value.length > 0 : value !== false && value !== 0 && value !== "";
}

/** The number that `text` reads as; undefined if none. */
export function readNumber(text: string): number | undefined {
  return NUMERIC.test(text) ? Number(text) : undefined;
}

/** The number that a value stands for: itself, or numeric text; undefined if none. */
export function asNumber(value: Value): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" ? readNumber(value) : undefined;
}

/** Decimal text of a number, never with an exponent. */
export function formatNumber(value: number): string {
  const text = String(value);
  if (!text.includes("e")) return text;
  if (Number.isInteger(value)) return BigInt(value).toString();
  return value.toFixed(20).replace(/\.?0+$/, "");
}

/** The kind of a value, for messages. */
export function kindOf(value: Value): string {
  if (typeof value === "string") return "a text";
  if (typeof value === "number") return "a number";
  return typeof value === "boolean" ? "a boolean" : "an array";
}

/**
 * A text argument: text as it is, a number as decimal text.
 *
 * @throws {TypeMismatch} for booleans and arrays
 */
export function textOf(value: Value): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return formatNumber(value);
  throw new TypeMismatch(`expected a text, found ${kindOf(value)}`);
}

/** A number argument. @throws {TypeMismatch} if the value is neither a number nor numeric text */
export function numberOf(value: Value): number {
  const number = asNumber(value);
  if (number === undefined) throw new TypeMismatch(`expected a number, found ${shown(value)}`);
  return number;
}

/** An array argument. @throws {TypeMismatch} if the value is none */
export function arrayOf(value: Value): readonly Value[] {
  if (isArray(value)) return value;
  throw new TypeMismatch(`expected an array, found ${kindOf(value)}`);
}

function shown(value: Value): string {
  return typeof value === "string" ? `the text ${JSON.stringify(value.slice(0, 64))}` : kindOf(value);
}

/** `==`: numbers also with numeric text, arrays item by item, values of unlike kinds are not equal. */
export function isEqual(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (isArray(a)) {
    if (!isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => isEqual(item, b[index] ?? ""));
  }
  if (typeof a === "number") return typeof b === "string" && readNumber(b) === a;
  return typeof a === "string" && typeof b === "number" && readNumber(a) === b;
}

/**
 * Order of two values: negative, 0 or positive. Numbers as numbers, also with numeric text; text by code point.
 *
 * @throws {TypeMismatch} for anything else
 */
export function compare(a: Value, b: Value): number {
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (typeof a === "number" || typeof b === "number") {
    const left = asNumber(a);
    const right = asNumber(b);
    if (left !== undefined && right !== undefined) return left - right;
  }
  throw new TypeMismatch(`${shown(a)} and ${shown(b)} have no order`);
}

/** Order of two texts by code point. UTF-16 order differs from it only where a surrogate meets U+E000 and above. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Puts surrogates, which stand for U+10000 and above, behind the rest of the basic plane. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** `+`. @throws {TypeMismatch} */
export function add(a: Value, b: Value): Value {
  if (typeof a === "number" && typeof b === "number") return finite(a + b);
  if (typeof a === "string" || typeof b === "string") {
    const joined = joinable(a) + joinable(b);
    if (joined.length > LONGEST_RESULT) throw new TypeMismatch("the joined text is too long");
    return joined;
  }
  if (isArray(a) && isArray(b)) {
    if (a.length + b.length > LONGEST_RESULT) throw new TypeMismatch("the joined array is too long");
    return [...a, ...b];
  }
  throw new TypeMismatch(`${kindOf(a)} and ${kindOf(b)} cannot be added`);
}

function joinable(value: Value): string {
  return typeof value === "boolean" ? String(value) : textOf(value);
}

/** `-`. @throws {TypeMismatch} */
export function subtract(a: Value, b: Value): Value {
  return finite(numberOf(a) - numberOf(b));
}

/** `*`. @throws {TypeMismatch} */
export function multiply(a: Value, b: Value): Value {
  return finite(numberOf(a) * numberOf(b));
}

/** `/`: whole when it divides evenly, else with a fraction. @throws {TypeMismatch} also for division by zero */
export function divide(a: Value, b: Value): Value {
  const divisor = numberOf(b);
  if (divisor === 0) throw new TypeMismatch("division by zero");
  return finite(numberOf(a) / divisor);
}

/** Unary `-`. @throws {TypeMismatch} */
export function negate(value: Value): Value {
  return 0 - numberOf(value);
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new TypeMismatch("the result is too large for a number");
  return value;
}

/** `x[n]`, from 0; empty text outside the array. @throws {TypeMismatch} if `x` is no array or `n` no number */
export function itemAt(array: Value, index: Value): Value {
  return arrayOf(array)[numberOf(index)] ?? "";
}
