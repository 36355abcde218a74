/** `eval` and `let` (`vnd.stalwart.expressions`), `while` (`vnd.stalwart.while`), `query` (`vnd.stalwart.execute`). */

import type { Call, CommandDefinition, Compiler, Extension, Step, TestDefinition } from "../definition.ts";
import { isTrue, type Value } from "../../expression/mod.ts";
import { expressionTest, scriptExpression } from "../expression.ts";
import { later } from "../later.ts";
import { afterBody, breakCommand, compileLoopBody, continueCommand } from "../loop.ts";
import { SieveRuntimeError } from "../problem.ts";
import { type Flow, NEXT, type Run, spend } from "../run.ts";
import { findVariable, type Variable } from "../variable.ts";

const EXPRESSION = { name: "expression", type: "string" } as const;

/** The variable that an argument names, to set it; undefined, reported, if it cannot be set. */
function variableToSet(name: string, at: Call["at"], compiler: Compiler): Required<Variable> | undefined {
  const variable = findVariable(name, at, compiler);
  if (variable === undefined) return undefined;
  if (variable === "none" || variable.write === undefined) {
    const why = variable === "none" ? "is not the name of a variable" : "cannot be set";
    compiler.error(at, `'${name.slice(0, 80)}' ${why}`);
    return undefined;
  }
  return { read: variable.read, write: variable.write };
}

function assign(run: Run, variable: Required<Variable>, value: Value, call: Call): void {
  if (!variable.write(run, value)) throw new SieveRuntimeError("a variable cannot be set to this value", call.at);
}

const letCommand: CommandDefinition = {
  name: "let",
  parameters: [{ name: "name", type: "string", constant: true }, EXPRESSION],
  compile(call, compiler) {
    const variable = variableToSet(call.text("name").literal ?? "", call.position("name"), compiler);
    const expression = scriptExpression(call, "expression", compiler);
    if (variable === undefined || expression === undefined) return undefined;
    return (run) =>
      later(expression(run), (value): Flow => {
        assign(run, variable, value, call);
        return NEXT;
      });
  },
};

/** For what an expression does beside having a value: `eval "query('INSERT …')";`. */
const evalCommand: CommandDefinition = {
  name: "eval",
  parameters: [EXPRESSION],
  compile(call, compiler) {
    const expression = scriptExpression(call, "expression", compiler);
    return expression === undefined ? undefined : (run) => later(expression(run), (): Flow => NEXT);
  },
};

const evalTest: TestDefinition = {
  name: "eval",
  parameters: [EXPRESSION],
  compile(call, compiler) {
    const expression = scriptExpression(call, "expression", compiler);
    return expression === undefined ? undefined : expressionTest(expression);
  },
};

/** Runs the body as long as the test holds; waits only where one of them does. */
function loop(holds: (run: Run) => boolean | Promise<boolean>, body: Step): Step {
  const from = (run: Run): Flow | Promise<Flow> => {
    for (;;) {
      spend(run);
      const met = holds(run);
      if (typeof met !== "boolean") return met.then((yes) => yes ? turn(run) : NEXT);
      if (!met) return NEXT;
      const flow = body(run);
      if (typeof flow !== "number") return flow.then((ended) => after(run, ended));
      const next = afterBody(run, flow);
      if (next !== "again") return next;
    }
  };
  const turn = (run: Run) => later(body(run), (flow) => after(run, flow));
  const after = (run: Run, flow: Flow): Flow | Promise<Flow> => {
    const next = afterBody(run, flow);
    return next === "again" ? from(run) : next;
  };
  return from;
}

const whileCommand: CommandDefinition = {
  name: "while",
  parameters: [EXPRESSION],
  block: true,
  compile(call, compiler) {
    const expression = scriptExpression(call, "expression", compiler);
    const body = compileLoopBody(call, compiler);
    return expression === undefined || body === undefined ? undefined : loop(expressionTest(expression), body);
  },
};

/** `query [:use "store"] [:set ["name", …]] "SQL" ["argument", …]`, as it was written before there were expressions. */
const QUERY = {
  name: "query",
  parameters: [
    { name: "statement", type: "string", constant: true },
    { name: "arguments", type: "strings", optional: true },
  ],
  tags: [
    { name: "use", value: { name: "store", type: "string", constant: true } },
    { name: "set", value: { name: "variables", type: "strings", constant: true } },
  ],
} as const;

function compileQuery(call: Call, compiler: Compiler): ((run: Run) => boolean | Promise<boolean>) | undefined {
  const statement = call.text("statement").literal ?? "";
  const store = call.tag("use")?.text.literal ?? "";
  const args = call.given("arguments") ? call.texts("arguments") : undefined;
  const use = call.tag("set");
  const names = use?.texts.literal ?? [];
  const variables = names.map((name) => variableToSet(name, use?.valueAt ?? call.at, compiler));
  if (statement.trim() === "") compiler.error(call.position("statement"), "query needs an SQL statement");
  const writable = compiler.options.environment?.writableStores;
  if (store !== "" && writable !== undefined && !writable.includes(store)) {
    compiler.error(call.tag("use")?.valueAt ?? call.at, `there is no store '${store}' that can be queried`);
  }
  return (run) => {
    spend(run, 1, call.at);
    return later(run.host.functions?.sqlQuery(store, statement, args?.read(run) ?? []) ?? false, (value) => {
      const columns = typeof value === "object" ? value : [value];
      for (const [index, variable] of variables.entries()) {
        if (variable !== undefined && value !== false) assign(run, variable, columns[index] ?? "", call);
      }
      return isTrue(value);
    });
  };
}

const queryCommand: CommandDefinition = {
  ...QUERY,
  compile(call, compiler) {
    const query = compileQuery(call, compiler);
    return query === undefined ? undefined : (run) => later(query(run), (): Flow => NEXT);
  },
};

const queryTest: TestDefinition = { ...QUERY, compile: compileQuery };

export const expressions: readonly Extension[] = [
  { capability: "vnd.stalwart.expressions", commands: [letCommand, evalCommand], tests: [evalTest] },
  { capability: "vnd.stalwart.while", commands: [whileCommand, breakCommand, continueCommand] },
  { capability: "vnd.stalwart.execute", commands: [queryCommand], tests: [queryTest] },
];
