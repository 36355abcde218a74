/** Single expressions outside of settings, for `godwit eval` and for other rooms' languages. */

import ipaddr from "ipaddr.js";
import type { Captures } from "./code.ts";
import {
  type CompileEnvironment,
  compileNode,
  EMPTY_ENVIRONMENT,
  type HostLanguage,
  inOrder,
  startCompilation,
} from "./compiler.ts";
import { SyntaxProblem } from "./lexer.ts";
import { parse } from "./parser.ts";
import { ExpressionError } from "./problem.ts";
import type { Context, Scope, Value } from "./types.ts";
import { formatNumber, isArray, TypeMismatch } from "./value.ts";
import { ALL_VARIABLES, VARIABLES, type VariableSet } from "./variables.ts";

/** What an expression may name. */
export interface ExpressionOptions {
  /** Its variables may be named; left out: those of all contexts. */
  readonly context?: Context;
  /** Further variables, or other types for known ones. */
  readonly variables?: VariableSet;
  /** Left out: no directory, store, list or setting exists. */
  readonly environment?: CompileEnvironment;
  /** The language that the expression stands in: its variables and functions, instead of those of contexts. */
  readonly language?: HostLanguage;
}

/** A compiled expression. */
export interface Expression {
  readonly isConstant: boolean;
  /**
   * The value, or a promise of it if a function reaches outside and answers later.
   *
   * @throws {TypeMismatch} (or rejects with it) for values of the wrong kind and division by zero
   * @throws {LookupUnavailable} (or rejects with it) if something outside could not be reached
   */
  evaluate(scope: Scope): Value | Promise<Value>;
}

/**
 * Compiles one expression.
 *
 * @throws {ExpressionError} with everything that is wrong with it
 */
export function compileExpression(source: string, options: ExpressionOptions = {}): Expression {
  const known = options.context === undefined ? ALL_VARIABLES : VARIABLES[options.context];
  const state = startCompilation({
    variables: { ...known, ...options.variables },
    environment: options.environment ?? (options.language === undefined ? EMPTY_ENVIRONMENT : undefined),
    language: options.language,
    words: [],
    findWord: () => undefined,
  });
  try {
    const code = compileNode(state, parse(source, options.language !== undefined));
    if (state.problems.length > 0) {
      throw new ExpressionError(inOrder(state.problems).map((problem) => ({ ...problem, source })));
    }
    if (code.kind === "constant") return { isConstant: true, evaluate: () => code.value };
    const { run } = code;
    const { usesCaptures } = state;
    return {
      isConstant: false,
      evaluate: (scope) => run(scope, usesCaptures ? noCaptures() : undefined),
    };
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    throw new ExpressionError([{ message: error.message, position: error.position, source }]);
  }
}

function noCaptures(): Captures {
  return { pattern: undefined, text: "", groups: undefined };
}

/**
 * Evaluates `source` once. As in a setting, a value of the wrong kind makes the result `false`, and `scope.onError`
 * is told. Variables of `scope` that no context has are known by the type of their value.
 *
 * @throws {ExpressionError} with everything that is wrong with the expression
 * @throws {LookupUnavailable} (or rejects with it) if something outside could not be reached
 */
export function evaluateText(source: string, scope: Scope, options: ExpressionOptions = {}): Value | Promise<Value> {
  const variables: Record<string, VariableSet[string]> = {};
  for (const [name, value] of Object.entries(scope.variables)) {
    if (value !== undefined && ALL_VARIABLES[name] === undefined) variables[name] = typeOf(value);
  }
  const expression = compileExpression(source, { ...options, variables: { ...variables, ...options.variables } });
  const absorb = (error: unknown): false => {
    if (!(error instanceof TypeMismatch)) throw error;
    scope.onError?.({ event: "eval.error", key: "", message: error.message });
    return false;
  };
  try {
    const value = expression.evaluate(scope);
    return value instanceof Promise ? value.catch(absorb) : value;
  } catch (error) {
    return absorb(error);
  }
}

function typeOf(value: Value): VariableSet[string] {
  if (isArray(value)) return "list";
  if (typeof value === "boolean") return "bool";
  return typeof value === "number" ? "int" : "str";
}

/**
 * Reads the text of `--var name=text` as the variable's type: a number, a truth value, an address, items between commas.
 * The variables of no context are numbers and booleans where they look like it, else text.
 *
 * @returns nothing if the text is not of that type
 */
export function parseVariable(name: string, text: string): Value | undefined {
  switch (ALL_VARIABLES[name]) {
    case "int":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
    case "bool":
      return TRUTHS.get(text.toLowerCase());
    case "list":
      return text === "" ? [] : text.split(",").map((item) => item.trim());
    case "str":
      return text;
    case "ip":
      return text === "" ? text : canonicalIp(text);
    default:
      if (text === "true" || text === "false") return text === "true";
      return /^-?\d+(?:\.\d+)?$/.test(text) && formatNumber(Number(text)) === text ? Number(text) : text;
  }
}

const TRUTHS: ReadonlyMap<string, boolean> = new Map([
  ...["true", "1", "yes", "on"].map((word) => [word, true] as const),
  ...["false", "0", "no", "off", ""].map((word) => [word, false] as const),
]);

// IP addresses are canonical text, IPv4-mapped IPv6 appears as IPv4.
function canonicalIp(text: string): string | undefined {
  if (!ipaddr.isValid(text) || (!text.includes(":") && !ipaddr.IPv4.isValidFourPartDecimal(text))) return undefined;
  return ipaddr.process(text).toString();
}

/** A value for people: text and numbers as they are, arrays as JSON. */
export function formatValue(value: Value): string {
  if (isArray(value)) return `[${value.map(formatItem).join(", ")}]`;
  return typeof value === "number" ? formatNumber(value) : String(value);
}

function formatItem(value: Value): string {
  return typeof value === "string" ? JSON.stringify(value) : formatValue(value);
}
