/** Tokens to commands and tests (RFC 5228 §8.2). Goes on after an error, so that all are found at once. */

import type { ArgumentNode, CallNode, StringNode } from "./ast.ts";
import { createLexer, describeToken, type Token } from "./lexer.ts";
import type { Position, SieveProblem } from "./problem.ts";

const MOST_ARGUMENTS = 32;
const DEEPEST_BLOCK = 32;
const DEEPEST_TEST = 32;
const MOST_PROBLEMS = 100;

/** How far a structure reaches: an error in a list ends with the list, not with the command. */
const RANK: Readonly<Record<string, number>> = { "[": 0, "]": 0, "(": 1, ")": 1, ";": 2, "{": 3, "}": 3 };
const OPENING: Readonly<Record<string, string | undefined>> = { "]": "[", ")": "(", "}": "{" };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Whether the parser knows where in the grammar it is: else its caller looks for the end of the structure. */
type Placed = boolean;

/** What {@link parseScript} found. `commands` is undefined if there are errors. */
export interface ParsedScript {
  readonly commands: readonly CallNode[] | undefined;
  /**
   * The commands without those whose arguments could not be read, to look for other errors in them. None if a `require`
   * is among those: the rest would be full of unknown names.
   */
  readonly recovered: readonly CallNode[];
  readonly problems: readonly SieveProblem[];
}

