/** Reads keys of the file by the schema: typed values and compiled settings, with defaults and problems. */

import {
  type CompileEnvironment,
  compileSetting,
  constantSetting,
  type ExpressionProblem,
  formatProblem,
  type SettingSource,
  type Value,
} from "../expression/mod.ts";
import type { KeyPlace } from "./config.ts";
import { createSources, defaultSource, isList, type Machine, toNode, toSource } from "./defaults.ts";
import { formatPath, type KeyPath, parsePath } from "./key_path.ts";
import type { Problems } from "./problems.ts";
import { KINDS, type Pattern, SCHEMA, type ValueAt } from "./schema/mod.ts";
import type { DefinedIds } from "./schema/setting_shape.ts";
import type { Id, Key, SettingKey, Source, ValueKey } from "./schema/spec.ts";
import { isPattern, openSegments, pathOf, patternOf } from "./schema/tree.ts";
import { describe, isBroken, isSecret, type Node, numberedItems } from "./toml/node.ts";
import { list } from "./value_type.ts";
import type { KeySet, SetKey } from "./walk.ts";

/** What expressions may refer to, once it is known. */
export interface Definitions {
  readonly defined: DefinedIds;
  /** Without `configGet`, which the reader has itself. */
  readonly environment: Omit<CompileEnvironment, "configGet">;
}

/** Access to what the file says. */
export interface Reader {
  /**
   * The value of a key, or its default. What is wrong is reported, and a value of the right type stands in for it.
   *
   * @param ids what stands for `<…>` and `[]` in the pattern
   */
  get<P extends Pattern>(pattern: P, ...ids: readonly Id[]): ValueAt<P>;
  /** A value that another type reads, such as the text of a key, without a report. */
  node(pattern: Pattern, ...ids: readonly Id[]): Node | undefined;
  isSet(pattern: Pattern, ...ids: readonly Id[]): boolean;
  /** Names under a section such as `server.listener`, in the order of the file. */
  names(section: string, ...ids: readonly Id[]): readonly string[];
  /** Number of items of a list of tables, such as `directory.<id>.principals`. */
  count(section: string, ...ids: readonly Id[]): number;
  /** Reports something about a key, at its line. */
  error(pattern: string, ids: readonly Id[], message: string): void;
  warning(pattern: string, ids: readonly Id[], message: string): void;
  /** What the file has for a key, for messages; secrets are not shown. */
  found(pattern: Pattern, ...ids: readonly Id[]): string;
  /** Makes expressions know what is defined. Settings may be read only after that. */
  define(definitions: Definitions): void;
  /** Reads every key that nobody has asked for, so that what is wrong with it is found all the same. */
  readRest(): void;
  /** A setting or its default for `config_get`; `undefined` if the format has no such key. */
  configGet(key: string): Value | undefined;
  /** Where the file sets a key, or an item of it; `undefined` if it does not. */
  place(key: string, item?: number): KeyPlace | undefined;
}

/** What the reader needs beside the keys of the file. */
export interface ReaderOptions extends Machine {
  readonly problems: Problems;
}

