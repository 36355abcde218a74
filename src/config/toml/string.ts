/** TOML strings and keys, with the escapes that TOML does not know kept as they are. */

import { parse, TomlError } from "smol-toml";
import { formatPath, type KeyPath } from "../key_path.ts";
import { currentLine, type Cursor, expected, lineAt, skipBlanks } from "./cursor.ts";

const PLAIN_BASIC = /[^"\\\n]+/y;
const PLAIN_LITERAL = /[^'\n]+/y;
const BARE_KEY = /[A-Za-z0-9_-]+/y;
/** TOML 1.0: the escapes of a basic string. */
const ESCAPE = /\\(?:[btnfr"\\]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})/y;
/** In a multi-line basic string a backslash at the end of a line swallows the line end. */
const LINE_CONTINUATION = /\\[ \t]*\r?\n/y;

/** Reads a key, `a."b.c".d`, up to what follows it. */
export function readKey(cursor: Cursor, path: KeyPath): readonly string[] | undefined {
  const segments: string[] = [];
  while (true) {
    skipBlanks(cursor);
    const segment = readKeySegment(cursor, [...path, ...segments]);
    if (segment === undefined) return undefined;
    segments.push(segment);
    skipBlanks(cursor);
    if (cursor.text[cursor.at] !== ".") return segments;
    cursor.at++;
  }
}

function readKeySegment(cursor: Cursor, path: KeyPath): string | undefined {
  const first = cursor.text[cursor.at];
  if (first === '"' || first === "'") return readString(cursor, path, false);
  BARE_KEY.lastIndex = cursor.at;
  const bare = BARE_KEY.exec(cursor.text);
  if (bare === null) return expected(cursor, path, "a key");
  cursor.at += bare[0].length;
  return bare[0];
}

/** Reads a string of any of the four forms; with `multiline` false only the two that stay on one line. */
export function readString(cursor: Cursor, path: KeyPath, multiline = true): string | undefined {
  const start = cursor.at;
  const quote = cursor.text.charAt(start);
  const long = multiline && cursor.text.startsWith(quote.repeat(3), start);
  const delimiter = long ? quote.repeat(3) : quote;
  const plain = quote === '"' ? PLAIN_BASIC : PLAIN_LITERAL;
  let literal = delimiter;
  cursor.at += delimiter.length;
  while (!cursor.text.startsWith(delimiter, cursor.at)) {
    const next = cursor.text[cursor.at];
    if (next === undefined || (!long && next === "\n")) {
      if (long) cursor.complete = false;
      const begins = `the string that begins on line ${lineAt(cursor, start)}`;
      return expected(cursor, path, `a closing ${delimiter} for ${begins}`);
    }
    if (quote === '"' && next === "\\") {
      literal += readEscape(cursor, path, long);
    } else {
      plain.lastIndex = cursor.at;
      const run = plain.exec(cursor.text)?.[0] ?? next;
      literal += run;
      cursor.at += run.length;
    }
  }
  cursor.at += delimiter.length;
  // TOML 1.0: one or two quotes may stand directly before the closing delimiter.
  for (let more = 0; long && more < 2 && cursor.text[cursor.at] === quote; more++) {
    literal += quote;
    cursor.at++;
  }
  return evaluate(cursor, path, start, literal + delimiter);
}

/** Reads an escape and gives it as TOML has it; an unknown one gets its backslash doubled and a warning. */
function readEscape(cursor: Cursor, path: KeyPath, long: boolean): string {
  for (const form of long ? [ESCAPE, LINE_CONTINUATION] : [ESCAPE]) {
    form.lastIndex = cursor.at;
    const known = form.exec(cursor.text);
    if (known === null) continue;
    cursor.at += known[0].length;
    return known[0];
  }
  const written = /^\\[!-~]?/.exec(cursor.text.slice(cursor.at, cursor.at + 2))?.[0] ?? "";
  cursor.problems.push({
    severity: "warning",
    key: formatPath(path),
    line: currentLine(cursor),
    message: `the escape ${written} is not TOML and is kept as it is; ` +
      "write a literal string in single quotes, or double the backslash",
  });
  cursor.doubled.push(cursor.at);
  cursor.at++;
  return "\\\\";
}

function evaluate(cursor: Cursor, path: KeyPath, start: number, literal: string): string | undefined {
  try {
    const value: unknown = parse(`v = ${literal}`)["v"];
    if (typeof value === "string") return value;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const line = lineAt(cursor, start);
    const message = `expected a string, found one that is not TOML: ${tomlReason(error)}`;
    cursor.problems.push({ severity: "error", key: formatPath(path), line, message });
  }
  return undefined;
}

/** The reason of the TOML library without its frame. */
export function tomlReason(error: TomlError): string {
  return (error.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
}
