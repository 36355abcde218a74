/** Text to tokens (RFC 5228 §8.1). */

import type { Position } from "./problem.ts";

/** A token. `error` was already reported, `garbage` is text that no token begins with. */
export type Token =
  & { readonly at: Position }
  & (
    | { readonly kind: "identifier" | "tag" | "string"; readonly text: string }
    | { readonly kind: "number"; readonly value: number }
    | { readonly kind: Punctuation | "end" | "error" | "garbage" }
  );

type Punctuation = "[" | "]" | "(" | ")" | "{" | "}" | ";" | "," | ":" | "/";

/** Bounds of the language. */
const LONGEST_IDENTIFIER = 32;
const LONGEST_STRING = 1_048_576;
/** RFC 5228 §2.4.1 asks for 31 bits; 64 are taken, those above 53 are rounded. */
const LARGEST_NUMBER = 0xffff_ffff_ffff_ffffn;
const MULTIPLIERS: Readonly<Record<string, bigint>> = { "": 1n, k: 1n << 10n, m: 1n << 20n, g: 1n << 30n };

/** Hands out one token after the other; after the last, `end` for ever. */
export interface Lexer {
  next(): Token;
}

/** @param report told of what cannot be a token */
export function createLexer(source: string, report: (at: Position, message: string) => void): Lexer {
  let offset = source.startsWith("\ufeff") ? 1 : 0;
  let line = 1;
  let lineStart = 0;
  let inGarbage = false;

  const position = (): Position => ({ line, column: offset - lineStart + 1 });
  const countLines = (from: number, to: number) => {
    for (let lf = source.indexOf("\n", from); lf >= 0 && lf < to; lf = source.indexOf("\n", lf + 1)) {
      line++;
      lineStart = lf + 1;
    }
  };
  const advance = (to: number) => {
    countLines(offset, to);
    offset = to;
  };
  const failed = (at: Position, message: string): Token => {
    report(at, message);
    return { kind: "error", at };
  };

  /** Passes over blanks and comments; a comment without an end is an error. */
  const skipBlanks = (): Token | undefined => {
    for (;;) {
      const char = source[offset];
      if (char === " " || char === "\t" || char === "\r" || char === "\n") {
        advance(offset + 1);
      } else if (char === "#") {
        const end = source.indexOf("\n", offset);
        advance(end < 0 ? source.length : end + 1);
      } else if (char === "/" && source[offset + 1] === "*") {
        const at = position();
        const end = source.indexOf("*/", offset + 2);
        advance(end < 0 ? source.length : end + 2);
        if (end < 0) return failed(at, "the script ends within this bracket comment; '*/' is missing");
      } else {
        return undefined;
      }
    }
  };

  const number = (at: Position): Token => {
    const [whole = "", digits = "", unit = ""] = sticky(/(\d+)([A-Za-z0-9_]*)/y, source, offset) ?? [];
    advance(offset + whole.length);
    const multiplier = MULTIPLIERS[unit.toLowerCase()];
    if (multiplier === undefined) {
      return failed(at, `'${unit}' cannot follow a number; the quantifiers are K, M and G`);
    }
    const value = digits.length > 20 ? LARGEST_NUMBER + 1n : BigInt(digits) * multiplier;
    if (value > LARGEST_NUMBER) return failed(at, `the number ${digits.slice(0, 20)}… is too large`);
    return { kind: "number", value: Number(value), at };
  };

  const quoted = (at: Position): Token => {
    let text = "";
    let from = offset + 1;
    for (let i = from; i < source.length; i++) {
      const char = source[i];
      if (char === '"') {
        text += source.slice(from, i);
        advance(i + 1);
        return finish(text, at);
      }
      if (char === "\0") {
        advance(i + 1);
        return failed(at, "a NUL character stands in this quoted string");
      }
      if (char === "\\") {
        text += source.slice(from, i);
        from = ++i;
      }
    }
    advance(source.length);
    return failed(at, "the script ends within this quoted string; '\"' is missing");
  };

  const multiline = (at: Position): Token => {
    // RFC 5228 §2.4.2: only blanks and a comment may follow "text:" on its line.
    const rest = sticky(/[ \t]*(?:#[^\n]*|\r)?(\n|$)/y, source, offset);
    if (rest === undefined) {
      return failed(at, "only a comment may stand on the line behind 'text:'");
    }
    advance(offset + rest[0].length);
    const lines: string[] = [];
    while (offset < source.length) {
      const lf = source.indexOf("\n", offset);
      const end = lf < 0 ? source.length : lf;
      const textLine = source.slice(offset, end).replace(/\r$/, "");
      if (textLine.includes("\0")) return failed(at, "a NUL character stands in this multi-line string");
      advance(lf < 0 ? end : end + 1);
      if (textLine === ".") return finish(lines.map((each) => each + "\r\n").join(""), at);
      lines.push(textLine.startsWith("..") ? textLine.slice(1) : textLine);
    }
    return failed(at, "the script ends within this multi-line string; a line with '.' alone is missing");
  };

  const finish = (text: string, at: Position): Token => {
    if (text.length > LONGEST_STRING) return failed(at, `this string is longer than ${LONGEST_STRING} characters`);
    return { kind: "string", text: text.replace(/\r?\n/g, "\r\n"), at };
  };

  const scan = (): Token => {
    const broken = skipBlanks();
    if (broken !== undefined) return broken;
    const at = position();
    const char = source[offset];
    if (char === undefined) return { kind: "end", at };
    if (char === '"') return quoted(at);
    if (char >= "0" && char <= "9") return number(at);
    const word = sticky(/:?[A-Za-z_][A-Za-z0-9_]*/y, source, offset)?.[0];
    if (word !== undefined) {
      advance(offset + word.length);
      const tag = word.startsWith(":");
      const text = tag ? word.slice(1) : word;
      if (!tag && source[offset] === ":" && text.toLowerCase() === "text") {
        advance(offset + 1);
        return multiline(at);
      }
      if (text.length > LONGEST_IDENTIFIER) {
        return failed(at, `the name '${text.slice(0, LONGEST_IDENTIFIER)}…' is longer than ${LONGEST_IDENTIFIER}`);
      }
      return { kind: tag ? "tag" : "identifier", text, at };
    }
    advance(offset + 1);
    if ("[](){};,:/".includes(char)) return { kind: char as Punctuation, at };
    if (!inGarbage) report(at, `unexpected character ${JSON.stringify(char)}`);
    return { kind: "garbage", at };
  };

  return {
    next() {
      const token = scan();
      inGarbage = token.kind === "garbage";
      return token;
    },
  };
}

function sticky(pattern: RegExp, source: string, offset: number): RegExpExecArray | undefined {
  pattern.lastIndex = offset;
  return pattern.exec(source) ?? undefined;
}

/** A token in the words of an error message. */
export function describeToken(token: Token): string {
  switch (token.kind) {
    case "identifier":
      return `'${token.text}'`;
    case "tag":
      return `the tag ':${token.text}'`;
    case "string":
      return "a string";
    case "number":
      return "a number";
    case "end":
      return "the end of the script";
    case "error":
    case "garbage":
      return "something unreadable";
    default:
      return `'${token.kind}'`;
  }
}
