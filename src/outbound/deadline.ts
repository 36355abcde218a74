/** One timer for all the waits of a connection. */

import type { Clock, Timer } from "../clock/mod.ts";

/** A point in time by which something must have happened. */
export interface Deadline {
  /** Expires `delay` milliseconds from now; replaces what was set before. */
  set(delay: number): void;
  /** Nothing is waited for. */
  clear(): void;
  /** Ends the deadline for good. */
  cancel(): void;
}

/**
 * Makes a deadline that calls `expire` when it passes. Setting and clearing cost next to nothing: a timer that is too
 * early is left alone, and when it fires it is wound up again for what is left.
 */
export function createDeadline(clock: Clock, expire: () => void): Deadline {
  let due = Infinity;
  let timer: Timer | undefined;
  let timerDue = 0;

  const fire = () => {
    timer = undefined;
    if (due === Infinity) return;
    const left = due - clock.now();
    if (left > 0) return arm(left);
    due = Infinity;
    expire();
  };
  const arm = (delay: number) => {
    timerDue = clock.now() + delay;
    timer = clock.after(delay, fire);
  };

  return {
    set(delay) {
      due = clock.now() + delay;
      if (timer !== undefined) {
        if (timerDue <= due) return;
        timer.cancel();
      }
      arm(delay);
    },
    clear() {
      due = Infinity;
    },
    cancel() {
      due = Infinity;
      timer?.cancel();
      timer = undefined;
    },
  };
}
