/** A cache bounded by octets: what was not used for longest, or about that long, goes first. */

interface Entry<V> {
  readonly value: V;
  readonly cost: number;
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** How many values had been kept when it was last moved behind all others. */
  moved: number;
}

/** A bounded cache of values that expire. */
export interface Cache<V> {
  /** The value kept for `key`, unless it has expired by `now`. */
  get(key: string, now: number): V | undefined;
  /** Keeps `value`, said to take `cost` octets, until `until`; drops others to stay within the bound. */
  set(key: string, value: V, cost: number, until: number): void;
  clear(): void;
  /** Octets taken, by the costs told. */
  readonly size: number;
}

// What the map entry and the objects around a value take, roughly.
const OVERHEAD = 160;

/**
 * Makes a cache of `capacity` octets. A value that costs more than all of it is not kept.
 */
export function createCache<V>(capacity: number): Cache<V> {
  // A Map iterates in order of insertion; what is hit is inserted again, so the first key is the one unused for longest.
  // What stands near the end anyway stays where it is: names asked for all the time cost no more than being found.
  const entries = new Map<string, Entry<V>>();
  let size = 0;
  let kept = 0;

  const remove = (key: string, entry: Entry<V>) => {
    entries.delete(key);
    size -= entry.cost;
  };

  return {
    get size() {
      return size;
    },
    get(key, now) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      if (entry.until <= now) {
        remove(key, entry);
        return undefined;
      }
      if (kept - entry.moved > entries.size / 4) {
        entries.delete(key);
        entries.set(key, entry);
        entry.moved = kept;
      }
      return entry.value;
    },
    set(key, value, cost, until) {
      const old = entries.get(key);
      if (old !== undefined) remove(key, old);
      const total = cost + key.length + OVERHEAD;
      if (total > capacity) return;
      for (const [oldest, entry] of entries) {
        if (size + total <= capacity) break;
        remove(oldest, entry);
      }
      entries.set(key, { value, cost: total, until, moved: ++kept });
      size += total;
    },
    clear() {
      entries.clear();
      size = 0;
    },
  };
}