/** Makes a reader of the keys that a file sets. Macros must be expanded. */
export function createReader(set: KeySet, options: ReaderOptions): Reader {
  const { problems } = options;
  const asked = new Set<string>();
  let definitions: Definitions = {
    defined: () => [],
    environment: { directories: [], stores: [], writableStores: [], lists: [] },
  };

  const keyAt = (pattern: string, ids: readonly Id[]): SetKey | undefined =>
    set.keys.get(formatPath(pathOf(pattern, ids)));

  const sources = createSources(set, options, (name) => set.keys.get(name)?.node);

  const configGet = (text: string): Value | undefined => {
    const path = parsePath(text);
    if (path === undefined) return undefined;
    const known = patternOf(path);
    if (known === undefined) return listEntry(path);
    const spec: Key = SCHEMA[known.pattern];
    const key = keyAt(known.pattern, known.ids);
    if (spec.form === "value" && key !== undefined) {
      const value = spec.type.read(key.node, () => {});
      // What is wrong with a value is reported where it is read; an expression must not fail over it again.
      if (value === undefined) return "";
      if (typeof value === "string") return value;
    }
    const source = sources.source(known.pattern, ...known.ids);
    return source === undefined ? "" : toValue(source);
  };

  /** An entry of a list in the file; `undefined` if it is not there. */
  const listEntry = (path: KeyPath): Value | undefined => {
    const spec = SCHEMA["lookup.<name>"];
    const list = path[0] === "lookup" ? set.keys.get(formatPath(path.slice(0, 2))) : undefined;
    if (list === undefined || spec.form !== "value") return undefined;
    const entries = isBroken(list.node) ? undefined : spec.type.read(list.node, () => {});
    // What is wrong with the list is reported where it is read.
    return entries === undefined ? "" : entries.get(path.slice(2).join("."));
  };

  const lineOf = (path: KeyPath): number => {
    for (let length = path.length; length > 0; length--) {
      const key = set.keys.get(formatPath(path.slice(0, length)));
      if (key !== undefined) return key.node.line;
      const line = set.sections.get(formatPath(path.slice(0, length - 1)))?.get(path[length - 1] ?? "");
      if (line !== undefined) return line;
    }
    return 0;
  };

  const readValue = <T>(spec: ValueKey<T>, pattern: Pattern, ids: readonly Id[]): T => {
    const path = pathOf(pattern, ids);
    const key = set.keys.get(formatPath(path));
    const { type, fallback } = spec;
    if (key !== undefined) {
      if (isBroken(key.node)) return type.placeholder;
      return type.read(key.node, (line, message) => problems.error(path, line, message)) ?? type.placeholder;
    }
    if (fallback.kind === "required") {
      problems.error(path, lineOf(path), `required: expected ${type.expected}, found nothing`);
      return type.placeholder;
    }
    if (fallback.kind === "same" && isPattern(fallback.pattern)) {
      // Both keys have the same type; what is wrong with the other one is reported there.
      return read(fallback.pattern, ids.slice(0, openSegments(fallback.pattern))) as T;
    }
    const source = defaultSource(pattern, ids, sources);
    // `unset` keys are typed as `T | undefined`.
    if (source === undefined) return spec.unset ? undefined as T : type.placeholder;
    return type.read(toNode(source, lineOf(path)), () => {}) ?? type.placeholder;
  };

  const readSetting = <T>(spec: SettingKey<T>, pattern: Pattern, ids: readonly Id[]) => {
    const path = pathOf(pattern, ids);
    const name = formatPath(path);
    const key = set.keys.get(name);
    const { shape, context } = spec;
    if (key !== undefined && isBroken(key.node)) return constantSetting(name, shape.placeholder);
    const compiled = compileSetting<T>({
      key: name,
      context,
      type: shape.type(definitions.defined),
      source: key === undefined ? undefined : toSource(key.node),
      // Defaults of settings are written as settings are.
      default: (defaultSource(pattern, ids, sources) ?? "") as SettingSource,
      environment: { ...definitions.environment, configGet },
    });
    const report = (found: readonly ExpressionProblem[], severity: "error" | "warning") => {
      if (key === undefined) return;
      for (const problem of found) {
        const message = isSecret(key.node) ? hiddenText(severity, problem) : formatProblem(problem);
        problems.add({ severity, key: name, line: placeOf(key.node, problem), message });
      }
    };
    report(compiled.errors ?? compiled.warnings, compiled.errors === undefined ? "warning" : "error");
    return compiled.setting ?? constantSetting(name, shape.placeholder);
  };

  const read = (pattern: Pattern, ids: readonly Id[]): unknown => {
    const name = formatPath(pathOf(pattern, ids));
    asked.add(name);
    const spec: Key = SCHEMA[pattern];
    const key = set.keys.get(name);
    if (key !== undefined && !spec.supported && refuses(key, spec)) {
      return spec.form === "value" ? spec.type.placeholder : constantSetting(name, spec.shape.placeholder);
    }
    return spec.form === "value" ? readValue(spec, pattern, ids) : readSetting(spec, pattern, ids);
  };

  /** Reports a key that is not supported yet, unless it only switches something off. */
  const refuses = ({ node, path }: SetKey, spec: Key): boolean => {
    const value = node.kind === "scalar" ? node.value : undefined;
    const plain = typeof value === "string" ? value.toLowerCase() : value;
    if (spec.off.some((off) => off === plain || String(off) === plain)) return false;
    if (!isBroken(node)) problems.error(path, node.line, `is not supported yet (found ${describe(node)})`);
    return true;
  };

  /** Whether a key means something for the kind of its section; if it does not, that is reported. */
  const fits = ({ pattern, ids, path, node }: SetKey): boolean => {
    const section = kindKeyOf(pattern);
    if (section === undefined || section.key === pattern) return true;
    const kind = kindAt(section.key, ids);
    // An unknown or unsupported kind is reported once, at the key that names it.
    if (kind === undefined || !section.supported.includes(kind)) return false;
    const { kinds }: Key = SCHEMA[pattern];
    if (kinds === undefined || kinds.includes(kind)) return true;
    const word = section.key.split(".").at(-1);
    const found = keyAt(section.key, ids.slice(0, openSegments(section.key)))?.node;
    const here = found === undefined ? kind : describe(found);
    problems.warning(path, node.line, `has no effect here: it is for the ${word} ${list(kinds, "and")}, not ${here}`);
    return false;
  };

  const kindAt = (key: Pattern, ids: readonly Id[]): string | undefined => {
    const source = sources.source(key, ...ids.slice(0, openSegments(key)));
    return typeof source === "string" ? source.toLowerCase() : undefined;
  };

  return {
    // What a pattern gives is what its entry in the schema says: the type and the entry are looked up by the same key.
    get: <P extends Pattern>(pattern: P, ...ids: readonly Id[]) => read(pattern, ids) as ValueAt<P>,
    node: (pattern, ...ids) => keyAt(pattern, ids)?.node,
    isSet: (pattern, ...ids) => keyAt(pattern, ids) !== undefined,
    names: (section, ...ids) => [...set.sections.get(formatPath(pathOf(section, ids)))?.keys() ?? []].map(String),
    count: (section, ...ids) => set.sections.get(formatPath(pathOf(section, ids)))?.size ?? 0,
    error: (pattern, ids, message) => {
      const path = pathOf(pattern, ids);
      problems.error(path, lineOf(path), message);
    },
    warning: (pattern, ids, message) => {
      const path = pathOf(pattern, ids);
      problems.warning(path, lineOf(path), message);
    },
    found: (pattern, ...ids) => {
      const key = keyAt(pattern, ids);
      return key === undefined ? "nothing" : describe(key.node);
    },
    define: (known) => definitions = known,
    readRest: () => {
      for (const [name, key] of set.keys) {
        if (!fits(key) || asked.has(name)) continue;
        read(key.pattern, key.ids);
      }
    },
    configGet,
    place: (name, item) => {
      const node = set.keys.get(name)?.node;
      if (node === undefined) return undefined;
      const line = placeOf(node, { source: "", position: 0, ...(item === undefined ? {} : { item }) });
      return { line, secret: isSecret(node) };
    },
  };
}

