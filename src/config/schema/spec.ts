/** What the schema says about a key: its type, its default, and whether godwit supports it yet. */

import type { Context, Setting } from "../../expression/mod.ts";
import type { ValueType } from "../value_type.ts";
import type { SettingShape } from "./setting_shape.ts";

/** A value as TOML has it; defaults are written in this form too. */
export type Source = string | number | boolean | readonly Source[] | { readonly [key: string]: Source };

/** What computed defaults can ask for. */
export interface DefaultSources {
  /** The value of another key, or its default; `undefined` if it has none. */
  source(pattern: string, ...ids: readonly Id[]): Source | undefined;
  /** Names under a section such as `directory`. */
  names(section: string): readonly string[];
  /** Name of the machine, `""` if it has none. */
  readonly hostname: string;
  readonly cpus: number;
}

/** What stands for `<id>` or `[]` in a pattern. */
export type Id = string | number;

/** What applies when the file does not set a key. */
export type Fallback =
  | { readonly kind: "constant"; readonly value: Source }
  | { readonly kind: "none" }
  | { readonly kind: "required" }
  /** The value of another key. */
  | { readonly kind: "same"; readonly pattern: string }
  | {
    readonly kind: "computed";
    readonly compute: (from: DefaultSources, ids: readonly Id[]) => Source | undefined;
  };

interface Common {
  readonly fallback: Fallback;
  /** False: setting the key is a load error for now. */
  readonly supported: boolean;
  /** Constants that switch an unsupported feature off and are therefore accepted. */
  readonly off: readonly (string | boolean)[];
  /** The kinds of section the key means something for, such as the routes of type `relay`; all if left out. */
  readonly kinds?: readonly string[];
}

/** A key with a fixed value. */
export interface ValueKey<out T> extends Common {
  readonly form: "value";
  readonly type: ValueType<T>;
  /** Whether no value at all is a value: the key is then `undefined`. */
  readonly unset: boolean;
}

/** A key of type `ctx→T`. */
export interface SettingKey<out T> extends Common {
  readonly form: "setting";
  readonly context: Context;
  readonly shape: SettingShape<T>;
}

/** Any key. */
export type Key = ValueKey<unknown> | SettingKey<unknown>;

/** What reading a key gives. */
export type ResultOf<K> = K extends ValueKey<infer T> ? T : K extends SettingKey<infer T> ? Setting<T> : never;

function fallbackOf(value: Source | Fallback): Fallback {
  return isFallback(value) ? value : { kind: "constant", value };
}

const FALLBACK_KINDS: readonly unknown[] = ["constant", "none", "required", "same", "computed"];

function isFallback(value: Source | Fallback): value is Fallback {
  return typeof value === "object" && "kind" in value && FALLBACK_KINDS.includes(value.kind);
}

/** A key with a default. */
export function key<T>(type: ValueType<T>, fallback: Source | Fallback): ValueKey<T> {
  return { form: "value", type, fallback: fallbackOf(fallback), unset: false, supported: true, off: [] };
}

/** A key that may have no value. */
export function optional<T>(type: ValueType<T>, fallback: Fallback = { kind: "none" }): ValueKey<T | undefined> {
  return { form: "value", type, fallback, unset: true, supported: true, off: [] };
}

/** A key without which its section makes no sense. */
export function required<T>(type: ValueType<T>): ValueKey<T> {
  return { form: "value", type, fallback: { kind: "required" }, unset: false, supported: true, off: [] };
}

/** A key of type `ctx→T`. */
export function setting<T>(context: Context, shape: SettingShape<T>, fallback: Source | Fallback): SettingKey<T> {
  return { form: "setting", context, shape, fallback: fallbackOf(fallback), supported: true, off: [] };
}

/** The default is the value of another key. */
export function sameAs(pattern: string): Fallback {
  return { kind: "same", pattern };
}

/** The default is worked out from other keys or from the machine. */
export function computed(compute: (from: DefaultSources, ids: readonly Id[]) => Source | undefined): Fallback {
  return { kind: "computed", compute };
}

/**
 * Marks a key as part of the format but not of godwit yet: to set it is a load error. Take the mark away to support it.
 *
 * @param off constants that are accepted all the same, since they ask for exactly what happens
 */
export function later<K extends Key>(spec: K, ...off: readonly (string | boolean)[]): K {
  return { ...spec, supported: false, off };
}

/** Marks all keys of an area with {@link later}. */
export function allLater<K extends Record<string, Key>>(keys: K): K {
  const marked: Record<string, Key> = {};
  for (const [pattern, spec] of Object.entries(keys)) marked[pattern] = spec.supported ? later(spec) : spec;
  return { ...keys, ...marked };
}

/** Limits a key to some kinds of its section. */
export function only<K extends Key>(kinds: readonly string[], spec: K): K {
  return { ...spec, kinds };
}
