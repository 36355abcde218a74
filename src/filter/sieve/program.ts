/** Running programs for scripts (`exec`): by absolute path, without a shell, with a time limit. */

import { isAbsolute } from "node:path";
import type { Clock } from "../../clock/mod.ts";

/** Programs that may run at the same time for all sessions; further ones wait. */
const MOST_AT_ONCE = 8;

/** What {@link createProgramRunner} is told. */
export interface ProgramOptions {
  /** Absolute paths that may be run; undefined: every one. */
  readonly allow: readonly string[] | undefined;
  /** Milliseconds, waiting for a place included. */
  readonly timeout: number;
  readonly clock: Clock;
  /** Told why a program gave false although it did not end with another status than 0. */
  readonly trouble: (program: string, reason: string) => void;
}

/** Runs a program with arguments; true if it ended with status 0. Never rejects. */
export type RunProgram = (program: string, args: readonly string[]) => Promise<boolean>;

/** Makes a {@link RunProgram}. */
export function createProgramRunner({ allow, timeout, clock, trouble }: ProgramOptions): RunProgram {
  let running = 0;
  const waiting: (() => void)[] = [];
  const allowed = allow === undefined ? undefined : new Set(allow);

  const problemOf = (program: string, args: readonly string[]): string | undefined => {
    if (!isAbsolute(program)) return "the path of a program must be absolute";
    if (allowed?.has(program) === false) return "the program is not in sieve.trusted.exec.allow";
    return [program, ...args].some((text) => text.includes("\0")) ? "an argument holds a NUL character" : undefined;
  };

  /** Waits for a place. @returns false if time is up first */
  const enter = async (left: number): Promise<boolean> => {
    if (running < MOST_AT_ONCE) {
      running++;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const proceed = () => {
      timer.cancel();
      resolve(true);
    };
    waiting.push(proceed);
    const timer = clock.after(left, () => {
      waiting.splice(waiting.indexOf(proceed), 1);
      resolve(false);
    });
    return await promise;
  };

  const leave = () => {
    const next = waiting.shift();
    // The place goes straight to who has waited longest.
    if (next === undefined) running--;
    else next();
  };

  const run = async (program: string, args: readonly string[], left: number): Promise<boolean> => {
    const child = new Deno.Command(program, {
      args: [...args],
      // What is in the environment of the server is nobody's business.
      clearEnv: true,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
      cwd: "/",
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let late = false;
    const timer = clock.after(left, () => {
      late = true;
      child.kill("SIGKILL");
    });
    const { success } = await child.status;
    timer.cancel();
    if (late) trouble(program, `it took longer than ${timeout} milliseconds and was ended`);
    return success && !late;
  };

  return async (program, args) => {
    const problem = problemOf(program, args);
    if (problem !== undefined) {
      trouble(program, problem);
      return false;
    }
    const started = clock.now();
    if (!await enter(timeout)) {
      trouble(program, "too many programs run at the same time");
      return false;
    }
    try {
      return await run(program, args, Math.max(1, timeout - (clock.now() - started)));
    } catch (error) {
      trouble(program, error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      leave();
    }
  };
}
