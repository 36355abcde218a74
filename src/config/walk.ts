/** Finds which key of the schema every value of the file belongs to. */

import { formatPath, type KeyPath } from "./key_path.ts";
import type { Problems } from "./problems.ts";
import { KINDS, type Pattern } from "./schema/mod.ts";
import type { Id } from "./schema/spec.ts";
import { hintFor, SCHEMA_TREE, type SchemaNode } from "./schema/tree.ts";
import { describe, type Node, numberedItems, type TableNode } from "./toml/node.ts";

/** A key that the file sets. */
export interface SetKey {
  readonly pattern: Pattern;
  readonly ids: readonly Id[];
  readonly path: KeyPath;
  readonly node: Node;
}

/** What the file sets. */
export interface KeySet {
  /** By path as {@link formatPath} writes it, in the order of the file. */
  readonly keys: Map<string, SetKey>;
  /** Names and lines under each section that holds named ones, such as `server.listener`; positions in lists too. */
  readonly sections: Map<string, Map<Id, number>>;
}

/** Walks the file along the schema. Unknown keys are reported. */
export function findKeys(root: TableNode, problems: Problems): KeySet {
  const found: KeySet = { keys: new Map(), sections: new Map() };
  walkTable(root, SCHEMA_TREE, [], [], found, problems);
  return found;
}

function walk(
  node: Node,
  schema: SchemaNode,
  path: KeyPath,
  ids: readonly Id[],
  found: KeySet,
  problems: Problems,
): void {
  const { pattern } = schema;
  const hasMore = schema.children.size > 0 || schema.named !== undefined || schema.item !== undefined;
  if (pattern !== undefined && !(hasMore && node.kind === "table")) {
    found.keys.set(formatPath(path), { pattern, ids, path, node });
  } else if (schema.item !== undefined) {
    walkItems(node, schema.item, path, ids, found, problems);
  } else if (node.kind === "table") {
    walkTable(node, schema, path, ids, found, problems);
  } else if (node.kind !== "broken") {
    problems.error(path, node.line, `expected a table of settings, found ${describe(node)}`);
  }
}

function walkTable(
  table: TableNode,
  schema: SchemaNode,
  path: KeyPath,
  ids: readonly Id[],
  found: KeySet,
  problems: Problems,
): void {
  for (const [name, node] of table.entries) {
    const here = [...path, name];
    const known = schema.children.get(name);
    if (known !== undefined) {
      walk(node, known, here, ids, found, problems);
    } else if (schema.named !== undefined) {
      enter(found, path, name, node.line);
      walk(onlyType(node, path), schema.named, here, [...ids, name], found, problems);
    } else {
      reportUnknown(node, here, problems);
    }
  }
}

function walkItems(
  node: Node,
  schema: SchemaNode,
  path: KeyPath,
  ids: readonly Id[],
  found: KeySet,
  problems: Problems,
): void {
  const items = itemsOf(node, schema);
  if (items === undefined) {
    if (node.kind !== "broken") problems.error(path, node.line, `expected a list of tables, found ${describe(node)}`);
    return;
  }
  for (const [index, item] of items.entries()) {
    enter(found, path, index, item.line);
    walk(item, schema, [...path, index], [...ids, index], found, problems);
  }
}

/** The tables of a list: `[[header]]`, numbered, with ids, or one table alone. */
function itemsOf(node: Node, schema: SchemaNode): readonly Node[] | undefined {
  if (node.kind === "array") return node.items;
  if (node.kind !== "table") return undefined;
  const numbered = numberedItems(node);
  if (numbered !== undefined) return numbered;
  const values = [...node.entries.values()];
  const withIds = values.every((value) => value.kind === "table") &&
    ![...node.entries.keys()].some((key) => schema.children.has(key));
  return withIds ? values : [node];
}

function enter(found: KeySet, path: KeyPath, id: Id, line: number): void {
  const section = formatPath(path);
  const names = found.sections.get(section) ?? new Map<Id, number>();
  found.sections.set(section, names.set(id, line));
}

/** Of a store of a type that is not opened only the type counts: its other keys belong to that type. */
function onlyType(node: Node, path: KeyPath): Node {
  if (formatPath(path) !== "store" || node.kind !== "table") return node;
  const type = node.entries.get("type");
  if (type?.kind !== "scalar" || typeof type.value !== "string") return node;
  if (type.macro !== undefined || type.value.includes("%{")) return node;
  return KINDS["store.<id>.type"]?.includes(type.value.toLowerCase())
    ? node
    : { ...node, entries: new Map([["type", type]]) };
}

function reportUnknown(node: Node, path: KeyPath, problems: Problems): void {
  const leaves = [...leavesOf(node, path)];
  const [first] = leaves;
  const only = leaves.length === 1 && first !== undefined ? first : path;
  problems.error(only, node.line, `unknown key '${formatPath(path.slice(-1))}'${hintFor(only)}`);
}

function* leavesOf(node: Node, path: KeyPath): Generator<KeyPath> {
  if (node.kind !== "table" || node.entries.size === 0) yield path;
  else for (const [name, entry] of node.entries) yield* leavesOf(entry, [...path, name]);
}
