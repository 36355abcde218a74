/** Settings of type `ctx→T`: constants, expressions and if/then/else lists with a default. */

import { accountOf } from "./account.ts";
import { zeroValue } from "./coerce.ts";
import type { ExpressionProblem } from "./problem.ts";
import { type Last, settle } from "./settle.ts";
import { readSource, type SettingOptions } from "./source.ts";
import type { Scope, Setting, SettingAccount } from "./types.ts";

/** A compiled setting, with warnings, or everything that is wrong with it. */
export type CompiledSetting<T> =
  | { readonly setting: Setting<T>; readonly warnings: readonly ExpressionProblem[]; readonly errors?: undefined }
  | { readonly errors: readonly ExpressionProblem[]; readonly setting?: undefined };

/**
 * Compiles a setting. The type parameter must fit `options.type`: `string` for `str`, `enum` and `id`, `number` for
 * `int`, `size` and `dur`, `Rate` for `rate`, `readonly T[]` for lists, with `| false` for `orFalse`.
 *
 * @throws {Error} if the default does not compile: a bug in the program, not in the configuration
 */
export function compileSetting<T>(options: SettingOptions): CompiledSetting<T> {
  const fallback = readSource(options, options.default);
  if (fallback.problems.length > 0) {
    const [first] = fallback.problems;
    throw new Error(`the default of ${options.key} does not compile: ${first?.message} in ${first?.source}`);
  }
  const zero: Last = { kind: "constant", value: zeroValue(options.type) };
  const last = settle(options.key, options.type, fallback.items, zero);
  if (options.source === undefined) return { setting: toSetting(options, last, fallback.reads), warnings: [] };
  const read = readSource(options, options.source);
  if (read.problems.length > 0) return { errors: read.problems };
  return {
    setting: toSetting(options, settle(options.key, options.type, read.items, last), fallback.reads.union(read.reads)),
    warnings: read.warnings,
  };
}

const NOTHING: ReadonlySet<string> = new Set();

/** A setting that always gives `value`. */
export function constantSetting<T>(key: string, value: T): Setting<T> {
  return { key, isConstant: true, reads: NOTHING, evaluate: () => value };
}

function toSetting<T>(options: SettingOptions, last: Last, reads: ReadonlySet<string>): Setting<T> {
  const { key } = options;
  // The one place where the type parameter meets the value: compileSetting's caller vouches for it.
  const explain = (scope: Scope) => accountOf(options, scope) as Promise<SettingAccount<T>>;
  if (last.kind === "constant") return { ...constantSetting(key, last.value as T), explain };
  return { key, isConstant: false, reads, evaluate: last.evaluate as (scope: Scope) => T | Promise<T>, explain };
}
