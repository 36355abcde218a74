/** Defaults of keys, and the values of other keys that they are worked out from. */

import { formatPath } from "./key_path.ts";
import { type Pattern, SCHEMA } from "./schema/mod.ts";
import type { DefaultSources, Id, Key, Source } from "./schema/spec.ts";
import { isPattern, openSegments, pathOf } from "./schema/tree.ts";
import { isBroken, type Node, numberedItems } from "./toml/node.ts";
import type { KeySet } from "./walk.ts";

/** What is known of the machine. */
export interface Machine {
  /** `""` if it has none. */
  readonly hostname: string;
  readonly cpus: number;
}

/**
 * Access to values and defaults.
 *
 * @param find the node of a key that the file sets, by its path
 */
export function createSources(
  set: KeySet,
  machine: Machine,
  find: (name: string) => Node | undefined,
): DefaultSources {
  const sources: DefaultSources = {
    ...machine,
    source(pattern, ...ids) {
      const node = find(formatPath(pathOf(pattern, ids)));
      if (node !== undefined) return isBroken(node) ? undefined : toSource(node);
      return isPattern(pattern) ? defaultSource(pattern, ids, sources) : undefined;
    },
    names: (section) => [...set.sections.get(section)?.keys() ?? []].map(String),
  };
  return sources;
}

/** The default of a key in the form the file would have; `undefined` if it has none. */
export function defaultSource(pattern: Pattern, ids: readonly Id[], from: DefaultSources): Source | undefined {
  const { fallback }: Key = SCHEMA[pattern];
  switch (fallback.kind) {
    case "constant":
      return fallback.value;
    case "same":
      return from.source(fallback.pattern, ...ids.slice(0, openSegments(fallback.pattern)));
    case "computed":
      return fallback.compute(from, ids);
    case "none":
    case "required":
      return undefined;
  }
}

/** A value without its lines, as TOML has it. */
export function toSource(node: Node): Source {
  switch (node.kind) {
    case "scalar":
      return node.value instanceof Date ? node.value.toISOString() : node.value;
    case "array":
      return node.items.map(toSource);
    case "table": {
      const items = numberedItems(node);
      if (items !== undefined) return items.map(toSource);
      return Object.fromEntries([...node.entries].map(([name, entry]) => [name, toSource(entry)]));
    }
    case "broken":
      return "";
  }
}

/** A default as if it stood in the file. */
export function toNode(source: Source, line: number): Node {
  if (typeof source !== "object") return { kind: "scalar", line, value: source };
  if (isList(source)) return { kind: "array", line, items: source.map((item) => toNode(item, line)), ofTables: false };
  const entries = new Map(Object.entries(source).map(([name, entry]) => [name, toNode(entry, line)]));
  return { kind: "table", line, entries, origin: "inline" };
}

/** Whether a source is a list. */
export function isList(source: Source): source is readonly Source[] {
  return Array.isArray(source);
}
