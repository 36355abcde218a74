/** A clock that moves only when told to. */

import type { Clock, Timer } from "../../src/clock/mod.ts";

/** A {@link Clock} for tests; `advance` fires the timers that fall due, in order. */
export class FakeClock implements Clock {
  #now: number;
  #pending: { due: number; fire: () => void }[] = [];

  constructor(now = Date.UTC(2026, 0, 5, 12, 0, 0)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(delay: number, fire: () => void): Timer {
    const entry = { due: this.#now + Math.max(0, delay), fire };
    this.#pending.push(entry);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((other) => other !== entry);
      },
    };
  }

  /** Number of timers that are waiting. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Whether a timer fires in exactly so many milliseconds. */
  firesIn(milliseconds: number): boolean {
    return this.#pending.some(({ due }) => due === this.#now + milliseconds);
  }

  /** Moves time by `milliseconds` and lets each due timer's consequences settle before the next one fires. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    while (true) {
      const next = this.#pending.filter((entry) => entry.due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#pending = this.#pending.filter((entry) => entry !== next);
      this.#now = Math.max(this.#now, next.due);
      next.fire();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets promise callbacks that are ready run. */
export async function settle(rounds = 20): Promise<void> {
  for (let i = 0; i < rounds; i++) await Promise.resolve();
}
