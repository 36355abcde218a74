/** Long runs share the thread: they pause, so that other sessions go on meanwhile. */

/** Milliseconds that a run may have the thread to itself. */
const LONGEST_TURN = 5;

/** For `SieveHost.pause`: a promise when the run has had its turn, which began when this was called. */
export function takeTurns(): () => Promise<void> | undefined {
  // Not the clock of the server, which tests stop: this is about what the thread really does.
  let began = performance.now();
  return () => {
    if (performance.now() - began < LONGEST_TURN) return undefined;
    return new Promise((resolve) =>
      setTimeout(() => {
        began = performance.now();
        resolve();
      })
    );
  };
}
