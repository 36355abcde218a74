/** Cuts an expression into tokens. */

/** An operator or bracket, in its canonical spelling. */
export type Symbol =
  | "("
  | ")"
  | "["
  | "]"
  | ","
  | "!"
  | "-"
  | "+"
  | "*"
  | "/"
  | "<"
  | "<="
  | ">"
  | ">="
  | "=="
  | "!="
  | "^"
  | "&&"
  | "||";

/** One token; `position` is the offset of its first character. */
export type Token =
  | { readonly kind: "number"; readonly position: number; readonly value: number }
  | { readonly kind: "text"; readonly position: number; readonly value: string }
  | { readonly kind: "name"; readonly position: number; readonly value: string }
  | { readonly kind: "capture"; readonly position: number; readonly value: number }
  | { readonly kind: "symbol"; readonly position: number; readonly value: Symbol }
  | { readonly kind: "end"; readonly position: number };

/** A text that is no expression. The caller adds the source and key. */
export class SyntaxProblem extends Error {
  override readonly name = "SyntaxProblem";
  constructor(message: string, readonly position: number) {
    super(message);
  }
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z_][A-Za-z0-9_]*)*/y;
// For languages whose variables have namespaces.
const DOTTED_NAME = /[A-Za-z_][A-Za-z0-9_]*(?:[-.][A-Za-z_][A-Za-z0-9_]*)*/y;
const NUMBER = /\d+(?:\.\d+)?/y;
const CAPTURE = /\$(?:(\d{1,3})|\{(\d{1,3})\})(?!\d)/y;
const SYMBOL = /<=|>=|==|!=|&&|\|\||[()[\],!\-+*/<>=^&|]/y;
const BLANK = /\s+/y;
const CLOSING: Readonly<Record<string, RegExp>> = { "'": /['\\]/g, '"': /["\\]/g };
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\", "'": "'", '"': '"' };
// Examples of the format show single characters too.
const SPELLINGS: Readonly<Record<string, Symbol>> = { "=": "==", "&": "&&", "|": "||" };

/**
 * Cuts `source` into tokens, the last of kind `end`.
 *
 * @param dotted whether names may have dots in them
 * @throws {SyntaxProblem} at the first character that starts no token
 */
export function tokenize(source: string, dotted = false): Token[] {
  const name = dotted ? DOTTED_NAME : NAME;
  const tokens: Token[] = [];
  let position = 0;
  while (position < source.length) {
    position = skip(BLANK, source, position);
    if (position >= source.length) break;
    const character = source[position] ?? "";
    if (character === "'" || character === '"') {
      const text = readText(source, position, character);
      tokens.push({ kind: "text", position, value: text.value });
      position = text.end;
      continue;
    }
    const token = readName(name, source, position) ?? readNumber(source, position) ?? readCapture(source, position) ??
      readSymbol(source, position);
    if (token === undefined) throw new SyntaxProblem(unexpected(source, position), position);
    tokens.push(token.token);
    position = token.end;
  }
  tokens.push({ kind: "end", position: source.length });
  return tokens;
}

function skip(pattern: RegExp, source: string, position: number): number {
  pattern.lastIndex = position;
  return pattern.test(source) ? pattern.lastIndex : position;
}

function take(pattern: RegExp, source: string, position: number): RegExpExecArray | null {
  pattern.lastIndex = position;
  return pattern.exec(source);
}

interface Read {
  readonly token: Token;
  readonly end: number;
}

function readName(name: RegExp, source: string, position: number): Read | undefined {
  const match = take(name, source, position);
  if (match === null) return undefined;
  return { token: { kind: "name", position, value: match[0] }, end: position + match[0].length };
}

function readNumber(source: string, position: number): Read | undefined {
  const match = take(NUMBER, source, position);
  if (match === null) return undefined;
  const end = position + match[0].length;
  const word = take(NAME, source, end);
  if (word !== null) {
    const text = match[0] + word[0];
    throw new SyntaxProblem(
      `'${text}' is neither a number nor a name; a duration stands alone as the whole result, or in quotes: '${text}'`,
      position,
    );
  }
  return { token: { kind: "number", position, value: Number(match[0]) }, end };
}

function readCapture(source: string, position: number): Read | undefined {
  const match = take(CAPTURE, source, position);
  if (match === null) return undefined;
  const value = Number(match[1] ?? match[2]);
  return { token: { kind: "capture", position, value }, end: position + match[0].length };
}

function readSymbol(source: string, position: number): Read | undefined {
  const match = take(SYMBOL, source, position);
  if (match === null) return undefined;
  const value = SPELLINGS[match[0]] ?? match[0] as Symbol;
  return { token: { kind: "symbol", position, value }, end: position + match[0].length };
}

function readText(source: string, start: number, quote: string): { value: string; end: number } {
  const closing = CLOSING[quote] ?? /['\\]/g;
  let value = "";
  let position = start + 1;
  while (true) {
    const match = take(closing, source, position);
    if (match === null) throw new SyntaxProblem(`the text that starts here has no closing ${quote}`, start);
    value += source.slice(position, match.index);
    if (match[0] === quote) return { value, end: match.index + 1 };
    const escaped = source[match.index + 1] ?? "";
    // A backslash before any other character stays, so regular expressions need no doubling.
    value += ESCAPES[escaped] ?? "\\" + escaped;
    position = match.index + 1 + escaped.length;
  }
}

function unexpected(source: string, position: number): string {
  const character = String.fromCodePoint(source.codePointAt(position) ?? 0);
  if (character === "$") return "'$' must be followed by the number of a group, as in $1 or ${1}";
  if (character === "%") return "unexpected '%'; macros are written %{env:NAME}%";
  if (/\p{L}/u.test(character)) return `unexpected '${character}'; put text in quotes`;
  return `unexpected ${JSON.stringify(character)}`;
}
