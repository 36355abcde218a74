/** TOML values with their lines. Scalars are evaluated by the TOML library, structure is read here. */

import { parse, TomlError } from "smol-toml";
import type { ConfigProblem } from "../config.ts";
import { formatPath, type KeyPath } from "../key_path.ts";
import { currentLine, type Cursor, expected, lineAt, skipBlanks, skipVoid } from "./cursor.ts";
import { type Node, quoted, type TableNode } from "./node.ts";
import { readKey, readString, tomlReason } from "./string.ts";

/** What keeps hostile nesting from exhausting the stack. */
const DEEPEST = 100;

const BARE_VALUE = /\d{4}-\d\d-\d\d \d\d:[\d:.]+(?:[Zz]|[+-]\d\d:\d\d)?|[^\s,\]}#=]+/y;

/** Reads a value, or reports what is there instead. */
export function readValue(cursor: Cursor, path: KeyPath, depth = 0): Node | undefined {
  if (depth > DEEPEST) return expected(cursor, [], `at most ${DEEPEST} levels of nesting`);
  const line = currentLine(cursor);
  const first = cursor.text[cursor.at];
  if (first === "[") return readArray(cursor, path, depth);
  if (first === "{") return readInlineTable(cursor, path, depth);
  if (first === '"' || first === "'") {
    const value = readString(cursor, path);
    return value === undefined ? undefined : { kind: "scalar", line, value };
  }
  return readBareValue(cursor, path, line);
}

function readBareValue(cursor: Cursor, path: KeyPath, line: number): Node | undefined {
  const what = "a value (text in quotes, a number, true or false, a list in [ ] or a table in { })";
  BARE_VALUE.lastIndex = cursor.at;
  const token = BARE_VALUE.exec(cursor.text)?.[0];
  if (token === undefined) return expected(cursor, path, what);
  try {
    const value: unknown = parse(`v = ${token}`)["v"];
    if (typeof value === "number" || typeof value === "boolean" || value instanceof Date) {
      cursor.at += token.length;
      return { kind: "scalar", line, value };
    }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const numeric = /^[-+0-9]/.test(token);
    return expected(cursor, path, what, numeric ? tomlReason(error) : `text needs quotes: ${quoted(token)}`);
  }
  return expected(cursor, path, what);
}

function readArray(cursor: Cursor, path: KeyPath, depth: number): Node | undefined {
  const line = currentLine(cursor);
  const items: Node[] = [];
  cursor.at++;
  while (true) {
    skipVoid(cursor);
    if (cursor.text[cursor.at] === "]") break;
    const item = readValue(cursor, path, depth + 1);
    if (item === undefined) return undefined;
    items.push(item);
    skipVoid(cursor);
    if (cursor.text[cursor.at] === "]") break;
    if (cursor.text[cursor.at] !== ",") {
      return expected(cursor, path, `"," or "]" in the list that begins on line ${line}`);
    }
    cursor.at++;
  }
  cursor.at++;
  return { kind: "array", line, items, ofTables: false };
}

function readInlineTable(cursor: Cursor, path: KeyPath, depth: number): Node | undefined {
  const start = cursor.at;
  const table: TableNode = { kind: "table", line: currentLine(cursor), entries: new Map(), origin: "inline" };
  cursor.at++;
  while (true) {
    skipVoid(cursor);
    if (cursor.text[cursor.at] === "}") break;
    if (looksLikeSet(cursor)) return skipSet(cursor, path, start);
    if (!readAssignment(cursor, path, table, depth + 1)) return undefined;
    skipVoid(cursor);
    if (cursor.text[cursor.at] === "}") break;
    if (cursor.text[cursor.at] !== ",") {
      return expected(cursor, path, `"," or "}" in the table that begins on line ${table.line}`);
    }
    cursor.at++;
  }
  cursor.at++;
  return table;
}

const SET_ITEM = /(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_.:/*-]+)\s*(?:#[^\n]*\n\s*)*[,}]/y;

/** Whether an item without `=` follows: `{ "a", "b" }`. */
function looksLikeSet(cursor: Cursor): boolean {
  SET_ITEM.lastIndex = cursor.at;
  return SET_ITEM.test(cursor.text);
}

const REST_OF_SET = /(?:"[^"\n]*"|'[^'\n]*'|#[^\n]*|[^"'#}])*\}/y;

/** Reports set braces, `{ "a", "b" }`, which other formats have, and steps over them. */
function skipSet(cursor: Cursor, path: KeyPath, start: number): Node | undefined {
  const line = lineAt(cursor, start);
  cursor.problems.push({
    severity: "error",
    key: formatPath(path),
    line,
    message: 'expected a list or a table, found a set in braces, which is not TOML; write ["a", "b"] for a list, ' +
      'or { "a" = true, "b" = true } for a table',
  });
  REST_OF_SET.lastIndex = start + 1;
  const rest = REST_OF_SET.exec(cursor.text);
  cursor.at = rest === null ? cursor.text.length : start + 1 + rest[0].length;
  return { kind: "broken", line };
}

/**
 * Reads `key = value` into `table`. A key that is there already is reported; the first value stays.
 *
 * @param path path of `table`
 * @returns false if the text could not be read
 */
export function readAssignment(cursor: Cursor, path: KeyPath, table: TableNode, depth: number): boolean {
  const line = currentLine(cursor);
  const segments = readKey(cursor, path);
  if (segments === undefined) {
    cursor.complete = false;
    return false;
  }
  const full = [...path, ...segments];
  if (cursor.text[cursor.at] !== "=") {
    expected(cursor, full, 'a "=" after the key');
    place(cursor, path, table, segments, { kind: "broken", line });
    return false;
  }
  cursor.at++;
  skipBlanks(cursor);
  const value = readValue(cursor, full, depth + segments.length);
  place(cursor, path, table, segments, value ?? { kind: "broken", line });
  return value !== undefined;
}

function place(cursor: Cursor, path: KeyPath, table: TableNode, segments: readonly string[], value: Node): void {
  let target = table;
  for (const [index, segment] of segments.entries()) {
    const existing = target.entries.get(segment);
    const isLast = index === segments.length - 1;
    if (existing === undefined) {
      if (isLast) {
        target.entries.set(segment, value);
        return;
      }
      const made: TableNode = { kind: "table", line: value.line, entries: new Map(), origin: "dotted" };
      target.entries.set(segment, made);
      target = made;
    } else if (
      !isLast && existing.kind === "table" && (existing.origin === "dotted" || existing.origin === "implicit")
    ) {
      target = existing;
    } else {
      const key = [...path, ...segments.slice(0, index + 1)];
      cursor.problems.push(repeated(formatPath(key), value.line, existing.line));
      return;
    }
  }
}

/** The problem of a key or header that stands twice. */
export function repeated(key: string, line: number, first: number, header = false): ConfigProblem {
  const what = header ? "this header repeats the table of" : "this key is set already on";
  return {
    severity: "error",
    key,
    line,
    message: `${what} line ${first}, found again on line ${line}; keep one of them`,
  };
}
