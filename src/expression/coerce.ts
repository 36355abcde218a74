/** Turns the value of an expression into what its key wants. */

import { suggestion } from "./nearest.ts";
import type { Value } from "./types.ts";
import {
  DURATION_SYNTAX,
  formatDuration,
  parseDuration,
  parseInteger,
  parseRate,
  parseSize,
  type Rate,
  RATE_SYNTAX,
  SIZE_SYNTAX,
} from "./units.ts";
import { isArray, isTrue, kindOf, textOf } from "./value.ts";

/**
 * What a key wants. With `orFalse` a result of `false` is handed on as `false` ("off", "no value"); without it the
 * key's default takes its place.
 */
export type SettingType =
  & (
    | { readonly kind: "bool" }
    /** `line`: without control characters. `address`: a mail address, `"or none"` also the empty text. */
    | { readonly kind: "str"; readonly line?: boolean; readonly address?: true | "or none" }
    | { readonly kind: "int"; readonly least?: number; readonly most?: number }
    /** Bytes. */
    | { readonly kind: "size"; readonly least?: number }
    /** Milliseconds. */
    | { readonly kind: "dur"; readonly least?: number; readonly most?: number }
    | { readonly kind: "rate" }
    /** One of the words, compared without case. */
    | { readonly kind: "enum"; readonly values: readonly string[] }
    /** The id of something defined; `what` names it in messages: `route`, `script`. */
    | { readonly kind: "id"; readonly ids: readonly string[]; readonly what: string }
    /** `false` and empty text are the empty list. */
    | { readonly kind: "list"; readonly of: SettingType }
    /** A boolean, or a text such as an address. */
    | { readonly kind: "boolOrStr" }
  )
  & { readonly orFalse?: boolean };

/** What a setting can come out as. */
export type SettingValue = Value | Rate | readonly SettingValue[];

/** Outcome: a value, `false` where that means the default, or a value that does not fit. */
export type Coerced =
  | { readonly kind: "value"; readonly value: SettingValue }
  | { readonly kind: "default" }
  | {
    readonly kind: "wrong";
    /** Event that reports it at run time. */
    readonly event: string;
    readonly message: string;
    /** What is left of a list without the items that do not fit. */
    readonly rest?: readonly SettingValue[];
  };

/** Turns `value` into what `type` wants. */
export function coerce(value: Value, type: SettingType): Coerced {
  if (type.kind === "list") return coerceList(value, type.of);
  if (type.kind === "bool") return { kind: "value", value: isTrue(value) };
  if (value === false) {
    return type.orFalse === true || type.kind === "boolOrStr" ? { kind: "value", value } : { kind: "default" };
  }
  switch (type.kind) {
    case "str": {
      if (isArray(value)) return wrong("a text", value);
      const text = value === true ? "true" : textOf(value);
      if (type.address !== undefined && !(text === "" ? type.address === "or none" : ADDRESS.test(text))) {
        return wrong("an address such as postmaster@example.net", text);
      }
      return type.line === true && /\p{Cc}/u.test(text)
        ? wrong("a text of one line without control characters", JSON.stringify(text))
        : found(text);
    }
    case "boolOrStr":
      return isArray(value) ? wrong("true, false or a text", value) : found(value === true ? value : textOf(value));
    case "int":
      return numeric(value, parseInteger, type, -Number.MAX_SAFE_INTEGER, "an integer", String);
    case "size":
      return numeric(value, parseSize, type, 0, SIZE_SYNTAX, String);
    case "dur":
      return numeric(value, parseDuration, type, 0, DURATION_SYNTAX, formatDuration);
    case "rate": {
      const rate = typeof value === "string" ? parseRate(value) : undefined;
      return rate === undefined ? wrong(RATE_SYNTAX, value) : found(rate);
    }
    case "enum": {
      const word = typeof value === "string" ? findWord(value, type.values) : undefined;
      return word === undefined ? wrong(`one of ${type.values.join(", ")}`, value, type.values) : found(word);
    }
    case "id": {
      const id = isArray(value) || value === true ? undefined : textOf(value);
      if (id !== undefined && type.ids.includes(id)) return found(id);
      if (id === undefined) return wrong(`the id of a ${type.what}`, value);
      return {
        kind: "wrong",
        event: eventOf(type.what),
        message: `there is no ${type.what} '${id}'${suggestion(id, type.ids)}`,
      };
    }
  }
}

/** What can be an address; whoever uses it looks closer. A domain that nothing is known of may still be missing. */
const ADDRESS = /^[^\p{Cc}]*[^\s\p{Cc}]@[^\s@\p{Cc}]*$/u;

/** The word of an enum, compared without case. */
export function findWord(text: string, words: readonly string[]): string | undefined {
  const lower = text.toLowerCase();
  return words.find((word) => word.toLowerCase() === lower);
}

/** What a key gets when neither its value nor its default gives anything. */
export function zeroValue(type: SettingType): SettingValue {
  if (type.orFalse === true) return false;
  switch (type.kind) {
    case "bool":
    case "boolOrStr":
      return false;
    case "str":
    case "id":
      return "";
    case "int":
    case "size":
    case "dur":
      return 0;
    case "rate":
      return { count: 1, period: 1 };
    case "enum":
      return type.values[0] ?? "";
    case "list":
      return [];
  }
}

function found(value: SettingValue): Coerced {
  return { kind: "value", value };
}

function wrong(expected: string, value: Value, near: readonly string[] = []): Coerced {
  const shown = typeof value === "string"
    ? `'${value.slice(0, 80)}'${suggestion(value, near)}`
    : isArray(value)
    ? kindOf(value)
    : String(value);
  return { kind: "wrong", event: "eval.wrong-value", message: `expected ${expected}, found ${shown}` };
}

function numeric(
  value: Value,
  parse: (text: string) => number | undefined,
  limits: { readonly least?: number; readonly most?: number },
  smallest: number,
  expected: string,
  format: (limit: number) => string,
): Coerced {
  const number = typeof value === "number" ? value : typeof value === "string" ? parse(value) : undefined;
  if (number === undefined || number < smallest || !Number.isSafeInteger(number)) return wrong(expected, value);
  const { least = smallest, most = Infinity } = limits;
  if (number < least) return wrong(`${expected} of at least ${format(least)}`, value);
  return number > most ? wrong(`${expected} of at most ${format(most)}`, value) : found(number);
}

function coerceList(value: Value, of: SettingType): Coerced {
  if (value === false || value === "") return found([]);
  const items = isArray(value) ? value : [value];
  const values: SettingValue[] = [];
  let failure: { event: string; message: string } | undefined;
  for (const item of items) {
    const coerced = coerce(item, of);
    if (coerced.kind === "value") values.push(coerced.value);
    if (coerced.kind === "default") {
      failure ??= { event: "eval.wrong-value", message: "false cannot be an item of the list" };
    }
    if (coerced.kind === "wrong") failure ??= coerced;
  }
  return failure === undefined
    ? found(values)
    : { kind: "wrong", event: failure.event, message: failure.message, rest: values };
}

/** The event of a computed id that is not defined. */
function eventOf(what: string): string {
  switch (what) {
    case "directory":
      return "eval.directory-not-found";
    case "signature":
      return "dkim.signer-not-found";
    case "seal":
      return "arc.sealer-not-found";
    case "script":
      return "sieve.script-not-found";
    default:
      return "smtp.id-not-found";
  }
}
