/** Prints parsed scripts, so that tests can make scripts of any shape and read them back. */

import type { ArgumentNode, CallNode } from "../../src/sieve/ast.ts";

/** The largest number of the language; larger ones do not come out of the parser, but may be rounded up to it. */
const LARGEST_NUMBER = 0xffff_ffff_ffff_ffffn;

/** A script in one form: a command a line, blocks indented. */
export function printScript(commands: readonly CallNode[]): string {
  return commands.map((command) => printCommand(command, "")).join("");
}

function printCommand(command: CallNode, indent: string): string {
  const head = indent + printCall(command);
  if (command.block === undefined) return `${head};\n`;
  const inside = command.block.map((each) => printCommand(each, `${indent}  `)).join("");
  return `${head} {\n${inside}${indent}}\n`;
}

function printCall({ name, args, tests, testList }: CallNode): string {
  const words = [name, ...args.map(printArgument)];
  if (testList) words.push(`(${tests.map(printCall).join(", ")})`);
  else words.push(...tests.map(printCall));
  return words.join(" ");
}

function printArgument(arg: ArgumentNode): string {
  switch (arg.kind) {
    case "string":
      return printString(arg.text);
    case "strings":
      return `[${arg.items.map(({ text }) => printQuoted(text)).join(", ")}]`;
    case "number": {
      const number = BigInt(arg.value);
      return String(number > LARGEST_NUMBER ? LARGEST_NUMBER : number);
    }
    case "tag":
      return `:${arg.name}`;
  }
}

/** Lines become a multi-line string, as a person would write them. */
function printString(text: string): string {
  if (!/^(?:[^\r\n]*\r\n){2,}$/.test(text)) return printQuoted(text);
  return `text:\n${text.replaceAll("\r\n", "\n").replace(/^\./gm, "..")}.\n`;
}

function printQuoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replaceAll("\r\n", "\n")}"`;
}
