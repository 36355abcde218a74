/** Comparators and match types of the base language (RFC 5228 §2.7). */

import { Buffer } from "node:buffer";
import type { Comparator, Matcher, MatchType, MatchUse } from "./definition.ts";
import { compileGlob, type Glob } from "./glob.ts";
import { type Run, spend } from "./run.ts";

const ASCII = /^[\0-\x7f]*$/;

/** `i;octet` (RFC 4790 §9.3). */
export const OCTET: Comparator = {
  name: "i;octet",
  fold: (text) => text,
  substring: true,
  octets: true,
  compare: order,
};

/** `i;ascii-casemap` (RFC 4790 §9.2), the default. */
export const ASCII_CASEMAP: Comparator = {
  name: "i;ascii-casemap",
  fold: (text) => ASCII.test(text) ? text.toLowerCase() : text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
  substring: true,
  octets: true,
  compare: order,
};

/** `i;unicode-casemap` (RFC 5051): case does not count in any script. */
export const UNICODE_CASEMAP: Comparator = {
  ...OCTET,
  name: "i;unicode-casemap",
  octets: false,
  fold(text) {
    const upper = text.toUpperCase();
    if (upper.length === text.length) return upper;
    // One character must stay one, so that wildcards can be told what they stand for.
    return Array.from(text, (char) => {
      const mapped = char.toUpperCase();
      return mapped.length === char.length ? mapped : char;
    }).join("");
  },
};

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One more instruction for each KiB that is compared with each key. */
export function spendOn(run: Run, values: readonly string[], keys: number): void {
  let length = 0;
  for (const value of values) length += value.length;
  const cost = (length >> 10) * keys;
  if (cost > 0) spend(run, cost);
}

/** The folded keys, folded once if they are the same in every run. */
export function foldedKeys(
  { comparator, keys }: Pick<MatchUse, "comparator" | "keys">,
): (run: Run) => readonly string[] {
  const fixed = keys.literal?.map(comparator.fold);
  return fixed === undefined ? (run) => keys.read(run).map(comparator.fold) : () => fixed;
}

/** Match types that look at one value and one key at a time. */
function pairwise(tag: string, substring: boolean, matches: (value: string, key: string) => boolean): MatchType {
  return {
    tag,
    ...(substring ? { substring } : {}),
    compile(use): Matcher {
      const { fold } = use.comparator;
      const keysOf = foldedKeys(use);
      return (run, values) => {
        const keys = keysOf(run);
        spendOn(run, values, keys.length);
        for (const value of values) {
          const folded = fold(value);
          for (const key of keys) if (matches(folded, key)) return true;
        }
        return false;
      };
    },
  };
}

export const IS: MatchType = pairwise("is", false, (value, key) => value === key);
export const CONTAINS: MatchType = pairwise("contains", true, (value, key) => value.includes(key));

/** A pattern in which `?` stands for an octet. Only characters beyond ASCII have more than one. */
function octetGlob(key: string, fold: (text: string) => string): Glob {
  const glob = compileGlob(octetsOf(key), fold);
  return {
    match(folded, original) {
      if (ASCII.test(original)) return glob.match(folded, original);
      return glob.match(octetsOf(folded), octetsOf(original))?.map(textOf);
    },
  };
}

/** The octets of a text in UTF-8, one character for each; comparators of octets fold ASCII only. */
function octetsOf(text: string): string {
  return ASCII.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** Octets as text; a part of a character is none. */
function textOf(octets: string): string {
  return ASCII.test(octets) ? octets : Buffer.from(octets, "latin1").toString("utf8");
}

export const MATCHES: MatchType = {
  tag: "matches",
  substring: true,
  compile({ comparator, keys }): Matcher {
    const glob = (key: string): Glob =>
      comparator.octets && key.includes("?") ? octetGlob(key, comparator.fold) : compileGlob(key, comparator.fold);
    const fixed = keys.literal?.map(glob);
    return (run, values) => {
      const globs = fixed ?? keys.read(run).map(glob);
      spendOn(run, values, globs.length);
      for (const value of values) {
        const folded = comparator.fold(value);
        for (const each of globs) {
          const captures = each.match(folded, value);
          if (captures === undefined) continue;
          run.matchValues = captures;
          return true;
        }
      }
      return false;
    };
  },
};
