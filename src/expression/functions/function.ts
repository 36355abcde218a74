/** What a function of the expression language is made of. */

import type { FunctionHost, Value } from "../types.ts";

/** Checks an argument that is constant, at load. Gives what is wrong, or undefined. */
export type ArgumentCheck = (value: Value) => string | undefined;

/** A function of its arguments alone. Throws `TypeMismatch` for arguments of the wrong kind. */
export type PureFunction =
  & (
    | { readonly arity: 1; readonly apply: (a: Value) => Value }
    | { readonly arity: 2; readonly apply: (a: Value, b: Value) => Value }
    | { readonly arity: 3; readonly apply: (a: Value, b: Value, c: Value) => Value }
  )
  & {
    /** Checks by index of the argument. */
    readonly checks?: readonly (ArgumentCheck | undefined)[];
  };

/** What an argument of a host function must be. All but `value` are constants that the load checks. */
export type ArgumentRole = "value" | "directory" | "list" | "store" | "writable" | "database" | "sql" | "record-type";

/** A function that reaches outside. Optional arguments come last and are passed as `""`. */
export interface HostFunction {
  readonly roles: readonly ArgumentRole[];
  readonly optional: number;
  readonly apply: (host: FunctionHost, args: readonly Value[]) => Value | Promise<Value>;
}

/** Makes a function of one argument. */
export function unary(apply: (a: Value) => Value): PureFunction {
  return { arity: 1, apply };
}

/** Makes a function of two arguments. */
export function binary(apply: (a: Value, b: Value) => Value, ...checks: (ArgumentCheck | undefined)[]): PureFunction {
  return { arity: 2, apply, checks };
}

/** Makes a function of three arguments. */
export function ternary(apply: (a: Value, b: Value, c: Value) => Value): PureFunction {
  return { arity: 3, apply };
}

/** A check that a constant is one of `words`. */
export function oneOf(words: readonly string[]): ArgumentCheck {
  return (value) =>
    typeof value === "string" && words.includes(value)
      ? undefined
      : `expected ${words.map((word) => `'${word}'`).join(", ")}`;
}
