/** Turns a tree into closures: names, constants and patterns are settled here, at load. */

import { RE2JS } from "re2js";
import type { BinaryOperator, Node } from "./ast.ts";
import {
  asyncListCode,
  binaryCode,
  type Captures,
  choiceCode,
  type Code,
  constant,
  listCode,
  logicalCode,
  sync,
  unaryCode,
} from "./code.ts";
import { type ArgumentRole, HOST_FUNCTIONS, type HostFunction, PURE_FUNCTIONS, RECORD_TYPES } from "./functions/mod.ts";
import { suggestion } from "./nearest.ts";
import { LookupUnavailable, type Scope, type Value } from "./types.ts";
import {
  add,
  compare,
  divide,
  isEqual,
  isTrue,
  itemAt,
  multiply,
  negate,
  subtract,
  textOf,
  TypeMismatch,
} from "./value.ts";
import { emptyValue, explainUnknown, findVariable, type VariableSet } from "./variables.ts";

/** What the configuration defines, for constants in expressions. */
export interface CompileEnvironment {
  readonly directories: readonly string[];
  /** Ids of `store.<id>`, fixed lists included. */
  readonly stores: readonly string[];
  /** Those of `stores` that take writes and SQL. */
  readonly writableStores: readonly string[];
  /** Everything `key_get` reads: lookup lists, HTTP lists, `<store id>/<query>`; stores need not be repeated. */
  readonly lists: readonly string[];
  /** A setting's value or default; undefined if the format has no such key. */
  configGet(key: string): Value | undefined;
}

/** An environment in which nothing is defined. */
export const EMPTY_ENVIRONMENT: CompileEnvironment = {
  directories: [],
  stores: [],
  writableStores: [],
  lists: [],
  configGet: () => undefined,
};

/** How another language's variable is read. `later` if its value may be a promise. */
export type NameReader =
  | { readonly later: false; read(scope: Scope): Value }
  | { readonly later: true; read(scope: Scope): Value | Promise<Value> };

/** A function that another language adds. */
export interface AddedFunction {
  readonly least: number;
  readonly most: number;
  /** Stands for a function of this language: its name, and its arguments as they are to be read. */
  readonly means?: (args: readonly Node[]) => { readonly name: string; readonly args: readonly Node[] };
  readonly apply?: (args: readonly Value[], scope: Scope) => Value | Promise<Value>;
}

/** What another language that holds expressions brings. */
export interface HostLanguage {
  /** The variable with this name, which may have dots, or the group `$n` of an earlier match; or what is wrong with it. */
  variable(name: string): NameReader | string;
  readonly functions: ReadonlyMap<string, AddedFunction>;
}

