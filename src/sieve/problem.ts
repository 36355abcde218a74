/** What is wrong with a script, and where. */

/** A place in a script; both count from 1, columns in UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Something a script's author has to mend (`error`) or may want to know (`warning`). */
export interface SieveProblem extends Position {
  readonly severity: "error" | "warning";
  readonly message: string;
  /** The included script that it is in; undefined for the one that was compiled. */
  readonly script?: string;
}

/** `name:line:column: message`, the form that editors understand. */
export function formatProblem(problem: SieveProblem, name: string): string {
  const warning = problem.severity === "warning" ? "warning: " : "";
  return `${problem.script ?? name}:${problem.line}:${problem.column}: ${warning}${problem.message}`;
}

/** A running script did something that it must not, or reached a limit. */
export class SieveRuntimeError extends Error {
  override readonly name = "SieveRuntimeError";

  /** @param at the command or test, if it is known */
  constructor(message: string, readonly at?: Position) {
    super(message);
  }
}

/** A running script reached a limit: nothing it does may catch this. */
export class SieveLimitError extends SieveRuntimeError {}
