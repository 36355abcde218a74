/**
 * Time as the rest of the program sees it. Every room takes a {@link Clock}, so a test moves time by hand instead of
 * sleeping.
 *
 * @module
 */

/** A pending timer. */
export interface Timer {
  /** Stops the timer; harmless when it has fired already. */
  cancel(): void;
}

/** The source of time and of timers. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `fire` once, `delay` milliseconds from now. */
  after(delay: number, fire: () => void): Timer;
}

// setTimeout takes a signed 32-bit delay; longer waits are made of several timers.
const LONGEST_TIMER = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delay, fire) {
    const due = Date.now() + delay;
    let handle: ReturnType<typeof setTimeout>;
    const arm = (left: number) => {
      handle = left > LONGEST_TIMER
        ? setTimeout(() => arm(due - Date.now()), LONGEST_TIMER)
        : setTimeout(fire, Math.max(0, left));
    };
    arm(delay);
    return { cancel: () => clearTimeout(handle) };
  },
};
