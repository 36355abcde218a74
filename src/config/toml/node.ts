/** A parsed TOML document in which every table, list and value knows its line. */

/** A string, number, boolean or date. */
export interface ScalarNode {
  readonly kind: "scalar";
  /** Line in the file, from 1. */
  readonly line: number;
  readonly value: string | number | boolean | Date;
  /** Set if macros were expanded in the value: the text as the file has it, and whether it may never be printed. */
  readonly macro?: { readonly written: string; readonly secret: boolean };
}

/** An array, or a run of `[[header]]` tables. */
export interface ArrayNode {
  readonly kind: "array";
  readonly line: number;
  readonly items: Node[];
  /** Whether it was made by `[[header]]`, which further headers may extend. */
  readonly ofTables: boolean;
}

/** A table of any form: header, dotted keys or inline. */
export interface TableNode {
  readonly kind: "table";
  readonly line: number;
  readonly entries: Map<string, Node>;
  /**
   * How it came to be, which decides who may add to it (TOML 1.0, "Table"): its own header, the header of a table
   * inside it, dotted keys, or braces.
   */
  origin: "header" | "implicit" | "dotted" | "inline";
}

/** A value that could not be read; its problem has been reported. */
export interface BrokenNode {
  readonly kind: "broken";
  readonly line: number;
}

/** Any value of a document. */
export type Node = ScalarNode | ArrayNode | TableNode | BrokenNode;

/** Keys of a table that stand for positions of a list: `bind.0`, `relay.1.if`. */
const POSITION = /^(?:0|[1-9][0-9]{0,5})$/;

/** The items of a table whose keys are all numbers, in numeric order, or `undefined`. */
export function numberedItems(table: TableNode): readonly Node[] | undefined {
  const keys = [...table.entries.keys()];
  if (keys.length === 0 || !keys.every((key) => POSITION.test(key))) return undefined;
  return [...table.entries].sort(([a], [b]) => Number(a) - Number(b)).map(([, node]) => node);
}

/** Whether any part of a value came from the environment or a file, so that it must not be printed. */
export function isSecret(node: Node): boolean {
  switch (node.kind) {
    case "scalar":
      return node.macro?.secret ?? false;
    case "array":
      return node.items.some(isSecret);
    case "table":
      return [...node.entries.values()].some(isSecret);
    case "broken":
      return false;
  }
}

/** Whether any part of a value could not be read. */
export function isBroken(node: Node): boolean {
  switch (node.kind) {
    case "scalar":
      return false;
    case "array":
      return node.items.some(isBroken);
    case "table":
      return [...node.entries.values()].some(isBroken);
    case "broken":
      return true;
  }
}

const LONGEST_FOUND = 60;

/** Text in quotes for a message: one line, cut when long. */
export function quoted(text: string): string {
  const characters = [...text];
  const cut = characters.length > LONGEST_FOUND ? characters.slice(0, LONGEST_FOUND).join("") + "…" : text;
  return onOneLine(JSON.stringify(cut));
}

/** Text in which control characters, line separators and direction marks are written as escapes. */
export function onOneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (character) => "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"),
  );
}

/** What was found, for messages. A value that came from the environment or a file shows its macro instead. */
export function describe(node: Node): string {
  switch (node.kind) {
    case "scalar":
      if (node.macro?.secret) return quoted(node.macro.written);
      if (typeof node.value === "string") return quoted(node.value);
      if (node.value instanceof Date) return "a date";
      return String(node.value);
    case "array":
      return node.items.length === 0 ? "an empty list" : "a list";
    case "table":
      return "a table";
    case "broken":
      return "a value that could not be read";
  }
}
