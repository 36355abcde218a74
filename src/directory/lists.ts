/** Lists of entries that may hold wildcards: `lookup.<name>` and `memory` stores. */

import type { Value } from "../expression/types.ts";

/** A list of any kind. Case counts. May reject with `LookupUnavailable`. */
export interface KeyedList {
  get(key: string): Value | undefined | Promise<Value | undefined>;
  has(key: string): boolean | Promise<boolean>;
}

/** A fixed list. Case counts. */
export interface List extends KeyedList {
  /** The value of the entry that the key matches: an exact one first, else the first glob in file order. */
  get(key: string): Value | undefined;
  has(key: string): boolean;
}

/** Makes a list from entries with their values. `*` in an entry stands for any run of characters, `?` for one. */
export function createList(entries: ReadonlyMap<string, Value>): List {
  const exact = new Map<string, Value>();
  const globs: { readonly matches: (text: string) => boolean; readonly value: Value }[] = [];
  for (const [entry, value] of entries) {
    if (isGlob(entry)) globs.push({ matches: compileGlob(entry), value });
    else exact.set(entry, value);
  }
  const get = (key: string) => exact.get(key) ?? globs.find(({ matches }) => matches(key))?.value;
  return { get, has: (key) => get(key) !== undefined };
}

/** True if `text` holds a wildcard. */
export function isGlob(text: string): boolean {
  return /[*?]/.test(text);
}

/**
 * A test for a whole text. Takes at most (length of the glob) × (length of the text) steps, whatever they hold.
 */
export function compileGlob(glob: string): (text: string) => boolean {
  const pattern = Array.from(glob.replace(/\*+/g, "*"));
  if (!isGlob(glob)) return (text) => text === glob;
  return (text) => matchGlob(pattern, /[\ud800-\udfff]/.test(text) ? Array.from(text) : text);
}

function matchGlob(pattern: readonly string[], text: string | readonly string[]): boolean {
  let at = 0;
  let position = 0;
  // Where to go on when a run of `*` has to be one longer.
  let star = -1;
  let resume = 0;
  while (position < text.length) {
    const wanted = pattern[at];
    if (wanted === "*") {
      star = at++;
      resume = position;
    } else if (wanted === "?" || (wanted !== undefined && wanted === text[position])) {
      at++;
      position++;
    } else if (star >= 0) {
      at = star + 1;
      position = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
