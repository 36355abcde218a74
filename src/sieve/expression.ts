/** Expressions in scripts (`vnd.stalwart.expressions`): the language of `src/expression` over variables of Sieve. */

import { writtenText } from "./call.ts";
import type { Call, Compiler } from "./definition.ts";
import {
  type AddedFunction,
  compileExpression,
  type Expression,
  ExpressionError,
  formatValue,
  type FunctionHost,
  isTrue,
  type NameReader,
  type Scope,
  TypeMismatch,
  type Value,
} from "../expression/mod.ts";
import { firstField } from "../message/mod.ts";
import { readableText } from "./extensions/body.ts";
import { later } from "./later.ts";
import { type Position, SieveRuntimeError } from "./problem.ts";
import { type Run, spend } from "./run.ts";
import { threadName } from "./thread_name.ts";
import { findVariable, variableText } from "./variable.ts";

/** An expression of a script. A value of the wrong kind makes it `false`, and is logged. */
export type ScriptExpression = (run: Run) => Value | Promise<Value>;

/** What expressions of a script are evaluated against: every scope here is one. */
interface RunScope extends Scope {
  readonly run: Run;
}

const runOf = (scope: Scope): Run => (scope as RunScope).run;

/** Compiles the expression that a string argument of a call holds; problems are reported. */
export function scriptExpression(call: Call, parameter: string, compiler: Compiler): ScriptExpression | undefined {
  const at = call.position(parameter);
  // `${1}` in it belongs to the expression, not to the script around.
  const source = writtenText(call, at);
  const named = /\$\{([a-z_][a-z0-9_.-]*)\}/i.exec(source);
  if (named !== null) {
    compiler.error(at, `in an expression a variable stands by its name alone: '${named[1]}', not '${named[0]}'`);
    return undefined;
  }
  const expression = compileSource(source, at, compiler);
  if (expression === undefined) return undefined;
  const absorb = (run: Run) => (error: unknown): false => {
    if (!(error instanceof TypeMismatch)) throw error;
    run.host.log?.(`eval.error: ${error.message}`);
    return false;
  };
  return (run) => {
    spend(run, 1, call.at);
    try {
      const value = expression.evaluate(
        { variables: NO_VARIABLES, functions: run.host.functions ?? NOTHING, run } as RunScope,
      );
      return value instanceof Promise ? value.catch(absorb(run)) : value;
    } catch (error) {
      return absorb(run)(error);
    }
  };
}

const NO_VARIABLES: Scope["variables"] = {};

/** Whether an expression holds. */
export function expressionTest(expression: ScriptExpression): (run: Run) => boolean | Promise<boolean> {
  return (run) => later(expression(run), isTrue);
}

function compileSource(source: string, at: Position, compiler: Compiler): Expression | undefined {
  const { environment } = compiler.options;
  try {
    return compileExpression(source, {
      ...(environment === undefined ? {} : { environment }),
      language: { variable: (name) => readerOf(name, at, compiler), functions: FUNCTIONS },
    });
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    for (const { message, position } of error.problems) {
      compiler.error(at, `${message} (at character ${position + 1} of the expression)`);
    }
    return undefined;
  }
}

function readerOf(name: string, at: Position, compiler: Compiler): NameReader | string {
  if (name.startsWith("$")) {
    const group = Number(name.slice(1));
    return { later: false, read: (scope) => numeric(runOf(scope).matchValues[group] ?? "") };
  }
  const lower = name.toLowerCase();
  if (lower.startsWith("header.")) {
    const field = lower.slice("header.".length);
    return {
      later: false,
      read: (scope) => paid(scope, numeric(firstField(runOf(scope).message.header, field)?.text() ?? "")),
    };
  }
  if (lower === "body.to_text") {
    return {
      later: true,
      read: (scope) => later(readableText(runOf(scope)), (texts) => paid(scope, texts.join("\n"))),
    };
  }
  const variable = findVariable(name, at, compiler);
  if (variable === "none") return `'${name.slice(0, 80)}' is not the name of a variable; subtraction needs blanks`;
  // What is wrong with it was reported.
  if (variable === undefined) return { later: false, read: () => "" };
  return {
    later: false,
    read(scope) {
      const value = variable.read(runOf(scope));
      return paid(scope, typeof value === "string" ? numeric(value) : value);
    },
  };
}

const NUMBER = /^-?(?:0|[1-9]\d{0,15})(?:\.\d{1,15})?$/;

/** Variables of Sieve are texts; what is written as numbers are printed is one, so that `n + 1` counts. */
function numeric(text: string): Value {
  if (text.length > 32 || !NUMBER.test(text)) return text;
  const number = Number(text);
  return formatValue(number) === text ? number : text;
}

/** Long values cost more instructions. */
function paid(scope: Scope, value: Value): Value {
  const size = typeof value === "object" ? value.length * 8 : typeof value === "string" ? value.length : 0;
  if (size >= 1024) spend(runOf(scope), size >> 10);
  return value;
}

const FUNCTIONS: ReadonlyMap<string, AddedFunction> = new Map<string, AddedFunction>([
  ["thread_name", { least: 1, most: 1, apply: ([subject = ""]) => threadName(variableText(subject)) }],
  ["exec", { least: 1, most: 2, apply: ([program = "", args = []], scope) => execute(program, args, runOf(scope)) }],
  ["query", {
    least: 1,
    most: 3,
    // The store may be left out: then what follows the statement is no text.
    means(args) {
      const [first, second] = args;
      const store = args.length === 3 || (second?.kind === "literal" && typeof second.value === "string");
      if (store) return { name: "sql_query", args };
      return { name: "sql_query", args: [{ kind: "literal", position: first?.position ?? 0, value: "" }, ...args] };
    },
  }],
]);

function execute(program: Value, args: Value, run: Run): Value | Promise<Value> {
  const path = variableText(program);
  // Relative names would be looked for in places that others may write to.
  if (!path.startsWith("/")) throw new SieveRuntimeError(`exec needs the absolute path of a program, not '${path}'`);
  const list = typeof args === "object" ? args.map(variableText) : [variableText(args)];
  if (run.host.execute === undefined) throw new SieveRuntimeError(`exec cannot run '${path}' here`);
  return run.host.execute(path, list);
}

/** For hosts without functions: nothing is defined, nothing is found. */
const NOTHING: FunctionHost = {
  isLocalDomain: () => false,
  isLocalAddress: () => false,
  keyGet: () => "",
  keyExists: () => false,
  keySet: () => false,
  counterGet: () => 0,
  counterIncr: () => 0,
  sqlQuery: () => false,
  dnsQuery: () => [],
};
