/** Scopes and compiling for the tests of this room. */

import assert from "node:assert/strict";
import {
  type CompileEnvironment,
  compileExpression,
  compileSetting,
  EMPTY_ENVIRONMENT,
  type EvaluationError,
  ExpressionError,
  type ExpressionProblem,
  type FunctionHost,
  type Scope,
  type Setting,
  type SettingOptions,
  type Value,
} from "../../../src/expression/mod.ts";

function unexpected(): never {
  throw new Error("this function is not expected to be called");
}

/** A host that fails on every call, apart from those given. */
export function host(given: Partial<FunctionHost> = {}): FunctionHost {
  return {
    isLocalDomain: unexpected,
    isLocalAddress: unexpected,
    keyGet: unexpected,
    keyExists: unexpected,
    keySet: unexpected,
    counterGet: unexpected,
    counterIncr: unexpected,
    sqlQuery: unexpected,
    dnsQuery: unexpected,
    ...given,
  };
}

/** A scope that collects run-time errors. */
export function scopeOf(
  variables: Readonly<Record<string, Value>> = {},
  given: Partial<FunctionHost> = {},
): Scope & { readonly errors: EvaluationError[] } {
  const errors: EvaluationError[] = [];
  return { variables, functions: host(given), onError: (error) => errors.push(error), errors };
}

/** Everything that the tests' expressions name. */
export const ENVIRONMENT: CompileEnvironment = {
  directories: ["staff", "partners"],
  stores: ["data", "blocked"],
  writableStores: ["data"],
  lists: ["relay-nets", "data/aliases"],
  configGet: (key) => ({ "server.hostname": "mx1.example.net", "server.max-connections": 8192 })[key],
};

/** The value of an expression, computed at once. */
export function valueOf(source: string, variables: Readonly<Record<string, Value>> = {}): Value {
  const value = compileExpression(source, { environment: ENVIRONMENT }).evaluate(scopeOf(variables));
  assert.ok(!(value instanceof Promise), `${source} answers later`);
  return value;
}

/** What is wrong with an expression. */
export function problemsOf(source: string): readonly ExpressionProblem[] {
  try {
    compileExpression(source, { environment: ENVIRONMENT });
  } catch (error) {
    if (error instanceof ExpressionError) return error.problems;
    throw error;
  }
  return assert.fail(`${source} compiles`);
}

/** The message of the first problem of an expression. */
export function problemOf(source: string): string {
  return problemsOf(source)[0]?.message ?? "";
}

type Given = Partial<SettingOptions> & Pick<SettingOptions, "type" | "source">;

function complete(given: Given): SettingOptions {
  return { key: "test.key", context: "rcpt", default: false, environment: EMPTY_ENVIRONMENT, ...given };
}

/** A setting that must compile. */
export function settingOf<T>(given: Given): Setting<T> {
  const compiled = compileSetting<T>(complete(given));
  assert.equal(compiled.errors, undefined);
  assert.ok(compiled.setting);
  return compiled.setting;
}

/** The problems of a setting that must not compile. */
export function errorsOf(given: Given): readonly ExpressionProblem[] {
  const compiled = compileSetting(complete(given));
  assert.ok(compiled.errors, "the setting compiles");
  return compiled.errors;
}
