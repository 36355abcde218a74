/** Macros in values: `%{env:NAME}%`, `%{file:PATH}%`, `%{cfg:KEY}%` and `%{NAME}%`. */

import { createSources, defaultSource, type Machine } from "./defaults.ts";
import { formatPath, type KeyPath, parsePath } from "./key_path.ts";
import type { Problems } from "./problems.ts";
import type { Pattern } from "./schema/mod.ts";
import type { Id } from "./schema/spec.ts";
import { hintFor, patternOf } from "./schema/tree.ts";
import { isSecret, type Node, quoted, type ScalarNode } from "./toml/node.ts";
import type { KeySet, SetKey } from "./walk.ts";

/** Where macros get their values. */
export interface MacroSources extends Machine {
  /** An environment variable. */
  env(name: string): string | undefined;
  /** The text of a file, by a path relative to the folder of the configuration. @throws if it cannot be read */
  readFile(path: string): string;
}

/** Text that macros gave. */
interface Expansion {
  readonly text: string;
  readonly secret: boolean;
}

const MACRO = /%\{(.*?)\}%/gs;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Expands the macros of every key. Replaces the nodes of `set`; where a macro fails the node counts as broken. */
export function expandMacros(set: KeySet, sources: MacroSources, problems: Problems): void {
  const { keys } = set;
  const expanded = new Map<string, Node>();
  const underWay = new Set<string>();

  const expandKey = (name: string, key: SetKey): Node => {
    const done = expanded.get(name);
    if (done !== undefined) return done;
    underWay.add(name);
    const node = expandNode(key.node, key.path);
    underWay.delete(name);
    expanded.set(name, node);
    return node;
  };

  const expandNode = (node: Node, path: KeyPath): Node => {
    switch (node.kind) {
      case "broken":
        return node;
      case "scalar":
        return typeof node.value === "string" && node.value.includes("%{") ? expandText(node, node.value, path) : node;
      case "array":
        return { ...node, items: node.items.map((item) => expandNode(item, path)) };
      case "table":
        return {
          ...node,
          entries: new Map([...node.entries].map(([name, entry]) => [name, expandNode(entry, path)])),
        };
    }
  };

  const expandText = (node: ScalarNode, written: string, path: KeyPath): Node => {
    let failed = false;
    let secret = false;
    let found = false;
    const value = written.replaceAll(MACRO, (_, inside: string) => {
      found = true;
      const expansion = expandMacro(inside, path, node.line);
      if (expansion === undefined) failed = true;
      else if (expansion.secret) secret = true;
      return expansion?.text ?? "";
    });
    if (failed) return { kind: "broken", line: node.line };
    return found ? { ...node, value, macro: { written, secret } } : node;
  };

  const expandMacro = (inside: string, path: KeyPath, line: number): Expansion | undefined => {
    const fail = (message: string) => {
      problems.error(path, line, message);
      return undefined;
    };
    const [, kind, argument = ""] = /^(env|file|cfg):(.*)$/s.exec(inside) ?? [];
    switch (kind) {
      case "env":
        return secretText(sources.env(argument)) ?? fail(`the environment variable ${quoted(argument)} is not set`);
      case "file":
        return readFile(argument, fail);
      case "cfg":
        return expandSetting(argument, fail);
    }
    if (!VARIABLE.test(inside)) {
      return fail(`expected %{env:NAME}%, %{file:PATH}% or %{cfg:KEY}%, found ${quoted(`%{${inside}}%`)}`);
    }
    problems.warning(path, line, `%{${inside}}% is an older spelling of %{env:${inside}}%`);
    return secretText(sources.env(inside)) ?? fail(`the environment variable ${quoted(inside)} is not set`);
  };

  const readFile = (file: string, fail: (message: string) => undefined): Expansion | undefined => {
    try {
      // One final line break is dropped.
      return { text: sources.readFile(file).replace(/\r?\n$/, ""), secret: true };
    } catch (error) {
      return fail(`cannot read the file ${quoted(file)}: ${reasonOf(error)}`);
    }
  };

  const expandSetting = (text: string, fail: (message: string) => undefined): Expansion | undefined => {
    const path = parsePath(text);
    const known = path === undefined ? undefined : patternOf(path);
    if (path === undefined || known === undefined) {
      return fail(`unknown key ${quoted(text)} in %{cfg:…}%${path === undefined ? "" : hintFor(path)}`);
    }
    const name = formatPath(path);
    const circle = () => fail(`the macro %{cfg:${name}}% goes in a circle: ${[...underWay, name].join(", ")}`);
    if (underWay.has(name)) return circle();
    const key = keys.get(name);
    if (key === undefined) return defaultText(known, name, circle, fail);
    const node = expandKey(name, key);
    if (node.kind === "broken") return fail(`${name}, wanted by %{cfg:…}%, could not be read`);
    if (node.kind !== "scalar" || node.value instanceof Date) {
      return fail(`${name}, wanted by %{cfg:…}%, is not a single text, number or boolean`);
    }
    return { text: String(node.value), secret: isSecret(node) };
  };

  /** The default of a key, which may come from other keys with macros of their own. */
  const defaultText = (
    { pattern, ids }: { readonly pattern: Pattern; readonly ids: readonly Id[] },
    name: string,
    circle: () => undefined,
    fail: (message: string) => undefined,
  ): Expansion | undefined => {
    let secret = false;
    let isCircle = false;
    const from = createSources(set, sources, (other) => {
      const key = keys.get(other);
      if (key === undefined) return undefined;
      if (underWay.has(other)) {
        isCircle = true;
        return undefined;
      }
      const node = expandKey(other, key);
      if (isSecret(node)) secret = true;
      return node;
    });
    const source = defaultSource(pattern, ids, from);
    if (isCircle) return circle();
    if (source === undefined || typeof source === "object") {
      return fail(`${name}, wanted by %{cfg:…}%, is not set and has no default that is a single value`);
    }
    return { text: String(source), secret };
  };

  for (const [name, key] of keys) keys.set(name, { ...key, node: expandKey(name, key) });
}

function secretText(text: string | undefined): Expansion | undefined {
  return text === undefined ? undefined : { text, secret: true };
}

/** Why a file could not be read, in few words and without its content. */
export function reasonOf(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is no such file";
  if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
    return "permission denied";
  }
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  return "it cannot be read";
}
