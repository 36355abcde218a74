/**
 * What is known of the recipients of one attempt: their verdicts, and what failed last for those that have none.
 * Recipients are named by their position in the job.
 */

import { type Failure, failure, type Verdict } from "./verdict.ts";

/** The answers of an attempt under way. */
export interface Answers {
  /** One for each recipient, as far as they are known. */
  readonly verdicts: readonly (Verdict | undefined)[];
  /** Whether every recipient has one. */
  readonly complete: boolean;
  /** Those of `positions`, or of all, that have no verdict. */
  open(positions?: readonly number[]): number[];
  settle(position: number, verdict: Verdict): void;
  /** Remembers what failed, where another host may do better. */
  note(positions: readonly number[], failed: Failure): void;
  /** A limit of ours ends the attempt for those that are open. What a host has said before says more than it. */
  limit(positions: readonly number[], limited: Failure): void;
  /** Gives what is open the verdict that its last failure comes to. */
  conclude(comesTo: (failed: Failure) => Failure): void;
}

const UNTRIED = failure("deferred", "io", "4.3.0", "no host was tried");

/** Nothing is known yet of `count` recipients. */
export function createAnswers(count: number): Answers {
  const verdicts: (Verdict | undefined)[] = new Array(count).fill(undefined);
  const deferred: (Failure | undefined)[] = [];
  const failed: (Failure | undefined)[] = [];

  return {
    verdicts,
    get complete() {
      return !verdicts.includes(undefined);
    },
    open(positions) {
      const open: number[] = [];
      if (positions === undefined) {
        for (let i = 0; i < count; i++) if (verdicts[i] === undefined) open.push(i);
      } else {
        for (const position of positions) if (verdicts[position] === undefined) open.push(position);
      }
      return open;
    },
    settle(position, verdict) {
      verdicts[position] = verdict;
    },
    note(positions, what) {
      for (const position of positions) {
        const before = deferred[position];
        // What was tried says more than what was left alone.
        if (what.untried && before !== undefined && !before.untried) continue;
        if (what.kind === "deferred") deferred[position] = what;
        else failed[position] = what;
      }
    },
    limit(positions, limited) {
      for (const position of positions) verdicts[position] ??= deferred[position] ?? limited;
    },
    conclude(comesTo) {
      for (let i = 0; i < count; i++) {
        // One host with a passing trouble is reason enough to come back.
        verdicts[i] ??= comesTo(deferred[i] ?? failed[i] ?? UNTRIED);
      }
    },
  };
}
