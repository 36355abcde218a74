/** Reads the entries of a list that comes in pieces: one a line, or CSV (RFC 4180). Memory is bounded by its limits. */

import type { HttpLookupConfig } from "../config/config.ts";
import type { Value } from "../expression/types.ts";

/** Takes a file piece by piece. */
export interface EntryReader {
  push(text: string): void;
  /** Ends the file. */
  end(): ReadEntries;
}

/** What a file held. */
export interface ReadEntries {
  readonly entries: ReadonlyMap<string, Value>;
  /** Entries that were longer than allowed, or had no such column. */
  readonly skipped: number;
  /** There were more than allowed; the first ones count. */
  readonly truncated: boolean;
}

/** What decides how a file is read. */
export type EntryFormat = Pick<HttpLookupConfig, "format" | "limits">;

/** Reads a file of the configured format. */
export function createEntryReader(config: EntryFormat): EntryReader {
  const { limits } = config;
  const entries = new Map<string, Value>();
  let skipped = 0;
  let truncated = false;
  const add = (key: string | undefined, value: Value | undefined) => {
    if (key === undefined || key === "" || value === undefined) {
      skipped++;
    } else if (tooLong(key, limits.entrySize) || (typeof value === "string" && tooLong(value, limits.entrySize))) {
      skipped++;
    } else if (entries.has(key)) {
      // The first one counts, as in a list that is read from the top.
    } else if (entries.size >= limits.entries) {
      truncated = true;
    } else {
      entries.set(key, value);
    }
  };
  const { format } = config;
  const reader = format.type === "list" ? lineReader(limits.entrySize, add) : csvReader(format, limits.entrySize, add);
  return {
    push: reader.push,
    end() {
      reader.end();
      return { entries, skipped, truncated };
    },
  };
}

type Add = (key: string | undefined, value: Value | undefined) => void;

interface Pieces {
  push(text: string): void;
  end(): void;
}

function tooLong(text: string, limit: number): boolean {
  return text.length > limit || (text.length * 3 > limit && new TextEncoder().encode(text).length > limit);
}

/** Lines without blanks around them; empty ones and those that begin with `#` are no entries. */
function lineReader(limit: number, add: Add): Pieces {
  let line = "";
  const finish = () => {
    const entry = line.trim();
    line = "";
    if (entry !== "" && !entry.startsWith("#")) add(entry, true);
  };
  // Blanks around an entry are no part of it; what is longer than this cannot become one.
  const most = limit + 256;
  return {
    push(text) {
      for (let at = 0; at < text.length;) {
        const end = text.indexOf("\n", at);
        const stop = end < 0 ? text.length : end;
        if (line.length <= most) line += text.slice(at, Math.min(stop, at + most + 1 - line.length));
        if (end < 0) return;
        finish();
        at = end + 1;
      }
    },
    end: finish,
  };
}

type CsvFormat = Extract<HttpLookupConfig["format"], { type: "csv" }>;

/** Records of fields; a field in quotation marks may hold separators, line ends and doubled quotation marks. */
function csvReader(format: CsvFormat, limit: number, add: Add): Pieces {
  const { separator, keyColumn, valueColumn } = format;
  let heading = format.skipFirst;
  let column = 0;
  let field = "";
  let key: string | undefined;
  let value: string | undefined;
  let quoted = false;
  /** A quotation mark inside quotation marks: the end, or half of a doubled one. */
  let mark = false;
  let anything = false;

  const endField = () => {
    if (column === keyColumn) key = field.trim();
    if (column === valueColumn) value = field.trim();
    field = "";
    column++;
  };
  const endRecord = () => {
    endField();
    if (anything && !heading) add(key, valueColumn === undefined ? true : value);
    if (anything) heading = false;
    column = 0;
    key = value = undefined;
    anything = quoted = mark = false;
  };
  const append = (char: string) => {
    if ((column === keyColumn || column === valueColumn) && field.length <= limit) field += char;
  };
  const take = (char: string) => {
    if (quoted && !mark) {
      if (char === '"') mark = true;
      else append(char);
      return;
    }
    if (mark) {
      mark = false;
      if (char === '"') return append(char);
      quoted = false;
    }
    if (char === "\n") return endRecord();
    if (char === "\r") return;
    anything = true;
    if (char === separator) endField();
    else if (char === '"' && field.trim() === "") quoted = true;
    else append(char);
  };
  return {
    push(text) {
      for (let at = 0; at < text.length; at++) take(text.charAt(at));
    },
    end() {
      if (anything || field !== "") endRecord();
    },
  };
}
