/** Work under way, and waiting for its end. */

import type { Clock, Timer } from "../clock/mod.ts";

/** Work that is under way. */
export interface Runs {
  /** Adds work, which must not reject. */
  track(work: Promise<void>): void;
  readonly size: number;
  /** Resolves when nothing runs any more, or after `limit` milliseconds. */
  settled(limit: number): Promise<void>;
}

/** Nothing is under way yet. */
export function createRuns(clock: Clock): Runs {
  const runs = new Set<Promise<void>>();
  return {
    track(work) {
      runs.add(work);
      void work.finally(() => runs.delete(work));
    },
    get size() {
      return runs.size;
    },
    async settled(limit) {
      let timer: Timer | undefined;
      let over = false;
      const late = new Promise<void>((resolve) => {
        timer = clock.after(limit, () => {
          over = true;
          resolve();
        });
      });
      while (runs.size > 0 && !over) await Promise.race([Promise.allSettled([...runs]), late]);
      timer?.cancel();
    },
  };
}
