/** The types of values: what may be written for a key and what it becomes. */

import * as v from "valibot";
import {
  DURATION_SYNTAX,
  parseDuration,
  parseInteger,
  parseRate,
  RATE_SYNTAX,
  SIZE_SYNTAX,
} from "../expression/mod.ts";
import type { Cron, Network, Rate } from "./config.ts";
import {
  type BindText,
  parseAddress,
  parseBind,
  parseCron,
  parseDomain,
  parseHeaderLine,
  parseHost,
  parseHostname,
  parseIp,
  parseNetwork,
  parseServerAddress,
  type ServerAddress,
} from "./syntax.ts";
import { describe, type Node, numberedItems, type ScalarNode } from "./toml/node.ts";

/** Takes what is wrong with a value, at its line. */
export type Report = (line: number, message: string) => void;

/** A type of value. */
export interface ValueType<T> {
  /** What may be written, for messages: "a duration such as 30s". */
  readonly expected: string;
  /** Stands in for a value that is missing or wrong, once that has been reported, so that the rest can be checked. */
  readonly placeholder: T;
  /** The value, or `undefined` after a report. */
  read(node: Node, report: Report): T | undefined;
}

/** A type that one TOML scalar is checked against. */
function scalar<T>(schema: v.GenericSchema<unknown, T>, expected: string, placeholder: T): ValueType<T> {
  return {
    expected,
    placeholder,
    read(node, report) {
      if (node.kind === "scalar") {
        for (const candidate of candidates(node)) {
          const result = v.safeParse(schema, candidate);
          if (result.success) return result.output;
        }
      }
      return unexpected(node, expected, report);
    },
  };
}

/** What a macro gives is always text; where a number is wanted, text that reads as one will do. */
function candidates(node: ScalarNode): readonly unknown[] {
  if (node.macro === undefined || typeof node.value !== "string") return [node.value];
  const number = parseInteger(node.value);
  return number === undefined ? [node.value] : [node.value, number];
}

function unexpected(node: Node, expected: string, report: Report): undefined {
  if (node.kind !== "broken") report(node.line, `expected ${expected}, found ${describe(node)}`);
  return undefined;
}

/** A schema for text that `parse` understands. */
function parsed<T>(parse: (text: string) => T | undefined) {
  return v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined) return value;
      addIssue();
      return NEVER;
    }),
  );
}

const whole = v.pipe(v.number(), v.safeInteger());

/** Any text. */
export const text: ValueType<string> = scalar(v.string(), "text in quotes", "");

/** Text of one line, without control characters. */
export const line: ValueType<string> = scalar(
  v.pipe(v.string(), v.check((text) => !/\p{Cc}/u.test(text))),
  "text in quotes of one line, without control characters",
  "",
);

/** Text that is not empty. */
export const filled: ValueType<string> = filledWith("text in quotes, not empty");

/** Text that is not empty, called by what it is: "the id of a store". */
export function filledWith(expected: string): ValueType<string> {
  return scalar(v.pipe(v.string(), v.nonEmpty()), expected, "");
}

/** Text in which `*` stands for any run of characters and `?` for one. */
export const glob: ValueType<string> = scalar(v.pipe(v.string(), v.nonEmpty()), "a pattern in quotes", "");

/** `true` or `false`; the strings "true" and "false" too. */
export const bool: ValueType<boolean> = scalar(
  v.union([v.boolean(), v.pipe(v.picklist(["true", "false"]), v.transform((word) => word === "true"))]),
  "true or false",
  false,
);

/** An integer within bounds. */
export function int(least = 0, most = Number.MAX_SAFE_INTEGER): ValueType<number> {
  const expected = most < Number.MAX_SAFE_INTEGER
    ? `an integer from ${least} to ${most}`
    : `an integer of ${least} or more`;
  return scalar(v.pipe(whole, v.minValue(least), v.maxValue(most)), expected, least);
}

/** A TCP or UDP port. */
export const port: ValueType<number> = int(1, 65535);

/** A duration in milliseconds; a bare integer counts `bareUnit` milliseconds each. */
export function durationIn(bareUnit: number): ValueType<number> {
  const bare = v.pipe(whole, v.minValue(0), v.transform((count) => count * bareUnit));
  return scalar(v.union([bare, parsed((text) => parseDuration(text, bareUnit))]), DURATION_SYNTAX, 0);
}

