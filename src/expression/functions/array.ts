/** Functions of arrays and of any value. */

import { arrayOf, compare, isArray, isEqual, isTrue } from "../value.ts";
import type { Value } from "../types.ts";
import { binary, type PureFunction, unary } from "./function.ts";

/** Functions of arrays, by name. */
export const ARRAY_FUNCTIONS: Readonly<Record<string, PureFunction>> = {
  count: unary((array) => arrayOf(array).length),
  sort: binary((array, ascending) => sort(arrayOf(array), isTrue(ascending))),
  dedup: unary((array) => dedup(arrayOf(array))),
  winnow: unary((array) => arrayOf(array).filter(isTrue)),
  is_intersect: binary((a, b) => intersects(arrayOf(a), arrayOf(b))),
  is_empty: unary((value) => !isTrue(value)),
};

function sort(array: readonly Value[], ascending: boolean): Value[] {
  const direction = ascending ? 1 : -1;
  return [...array].sort((a, b) => direction * compare(a, b));
}

/** Keeps the first of equal items. Texts, the usual case, are found by hash; the rest one by one. */
function dedup(array: readonly Value[]): Value[] {
  const texts = new Set<Value>();
  const others: Value[] = [];
  return array.filter((item) => {
    if (typeof item === "string") return !texts.has(item) && texts.add(item);
    if (others.some((other) => sameKind(other, item) && isEqual(other, item))) return false;
    others.push(item);
    return true;
  });
}

function sameKind(a: Value, b: Value): boolean {
  return typeof a === typeof b;
}

function intersects(a: readonly Value[], b: readonly Value[]): boolean {
  const texts = new Set(b.filter((item) => typeof item === "string"));
  return a.some((item) =>
    (typeof item === "string" && texts.has(item)) ||
    b.some((other) =>
      (typeof item !== "string" || typeof other !== "string") && !isArray(other) && isEqual(item, other)
    )
  );
}
