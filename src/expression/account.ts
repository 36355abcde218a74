/**
 * Evaluates a setting with an account of which item decided. Everything is read and compiled anew with each piece of code
 * wrapped in an observer, and then settled by the very code that settles it otherwise: evaluation in daily use carries
 * nothing for this.
 */

import { chain, type Code, sync } from "./code.ts";
import { type SettingValue, zeroValue } from "./coerce.ts";
import { type Last, settle } from "./settle.ts";
import { asList, isTable, type Item, readSource, type SettingOptions } from "./source.ts";
import type { AccountStep, Scope, SettingAccount, Value } from "./types.ts";
import { isTrue } from "./value.ts";

/** The account of the setting that `options` compile to without errors. */
export async function accountOf(options: SettingOptions, scope: Scope): Promise<SettingAccount<SettingValue>> {
  const { key, type } = options;
  const steps: AccountStep[] = [];
  const errors: string[] = [];
  const last = (source: unknown, from: AccountStep["from"], fallback: Last): Last => {
    const { items } = readSource(options, source);
    return settle(key, type, items.map((item, index) => observed(item, index, { source, from, steps })), fallback);
  };
  const zero: Last = { kind: "constant", value: zeroValue(type) };
  const fallback = last(options.default, "default", zero);
  const whole = options.source === undefined ? fallback : last(options.source, "file", fallback);
  const value = whole.kind === "constant" ? whole.value : await whole.evaluate({
    ...scope,
    onError: (error) => {
      errors.push(error.message);
      scope.onError?.(error);
    },
  });
  return { value, steps, errors };
}

interface Observation {
  readonly source: unknown;
  readonly from: AccountStep["from"];
  readonly steps: AccountStep[];
}

/** An item that notes what became of it. Its result is never constant, so that it cannot be settled unseen. */
function observed(item: Item, index: number, { source, from, steps }: Observation): Item {
  const texts = textsOf(source, index);
  // Which step of the account is this item's; none before it was looked at.
  let mine: number | undefined;
  const note = (change: Partial<AccountStep>) => {
    const step = { ...texts, from, met: true, gave: undefined, ...mine === undefined ? {} : steps[mine], ...change };
    if (mine === undefined) mine = steps.push(step) - 1;
    else steps[mine] = step;
  };
  return {
    usesCaptures: item.usesCaptures,
    condition: item.condition.kind === "constant"
      ? item.condition
      : watch(item.condition, () => note({ met: false }), (value) => note({ met: isTrue(value) })),
    result: watch(item.result, () => note({ met: true }), (gave) => note({ gave })),
  };
}

function watch(code: Code, begins: () => void, ends: (value: Value) => void): Code {
  const end = (value: Value) => {
    ends(value);
    return value;
  };
  if (code.kind === "async") {
    return {
      kind: "async",
      run: (scope, captures) => {
        begins();
        return chain(code.run(scope, captures), end);
      },
    };
  }
  return sync((scope, captures) => {
    begins();
    return end(code.kind === "constant" ? code.value : code.run(scope, captures));
  });
}

/** Place and texts of an item, as the source has them. */
function textsOf(source: unknown, index: number): Pick<AccountStep, "item" | "condition" | "result"> {
  const value = asList(source);
  const entry: unknown = Array.isArray(value) && value.some(isTable) ? value[index] : undefined;
  if (!isTable(entry)) return { item: undefined, condition: undefined, result: textOf(value) };
  if ("else" in entry) return { item: index, condition: undefined, result: textOf(entry.else) };
  return { item: index, condition: textOf(entry.if), result: textOf(entry.then) };
}

function textOf(source: unknown): string {
  return typeof source === "string" ? source : JSON.stringify(source) ?? "";
}
