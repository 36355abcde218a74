/** A wait with an end. */

import type { Clock, Timer } from "../clock/mod.ts";

/**
 * The promise, or an error when it takes longer than `milliseconds`.
 *
 * @throws {Error} that says how long was waited
 */
export async function within<T>(promise: Promise<T>, milliseconds: number, clock: Clock): Promise<T> {
  let timer: Timer | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = clock.after(milliseconds, () => reject(new Error(`no answer within ${milliseconds} ms`)));
      }),
    ]);
  } finally {
    timer?.cancel();
  }
}
