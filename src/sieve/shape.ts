/** What stands around the arguments of a command: tests and a block. */

import type { CallNode } from "./ast.ts";
import type { Position } from "./problem.ts";

/** What names mean, to say what was probably meant. */
export interface ShapeNames {
  error(at: Position, message: string): void;
  warn(at: Position, message: string): void;
  isTag(name: string): boolean;
  isTest(name: string): boolean;
}

/** Checks that tests and a block stand where they are wanted and nowhere else. */
export function checkShape(
  title: string,
  node: CallNode,
  wants: { readonly tests?: "one" | "list"; readonly block?: true },
  names: ShapeNames,
): boolean {
  const fail = (message: string): boolean => {
    names.error(node.at, message);
    return false;
  };
  const [first] = node.tests;
  if (wants.tests === undefined && first !== undefined) {
    if (names.isTag(first.name)) return fail(`missing colon ':' before the ${first.name} tag of ${title}`);
    // What looks like a test is often the next command.
    return names.isTest(first.name)
      ? fail(`${title} accepts no sub-tests, but tests are specified`)
      : fail(`missing semicolon ';' after ${title}`);
  }
  if (wants.tests !== undefined && first === undefined) {
    return fail(`${title} requires ${wants.tests === "one" ? "a test" : "a list of tests"}, but none is specified`);
  }
  if (wants.tests === "one" && node.tests.length > 1) {
    return fail(`${title} requires one test, but a list of tests is specified`);
  }
  if (wants.tests === "one" && node.testList) {
    // RFC 5228 §3.1 has no parentheses there, the example in RFC 6558 §4 has.
    names.warn(node.at, `${title} takes its test without parentheses`);
  }
  if (wants.tests === "list" && !node.testList) {
    return fail(`${title} requires a list of tests in parentheses, but a single test is specified`);
  }
  if (wants.block === true && node.block === undefined) return fail(`${title} requires a block, but there is none`);
  if (wants.block !== true && node.block !== undefined) return fail(`${title} does not accept a block`);
  return true;
}
