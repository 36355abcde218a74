/** Variables by name: local ones, global ones (RFC 6609 §3.4), and those of namespaces. */

import type { Compiler } from "./definition.ts";
import type { Position } from "./problem.ts";
import { type Run, slot } from "./run.ts";
import type { Value } from "../expression/mod.ts";

/** A way to one variable. */
export interface Variable {
  read(run: Run): Value;
  /** Missing if it cannot be set; false if it cannot be set to this. */
  write?(run: Run, value: Value): boolean;
}

const IDENTIFIER = /^[a-z_][a-z0-9_]*$/i;
const WITH_NAMESPACE = /^([a-z_][a-z0-9_]*)\.([a-z0-9_.-]+)$/i;
const LONGEST_NAME = 64;

const globals = { initial: () => new Map<string, Value>() };
const declared = new WeakMap<Compiler, Set<string>>();

/** From here on the name means the global variable in this script. */
export function declareGlobal(compiler: Compiler, name: string): void {
  const names = declared.get(compiler) ?? new Set();
  declared.set(compiler, names.add(name.toLowerCase()));
}

/** Whether a name can be that of a variable without namespace. */
export function isVariableName(name: string): boolean {
  return IDENTIFIER.test(name) && name.length <= LONGEST_NAME;
}

/** The global variable with this name. */
export function globalVariable(name: string): Required<Variable> {
  const lower = name.toLowerCase();
  return {
    read: (run) => slot(run, globals).get(lower) ?? "",
    write(run, value) {
      slot(run, globals).set(lower, bounded(run, value));
      return true;
    },
  };
}

/**
 * The variable that a name means at this place of a script; undefined, reported, if it means none. A text that does
 * not look like a name at all is `"none"`.
 */
export function findVariable(name: string, at: Position, compiler: Compiler): Variable | "none" | undefined {
  if (isVariableName(name)) {
    const lower = name.toLowerCase();
    if (declared.get(compiler)?.has(lower) === true) return globalVariable(lower);
    return {
      read: ({ variables }) => variables.get(lower) ?? "",
      write(run, value) {
        run.variables.set(lower, bounded(run, value));
        return true;
      },
    };
  }
  const [, space = "", rest = ""] = WITH_NAMESPACE.exec(name) ?? [];
  if (space === "") return "none";
  const namespace = compiler.namespace(space.toLowerCase());
  if (namespace === undefined) {
    compiler.error(at, `unknown variable namespace '${space}' in '${name.slice(0, LONGEST_NAME)}'`);
    return undefined;
  }
  const lower = rest.toLowerCase();
  const problem = namespace.problem?.(lower);
  if (problem !== undefined) {
    compiler.error(at, problem);
    return undefined;
  }
  const { write } = namespace;
  return {
    read: (run) => namespace.read(run, lower),
    ...(write === undefined ? {} : { write: (run, value) => write(run, lower, bounded(run, value)) }),
  };
}

/** RFC 5229 §3: what is longer than a variable may be is cut off. */
function bounded(run: Run, value: Value): Value {
  const limit = run.limits.variableSize;
  return typeof value === "string" && value.length > limit ? cut(value, limit) : value;
}

/** The beginning of a text; no character is cut in two. */
export function cut(text: string, length: number): string {
  const high = text.charCodeAt(length - 1);
  return text.slice(0, high >= 0xd800 && high < 0xdc00 ? length - 1 : length);
}

/** A value as scripts print it: numbers in decimal, lists one item behind the other. */
export function variableText(value: Value): string {
  if (typeof value === "string") return value;
  return typeof value === "object" ? value.map(variableText).join(" ") : String(value);
}