/** A duration in milliseconds. */
export const dur: ValueType<number> = durationIn(1);

/** A duration in milliseconds that is longer than nothing. */
export const span: ValueType<number> = {
  expected: `${DURATION_SYNTAX}, longer than 0`,
  placeholder: 1,
  read(node, report) {
    let wrong = false;
    const value = dur.read(node, () => wrong = true);
    return wrong || value === 0 ? unexpected(node, span.expected, report) : value;
  },
};

/** A size in octets. */
export const size: ValueType<number> = scalar(v.pipe(whole, v.minValue(0)), SIZE_SYNTAX, 0);

/** A rate. */
export const rate: ValueType<Rate> = scalar(parsed(parseRate), RATE_SYNTAX, { count: 1, period: 1 });

/** An IPv4 or IPv6 address in canonical text. */
export const ip: ValueType<string> = scalar(parsed(parseIp), "an IPv4 or IPv6 address", "::");

/** An address or `address/prefix`. */
export const network: ValueType<Network> = scalar(
  parsed(parseNetwork),
  "an IPv4 or IPv6 address, or address/prefix",
  { address: "::", prefix: 128 },
);

/** Where to listen; the port may be left out. */
export const bind: ValueType<BindText> = scalar(
  parsed(parseBind),
  'an address with a port from 0 to 65535 such as "192.0.2.1:25" or "[::]:25"',
  { ip: "::", port: undefined },
);

/** A name server. */
export const serverAddress: ValueType<ServerAddress> = scalar(
  parsed(parseServerAddress),
  'a name server such as "192.0.2.53", "tcp://192.0.2.53" or "tls://[2001:db8::53]:853"',
  { protocol: "udp", ip: "::", port: 53 },
);

/** A host name. */
export const hostname: ValueType<string> = scalar(
  parsed(parseHostname),
  "a host name such as mx1.example.net",
  "localhost",
);

/** An address or host name to connect to. */
export const host: ValueType<string> = scalar(parsed(parseHost), "a host name or an address", "localhost");

/** A host name, or `*.` and one, for all names with one label more. */
export const hostPattern: ValueType<string> = scalar(
  parsed((text) => {
    const name = parseHostname(text.replace(/^\*\./, ""));
    return name === undefined ? undefined : text.startsWith("*.") ? `*.${name}` : name;
  }),
  'a host name such as mx1.example.net, or "*.example.net"',
  "",
);

/** A mail domain. */
export const domain: ValueType<string> = scalar(parsed(parseDomain), "a domain such as example.net", "");

/** An address, or `@domain`. */
export const address: ValueType<string> = scalar(
  parsed(parseAddress),
  'an address such as "ana@example.net", or "@example.net" for all of a domain',
  "",
);

/** A point in time that comes again. */
export const cron: ValueType<Cron> = scalar(
  parsed(parseCron),
  'minute, hour and weekday such as "30 2 *" (0-59; 0-23 or *; 1-7 or *)',
  { minute: 0, hour: undefined, weekday: undefined },
);

/** A complete HTTP header line. */
export const headerLine: ValueType<string> = scalar(parsed(parseHeaderLine), 'a header line "Name: value"', "");

/** A number or text, read as text. */
export const numberOrText: ValueType<string> = scalar(
  v.union([v.pipe(v.string(), v.nonEmpty()), v.pipe(whole, v.minValue(0), v.transform(String))]),
  "a name in quotes, or an integer of 0 or more",
  "",
);

/** A URL with one of the schemes, such as `http` and `https`. */
export function url(...schemes: string[]): ValueType<string> {
  const expected = `a URL that begins with ${list(schemes.map((scheme) => `${scheme}:`), "or")}`;
  const known = (text: string) => schemes.some((scheme) => text.toLowerCase().startsWith(`${scheme}:`));
  return scalar(v.pipe(v.string(), v.check((text) => known(text) && URL.canParse(text))), expected, "");
}

