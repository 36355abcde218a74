/** Other spellings of keys, and areas of the format that godwit has no part in. */

import { formatPath, type KeyPath } from "./key_path.ts";
import type { Problems } from "./problems.ts";
import type { Node, TableNode } from "./toml/node.ts";

/** Moves what stands under one path to another; `*` is any name or position. */
interface Spelling {
  readonly written: readonly string[];
  readonly canonical: readonly string[];
  /** Whether it is told as a load warning. */
  readonly warn: boolean;
}

function spelling(written: string, canonical: string, warn = false): Spelling {
  return { written: written.split("."), canonical: canonical.split("."), warn };
}

const SPELLINGS: readonly Spelling[] = [
  spelling("session.rcpt.subaddressing", "session.rcpt.sub-addressing"),
  spelling("session.rcpt.rcpt.errors", "session.rcpt.errors"),
  spelling("rcpt.errors", "session.rcpt.errors"),
  spelling("session.data.limits.message", "session.data.limits.messages"),
  spelling("session.connect.mail", "session.mail.script", true),
  spelling("route", "queue.route", true),
  spelling("directory.*.principals.*.type", "directory.*.principals.*.class"),
  spelling("jmap.http.headers", "http.headers", true),
  spelling("sieve.trusted.limits.outgoing-messages", "sieve.trusted.limits.out-messages"),
];

/** Gives every key its canonical place. Changes `root`. */
export function normalizeSpellings(root: TableNode, problems: Problems): void {
  for (const { written, canonical, warn } of SPELLINGS) {
    for (const match of matches(root, written)) {
      match.parent.entries.delete(match.name);
      const wildcards = [...match.wildcards];
      const path = canonical.map((segment) => segment === "*" ? wildcards.shift() ?? "" : segment);
      if (warn) problems.warning(path, match.node.line, `written as '${formatPath(match.path)}', an older spelling`);
      put(root, path, match, problems);
    }
    prune(root, written.slice(0, -1));
  }
}

interface Match {
  readonly parent: TableNode;
  readonly name: string;
  readonly node: Node;
  readonly path: KeyPath;
  readonly wildcards: KeyPath;
}

function* matches(
  node: Node,
  pattern: readonly string[],
  path: KeyPath = [],
  wildcards: KeyPath = [],
): Generator<Match> {
  const [first, ...rest] = pattern;
  if (first === undefined) return;
  if (node.kind === "array") {
    if (first !== "*") return;
    for (const [index, item] of node.items.entries()) {
      yield* matches(item, rest, [...path, index], [...wildcards, index]);
    }
  }
  if (node.kind !== "table") return;
  const names = first === "*" ? [...node.entries.keys()] : [first];
  for (const name of names) {
    const child = node.entries.get(name);
    if (child === undefined) continue;
    const here = [...path, name];
    const caught = first === "*" ? [...wildcards, name] : wildcards;
    if (rest.length === 0) yield { parent: node, name, node: child, path: here, wildcards: caught };
    else yield* matches(child, rest, here, caught);
  }
}

function put(root: TableNode, path: KeyPath, match: Match, problems: Problems): void {
  let target: Node = root;
  for (const segment of path.slice(0, -1)) {
    const next: Node | undefined = target.kind === "array"
      ? target.items[Number(segment)]
      : childTable(target, segment, match);
    if (next === undefined) return;
    target = next;
  }
  const name = String(path.at(-1));
  if (target.kind === "table") merge(target, name, match.node, path, match, problems);
}

function childTable(target: Node, segment: string | number, match: Match): Node | undefined {
  if (target.kind !== "table") return undefined;
  const name = String(segment);
  const existing = target.entries.get(name);
  if (existing !== undefined) return existing;
  const made: TableNode = { kind: "table", line: match.node.line, entries: new Map(), origin: "implicit" };
  target.entries.set(name, made);
  return made;
}

function merge(
  target: TableNode,
  name: string,
  node: Node,
  path: KeyPath,
  match: Match,
  problems: Problems,
): void {
  const existing = target.entries.get(name);
  if (existing === undefined) {
    target.entries.set(name, node);
  } else if (existing.kind === "table" && node.kind === "table") {
    for (const [key, entry] of node.entries) merge(existing, key, entry, [...path, key], match, problems);
  } else {
    const other = formatPath(match.path);
    problems.error(
      path,
      node.line,
      `set on line ${existing.line} and, as '${other}', on line ${node.line}; keep one of them`,
    );
  }
}

/** Drops tables that became empty when what they held was moved. */
function prune(root: TableNode, path: readonly string[]): void {
  const [first, ...rest] = path;
  if (first === undefined || first === "*") return;
  const child = root.entries.get(first);
  if (child?.kind !== "table") return;
  prune(child, rest);
  if (child.entries.size === 0) root.entries.delete(first);
}

const OTHER_AREAS: readonly (readonly string[])[] = [
  "account",
  "calendar",
  "changes",
  "contacts",
  "dav",
  "email",
  "enterprise",
  "file-storage",
  "form",
  "imap",
  "jmap",
  "oauth",
  "object-quota",
  "sharing",
  "spam-filter",
  "webadmin",
  "config.local-keys",
  "authentication.master",
  "sieve.untrusted",
  "storage.blob",
  "storage.fts",
  "storage.search-index",
  "storage.undelete",
  "metrics.alerts",
  "metrics.history",
  "tracing.history",
  "cluster.coordinator",
  "cluster.roles",
].map((path) => path.split("."));

/** Takes out what godwit ignores, with one warning for each area. Changes `root`. */
export function dropOtherAreas(root: TableNode, problems: Problems): void {
  for (const area of OTHER_AREAS) {
    for (const match of matches(root, area)) {
      match.parent.entries.delete(match.name);
      problems.warning(match.path, match.node.line, IGNORED);
    }
    prune(root, area.slice(0, -1));
  }
  const cache = root.entries.get("cache");
  if (cache?.kind !== "table") return;
  const others = [...cache.entries].filter(([name]) => name !== "dns");
  for (const [name] of others) cache.entries.delete(name);
  const [first] = others;
  if (first !== undefined) {
    problems.warning(["cache", first[0]], first[1].line, `${IGNORED} (of cache.*, only dns is used)`);
  }
}

const IGNORED = "this area of the format is not part of godwit and is ignored";
