/** Work in the background that a change of configuration begins anew, and that waits for the store as long as it takes. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Emit } from "../telemetry/event.ts";

/** Turns of one kind of work; only the newest goes on. */
export interface Turns {
  /** Begins a turn; all others end at the next occasion. */
  next(): number;
  isOver(turn: number): boolean;
  /** Repeats `work` until it does not reject; false if the turn was over first. */
  insist(turn: number, work: () => Promise<void>): Promise<boolean>;
  close(): void;
}

// Milliseconds until an unavailable store is asked again.
const PAUSE = 1000;

/** Makes the turns of work that `what` names, for the log. */
export function createTurns(clock: Clock, emit: Emit, what: string): Turns {
  let current = 0;
  let timer: Timer | undefined;
  const isOver = (turn: number) => turn !== current;
  return {
    next: () => ++current,
    isOver,
    async insist(turn, work) {
      while (!isOver(turn)) {
        try {
          await work();
          return !isOver(turn);
        } catch (error) {
          if (isOver(turn)) break;
          emit("store.unexpected-error", { reason: `${what} has to wait: ${String(error)}` });
          await new Promise<void>((resolve) => {
            timer = clock.after(PAUSE, resolve);
          });
        }
      }
      return false;
    },
    close() {
      current++;
      timer?.cancel();
    },
  };
}
