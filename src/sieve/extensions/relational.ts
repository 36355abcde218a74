/** `:value` and `:count` (RFC 5231). */

import type { Compiler, Extension, Matcher, MatchType, MatchUse, Parameter } from "../definition.ts";
import { foldedKeys, spendOn } from "../match.ts";

type Holds = (order: number) => boolean;

const RELATIONS: ReadonlyMap<string, Holds> = new Map<string, Holds>([
  ["gt", (order) => order > 0],
  ["ge", (order) => order >= 0],
  ["lt", (order) => order < 0],
  ["le", (order) => order <= 0],
  ["eq", (order) => order === 0],
  ["ne", (order) => order !== 0],
]);

const RELATION: Parameter = { name: "relation", type: "string", constant: true };

function relation({ tag }: MatchUse, compiler: Compiler): Holds | undefined {
  const wanted = tag?.text.literal ?? "";
  const found = RELATIONS.get(wanted.toLowerCase());
  if (found === undefined && tag !== undefined) {
    compiler.error(tag.valueAt, `unknown relation '${wanted}'; it must be one of ${[...RELATIONS.keys()].join(", ")}`);
  }
  return found;
}

const value: MatchType = {
  tag: "value",
  value: RELATION,
  compile(use, compiler): Matcher | undefined {
    const holds = relation(use, compiler);
    if (holds === undefined) return undefined;
    const { fold, compare } = use.comparator;
    const keysOf = foldedKeys(use);
    return (run, values) => {
      const keys = keysOf(run);
      spendOn(run, values, keys.length);
      return values.some((each) => {
        const folded = fold(each);
        return keys.some((key) => holds(compare(folded, key)));
      });
    };
  },
};

const count: MatchType = {
  tag: "count",
  value: RELATION,
  compile(use, compiler): Matcher | undefined {
    const holds = relation(use, compiler);
    if (holds === undefined) return undefined;
    const { name, fold, compare } = use.comparator;
    // RFC 5231 §4.2: a number is counted, so numbers are what it is compared with.
    if (name !== "i;ascii-numeric") compiler.warn(use.tag?.at ?? use.call.at, `':count' compares text with '${name}'`);
    const keysOf = foldedKeys(use);
    return (run, values) => {
      const number = fold(String(values.length));
      return keysOf(run).some((key) => holds(compare(number, key)));
    };
  },
};

export const relational: readonly Extension[] = [{ capability: "relational", matchTypes: [value, count] }];
