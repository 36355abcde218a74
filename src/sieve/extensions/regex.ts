/** `:regex` and `:quoteregex` (draft-ietf-sieve-regex-01), by an engine whose time grows with the value and no more. */

import { RE2JS } from "re2js";
import type { Extension, Matcher } from "../definition.ts";
import { spendOn } from "../match.ts";
import { type Run, slot, spend } from "../run.ts";

const LONGEST_PATTERN = 4096;
/** Patterns that were made from variables, kept for a run: a loop meets the same ones again. */
const compiled = { initial: () => new Map<string, RE2JS>() };

/** @throws {Error} if the pattern is wrong; POSIX extended expressions (the draft, §3) are a part of what is read */
function compile(pattern: string, ignoreCase: boolean): RE2JS {
  if (pattern.length > LONGEST_PATTERN) throw new Error(`it has more than ${LONGEST_PATTERN} characters`);
  return RE2JS.compile(pattern, RE2JS.DOTALL | (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export const regex: readonly Extension[] = [{
  capability: "regex",
  matchTypes: [{
    tag: "regex",
    substring: true,
    compile({ comparator, keys, call, keyAt }, compiler): Matcher | undefined {
      const ignoreCase = comparator.name !== "i;octet";
      let wrong = false;
      const fixed = keys.literal?.flatMap((pattern, index) => {
        try {
          return [compile(pattern, ignoreCase)];
        } catch (error) {
          compiler.error(keyAt(index), `the regular expression '${pattern.slice(0, 80)}' is wrong: ${reasonOf(error)}`);
          wrong = true;
          return [];
        }
      });
      if (wrong) return undefined;
      const read = (run: Run, pattern: string): RE2JS | undefined => {
        const known = slot(run, compiled);
        const key = `${ignoreCase}${pattern}`;
        const earlier = known.get(key);
        if (earlier !== undefined) return earlier;
        spend(run, 1 + (pattern.length >> 4), call.at);
        try {
          const made = compile(pattern, ignoreCase);
          known.set(key, made);
          return made;
        } catch (error) {
          const shown = pattern.slice(0, 80);
          run.host.log?.(`line ${call.at.line}: the regular expression '${shown}' is wrong: ${reasonOf(error)}`);
          return undefined;
        }
      };
      return (run, values) => {
        for (const key of fixed ?? keys.read(run)) {
          // What a variable holds is not the fault of the script: it matches nothing.
          const pattern = typeof key === "string" ? read(run, key) : key;
          if (pattern === undefined) continue;
          // What the engine does for a character grows with the pattern.
          spendOn(run, values, 1 + (pattern.programSize() >> 3));
          for (const value of values) {
            const matcher = pattern.matcher(value);
            if (!matcher.find()) continue;
            run.matchValues = Array.from(
              { length: matcher.groupCount() + 1 },
              (_, group) => matcher.group(group) ?? "",
            );
            return true;
          }
        }
        return false;
      };
    },
  }],
  tags: [{
    to: ["set", "extracttext"],
    tag: {
      name: "quoteregex",
      group: "modifier of order 20",
      modifier: { order: 20, apply: (text) => text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&") },
    },
  }],
}];
