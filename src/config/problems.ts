/** Collects what is wrong with a configuration, each finding once. */

import type { ConfigProblem } from "./config.ts";
import { formatPath, type KeyPath } from "./key_path.ts";
import { onOneLine } from "./toml/node.ts";

/** Findings so far. */
export interface Problems {
  readonly all: readonly ConfigProblem[];
  readonly hasErrors: boolean;
  error(path: KeyPath, line: number, message: string): void;
  warning(path: KeyPath, line: number, message: string): void;
  add(problem: ConfigProblem): void;
  /** Later warnings are about settings, not about how they are written. */
  textIsRead(): void;
}

/** An empty collection. */
export function createProblems(): Problems {
  const found = new Map<string, ConfigProblem>();
  let hasErrors = false;
  let isText = true;
  const add = ({ severity, key, line, message }: ConfigProblem) => {
    const problem = { severity, key, line, message: onOneLine(message) };
    const isSpelling = isText && severity === "warning";
    found.set(JSON.stringify(problem), isSpelling ? { ...problem, spelling: true } : problem);
    if (severity === "error") hasErrors = true;
  };
  return {
    get all() {
      return [...found.values()].sort((a, b) => a.line - b.line);
    },
    get hasErrors() {
      return hasErrors;
    },
    error: (path, line, message) => add({ severity: "error", key: formatPath(path), line, message }),
    warning: (path, line, message) => add({ severity: "warning", key: formatPath(path), line, message }),
    add,
    textIsRead() {
      isText = false;
    },
  };
}

/**
 * One line for people, key path first: `session.rcpt.relay: line 12: unknown variable 'foo'`. A finding
 * about the file as a whole begins with its name.
 */
export function formatProblem(problem: ConfigProblem, file = "configuration"): string {
  const parts = [problem.key === "" ? file : problem.key];
  if (problem.severity === "warning") parts.push("warning");
  if (problem.line > 0) parts.push(`line ${problem.line}`);
  return [...parts, problem.message].join(": ");
}
