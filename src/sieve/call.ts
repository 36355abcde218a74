/** Checks the arguments of a command or test against its definition (RFC 5228 §2.6). */

import type { ArgumentNode, CallNode } from "./ast.ts";
import type { Call, Compiler, Parameter, TagDefinition, TagUse, Text, Texts } from "./definition.ts";
import { suggestion } from "../expression/mod.ts";
import type { Position } from "./problem.ts";

/** What is known of a command or test when its arguments are read. */
export interface Signature {
  readonly kind: "command" | "test";
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly tags: readonly TagDefinition[];
}

const NO_TEXT: Text = { literal: "", read: () => "" };
const NO_TEXTS: Texts = { literal: [], read: () => [] };

/** The call, or undefined after an error that was reported. One error for each call is enough. */
export function checkCall(node: CallNode, signature: Signature, compiler: Compiler): Call | undefined {
  const title = `the ${signature.name} ${signature.kind}`;
  const fail = (at: Position, message: string): undefined => void compiler.error(at, message);

  for (const arg of node.args) {
    if (arg.kind !== "tag" || signature.tags.some(({ name }) => name === arg.name)) continue;
    const names = signature.tags.map(({ name }) => name);
    const takes = names.length === 0 ? "it takes no tags" : `it takes :${names.join(", :")}`;
    return fail(
      arg.at,
      `unknown tagged argument ':${arg.name}' for ${title} (${takes}${suggestion(arg.name, names)})`,
    );
  }

  const uses: TagUse[] = [];
  let next = 0;
  for (let arg = node.args[next]; arg?.kind === "tag"; arg = node.args[next]) {
    next++;
    const { name } = arg;
    const definition = signature.tags.find((tag) => tag.name === name);
    if (definition === undefined) return undefined;
    const earlier = uses.find((use) => sameKind(use.definition, definition));
    if (earlier !== undefined) {
      const what = definition.group ?? "argument";
      return fail(arg.at, `the ${what} ':${name}' of ${title} is one too many after ':${earlier.definition.name}'`);
    }
    let value: ArgumentNode | undefined;
    if (definition.value !== undefined) {
      value = node.args[next++];
      const wanted = `the tag ':${name}' of ${title} must be followed by ${typeWords(definition.value)}`;
      if (value === undefined) return fail(arg.at, wanted);
      if (!fits(value, definition.value)) return fail(value.at, `${wanted}, but ${found(value)} was found`);
    }
    const use = tagUse(definition, arg.at, value, compiler);
    if (definition.value?.constant === true && use.texts.literal === undefined) {
      return fail(use.valueAt, `the argument of ':${name}' must be a fixed string without variables`);
    }
    uses.push(use);
  }

  const positional = node.args.slice(next);
  const misplaced = positional.find(({ kind }) => kind === "tag");
  if (misplaced?.kind === "tag") {
    return fail(misplaced.at, `unexpected tag ':${misplaced.name}' after the positional arguments of ${title}`);
  }
  const most = signature.parameters.length;
  const least = signature.parameters.filter(({ optional }) => optional !== true).length;
  if (positional.length < least || positional.length > most) {
    const wanted = least === most ? count(most) : `${least} or ${count(most)}`;
    const verb = positional.length === 1 ? "is" : "are";
    return fail(node.at, `${title} requires ${wanted}, but ${positional.length} ${verb} specified`);
  }
  // At most one parameter is optional, so what is missing is clear.
  const given = positional.length === most
    ? signature.parameters
    : signature.parameters.filter(({ optional }) => optional !== true);
  const args = new Map<string, ArgumentNode>();
  const texts = new Map<string, Texts>();
  for (const [index, parameter] of given.entries()) {
    const arg = positional[index];
    if (arg === undefined) return undefined;
    if (!fits(arg, parameter)) {
      return fail(
        arg.at,
        `${title} expects ${typeWords(parameter)} as argument ${index + 1} (${parameter.name}), ` +
          `but ${found(arg)} was found`,
      );
    }
    args.set(parameter.name, arg);
    const compiled = textsOf(arg, compiler);
    if (parameter.constant === true && compiled.literal === undefined) {
      return fail(arg.at, `argument ${index + 1} (${parameter.name}) of ${title} must be fixed, without variables`);
    }
    texts.set(parameter.name, compiled);
  }
  const call = newCall(node, title, uses, args, texts);
  for (const use of uses) use.definition.check?.(use, call, compiler);
  return call;
}