/** One of some words, compared without case; gives the word as it is listed. */
export function choice<const W extends string>(...words: readonly [W, ...W[]]): ValueType<W> {
  const find = (text: string) => words.find((word) => word.toLowerCase() === text.toLowerCase());
  return scalar(parsed(find), words.length === 1 ? `"${words[0]}"` : `one of ${list(words, "or")}`, words[0]);
}

/** A value of `type`, or `false` for none. */
export function orFalse<T>(type: ValueType<T>): ValueType<T | false> {
  const expected = `${type.expected}, or false`;
  return {
    expected,
    placeholder: false,
    read(node, report) {
      if (node.kind === "scalar" && (node.value === false || node.value === "false")) return false;
      let wrong = false;
      const value = type.read(node, () => wrong = true);
      return wrong ? unexpected(node, expected, report) : value;
    },
  };
}

/** A list; one value alone is a list of one, and numbered keys are positions. */
export function listOf<T>(item: ValueType<T>): ValueType<readonly T[]> {
  const expected = `a list, each item ${item.expected}`;
  return {
    expected,
    placeholder: [],
    read(node, report) {
      if (node.kind === "scalar") return readAll([node], item, report);
      const items = node.kind === "array" ? node.items : node.kind === "table" ? numberedItems(node) : undefined;
      return items === undefined ? unexpected(node, expected, report) : readAll(items, item, report);
    },
  };
}

/** A list that is not empty. */
export function someOf<T>(item: ValueType<T>): ValueType<readonly T[]> {
  const items = listOf(item);
  const expected = `${items.expected}, one at least`;
  return {
    ...items,
    expected,
    read(node, report) {
      const values = items.read(node, report);
      return values?.length === 0 ? unexpected(node, expected, report) : values;
    },
  };
}

function readAll<T>(nodes: readonly Node[], item: ValueType<T>, report: Report): readonly T[] | undefined {
  const values = nodes.map((node) => item.read(node, report));
  const good = values.filter((value) => value !== undefined);
  return good.length === values.length ? good : undefined;
}

/** A list, or a table whose keys are the items; keys that were taken apart at dots are joined. */
export function listOrKeys<T>(item: ValueType<T>): ValueType<readonly T[]> {
  const items = listOf(item);
  return {
    expected: `${items.expected}, or a table with the items as keys`,
    placeholder: [],
    read(node, report) {
      if (node.kind !== "table" || numberedItems(node)?.every((item) => item.kind === "scalar")) {
        return items.read(node, report);
      }
      const keys = joinedEntries(node).map(([key, { line }]): Node => ({ kind: "scalar", line, value: key }));
      return readAll(keys, item, report);
    },
  };
}

/**
 * A table of entries; keys that were taken apart at dots are joined.
 *
 * @param listed value of each entry where there is only a list of them; without it a list is refused
 */
export function entriesOf<T>(value: ValueType<T>, listed?: T): ValueType<ReadonlyMap<string, T>> {
  const expected = `a table, each value ${value.expected}`;
  return {
    expected,
    placeholder: new Map(),
    read(node, report) {
      if (node.kind === "array" && listed !== undefined) {
        const keys = readAll(node.items, filled, report);
        return keys === undefined ? undefined : new Map(keys.map((key) => [key, listed]));
      }
      if (node.kind !== "table") return unexpected(node, expected, report);
      const entries = new Map<string, T>();
      let whole = true;
      for (const [key, entry] of joinedEntries(node)) {
        const read = value.read(entry, (line, message) => report(line, `entry ${JSON.stringify(key)}: ${message}`));
        if (read === undefined) whole = false;
        else entries.set(key, read);
      }
      return whole ? entries : undefined;
    },
  };
}

/** The leaves of a table by their paths joined with dots. */
function joinedEntries(node: Node, prefix = ""): readonly (readonly [string, Node])[] {
  if (node.kind !== "table") return [[prefix, node]];
  return [...node.entries].flatMap(([key, entry]) => joinedEntries(entry, prefix === "" ? key : `${prefix}.${key}`));
}

/** A list entry of `lookup.<name>`: its value is text, a number or a boolean. */
export const lookupValue: ValueType<string | number | boolean> = scalar(
  v.union([v.string(), v.number(), v.boolean()]),
  "text, a number, true or false",
  true,
);

/** Words as a sentence lists them. */
export function list(words: readonly string[], conjunction: "and" | "or"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`;
}
