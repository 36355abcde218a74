/** Values that may come later: used at once if they are there, so that nothing waits that need not. */

/** Goes on with a value, now or when it has come. */
export function later<T, U>(value: T | Promise<T>, use: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}

/** Whether `holds` is true of all items, which are asked about one after the other. */
export function untilFalse<T>(
  items: readonly T[],
  holds: (item: T) => boolean | Promise<boolean>,
): boolean | Promise<boolean> {
  const from = (start: number): boolean | Promise<boolean> => {
    for (let i = start; i < items.length; i++) {
      const result = holds(items[i] as T);
      if (result instanceof Promise) return result.then((met) => met && from(i + 1));
      if (!result) return false;
    }
    return true;
  };
  return from(0);
}

/** Whether `holds` is true of any item. */
export function untilTrue<T>(
  items: readonly T[],
  holds: (item: T) => boolean | Promise<boolean>,
): boolean | Promise<boolean> {
  return later(untilFalse(items, (item) => later(holds(item), (result) => !result)), (none) => !none);
}
