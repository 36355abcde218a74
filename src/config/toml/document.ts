/** TOML documents: headers, statements and the rules on which table may be added to. */

import { parse, TomlError } from "smol-toml";
import type { ConfigProblem } from "../config.ts";
import { formatPath, type KeyPath } from "../key_path.ts";
import {
  currentLine,
  type Cursor,
  cursorOf,
  expected,
  lineAt,
  skipBlanks,
  skipComment,
  skipLineEnd,
  skipVoid,
} from "./cursor.ts";
import type { TableNode } from "./node.ts";
import { readKey, tomlReason } from "./string.ts";
import { readAssignment, repeated } from "./value.ts";

/** What was read. With syntax errors `root` holds what could be made out all the same. */
export interface TomlDocument {
  readonly root: TableNode;
  /** Whether every key of the text is in `root`, if only with a broken value. */
  readonly complete: boolean;
  readonly problems: readonly ConfigProblem[];
}

/** The table that statements go into, and its path. */
interface Section {
  readonly table: TableNode;
  readonly path: KeyPath;
}

/**
 * Reads TOML 1.0 so that every value knows its line. Syntax errors do not end the reading: it goes on with the next
 * line that looks like a statement, so all of them are reported at once. Never throws.
 */
export function readToml(text: string): TomlDocument {
  const cursor = cursorOf(text);
  const root = emptyTable(1, "header");
  let section: Section = { table: root, path: [] };
  if (text.startsWith("\ufeff")) cursor.at = 1;
  while (true) {
    skipVoid(cursor);
    if (cursor.at >= text.length) break;
    const start = cursor.at;
    let understood: boolean;
    if (text[start] === "[") {
      const opened = readHeader(cursor, root);
      understood = opened !== undefined;
      // Keys after a header that makes no sense belong nowhere.
      if (opened === undefined) cursor.complete = false;
      section = opened ?? { table: emptyTable(currentLine(cursor), "header"), path: [] };
    } else {
      understood = readAssignment(cursor, section.path, section.table, section.path.length);
    }
    if (!understood || !readLineEnd(cursor, section.path)) skipToStatement(cursor, start);
  }
  if (!cursor.problems.some((problem) => problem.severity === "error")) checkWhole(cursor);
  return { root, complete: cursor.complete, problems: cursor.problems };
}

function emptyTable(line: number, origin: TableNode["origin"]): TableNode {
  return { kind: "table", line, entries: new Map(), origin };
}

function readHeader(cursor: Cursor, root: TableNode): Section | undefined {
  const line = currentLine(cursor);
  const brackets = cursor.text.startsWith("[[", cursor.at) ? 2 : 1;
  cursor.at += brackets;
  const segments = readKey(cursor, []);
  if (segments === undefined) return undefined;
  if (cursor.text.startsWith("]".repeat(brackets), cursor.at)) {
    cursor.at += brackets;
  } else {
    expected(cursor, segments, `"${"]".repeat(brackets)}" at the end of the header`);
    // Where only the bracket is missing the name is clear; anything else may have been part of it.
    if (!"\r\n#".includes(cursor.text.charAt(cursor.at))) return undefined;
  }
  return openSection(cursor, root, segments, line, brackets === 2);
}

function openSection(
  cursor: Cursor,
  root: TableNode,
  segments: readonly string[],
  line: number,
  ofTables: boolean,
): Section {
  let table = root;
  const path: (string | number)[] = [];
  for (const segment of segments.slice(0, -1)) {
    path.push(segment);
    const existing = table.entries.get(segment);
    const last = existing?.kind === "array" && existing.ofTables ? existing.items.at(-1) : existing;
    if (last === undefined) {
      const made = emptyTable(line, "implicit");
      table.entries.set(segment, made);
      table = made;
    } else if (last.kind === "table" && last.origin !== "inline") {
      if (existing?.kind === "array") path.push(existing.items.length - 1);
      table = last;
    } else {
      return taken(cursor, path, line, last.line);
    }
  }
  const name = segments.at(-1) ?? "";
  path.push(name);
  const existing = table.entries.get(name);
  if (ofTables) {
    if (existing !== undefined && !(existing.kind === "array" && existing.ofTables)) {
      return taken(cursor, path, line, existing.line);
    }
    const made = emptyTable(line, "header");
    const items = existing?.items ?? [];
    items.push(made);
    if (existing === undefined) table.entries.set(name, { kind: "array", line, items, ofTables });
    return { table: made, path: [...path, items.length - 1] };
  }
  if (existing === undefined) {
    const made = emptyTable(line, "header");
    table.entries.set(name, made);
    return { table: made, path };
  }
  if (existing.kind !== "table") return taken(cursor, path, line, existing.line);
  if (existing.origin === "implicit") existing.origin = "header";
  else cursor.problems.push(repeated(formatPath(path), line, existing.line, existing.origin === "header"));
  return { table: existing, path };
}

/** Reports a header whose name holds a value already; what follows it belongs nowhere. */
function taken(cursor: Cursor, path: KeyPath, line: number, first: number): Section {
  cursor.problems.push(repeated(formatPath(path), line, first));
  return { table: emptyTable(line, "header"), path };
}

function readLineEnd(cursor: Cursor, path: KeyPath): boolean {
  skipBlanks(cursor);
  skipComment(cursor);
  if (cursor.at >= cursor.text.length || skipLineEnd(cursor)) return true;
  expected(cursor, path, "the end of the line");
  return false;
}

const KEY = String.raw`(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')`;
const STATEMENT = new RegExp(String.raw`[ \t]*(?:\[|${KEY}(?:[ \t]*\.[ \t]*${KEY})*[ \t]*=)`, "y");

/** After a fault: goes to the next line that looks like a statement, the faulty one itself if it is a later line. */
function skipToStatement(cursor: Cursor, start: number): void {
  const first = lineAt(cursor, start);
  for (let line = Math.max(currentLine(cursor), first + 1); line <= cursor.lineStarts.length; line++) {
    STATEMENT.lastIndex = cursor.lineStarts[line - 1] ?? 0;
    if (STATEMENT.test(cursor.text)) {
      cursor.at = cursor.lineStarts[line - 1] ?? 0;
      return;
    }
  }
  cursor.at = cursor.text.length;
}

/** Lets the TOML library judge the whole text, for the rules that are not read here, such as control characters. */
function checkWhole(cursor: Cursor): void {
  let repaired = "";
  let from = 0;
  for (const at of cursor.doubled) {
    repaired += cursor.text.slice(from, at) + "\\";
    from = at;
  }
  repaired += cursor.text.slice(from);
  try {
    parse(repaired);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = `column ${error.column}: this is not TOML: ${tomlReason(error)}`;
    cursor.problems.push({ severity: "error", key: "", line: error.line, message });
  }
}