/** Where an expression stands. */
export interface Surroundings {
  readonly variables: VariableSet;
  /** Undefined if nothing is known of what is defined: then it is not checked. */
  readonly environment: CompileEnvironment | undefined;
  readonly language?: HostLanguage | undefined;
  /** Bare words that stand for themselves: enum words, ids. */
  readonly words: readonly string[];
  /** Gives the canonical word for a bare word, or undefined. */
  readonly findWord: (name: string) => string | undefined;
  /** Names that read as another variable, with a warning. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** A problem with its place, or a warning. */
export interface Finding {
  readonly message: string;
  readonly position: number;
}

/** The findings from left to right. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => a.position - b.position);
}

/** What compiling collects; `if` and `then` of one item share it, since captures hold in both. */
export interface Compilation {
  readonly surroundings: Surroundings;
  readonly problems: Finding[];
  readonly warnings: Finding[];
  /** The variables that are named. */
  readonly reads: Set<string>;
  /** A `matches` stands to the left. */
  captured: boolean;
  usesCaptures: boolean;
}

/** Starts compiling. @param reads takes the variables that are named */
export function startCompilation(surroundings: Surroundings, reads: Set<string> = new Set()): Compilation {
  return { surroundings, problems: [], warnings: [], reads, captured: false, usesCaptures: false };
}

const OPERATIONS: Readonly<Record<BinaryOperator, (a: Value, b: Value) => Value>> = {
  "+": add,
  "-": subtract,
  "*": multiply,
  "/": divide,
  "<": (a, b) => compare(a, b) < 0,
  "<=": (a, b) => compare(a, b) <= 0,
  ">": (a, b) => compare(a, b) > 0,
  ">=": (a, b) => compare(a, b) >= 0,
  "==": isEqual,
  "!=": (a, b) => !isEqual(a, b),
  "^": (a, b) => isTrue(a) !== isTrue(b),
};

/** Names of all functions. */
export const FUNCTION_NAMES: readonly string[] = [
  ...PURE_FUNCTIONS.keys(),
  ...HOST_FUNCTIONS.keys(),
  "matches",
  "if_then",
  "config_get",
];

/** Compiles `node`. Problems go to `state.problems`; the code is then of no use. */
export function compileNode(state: Compilation, node: Node): Code {
  switch (node.kind) {
    case "literal":
      return constant(node.value);
    case "name":
      return compileName(state, node.name, node.position);
    case "capture":
      return compileCapture(state, node.group, node.position);
    case "array":
      return listCode(compileAll(state, node.items), (items) => items);
    case "index": {
      const array = compileNode(state, node.array);
      return binaryCode(array, compileNode(state, node.index), itemAt);
    }
    case "unary":
      return unaryCode(compileNode(state, node.operand), node.operator === "!" ? (value) => !isTrue(value) : negate);
    case "binary": {
      const left = compileNode(state, node.left);
      return binaryCode(left, compileNode(state, node.right), OPERATIONS[node.operator]);
    }
    case "logical":
      return logicalCode(compileAll(state, node.items), node.operator === "||", isTrue);
    case "call":
      return compileCall(state, node);
  }
}

function compileAll(state: Compilation, nodes: readonly Node[]): Code[] {
  return nodes.map((node) => compileNode(state, node));
}

/** Notes a problem; the value stands in for the part that has none. */
function fail(state: Compilation, position: number, message: string): Code {
  state.problems.push({ message, position });
  return constant("");
}

function compileName(state: Compilation, name: string, position: number): Code {
  const { variables, findWord, words, aliases, language } = state.surroundings;
  if (language !== undefined) return compileReader(state, language, name, position);
  const variable = findVariable(name, variables) ?? findAlias(state, aliases?.[name], name, position);
  if (variable !== undefined) {
    state.reads.add(variable);
    const empty = emptyValue(variables[variable] ?? "str");
    return sync((scope) => scope.variables[variable] ?? empty);
  }
  const word = findWord(name);
  if (word !== undefined) return constant(word);
  if (FUNCTION_NAMES.includes(name)) return fail(state, position, `the function '${name}' needs arguments: ${name}(…)`);
  return fail(state, position, explainUnknown(name, variables, words));
}

function compileReader(state: Compilation, language: HostLanguage, name: string, position: number): Code {
  const reader = language.variable(name);
  if (typeof reader === "string") return fail(state, position, reader);
  return reader.later ? { kind: "async", run: (scope) => reader.read(scope) } : sync((scope) => reader.read(scope));
}

function findAlias(state: Compilation, alias: string | undefined, name: string, position: number): string | undefined {
  if (alias !== undefined) state.warnings.push({ message: `'${name}' is read as '${alias}'`, position });
  return alias;
}

function compileCapture(state: Compilation, group: number, position: number): Code {
  const { language } = state.surroundings;
  if (!state.captured && language !== undefined) return compileReader(state, language, `$${group}`, position);
  if (!state.captured) return fail(state, position, `'$${group}' needs a matches(…) to its left in the same item`);
  state.usesCaptures = true;
  return sync((_, captures) => captures === undefined ? "" : captureGroup(captures, group));
}

function captureGroup(captures: Captures, group: number): string {
  if (captures.pattern === undefined) return "";
  if (captures.groups === undefined) {
    const matcher = captures.pattern.matcher(captures.text);
    const count = captures.pattern.groupCount();
    captures.groups = matcher.find() ? Array.from({ length: count + 1 }, (_, index) => matcher.group(index) ?? "") : [];
  }
  return captures.groups[group] ?? "";
}

type Call = Extract<Node, { kind: "call" }>;

function compileCall(state: Compilation, call: Call): Code {
  const { name } = call;
  const added = state.surroundings.language?.functions.get(name);
  if (added !== undefined) return compileAdded(state, call, added);
  if (name === "matches") return compileMatches(state, call);
  if (name === "if_then") {
    if (!hasArity(state, call, 3, 3)) return constant("");
    const [condition = constant(""), yes = constant(""), no = constant("")] = compileAll(state, call.args);
    return choiceCode(condition, yes, no, isTrue);
  }
  if (name === "config_get") return compileConfigGet(state, call);
  const pure = PURE_FUNCTIONS.get(name);
  if (pure !== undefined) {
    if (!hasArity(state, call, pure.arity, pure.arity)) return constant("");
    const args = compileAll(state, call.args);
    args.forEach((arg, index) => {
      const wrong = arg.kind === "constant" ? pure.checks?.[index]?.(arg.value) : undefined;
      if (wrong !== undefined) fail(state, positionOf(call, index), `${name}: ${wrong}`);
    });
    const [a = constant(""), b = constant("")] = args;
    if (pure.arity === 1) return unaryCode(a, pure.apply);
    if (pure.arity === 2) return binaryCode(a, b, pure.apply);
    return listCode(args, ([a = "", b = "", c = ""]) => pure.apply(a, b, c));
  }
  const host = HOST_FUNCTIONS.get(name);
  if (host !== undefined) return compileHostCall(state, call, host);
  compileAll(state, call.args);
  const known = [...FUNCTION_NAMES, ...state.surroundings.language?.functions.keys() ?? []];
  return fail(state, call.position, `unknown function '${name}'${suggestion(name, known)}`);
}

function compileAdded(state: Compilation, call: Call, { least, most, means, apply }: AddedFunction): Code {
  if (!hasArity(state, call, least, most)) return constant("");
  if (means !== undefined) return compileCall(state, { ...call, ...means(call.args) });
  return asyncListCode(compileAll(state, call.args), (values, scope) => apply?.(values, scope) ?? "");
}

function positionOf(call: Call, index: number): number {
  return call.args[index]?.position ?? call.position;
}

function hasArity(state: Compilation, call: Call, least: number, most: number): boolean {
  const given = call.args.length;
  if (given >= least && given <= most) return true;
  const wanted = least === most ? `${most} argument${most === 1 ? "" : "s"}` : `${least} to ${most} arguments`;
  fail(state, call.position, `'${call.name}' takes ${wanted}, not ${given}`);
  return false;
}

function compileMatches(state: Compilation, call: Call): Code {
  if (!hasArity(state, call, 2, 2)) {
    // What follows may name groups: one mistake is reported once.
    state.captured = true;
    return constant("");
  }
  const [patternCode = constant(""), text = constant("")] = compileAll(state, call.args);
  state.captured = true;
  if (patternCode.kind !== "constant" || typeof patternCode.value !== "string") {
    return fail(state, positionOf(call, 0), "the pattern of 'matches' must be a constant text");
  }
  const pattern = compilePattern(patternCode.value);
  if (typeof pattern === "string") return fail(state, positionOf(call, 0), `bad regular expression: ${pattern}`);
  const test = (value: Value, captures: Captures | undefined): boolean => {
    const text = textOf(value);
    if (!pattern.test(text)) return false;
    if (captures !== undefined) {
      captures.pattern = pattern;
      captures.text = text;
      captures.groups = undefined;
    }
    return true;
  };
  if (text.kind === "constant") {
    const { value } = text;
    return sync((_, captures) => test(value, captures));
  }
  if (text.kind === "sync") {
    const { run } = text;
    return sync((scope, captures) => test(run(scope, captures), captures));
  }
  const { run } = text;
  return {
    kind: "async",
    run: (scope, captures) => {
      const value = run(scope, captures);
      return value instanceof Promise ? value.then((value) => test(value, captures)) : test(value, captures);
    },
  };
}

/** The compiled pattern, or what is wrong with it. */
function compilePattern(source: string): RE2JS | string {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
  }
}

