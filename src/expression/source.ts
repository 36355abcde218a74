/** Reads the TOML value of a setting into conditions and results. */

import type { Node } from "./ast.ts";
import { type Code, constant } from "./code.ts";
import { coerce, findWord, type SettingType } from "./coerce.ts";
import {
  type Compilation,
  type CompileEnvironment,
  compileNode,
  inOrder,
  startCompilation,
  type Surroundings,
} from "./compiler.ts";
import { SyntaxProblem } from "./lexer.ts";
import { parse } from "./parser.ts";
import { givesTruth } from "./truth.ts";
import type { ExpressionProblem } from "./problem.ts";
import type { Context } from "./types.ts";
import { DURATION_SYNTAX, parseDuration, parseRate, RATE_SYNTAX } from "./units.ts";
import { VARIABLES } from "./variables.ts";

type Scalar = string | number | boolean;
type ResultSource = Scalar | readonly Scalar[];

/** A setting as TOML gives it, for defaults that a program writes. */
export type SettingSource =
  | ResultSource
  | readonly ({ readonly if: string | boolean; readonly then: ResultSource } | { readonly else: ResultSource })[];

/** What {@link compileSetting} needs to know. */
export interface SettingOptions {
  /** Key path, such as `session.rcpt.relay`. */
  readonly key: string;
  readonly context: Context;
  readonly type: SettingType;
  /** The TOML value; undefined if the key is not set. */
  readonly source: unknown;
  /** In the same syntax: a text is an expression. */
  readonly default: SettingSource;
  readonly environment: CompileEnvironment;
}

/** One item; an `else`, or a value without conditions, has a condition that is always true. */
export interface Item {
  readonly condition: Code;
  readonly result: Code;
  readonly usesCaptures: boolean;
}

/** What a source holds; `items` are of use only without problems. */
export interface ReadSource {
  readonly items: readonly Item[];
  readonly problems: readonly ExpressionProblem[];
  readonly warnings: readonly ExpressionProblem[];
  /** The variables that are named anywhere in it. */
  readonly reads: ReadonlySet<string>;
}

/** Where in the setting a text stands. */
interface Place {
  readonly item?: number;
  readonly part?: "if" | "then" | "else";
}

interface Reading {
  readonly type: SettingType;
  readonly surroundings: Surroundings;
  readonly items: Item[];
  readonly problems: ExpressionProblem[];
  readonly warnings: ExpressionProblem[];
  readonly reads: Set<string>;
}

/** Reads `source`: the value of `options`, or its default. */
export function readSource(options: SettingOptions, source: unknown): ReadSource {
  const { key, type, context, environment } = options;
  const surroundings: Surroundings = {
    variables: VARIABLES[context],
    environment,
    ...wordsOf(type),
    // Examples of the format have `rcpt` here, where no recipient exists yet.
    aliases: key === "session.mail.rewrite" ? { rcpt: "sender" } : {},
  };
  const reading: Reading = { type, surroundings, items: [], problems: [], warnings: [], reads: new Set() };
  const value = asList(source);
  if (Array.isArray(value) && value.some(isTable)) {
    value.forEach((entry: unknown, item) => readItem(reading, entry, item, item === value.length - 1));
  } else {
    const state = startCompilation(surroundings, reading.reads);
    const result = readResult(reading, state, value, {});
    reading.items.push({ condition: constant(true), result, usesCaptures: state.usesCaptures });
  }
  return reading;
}

function readItem(reading: Reading, entry: unknown, item: number, isLast: boolean): void {
  const state = startCompilation(reading.surroundings, reading.reads);
  if (!isTable(entry)) {
    note(reading, "tables and plain values do not mix: expected { if = …, then = … } or { else = … }", { item });
    return;
  }
  const keys = Object.keys(entry).sort().join(" ");
  let condition = constant(true);
  let result: Code;
  if (keys === "else") {
    if (!isLast) note(reading, "an 'else' must be the last item", { item });
    result = readResult(reading, state, entry.else, { item, part: "else" });
  } else if (keys === "if then") {
    condition = readCondition(reading, state, entry.if, { item, part: "if" });
    result = readResult(reading, state, entry.then, { item, part: "then" });
  } else {
    const found = keys === "" ? "an empty table" : `the keys ${keys.replaceAll(" ", ", ")}`;
    note(reading, `expected { if = …, then = … } or { else = … }, found ${found}`, { item });
    return;
  }
  reading.items.push({ condition, result, usesCaptures: state.usesCaptures });
}

