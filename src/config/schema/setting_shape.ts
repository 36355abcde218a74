/** The `T` of keys of type `ctx→T`: what an expression's result is turned into, with its TypeScript type. */

import type { Rate, SettingType } from "../../expression/mod.ts";

/** Something that is defined under an id elsewhere in the file. */
export type Definition =
  | "directory"
  | "script"
  | "signature"
  | "seal"
  | "route"
  | "schedule"
  | "connection"
  | "tls policy";

/** Ids of what is defined. */
export type DefinedIds = (what: Definition) => readonly string[];

/** The result type of a setting. */
export interface SettingShape<out T> {
  /** The type as the expression room knows it; ids are known only once the file is read. */
  readonly type: (defined: DefinedIds) => SettingType;
  /** Stands in for a setting that is wrong, once that has been reported. */
  readonly placeholder: T;
}

function shape<T>(type: SettingType, placeholder: T): SettingShape<T> {
  return { type: () => type, placeholder };
}

export const asBool: SettingShape<boolean> = shape({ kind: "bool" }, false);
export const asText: SettingShape<string> = shape({ kind: "str" }, "");
export const asAddress: SettingShape<string> = shape({ kind: "str", address: true }, "");
export const asAddressOrNone: SettingShape<string> = shape({ kind: "str", address: "or none" }, "");
export const asTextOrFalse: SettingShape<string | false> = shape({ kind: "str", orFalse: true }, false);
export const asBoolOrText: SettingShape<boolean | string> = shape({ kind: "boolOrStr" }, false);
/** A text of one line. */
export const asLine: SettingShape<string> = shape({ kind: "str", line: true }, "");
export const asLineOrFalse: SettingShape<string | false> = shape({ kind: "str", line: true, orFalse: true }, false);
export const asInt: SettingShape<number> = shape({ kind: "int" }, 0);
/** A number of things of which there must be some. */
export const asCount: SettingShape<number> = shape({ kind: "int", least: 1 }, 1);
/** Octets. */
export const asSize: SettingShape<number> = shape({ kind: "size" }, 0);
/** Octets of which there must be some. */
export const asRoom: SettingShape<number> = shape({ kind: "size", least: 1 }, 1);
/** Milliseconds. */
export const asDuration: SettingShape<number> = shape({ kind: "dur" }, 0);
/** Milliseconds; a limit of nothing would end everything at once. */
export const asTimeLimit: SettingShape<number> = shape({ kind: "dur", least: 1 }, 1);
/** Milliseconds, from a second to the largest number of seconds that RFC 4865 §3 and RFC 2852 §4 can express. */
export const asSmtpSpanOrFalse: SettingShape<number | false> = shape(
  { kind: "dur", least: 1000, most: 999_999_999_000, orFalse: true },
  false,
);
export const asRateOrFalse: SettingShape<Rate | false> = shape({ kind: "rate", orFalse: true }, false);

/** One of some words, compared without case. */
export function asWord<const W extends string>(...words: readonly [W, ...W[]]): SettingShape<W> {
  return shape({ kind: "enum", values: words }, words[0]);
}

/** One of some words, or `false`. */
export function asWordOrFalse<const W extends string>(...words: readonly [W, ...W[]]): SettingShape<W | false> {
  return shape({ kind: "enum", values: words, orFalse: true }, false);
}

/** A list of words; `false` is the empty list. */
export function asWords<const W extends string>(...words: readonly [W, ...W[]]): SettingShape<readonly W[]> {
  return shape({ kind: "list", of: { kind: "enum", values: words } }, []);
}

/** The id of something defined. */
export function asId(what: Definition): SettingShape<string> {
  return { type: (defined) => ({ kind: "id", what, ids: defined(what) }), placeholder: "" };
}

/** The id of something defined, or `false`. */
export function asIdOrFalse(what: Definition): SettingShape<string | false> {
  return { type: (defined) => ({ kind: "id", what, ids: defined(what), orFalse: true }), placeholder: false };
}

/** A list of ids; `false` is the empty list. */
export function asIds(what: Definition): SettingShape<readonly string[]> {
  return { type: (defined) => ({ kind: "list", of: { kind: "id", what, ids: defined(what) } }), placeholder: [] };
}
