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
  /** The command or test; limits are met anywhere, and get the command around. */
  at: Position | undefined;
  /** The included script that {@link at} is in; undefined for the one that was run. */
  script: string | undefined;

  /** @param at the command or test, if it is known */
  constructor(message: string, at?: Position) {
    super(message);
    this.at = at;
  }
}

/** Says where an error happened, unless that is known. @returns the error, to be thrown */
export function locate(error: unknown, at: Position | undefined): unknown {
  if (error instanceof SieveRuntimeError && error.script === undefined) error.at ??= at;
  return error;
}

/** A running script reached a limit: nothing it does may catch this. */
export class SieveLimitError extends SieveRuntimeError {}
