/** Compiled code and how to put pieces of it together: synchronous as long as nothing answers later. */

import type { RE2JS } from "re2js";
import type { Scope, Value } from "./types.ts";

/** What the last successful `matches` found; groups are cut out only when asked for. */
export interface Captures {
  pattern: RE2JS | undefined;
  text: string;
  groups: readonly string[] | undefined;
}

type SyncRun = (scope: Scope, captures: Captures | undefined) => Value;
type Run = (scope: Scope, captures: Captures | undefined) => Value | Promise<Value>;

/** A compiled part of an expression. `run` throws `TypeMismatch` or `LookupUnavailable`. */
export type Code =
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "sync"; readonly run: SyncRun }
  | { readonly kind: "async"; readonly run: Run };

/** Code that gives always the same. */
export function constant(value: Value): Code {
  return { kind: "constant", value };
}

/** Code that answers at once. */
export function sync(run: SyncRun): Code {
  return { kind: "sync", run };
}

/** Runs `next` with the value, now or when it is there. */
export function chain<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** The closure of `code`. */
export function runOf(code: Code): Run {
  if (code.kind !== "constant") return code.run;
  const { value } = code;
  return () => value;
}

function syncRunOf(code: Exclude<Code, { kind: "async" }>): SyncRun {
  if (code.kind === "sync") return code.run;
  const { value } = code;
  return () => value;
}

/** Computes a constant now, unless that fails: then the failure belongs to run time. */
function fold(compute: () => Value): Code {
  try {
    return constant(compute());
  } catch {
    return sync(compute);
  }
}

/** `apply(a)`. */
export function unaryCode(a: Code, apply: (a: Value) => Value): Code {
  if (a.kind === "constant") return fold(() => apply(a.value));
  if (a.kind === "sync") {
    const { run } = a;
    return sync((scope, captures) => apply(run(scope, captures)));
  }
  const { run } = a;
  return { kind: "async", run: (scope, captures) => chain(run(scope, captures), apply) };
}

/** `apply(a, b)`, evaluated from the left. */
export function binaryCode(a: Code, b: Code, apply: (a: Value, b: Value) => Value): Code {
  if (a.kind === "constant" && b.kind === "constant") return fold(() => apply(a.value, b.value));
  if (a.kind !== "async" && b.kind !== "async") {
    const left = syncRunOf(a);
    const right = syncRunOf(b);
    return sync((scope, captures) => apply(left(scope, captures), right(scope, captures)));
  }
  const left = runOf(a);
  const right = runOf(b);
  return {
    kind: "async",
    run: (scope, captures) => chain(left(scope, captures), (a) => chain(right(scope, captures), (b) => apply(a, b))),
  };
}

/** `apply(items)`, evaluated from the left, one after the other. */
export function listCode(items: readonly Code[], apply: (items: readonly Value[]) => Value): Code {
  const values: Value[] = [];
  const syncRuns: SyncRun[] = [];
  for (const item of items) {
    if (item.kind === "constant") values.push(item.value);
    if (item.kind !== "async") syncRuns.push(syncRunOf(item));
  }
  if (values.length === items.length) return fold(() => apply(values));
  if (syncRuns.length === items.length) {
    return sync((scope, captures) => apply(syncRuns.map((run) => run(scope, captures))));
  }
  return asyncListCode(items, apply);
}

/** As {@link listCode}, where `apply` itself may answer later. */
export function asyncListCode(
  items: readonly Code[],
  apply: (items: readonly Value[], scope: Scope) => Value | Promise<Value>,
): Code {
  const runs = items.map(runOf);
  const from = (done: Value[], scope: Scope, captures: Captures | undefined): Value | Promise<Value> => {
    for (let run = runs[done.length]; run !== undefined; run = runs[done.length]) {
      const value = run(scope, captures);
      if (value instanceof Promise) {
        return value.then((value) => {
          done.push(value);
          return from(done, scope, captures);
        });
      }
      done.push(value);
    }
    return apply(done, scope);
  };
  return { kind: "async", run: (scope, captures) => from([], scope, captures) };
}

/**
 * A chain of `&&` (`deciding` false) or `||` (`deciding` true): stops at the first item whose truth is `deciding`.
 * The result is a boolean.
 */
export function logicalCode(items: readonly Code[], deciding: boolean, truth: (value: Value) => boolean): Code {
  const constants = items.map((item) => item.kind === "constant" ? truth(item.value) : undefined);
  const first = constants.findIndex((value) => value !== !deciding);
  if (first < 0) return constant(!deciding);
  if (constants[first] === deciding) return constant(deciding);
  if (items.every((item) => item.kind !== "async")) {
    const runs = items.map((item) => syncRunOf(item as Exclude<Code, { kind: "async" }>));
    return sync((scope, captures) => {
      for (const run of runs) if (truth(run(scope, captures)) === deciding) return deciding;
      return !deciding;
    });
  }
  const runs = items.map(runOf);
  const from = (start: number, scope: Scope, captures: Captures | undefined): boolean | Promise<boolean> => {
    for (let index = start; index < runs.length; index++) {
      const value = runs[index]?.(scope, captures) ?? false;
      if (value instanceof Promise) {
        return value.then((value) => truth(value) === deciding ? deciding : from(index + 1, scope, captures));
      }
      if (truth(value) === deciding) return deciding;
    }
    return !deciding;
  };
  return { kind: "async", run: (scope, captures) => from(0, scope, captures) };
}

/** `condition ? yes : no`, where only the chosen side is evaluated. */
export function choiceCode(condition: Code, yes: Code, no: Code, truth: (value: Value) => boolean): Code {
  if (condition.kind === "constant") return truth(condition.value) ? yes : no;
  if (condition.kind === "sync" && yes.kind !== "async" && no.kind !== "async") {
    const { run } = condition;
    const yesRun = syncRunOf(yes);
    const noRun = syncRunOf(no);
    return sync((scope, captures) => truth(run(scope, captures)) ? yesRun(scope, captures) : noRun(scope, captures));
  }
  const { run } = condition;
  const yesRun = runOf(yes);
  const noRun = runOf(no);
  return {
    kind: "async",
    run: (scope, captures) =>
      chain(run(scope, captures), (value) => truth(value) ? yesRun(scope, captures) : noRun(scope, captures)),
  };
}
