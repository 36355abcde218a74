/** Jobs that may start: a heap ordered by priority, then by due time, then by age of the message. */

/** What the order needs to know of a job. */
export interface Ranked {
  readonly priority: number;
  readonly due: number;
  readonly message: { readonly id: number };
}

/** A priority queue; the first in order leaves first. */
export interface Ready<T extends Ranked> {
  readonly size: number;
  push(job: T): void;
  pop(): T | undefined;
  /** Takes everything out, in no order. */
  clear(): T[];
}

function before(a: Ranked, b: Ranked): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  if (a.due !== b.due) return a.due < b.due;
  return a.message.id < b.message.id;
}

/** An empty {@link Ready}. */
export function createReady<T extends Ranked>(): Ready<T> {
  let heap: T[] = [];

  const rise = (item: T) => {
    let at = heap.length;
    heap.push(item);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || !before(item, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = item;
  };

  const sink = (item: T) => {
    let at = 0;
    while (true) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const child = right !== undefined && left !== undefined && before(right, left) ? right : left;
      if (child === undefined || !before(child, item)) break;
      heap[at] = child;
      at = 2 * at + (child === left ? 1 : 2);
    }
    heap[at] = item;
  };

  return {
    get size() {
      return heap.length;
    },
    push: rise,
    pop() {
      const first = heap[0];
      const last = heap.pop();
      if (last !== undefined && heap.length > 0) sink(last);
      return first;
    },
    clear() {
      const all = heap;
      heap = [];
      return all;
    },
  };
}
