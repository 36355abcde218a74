/** What was worked out before, by the text it was worked out from. */

/** A bounded memory. What was not asked for in a long time goes first. */
export interface Memory<V> {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
}

/** Makes a memory for `most` values at most. */
export function createMemory<V>(most: number): Memory<V> {
  // Two halves: when the young one is full the old one goes, except for what was asked for meanwhile.
  let young = new Map<string, V>();
  let old = new Map<string, V>();
  const set = (key: string, value: V) => {
    if (young.size >= most / 2) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  };
  return {
    get(key) {
      const value = young.get(key);
      if (value !== undefined) return value;
      const known = old.get(key);
      if (known !== undefined) set(key, known);
      return known;
    },
    set,
  };
}
