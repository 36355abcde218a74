/** From items to a value: what a setting comes to, now if it can be told, else whenever it is asked. */

import type { Captures, Code } from "./code.ts";
import { coerce, type Coerced, type SettingType, type SettingValue } from "./coerce.ts";
import type { Item } from "./source.ts";
import type { Scope, Value } from "./types.ts";
import { isTrue, TypeMismatch } from "./value.ts";

/** What a list of items comes to. */
export type Last =
  | { readonly kind: "constant"; readonly value: SettingValue }
  | { readonly kind: "computed"; readonly evaluate: (scope: Scope) => SettingValue | Promise<SettingValue> };

/** Settles what can be told without a scope; `fallback` stands in where the items give nothing. */
export function settle(key: string, type: SettingType, items: readonly Item[], fallback: Last): Last {
  const reachable: Item[] = [];
  for (const item of items) {
    const decided = item.condition.kind === "constant" ? isTrue(item.condition.value) : undefined;
    if (decided === false) continue;
    reachable.push(item);
    if (decided === true) break;
  }
  const [first] = reachable;
  if (first === undefined) return fallback;
  if (first.condition.kind === "constant" && first.result.kind === "constant") {
    const coerced = coerce(first.result.value, type);
    if (coerced.kind === "value") return { kind: "constant", value: coerced.value };
    if (coerced.kind === "default") return fallback;
  }
  return { kind: "computed", evaluate: evaluator(key, type, reachable, fallback) };
}

/** A prepared item: constant results are coerced once. */
interface Prepared extends Item {
  readonly coerced: Coerced | undefined;
}

function evaluator(
  key: string,
  type: SettingType,
  items: readonly Item[],
  fallback: Last,
): (scope: Scope) => SettingValue | Promise<SettingValue> {
  const prepared: readonly Prepared[] = items.map((item) => ({
    ...item,
    coerced: item.result.kind === "constant" ? coerce(item.result.value, type) : undefined,
  }));

  const useDefault = (scope: Scope) => fallback.kind === "constant" ? fallback.value : fallback.evaluate(scope);

  const finish = (coerced: Coerced, scope: Scope): SettingValue | Promise<SettingValue> => {
    if (coerced.kind === "value") return coerced.value;
    if (coerced.kind === "default") return useDefault(scope);
    scope.onError?.({ event: coerced.event, key, message: coerced.message });
    if (coerced.rest !== undefined) return coerced.rest;
    return type.orFalse === true || type.kind === "boolOrStr" ? false : useDefault(scope);
  };

  // After a mismatch the condition is false, the result is `false`.
  const absorb = (error: unknown, scope: Scope): false => {
    if (!(error instanceof TypeMismatch)) throw error;
    scope.onError?.({ event: "eval.error", key, message: error.message });
    return false;
  };

  const attempt = (code: Code, scope: Scope, captures: Captures | undefined): Value | Promise<Value> => {
    if (code.kind === "constant") return code.value;
    try {
      const value = code.run(scope, captures);
      return value instanceof Promise ? value.catch((error: unknown) => absorb(error, scope)) : value;
    } catch (error) {
      return absorb(error, scope);
    }
  };

  const resultOf = (item: Prepared, scope: Scope, captures: Captures | undefined) => {
    if (item.coerced !== undefined) return finish(item.coerced, scope);
    const value = attempt(item.result, scope, captures);
    return value instanceof Promise
      ? value.then((value) => finish(coerce(value, type), scope))
      : finish(coerce(value, type), scope);
  };

  const from = (start: number, scope: Scope): SettingValue | Promise<SettingValue> => {
    for (let index = start; index < prepared.length; index++) {
      const item = prepared[index];
      if (item === undefined) break;
      const captures = item.usesCaptures ? { pattern: undefined, text: "", groups: undefined } : undefined;
      const condition = attempt(item.condition, scope, captures);
      if (condition instanceof Promise) {
        return condition.then((value) => isTrue(value) ? resultOf(item, scope, captures) : from(index + 1, scope));
      }
      if (isTrue(condition)) return resultOf(item, scope, captures);
    }
    return useDefault(scope);
  };
  return (scope) => from(0, scope);
}