function compileConfigGet(state: Compilation, call: Call): Code {
  if (!hasArity(state, call, 1, 1)) return constant("");
  const [key = constant("")] = compileAll(state, call.args);
  if (key.kind !== "constant" || typeof key.value !== "string") {
    return fail(state, positionOf(call, 0), "the key of 'config_get' must be a constant text");
  }
  const value = state.surroundings.environment?.configGet(key.value);
  if (value === undefined) return fail(state, positionOf(call, 0), `there is no setting '${key.value}'`);
  return constant(value);
}

function compileHostCall(state: Compilation, call: Call, called: HostFunction): Code {
  const { roles, optional, apply } = called;
  if (!hasArity(state, call, roles.length - optional, roles.length)) return constant("");
  const args = compileAll(state, call.args);
  args.forEach((arg, index) => {
    const wrong = checkRole(roles[index] ?? "value", arg, state.surroundings.environment);
    if (wrong !== undefined) fail(state, positionOf(call, index), `${call.name}: ${wrong}`);
  });
  return asyncListCode(args, (values, scope) => {
    try {
      const result = apply(scope.functions, values);
      return result instanceof Promise
        ? result.catch((error: unknown) => {
          throw asFailure(call.name, error);
        })
        : result;
    } catch (error) {
      throw asFailure(call.name, error);
    }
  });
}

