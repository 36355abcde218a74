/** `set`, `string` and `${name}` (RFC 5229). */

import type { Call, Compiler, Extension, Modifier, TagDefinition, Text } from "../definition.ts";
import { type Position, SieveRuntimeError } from "../problem.ts";
import { NEXT, type Run, spend } from "../run.ts";
import { cut, findVariable, noteSet, variableText } from "../variable.ts";

const REFERENCE = /\$\{([a-z0-9_][a-z0-9_.-]*)\}/gi;
/** A string with variables in it may grow to this, or to the size of a variable if that is more. */
const LONGEST_STRING = 1_048_576;
/** RFC 5229 §3.2 asks for nine. */
const MOST_MATCH_VALUES = 32;

type Piece = (run: Run) => string;

/** RFC 5229 §3: what is not a reference stays as it is. */
function substitute(text: string, at: Position, compiler: Compiler): Text | undefined {
  if (!text.includes("${")) return undefined;
  const pieces: Piece[] = [];
  let last = 0;
  for (const match of text.matchAll(REFERENCE)) {
    const [whole, name = ""] = match;
    const piece = reference(name, at, compiler);
    if (piece === undefined) continue;
    const literal = text.slice(last, match.index);
    if (literal !== "") pieces.push(() => literal);
    pieces.push(piece);
    last = match.index + whole.length;
  }
  if (pieces.length === 0) return undefined;
  const rest = text.slice(last);
  if (rest !== "") pieces.push(() => rest);
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return { read: (run) => paid(run, only(run)) };
  return {
    read(run) {
      const limit = Math.max(LONGEST_STRING, run.limits.variableSize);
      let out = "";
      for (const piece of pieces) {
        out += piece(run);
        if (out.length > limit) break;
      }
      return paid(run, cut(out, limit));
    },
  };
}

/** Long texts cost more, whatever is done with them. */
function paid(run: Run, text: string): string {
  if (text.length >= 1024) spend(run, text.length >> 10);
  return text;
}

function reference(name: string, at: Position, compiler: Compiler): Piece | undefined {
  if (/^\d+$/.test(name)) {
    const index = Number(name);
    if (index > MOST_MATCH_VALUES) {
      compiler.error(at, `there are no match values beyond \${${MOST_MATCH_VALUES}}`);
      return undefined;
    }
    return ({ matchValues }) => matchValues[index] ?? "";
  }
  const variable = findVariable(name, at, compiler);
  if (variable === "none" || variable === undefined) return undefined;
  return (run) => variableText(variable.read(run));
}

/** The first character by itself: it may be two UTF-16 units. */
function first(text: string, change: (char: string) => string): string {
  const [char = ""] = text;
  return change(char) + text.slice(char.length);
}

function modifier(name: string, order: number, apply: Modifier["apply"]): TagDefinition {
  return { name, group: `modifier of order ${order}`, modifier: { order, apply } };
}

/** RFC 5229 §4.1.3. A backslash whose character was cut off would quote something else. */
function quoteWildcards(text: string, limit: number): string {
  const quoted = text.replace(/[*?\\]/g, "\\$&");
  const short = cut(quoted, limit);
  const dangling = short.length < quoted.length && /(?:^|[^\\])(?:\\\\)*\\$/.test(short);
  return dangling ? short.slice(0, -1) : short;
}

// RFC 5229 §4.1.3: what is no letter of ASCII stays as it is.
const lower = (text: string) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
const upper = (text: string) => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase());

/** RFC 5229 §4.1. */
export const MODIFIERS: readonly TagDefinition[] = [
  modifier("lower", 40, lower),
  modifier("upper", 40, upper),
  modifier("lowerfirst", 30, (text) => first(text, lower)),
  modifier("upperfirst", 30, (text) => first(text, upper)),
  modifier("quotewildcard", 20, quoteWildcards),
  modifier("length", 10, (text) => String(Array.from(text).length)),
];

/** What the modifiers of a call do to a value, the highest order first. */
export function modifiersOf(call: Call): (text: string, limit: number) => string {
  const modifiers = call.tags.flatMap(({ definition }): readonly Modifier[] =>
    definition.modifier === undefined ? [] : [definition.modifier]
  ).sort((a, b) => b.order - a.order);
  return (text, limit) => modifiers.reduce((changed, { apply }) => apply(changed, limit), text);
}

export const variables: readonly Extension[] = [{
  capability: "variables",
  substitute,
  commands: [{
    name: "set",
    parameters: [{ name: "name", type: "string", constant: true }, { name: "value", type: "string" }],
    tags: MODIFIERS,
    compile(call, compiler) {
      const name = call.text("name").literal ?? "";
      const variable = findVariable(name, call.position("name"), compiler);
      if (variable === "none" || variable?.write === undefined) {
        if (variable !== undefined) {
          const why = variable === "none" ? "is not the name of a variable" : "cannot be set";
          compiler.error(call.position("name"), `'${name.slice(0, 80)}' ${why}`);
        }
        return undefined;
      }
      noteSet(compiler, name);
      const value = call.text("value");
      const modify = modifiersOf(call);
      const write = variable.write;
      return (run) => {
        const text = modify(value.read(run), run.limits.variableSize);
        if (!write(run, text)) {
          throw new SieveRuntimeError(`'${name}' cannot be set to ${JSON.stringify(text)}`, call.at);
        }
        return NEXT;
      };
    },
  }],
  tests: [{
    name: "string",
    parameters: [{ name: "source", type: "strings" }, { name: "key list", type: "strings" }],
    tagSets: ["Match"],
    compile(call, compiler) {
      const matcher = compiler.matcher(call, "key list");
      if (matcher === undefined) return undefined;
      const source = call.texts("source");
      // RFC 5229 §5: only strings that are not empty are counted.
      const counting = call.inGroup("match type")?.definition.name === "count";
      return (run) => {
        const values = source.read(run);
        return matcher(run, counting ? values.filter((value) => value !== "") : values);
      };
    },
  }],
}];