/** The key that says of what kind the section of a pattern is. */
function kindKeyOf(pattern: Pattern): { readonly key: Pattern; readonly supported: readonly string[] } | undefined {
  for (const [key, supported] of Object.entries(KINDS)) {
    const section = key.slice(0, key.lastIndexOf(".") + 1);
    if (isPattern(key) && pattern.startsWith(section)) return { key, supported };
  }
  return undefined;
}

/** What `config_get` gives: constants and lists of them; of anything else the empty text. */
function toValue(source: Source): Value {
  if (typeof source !== "object") return source;
  return isList(source) ? source.map(toValue) : "";
}

/** The line of a problem: that of its item, of the part in it, and inside a text of several lines. */
function placeOf(node: Node, { item, part, source, position }: Omit<ExpressionProblem, "message">): number {
  let place: Node | undefined = node;
  if (item !== undefined) {
    const items = node.kind === "array" ? node.items : node.kind === "table" ? numberedItems(node) : undefined;
    place = items?.[item] ?? node;
    if (part !== undefined && place.kind === "table") place = place.entries.get(part) ?? place;
  }
  return place.line + [...source.slice(0, position).matchAll(/\n/g)].length;
}

/** What can be said of an expression whose text came from a macro. */
function hiddenText(severity: "error" | "warning", { position }: ExpressionProblem): string {
  const what = severity === "error" ? "is not valid" : "has a doubtful spelling";
  return `the expression ${what} at character ${position + 1}; its text came from a macro and is not shown`;
}
