/** Sequences and branches (RFC 5228 §3.1). */

import type { CallNode } from "./ast.ts";
import { ALWAYS, type Compiler, NEVER, type Step, type Test } from "./definition.ts";
import { locate, type Position } from "./problem.ts";
import { breathe, type Flow, NEXT, type Run, spend } from "./run.ts";

/** Whether a command is part of an `if`. */
export function isBranch(name: string): boolean {
  return name === "if" || name === "elsif" || name === "else";
}

/** One step after the other, until one leaves the block; `places` are theirs in the script. */
export function sequence(steps: readonly Step[], places: readonly Position[]): Step {
  const [only] = steps;
  if (only === undefined) return () => NEXT;
  const goOn = async (run: Run, from: number, waiting: Promise<Flow>): Promise<Flow> => {
    let i = from - 1;
    try {
      let flow = await waiting;
      for (i = from; flow === NEXT && i < steps.length; i++) {
        if (run.left < run.breath) await breathe(run);
        spend(run);
        flow = await (steps[i] as Step)(run);
      }
      return flow;
    } catch (error) {
      throw locate(error, places[i]);
    }
  };
  return (run) => {
    let i = 0;
    try {
      for (; i < steps.length; i++) {
        if (run.left < run.breath) {
          const pause = breathe(run);
          if (pause !== undefined) return goOn(run, i, pause.then(() => NEXT));
        }
        spend(run);
        const flow = (steps[i] as Step)(run);
        if (typeof flow !== "number") return goOn(run, i + 1, flow);
        if (flow !== NEXT) return flow;
      }
      return NEXT;
    } catch (error) {
      throw locate(error, places[i]);
    }
  };
}

interface Branch {
  readonly test: Test;
  readonly block: Step;
}

/**
 * Compiles an `if` with the `elsif` and `else` that follow it.
 *
 * @param check reports what is wrong with the shape of a command
 */
export function branches(
  nodes: readonly CallNode[],
  compiler: Compiler,
  check: (node: CallNode, shape: { readonly tests?: "one"; readonly block: true }) => boolean,
): Step {
  const list: Branch[] = [];
  let previous = "";
  // A branch that is always taken hides those behind it; they are still checked unless nothing can reach them by intent.
  let decided = false;
  for (const node of nodes) {
    const isElse = node.name === "else";
    if (node.name !== "if" && previous !== "if" && previous !== "elsif") {
      compiler.error(node.at, `${node.name} must follow an if or elsif`);
    }
    // One error for a chain without beginning is enough.
    previous = node.name === "else" ? "else" : "elsif";
    const good = check(node, isElse ? { block: true } : { tests: "one", block: true });
    const [condition] = node.tests;
    const test = isElse ? ALWAYS : condition === undefined || !good && node.testList ? NEVER : compiler.test(condition);
    if (test === NEVER && good) continue;
    if (decided) continue;
    const block = compiler.block(node.block ?? []);
    list.push({ test, block });
    if (test === ALWAYS) decided = true;
  }
  return choose(list);
}

function choose(list: readonly Branch[]): Step {
  const from = (run: Run, start: number): Flow | Promise<Flow> => {
    for (let i = start; i < list.length; i++) {
      const { test, block } = list[i] as Branch;
      spend(run);
      const result = test(run);
      if (typeof result !== "boolean") return result.then((met) => met ? block(run) : from(run, i + 1));
      if (result) return block(run);
    }
    return NEXT;
  };
  return (run) => from(run, 0);
}