/** Reads a script. Never throws. */
export function parseScript(source: string): ParsedScript {
  const problems: SieveProblem[] = [];
  const report = (at: Position, message: string) => {
    if (problems.length < MOST_PROBLEMS) problems.push({ severity: "error", ...at, message });
  };
  const lexer = createLexer(source, report);
  let token: Token = lexer.next();
  const skip = () => void (token = lexer.next());
  const kind = (): Token["kind"] => token.kind;
  let failed = false;
  let blind = false;
  const expected = (message: string) => {
    failed = true;
    // The lexer has said already what it could not read.
    if (token.kind !== "error") report(token.at, `${message}, but found ${describeToken(token)}`);
  };
  const refuse = (at: Position, message: string) => {
    failed = true;
    if (token.kind !== "error") report(at, message);
  };

  /** Goes forward to `end` on the same level. @returns false if a wider structure ends before it */
  const recover = (end: "]" | ")" | ";" | "}"): Placed => {
    const rank = RANK[end] ?? 0;
    let nesting = 1;
    while (kind() !== "end" && (RANK[kind()] ?? -1) <= rank) {
      if (kind() === OPENING[end]) nesting++;
      else if (kind() === end && --nesting === 0) return true;
      skip();
    }
    // A command that is broken before its block still has one.
    return end === ";" && kind() === "{";
  };

  const stringList = (at: Position): ArgumentNode => {
    const items: StringNode[] = [];
    let before = "[";
    do {
      skip();
      if (token.kind !== "string") {
        expected(`expected a string after '${before}' in a string list`);
        recover("]");
        break;
      }
      items.push({ text: token.text, at: token.at });
      skip();
      before = ",";
    } while (kind() === ",");
    if (kind() === "]") {
      skip();
    } else {
      expected("expected ',' or the end of the string list, ']'");
      if (recover("]")) skip();
    }
    return { kind: "strings", items, at };
  };

  const argument = (): ArgumentNode | undefined => {
    const { at } = token;
    switch (token.kind) {
      case "[":
        return stringList(at);
      case "string": {
        const node: ArgumentNode = { kind: "string", text: token.text, at };
        skip();
        return node;
      }
      case "number": {
        const node: ArgumentNode = { kind: "number", value: token.value, at };
        skip();
        return node;
      }
      case "tag": {
        const node: ArgumentNode = { kind: "tag", name: token.text.toLowerCase(), at };
        skip();
        return node;
      }
      default:
        return undefined;
    }
  };

  const newCall = (): Mutable<CallNode> & { args: ArgumentNode[]; tests: CallNode[] } => {
    const name = token.kind === "identifier" ? token.text.toLowerCase() : "";
    const call = { name, at: token.at, args: [], tests: [], testList: false, block: undefined };
    skip();
    return call;
  };

  const argumentsOf = (
    call: Mutable<CallNode> & { args: ArgumentNode[]; tests: CallNode[] },
    depth: number,
  ): Placed => {
    for (let next = argument(); next !== undefined; next = argument()) {
      if (call.args.push(next) > MOST_ARGUMENTS) {
        refuse(next.at, `'${call.name}' has more than ${MOST_ARGUMENTS} arguments`);
        return false;
      }
    }
    if (kind() !== "identifier" && kind() !== "(") return true;
    const list = kind() === "(";
    if (depth >= DEEPEST_TEST) {
      refuse(token.at, `tests are nested deeper than ${DEEPEST_TEST}`);
      if (!list) return false;
      skip();
      const found = recover(")");
      if (found) skip();
      return found;
    }
    if (!list) {
      const test = newCall();
      call.tests.push(test);
      return argumentsOf(test, depth + 1);
    }
    call.testList = true;
    let before = "(";
    do {
      skip();
      if (kind() !== "identifier") {
        expected(`expected a test after '${before}' in a test list`);
        recover(")");
        break;
      }
      const test = newCall();
      call.tests.push(test);
      if (!argumentsOf(test, depth + 1)) {
        recover(")");
        break;
      }
      before = ",";
    } while (kind() === ",");
    if (kind() === ")") {
      skip();
      return true;
    }
    expected("expected ',' or the end of the test list, ')'");
    const found = recover(")");
    if (found) skip();
    return found;
  };

  const block = (depth: number): { readonly commands: readonly CallNode[]; readonly placed: Placed } => {
    skip();
    if (depth >= DEEPEST_BLOCK) {
      refuse(token.at, `blocks are nested deeper than ${DEEPEST_BLOCK}`);
      const placed = recover("}");
      if (placed) skip();
      return { commands: [], placed };
    }
    const inner = commands(depth + 1);
    if (inner.placed && kind() === "}") {
      skip();
      return inner;
    }
    if (inner.placed) expected("expected a command or the end of the block, '}'");
    const placed = recover("}");
    if (placed && !inner.placed) skip();
    return { commands: inner.commands, placed };
  };

  const commands = (depth: number): { readonly commands: readonly CallNode[]; readonly placed: Placed } => {
    const list: CallNode[] = [];
    let placed: Placed = true;
    while (placed && kind() === "identifier") {
      const before = problems.length;
      const call = newCall();
      list.push(call);
      placed = argumentsOf(call, 1);
      if (placed && kind() !== ";" && kind() !== "{") {
        expected(`expected ';' or a block '{' after the command '${call.name}'`);
        placed = false;
      }
      const whole = problems.length === before;
      if (!whole && call.name === "require") blind = true;
      if (!placed && !recover(";")) {
        if (!whole) list.pop();
        return { commands: list, placed: false };
      }
      if (!whole) unread(call);
      if (kind() === ";") {
        if (!whole) list.pop();
        skip();
        placed = true;
      } else {
        const inner = block(depth);
        call.block = inner.commands;
        placed = inner.placed;
      }
    }
    return { commands: list, placed };
  };

  /** What is left of a command whose arguments are broken: its block. */
  const unread = (call: Mutable<CallNode> & { args: ArgumentNode[]; tests: CallNode[] }) => {
    const test: CallNode = { name: "true", at: call.at, args: [], tests: [], testList: false, block: undefined };
    Object.assign(call, { args: [], tests: /^(?:if|elsif)$/.test(call.name) ? [test] : [], testList: false });
  };

  const { commands: list, placed } = commands(1);
  if (placed && !failed && kind() !== "end") expected("expected a command");
  // An error that only the lexer saw, such as a comment without an end.
  const broken = failed || !placed || problems.length > 0;
  if (broken && problems.length === 0) report(token.at, "the script ends too early");
  return { commands: broken ? undefined : list, recovered: blind ? [] : list, problems };
}