function readCondition(reading: Reading, state: Compilation, source: unknown, place: Place): Code {
  if (typeof source === "boolean") return constant(source);
  if (typeof source === "string") return readExpression(reading, state, source, place);
  note(reading, `expected an expression or a boolean, found ${describe(source)}`, place);
  return constant(false);
}

function readResult(reading: Reading, state: Compilation, source: unknown, place: Place): Code {
  const before = reading.problems.length;
  const code = readResultCode(reading, state, source, place);
  // A constant that does not fit is found now: at run time it would be wrong every time.
  if (code.kind === "constant" && reading.problems.length === before) {
    const coerced = coerce(code.value, reading.type);
    if (coerced.kind === "wrong") note(reading, coerced.message, place, typeof source === "string" ? source : "");
  }
  return code;
}

function readResultCode(reading: Reading, state: Compilation, source: unknown, place: Place): Code {
  if (typeof source === "boolean" || typeof source === "number") return constant(source);
  if (typeof source === "bigint") return constant(Number(source));
  if (typeof source === "string") {
    // "" is the empty text.
    if (source === "" || standsAlone(source, reading.type)) return constant(source.trim());
    return readExpression(reading, state, source, place);
  }
  if (Array.isArray(source)) {
    const items: readonly unknown[] = source;
    const constants = items.map(asConstant).filter((item) => item !== undefined);
    if (constants.length === items.length) return constant(constants);
    note(reading, "a list holds only texts, numbers and booleans", place);
    return constant(false);
  }
  note(reading, `expected an expression, a constant or a list of constants, found ${describe(source)}`, place);
  return constant(false);
}

/** Durations and rates are literals only as the whole result. */
function standsAlone(source: string, type: SettingType): boolean {
  if (type.kind === "rate") return parseRate(source) !== undefined;
  return type.kind === "dur" && parseDuration(source) !== undefined;
}

function readExpression(reading: Reading, state: Compilation, source: string, place: Place): Code {
  const problems = state.problems.length;
  const warnings = state.warnings.length;
  let code = constant("");
  try {
    const node = parse(source);
    code = compileNode(state, node);
    if (place.part !== "if") checkKind(reading, node, place, source);
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    // The condition may have held a matches(…): groups in its result are no second mistake.
    state.captured = true;
    note(reading, error.message + expectation(source, reading.type, place), place, source, error.position);
  }
  for (const { message, position } of inOrder(state.problems.slice(problems))) {
    note(reading, message, place, source, position);
  }
  for (const { message, position } of state.warnings.slice(warnings)) {
    reading.warnings.push({ message, position, source, ...place });
  }
  return code;
}

/** A condition that stands where a word, id or number is wanted would give nothing, every time: `is_tls && ['plain']`. */
function checkKind(reading: Reading, node: Node, place: Place, source: string): void {
  if (node.kind === "literal" || !givesTruth(node)) return;
  const coerced = coerce(true, reading.type);
  if (coerced.kind !== "wrong") return;
  const remedy = "this expression gives only true or false; choose with { if = …, then = … } items or if_then(…)";
  note(reading, `${coerced.message}: ${remedy}`, place, source, node.position);
}

/** A misspelt duration or rate is no expression either: say what was wanted. */
function expectation(source: string, type: SettingType, place: Place): string {
  if (place.part === "if" || !/^\s*\d/.test(source)) return "";
  if (type.kind === "dur") return `; expected ${DURATION_SYNTAX}`;
  return type.kind === "rate" ? `; expected ${RATE_SYNTAX}` : "";
}

function note(reading: Reading, message: string, place: Place, source = "", position = 0): void {
  reading.problems.push({ message, position, source, ...place });
}

/** Bare words that mean themselves: the key's enum words and ids. */
function wordsOf(type: SettingType): Pick<Surroundings, "words" | "findWord"> {
  switch (type.kind) {
    case "enum":
      return { words: type.values, findWord: (name) => findWord(name, type.values) };
    case "id":
      return { words: type.ids, findWord: (name) => type.ids.includes(name) ? name : undefined };
    case "list":
      return wordsOf(type.of);
    default:
      return { words: [], findWord: () => undefined };
  }
}

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A numbered list in its flattened form, `relay.0.if = …`, equals an array. */
export function asList(source: unknown): unknown {
  if (!isTable(source)) return source;
  const keys = Object.keys(source);
  if (keys.length === 0 || !keys.every((key) => /^\d+$/.test(key))) return source;
  return keys.sort((a, b) => Number(a) - Number(b)).map((key) => source[key]);
}

function asConstant(value: unknown): Scalar | undefined {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : undefined;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value instanceof Date) return "a date";
  if (isTable(value)) return "a table";
  return value === undefined || value === null ? "nothing" : `the ${typeof value} ${String(value)}`;
}