function sameKind(a: TagDefinition, b: TagDefinition): boolean {
  return a.name === b.name || (a.group !== undefined && a.group === b.group);
}

function newCall(
  node: CallNode,
  title: string,
  tags: readonly TagUse[],
  args: ReadonlyMap<string, ArgumentNode>,
  texts: ReadonlyMap<string, Texts>,
): Call {
  const tag = (name: string) => tags.find(({ definition }) => definition.name === name);
  const argument = (parameter: string): ArgumentNode => {
    const arg = args.get(parameter);
    if (arg === undefined) throw new TypeError(`${title} has no argument '${parameter}'`);
    return arg;
  };
  const listOf = (parameter: string): Texts => {
    argument(parameter);
    return texts.get(parameter) ?? NO_TEXTS;
  };
  return {
    node,
    at: node.at,
    title,
    tags,
    has: (name) => tag(name) !== undefined,
    tag,
    inGroup: (group) => tags.find(({ definition }) => definition.group === group),
    given: (parameter) => args.has(parameter),
    text: (parameter) => firstOf(listOf(parameter)),
    texts: listOf,
    number(parameter) {
      const arg = argument(parameter);
      if (arg.kind !== "number") throw new TypeError(`'${parameter}' of ${title} is no number`);
      return arg.value;
    },
    position(parameter, index = 0) {
      const arg = argument(parameter);
      return arg.kind === "strings" ? arg.items[index]?.at ?? arg.at : arg.at;
    },
  };
}

/** A string argument as the script has it, at the position that the call gives for it: nothing in it is replaced. */
export function writtenText(call: Call, at: Position): string {
  for (const arg of call.node.args) if (arg.kind === "string" && arg.at === at) return arg.text;
  return "";
}

function tagUse(
  definition: TagDefinition,
  at: Position,
  value: ArgumentNode | undefined,
  compiler: Compiler,
): TagUse {
  const texts = value === undefined ? NO_TEXTS : textsOf(value, compiler);
  return {
    definition,
    at,
    texts,
    text: value === undefined ? NO_TEXT : firstOf(texts),
    number: value?.kind === "number" ? value.value : 0,
    valueAt: value?.at ?? at,
  };
}

function textsOf(arg: ArgumentNode, compiler: Compiler): Texts {
  if (arg.kind !== "string" && arg.kind !== "strings") return NO_TEXTS;
  const items = (arg.kind === "string" ? [arg] : arg.items).map(({ text, at }) => compiler.text(text, at));
  const literals: string[] = [];
  for (const { literal } of items) if (literal !== undefined) literals.push(literal);
  if (literals.length === items.length) return { literal: literals, read: () => literals };
  return { read: (run) => items.map((item) => item.read(run)) };
}

function firstOf(texts: Texts): Text {
  const literal = texts.literal?.[0];
  return literal === undefined ? { read: (run) => texts.read(run)[0] ?? "" } : { literal, read: () => literal };
}

function fits(arg: ArgumentNode, parameter: Parameter): boolean {
  return arg.kind === parameter.type || (arg.kind === "string" && parameter.type === "strings");
}

function typeWords({ type }: Parameter): string {
  return type === "strings" ? "a string list" : `a ${type}`;
}

function found(arg: ArgumentNode): string {
  if (arg.kind === "tag") return `the tag ':${arg.name}'`;
  return arg.kind === "strings" ? "a string list" : `a ${arg.kind}`;
}

function count(number: number): string {
  return `${number} positional argument${number === 1 ? "" : "s"}`;
}
