/** `allof`, `anyof`, `not`, `true`, `false` (RFC 5228 §5.2, §5.3, §5.6, §5.8, §5.10). */

import type { CallNode } from "../ast.ts";
import { ALWAYS, BROKEN, type Compiler, NEVER, type Test, type TestDefinition } from "../definition.ts";
import { type Run, spend } from "../run.ts";

/** Results that are known at compile time decide at once; tests behind them are not even compiled (RFC 5463 §4). */
function all(nodes: readonly CallNode[], compiler: Compiler): Test {
  const tests: Test[] = [];
  let broken = false;
  for (const node of nodes) {
    const test = compiler.test(node);
    if (test === NEVER) return NEVER;
    if (test === BROKEN) broken = true;
    if (test !== ALWAYS) tests.push(test);
  }
  if (broken) return BROKEN;
  return tests.length === 0 ? ALWAYS : untilFirst(tests, false);
}

function any(nodes: readonly CallNode[], compiler: Compiler): Test {
  const tests: Test[] = [];
  let broken = false;
  for (const node of nodes) {
    const test = compiler.test(node);
    if (test === ALWAYS) return ALWAYS;
    if (test === BROKEN) broken = true;
    if (test !== NEVER) tests.push(test);
  }
  if (broken) return BROKEN;
  return tests.length === 0 ? NEVER : untilFirst(tests, true);
}

/** The first test with the result `wanted` decides; RFC 5228 §5.2: none behind it is run. */
function untilFirst(tests: readonly Test[], wanted: boolean): Test {
  const from = (run: Run, start: number): boolean | Promise<boolean> => {
    for (let i = start; i < tests.length; i++) {
      spend(run);
      const result = (tests[i] as Test)(run);
      if (typeof result !== "boolean") return result.then((met) => met === wanted ? wanted : from(run, i + 1));
      if (result === wanted) return wanted;
    }
    return !wanted;
  };
  return (run) => from(run, 0);
}

function negated(test: Test): Test {
  if (test === ALWAYS) return NEVER;
  if (test === NEVER) return ALWAYS;
  if (test === BROKEN) return BROKEN;
  return (run) => {
    const result = test(run);
    return typeof result === "boolean" ? !result : result.then((met) => !met);
  };
}

export const LOGIC: readonly TestDefinition[] = [
  { name: "allof", tests: "list", compile: ({ node }, compiler) => all(node.tests, compiler) },
  { name: "anyof", tests: "list", compile: ({ node }, compiler) => any(node.tests, compiler) },
  {
    name: "not",
    tests: "one",
    compile({ node }, compiler) {
      const [inner] = node.tests;
      return inner === undefined ? undefined : negated(compiler.test(inner));
    },
  },
  { name: "true", compile: () => () => true },
  { name: "false", compile: () => () => false },
];
