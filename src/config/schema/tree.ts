/** The patterns of the schema as a tree, for finding the key that a path in the file means. */

import { nearestName } from "../../expression/mod.ts";
import { formatPath, type KeyPath } from "../key_path.ts";
import { type Pattern, SCHEMA } from "./mod.ts";
import type { Id } from "./spec.ts";

/** A place in the format: what may stand under it. */
export interface SchemaNode {
  /** Set if a key ends here. */
  pattern: Pattern | undefined;
  readonly children: Map<string, SchemaNode>;
  /** What stands under a name that the administrator picks. */
  named: SchemaNode | undefined;
  /** What stands in each position of a list of tables. */
  item: SchemaNode | undefined;
}

const NAME = /^<[a-z-]+>$/;

function emptyNode(): SchemaNode {
  return { pattern: undefined, children: new Map(), named: undefined, item: undefined };
}

/** Segments of a pattern; `<…>` and `[]` stand for themselves. */
export function patternSegments(pattern: string): readonly string[] {
  return pattern.split(".").flatMap((segment) => segment.endsWith("[]") ? [segment.slice(0, -2), "[]"] : [segment]);
}

function childOf(node: SchemaNode, segment: string): SchemaNode {
  if (segment === "[]") return node.item ??= emptyNode();
  if (NAME.test(segment)) return node.named ??= emptyNode();
  const existing = node.children.get(segment);
  if (existing !== undefined) return existing;
  const made = emptyNode();
  node.children.set(segment, made);
  return made;
}

/** Whether the schema has this pattern. */
export function isPattern(text: string): text is Pattern {
  return Object.hasOwn(SCHEMA, text);
}

function buildTree(): SchemaNode {
  const root = emptyNode();
  for (const pattern of Object.keys(SCHEMA)) {
    let node = root;
    for (const segment of patternSegments(pattern)) node = childOf(node, segment);
    if (isPattern(pattern)) node.pattern = pattern;
  }
  return root;
}

/** The whole format. */
export const SCHEMA_TREE: SchemaNode = buildTree();

/** The path that a pattern and its ids mean. */
export function pathOf(pattern: string, ids: readonly Id[]): KeyPath {
  let next = 0;
  return patternSegments(pattern).map((segment) =>
    segment === "[]" || NAME.test(segment) ? ids[next++] ?? "" : segment
  );
}

/** How many names and positions a pattern leaves open. */
export function openSegments(pattern: string): number {
  return patternSegments(pattern).filter((segment) => segment === "[]" || NAME.test(segment)).length;
}

/** The pattern that a path falls under, with its ids; `undefined` if the format has no such key. */
export function patternOf(path: KeyPath): { readonly pattern: Pattern; readonly ids: readonly Id[] } | undefined {
  let node: SchemaNode | undefined = SCHEMA_TREE;
  const ids: Id[] = [];
  for (const segment of path) {
    const known: SchemaNode | undefined = typeof segment === "string" ? node.children.get(segment) : undefined;
    const next: SchemaNode | undefined = known ?? (typeof segment === "string" ? node.named : node.item);
    if (next === undefined) return undefined;
    if (known === undefined) ids.push(segment);
    node = next;
  }
  return node.pattern === undefined ? undefined : { pattern: node.pattern, ids };
}

const MOST_LISTED = 12;

/** What may have been meant by a path that the format does not have, as the end of a message. */
export function hintFor(path: KeyPath): string {
  let node = SCHEMA_TREE;
  for (const [index, segment] of path.entries()) {
    const next = typeof segment === "string" ? node.children.get(segment) ?? node.named : node.item;
    if (next !== undefined) {
      node = next;
      continue;
    }
    const near = nearestName(String(segment), node.children.keys());
    if (near !== undefined) return meant([...path.slice(0, index), near, ...path.slice(index + 1)]);
    const elsewhere = nearestElsewhere(path);
    if (elsewhere !== undefined) return meant(elsewhere);
    const known = [...node.children.keys()];
    if (known.length === 0 || known.length > MOST_LISTED) return "";
    const place = index === 0 ? "" : ` in ${formatPath(path.slice(0, index))}`;
    return `; known${place}: ${known.join(", ")}`;
  }
  return "";
}

function meant(path: KeyPath): string {
  return `; did you mean '${formatPath(path)}'?`;
}

/** A key that the path means in another place, if there is a likely one. */
function nearestElsewhere(path: KeyPath): KeyPath | undefined {
  // Written under a header that was meant to have ended: `http.url` after `[storage]` is `storage.http.url`.
  for (let start = 1; start < path.length; start++) {
    if (patternOf(path.slice(start)) !== undefined) return path.slice(start);
  }
  const candidates = Object.keys(SCHEMA)
    .map((pattern) => fit(patternSegments(pattern), path))
    .filter((candidate) => candidate !== undefined);
  const last = path.at(-1);
  const sameName = candidates.filter((candidate) => candidate.at(-1) === last);
  if (sameName.length === 1) return sameName[0];
  const alike = candidates.filter((candidate) => nearestName(String(last), [String(candidate.at(-1))]) !== undefined);
  const near = nearestName(formatPath(path), alike.map(formatPath));
  return alike.find((candidate) => formatPath(candidate) === near);
}

/** The pattern with its names taken from the path, if the path is the same up to each of them. */
function fit(segments: readonly string[], path: KeyPath): KeyPath | undefined {
  let same = true;
  const fitted: (string | number)[] = [];
  for (const [index, segment] of segments.entries()) {
    const found = path[index];
    if (segment === "[]" || NAME.test(segment)) {
      if (!same || found === undefined || (segment === "[]") !== (typeof found === "number")) return undefined;
      fitted.push(found);
    } else {
      same &&= segment === found;
      fitted.push(segment);
    }
  }
  return fitted;
}
