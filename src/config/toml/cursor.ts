/** Where the reader is in a TOML text, and what it has found wrong so far. */

import type { ConfigProblem } from "../config.ts";
import { formatPath, type KeyPath } from "../key_path.ts";
import { quoted } from "./node.ts";

/** Reading position and findings. Reading functions advance `at`. */
export interface Cursor {
  readonly text: string;
  at: number;
  /** Offset of the first character of each line. */
  readonly lineStarts: readonly number[];
  readonly problems: ConfigProblem[];
  /** False once some key could not be made out. */
  complete: boolean;
  /** Offsets where a backslash must be doubled to make the text TOML. */
  readonly doubled: number[];
}

/** A cursor at the beginning of `text`. */
export function cursorOf(text: string): Cursor {
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  return { text, at: 0, lineStarts, problems: [], complete: true, doubled: [] };
}

/** Line, from 1, of an offset. */
export function lineAt(cursor: Cursor, offset: number): number {
  let low = 0;
  let high = cursor.lineStarts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((cursor.lineStarts[middle] ?? Infinity) <= offset) low = middle;
    else high = middle;
  }
  return low + 1;
}

/** Line of the reading position. */
export function currentLine(cursor: Cursor): number {
  return lineAt(cursor, cursor.at);
}

/** Records a syntax error at the reading position. */
export function expected(cursor: Cursor, path: KeyPath, what: string, hint = ""): undefined {
  const line = currentLine(cursor);
  const column = cursor.at - (cursor.lineStarts[line - 1] ?? 0) + 1;
  cursor.problems.push({
    severity: "error",
    key: formatPath(path),
    line,
    message: `column ${column}: expected ${what}, found ${foundAt(cursor)}${hint === "" ? "" : `; ${hint}`}`,
  });
  return undefined;
}

const RUN = /[^\s,\]}#=]+|\S/y;

function foundAt(cursor: Cursor): string {
  if (cursor.at >= cursor.text.length) return "the end of the file";
  RUN.lastIndex = cursor.at;
  const run = RUN.exec(cursor.text);
  if (run !== null) return quoted(run[0]);
  return "\r\n".includes(cursor.text.charAt(cursor.at)) ? "the end of the line" : "a blank";
}

/** Skips blanks and tabs. */
export function skipBlanks(cursor: Cursor): void {
  while (cursor.text[cursor.at] === " " || cursor.text[cursor.at] === "\t") cursor.at++;
}

/** Skips blanks, comments and line ends. */
export function skipVoid(cursor: Cursor): void {
  while (true) {
    skipBlanks(cursor);
    skipComment(cursor);
    if (!skipLineEnd(cursor)) return;
  }
}

/** Skips a comment, up to its line end. */
export function skipComment(cursor: Cursor): void {
  if (cursor.text[cursor.at] !== "#") return;
  const end = cursor.text.indexOf("\n", cursor.at);
  cursor.at = end === -1 ? cursor.text.length : end;
}

/** Skips LF or CRLF. */
export function skipLineEnd(cursor: Cursor): boolean {
  const length = cursor.text.startsWith("\r\n", cursor.at) ? 2 : cursor.text.startsWith("\n", cursor.at) ? 1 : 0;
  cursor.at += length;
  return length > 0;
}
