/** Variables by name: local ones, global ones (RFC 6609 §3.4), and those of namespaces. */

import type { Compiler } from "./definition.ts";
import type { Position } from "./problem.ts";
import { type Run, slot } from "./run.ts";
import { formatValue, type Value } from "../expression/mod.ts";

/** A way to one variable. */
export interface Variable {
  read(run: Run): Value;
  /** Missing if it cannot be set; false if it cannot be set to this. */
  write?(run: Run, value: Value): boolean;
}

const IDENTIFIER = /^[a-z_][a-z0-9_]*$/i;
const WITH_NAMESPACE = /^([a-z_][a-z0-9_]*)\.([a-z0-9_.-]+)$/i;
const LONGEST_NAME = 64;
/** RFC 5229 §6 asks for 128. */
const MOST_VARIABLES = 255;
/** What an item of a list counts for beside its text, so that lists of nothing are bounded too. */
const ITEM_SIZE = 8;

const encoder = new TextEncoder();

const globalValues = { initial: () => new Map<string, Value>() };

/** The names in one script. */
interface Names {
  readonly globals: Set<string>;
  readonly locals: Set<string>;
  /** Those of the local ones that `set` has given a value. */
  readonly set: Set<string>;
}

const namesOf = new WeakMap<Compiler, Names>();

function namesIn(compiler: Compiler): Names {
  const names = namesOf.get(compiler) ?? { globals: new Set(), locals: new Set(), set: new Set() };
  namesOf.set(compiler, names);
  return names;
}

/**
 * From here on the name means the global variable in this script.
 *
 * @returns false if it was set as a local one before (RFC 6609 §3.4.1)
 */
export function declareGlobal(compiler: Compiler, name: string): boolean {
  const { globals, set } = namesIn(compiler);
  const lower = name.toLowerCase();
  if (set.has(lower)) return false;
  globals.add(lower);
  return true;
}

/** `set` gives the variable a value here. */
export function noteSet(compiler: Compiler, name: string): void {
  const { globals, set } = namesIn(compiler);
  const lower = name.toLowerCase();
  if (!globals.has(lower)) set.add(lower);
}

/** Whether a name can be that of a variable without namespace. */
export function isVariableName(name: string): boolean {
  return IDENTIFIER.test(name) && name.length <= LONGEST_NAME;
}

/** The global variable with this name. */
export function globalVariable(name: string): Required<Variable> {
  const lower = name.toLowerCase();
  return {
    read: (run) => slot(run, globalValues).get(lower) ?? "",
    write(run, value) {
      slot(run, globalValues).set(lower, bounded(run, value));
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
    const { globals, locals } = namesIn(compiler);
    if (globals.has(lower)) return globalVariable(lower);
    if (!locals.has(lower)) {
      if (locals.size === MOST_VARIABLES) {
        compiler.error(at, `more than ${MOST_VARIABLES} variables are used; '${name}' is the first too many`);
      }
      locals.add(lower);
    }
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

/** RFC 5229 §3: what is longer than a variable may be is cut off; of a list, the items behind. */
function bounded(run: Run, value: Value): Value {
  return typeof value === "object" ? cutList(value, run.limits.variableSize) : cutItem(value, run.limits.variableSize);
}

function cutItem(value: Value, size: number): Value {
  return typeof value === "string" ? cut(value, size) : value;
}

/** Lists in lists count with what is in them, however often the same list is there. */
function cutList(list: readonly Value[], size: number): Value {
  let left = size;
  const copy = (items: readonly Value[]): Value[] => {
    const kept: Value[] = [];
    for (const item of items) {
      left -= ITEM_SIZE;
      if (left < 0) break;
      const whole = typeof item === "object" ? copy(item) : cutItem(item, left);
      if (typeof whole === "string") left -= whole.length;
      kept.push(whole);
    }
    return kept;
  };
  return copy(list);
}

/** The beginning of a text, at most `size` octets in UTF-8; no character is cut in two. */
export function cut(text: string, size: number): string {
  // Most texts are short enough whatever their characters are.
  if (text.length * 3 <= size) return text;
  const { read } = encoder.encodeInto(text, new Uint8Array(Math.min(size, text.length * 3)));
  return read === text.length ? text : text.slice(0, read);
}

/** A value as scripts print it: numbers in decimal, lists one item behind the other. */
export function variableText(value: Value): string {
  if (typeof value === "string") return value;
  return typeof value === "object" ? value.map(variableText).join(" ") : formatValue(value);
}