/** Whatever a host function throws means that it could not answer. */
function asFailure(name: string, error: unknown): Error {
  if (error instanceof LookupUnavailable || error instanceof TypeMismatch) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new LookupUnavailable(`${name}: ${detail}`, { cause: error });
}

/** What is wrong with the argument, or undefined. */
function checkRole(role: ArgumentRole, arg: Code, environment: CompileEnvironment | undefined): string | undefined {
  if (role === "value") return undefined;
  if (arg.kind !== "constant" || typeof arg.value !== "string") {
    return role === "record-type" ? undefined : `expected a constant text`;
  }
  const { value } = arg;
  if (role === "sql") return value.trim() === "" ? "expected an SQL statement" : undefined;
  if (role === "record-type") {
    const known = RECORD_TYPES.includes(value.toLowerCase());
    return known ? undefined : `'${value}' is no record type (${RECORD_TYPES.join(", ")})`;
  }
  if (environment === undefined) return undefined;
  const { directories, stores, writableStores, lists } = environment;
  switch (role) {
    case "directory":
      if (value === "" || value === "*" || directories.includes(value)) return undefined;
      return `there is no directory '${value}'${suggestion(value, directories)}`;
    case "list":
      if (value === "" || lists.includes(value) || stores.includes(value)) return undefined;
      return `there is no list or store '${value}'${suggestion(value, [...lists, ...stores])}`;
    case "store":
      if (value === "" || stores.includes(value)) return undefined;
      return `there is no store '${value}'${suggestion(value, stores)}`;
    case "writable":
    case "database":
      if (value === "" || writableStores.includes(value)) return undefined;
      if (stores.includes(value) || lists.includes(value)) {
        return `'${value}' is a fixed list, not a store that can be ${role === "writable" ? "written" : "queried"}`;
      }
      return `there is no store '${value}'${suggestion(value, writableStores)}`;
  }
}
