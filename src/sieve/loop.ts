/** Loops, and the commands that leave them (RFC 5703 §3.1). */

import type { Call, CommandDefinition, Compiler, Step } from "./definition.ts";
import { BREAK, CONTINUE, type Flow, NEXT, type Run } from "./run.ts";

/** The names of the loops around a place in a script; `""` for those without. */
const open = new WeakMap<Compiler, string[]>();

const DEEPEST = 4;

/** Compiles the block of a loop, so that `break` knows it. */
export function compileLoopBody(call: Call, compiler: Compiler, name = ""): Step | undefined {
  const names = open.get(compiler) ?? [];
  open.set(compiler, names);
  if (names.length >= DEEPEST) {
    compiler.error(call.at, `loops are nested deeper than ${DEEPEST}`);
    return undefined;
  }
  names.push(name);
  const body = compiler.block(call.node.block ?? []);
  names.pop();
  return body;
}

/** Whether a place in a script is inside a loop. */
export function isInLoop(compiler: Compiler): boolean {
  return (open.get(compiler)?.length ?? 0) > 0;
}

/**
 * What a loop does after its block: go on, end, or pass the flow on to what is around it.
 *
 * @returns `"again"`, or how the loop ends
 */
export function afterBody(run: Run, flow: Flow, name = ""): "again" | Flow {
  if (flow === NEXT) return "again";
  if (flow !== BREAK && flow !== CONTINUE) return flow;
  if (run.loop !== undefined && run.loop !== name) return flow;
  run.loop = undefined;
  return flow === CONTINUE ? "again" : NEXT;
}

/** `break [:name "…"]`. */
export const breakCommand: CommandDefinition = {
  name: "break",
  tags: [{ name: "name", value: { name: "name", type: "string", constant: true } }],
  compile(call, compiler) {
    const names = open.get(compiler) ?? [];
    const wanted = call.tag("name");
    const name = wanted?.text.literal;
    if (names.length === 0) {
      compiler.error(call.at, "break must stand inside a loop");
      return undefined;
    }
    if (wanted !== undefined && name !== undefined && !names.includes(name)) {
      compiler.error(wanted.valueAt, `no loop around this is named '${name.slice(0, 80)}'`);
      return undefined;
    }
    return (run) => {
      run.loop = name;
      return BREAK;
    };
  },
};

/** `continue`: the rest of this turn of the innermost loop is left out (`vnd.stalwart.while`). */
export const continueCommand: CommandDefinition = {
  name: "continue",
  compile(call, compiler) {
    if (!isInLoop(compiler)) {
      compiler.error(call.at, "continue must stand inside a loop");
      return undefined;
    }
    return (run) => {
      run.loop = undefined;
      return CONTINUE;
    };
  },
};
