/**
 * `spamtest`, `virustest` (RFC 5235): what scanners wrote into the header, on one scale. Which field, and how it is
 * read, is said by settings: `sieve_spamtest_status_header` (a name, or a name, a colon and a regular expression whose
 * first group counts), `_status_type` (`score`, `strlen`, `text`), `_score_max_value` or `_score_max_header`,
 * `_text_value/<n>`; the same for `sieve_virustest_`.
 */

import { RE2JS } from "re2js";
import type { Extension, TagDefinition, TestDefinition } from "../definition.ts";
import { fieldsNamed } from "../../message/mod.ts";
import { type Run, slot } from "../run.ts";

/** Patterns of the settings, kept for a run. */
const patterns = { initial: () => new Map<string, RE2JS | undefined>() };

/** What a `header[: pattern]` setting finds; undefined if there is no such field or it does not match. */
function find(run: Run, setting: string): string | undefined {
  const [, name = "", pattern] = /^([^:\s]+)\s*(?::\s*([^]*))?$/.exec(setting.trim()) ?? [];
  const [field] = fieldsNamed(run.message.header, name);
  const value = field?.value();
  if (value === undefined || pattern === undefined || pattern === "") return value;
  const known = slot(run, patterns);
  if (!known.has(pattern)) known.set(pattern, compile(pattern, run));
  const matcher = known.get(pattern)?.matcher(value);
  return matcher?.find() === true ? matcher.group(1) ?? matcher.group(0) ?? undefined : undefined;
}

function compile(pattern: string, run: Run): RE2JS | undefined {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    run.host.log?.(`the regular expression '${pattern}' of a setting is wrong: ${error}`);
    return undefined;
  }
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\s*-?(?:\d+(?:\.\d*)?|\.\d+)\s*$/.test(text) ? Number(text) : undefined;
}

/**
 * What the scanner found.
 *
 * @returns `ratio` from 0 to 1, or the `step` itself; undefined if the message was not scanned
 */
function verdict(run: Run, prefix: string, steps: number): { ratio: number } | { step: number } | undefined {
  const setting = (name: string) => run.settings.get(`${prefix}_${name}`);
  const status = setting("status_header");
  const found = status === undefined ? undefined : find(run, status);
  if (found === undefined) return undefined;
  const type = setting("status_type") ?? "score";
  if (type === "text") {
    for (let step = 0; step <= steps; step++) {
      if (setting(`text_value/${step}`)?.trim() === found.trim()) return { step };
    }
    return undefined;
  }
  const maxHeader = setting("score_max_header");
  const most = number(maxHeader === undefined ? setting("score_max_value") : find(run, maxHeader));
  const score = type === "strlen" ? found.trim().length : number(found);
  if (most === undefined || most <= 0 || score === undefined) return undefined;
  return { ratio: Math.min(Math.max(score / most, 0), 1) };
}

/** @param steps the highest value; 0 is "not tested", 1 is clean */
function scannerTest(name: string, prefix: string, steps: number): TestDefinition {
  return {
    name,
    parameters: [{ name: "value", type: "string" }],
    tagSets: ["Match"],
    compile(call, compiler) {
      const matcher = compiler.matcher(call, "value");
      if (matcher === undefined) return undefined;
      const percent = call.has("percent");
      const counting = call.inGroup("match type")?.definition.name === "count";
      return (run) => {
        const found = verdict(run, prefix, steps);
        // RFC 5235 §2: counted, a message that was not scanned is none.
        if (counting) return matcher(run, found === undefined ? [] : [""]);
        if (found === undefined) return matcher(run, ["0"]);
        const ratio = "ratio" in found ? found.ratio : (found.step - 1) / (steps - 1);
        // Decimal fractions are not exact in binary: a hair more makes 29 of 28.999….
        const value = percent
          ? Math.floor(Math.max(ratio, 0) * 100 + 1e-9)
          : "step" in found
          ? found.step
          : Math.floor(ratio * (steps - 1) + 1e-9) + 1;
        return matcher(run, [String(value)]);
      };
    },
  };
}

const SPAM = scannerTest("spamtest", "sieve_spamtest", 10);
const PERCENT: TagDefinition = { name: "percent" };

export const spamtest: readonly Extension[] = [
  { capability: "spamtest", tests: [SPAM] },
  { capability: "spamtestplus", implies: ["spamtest"], tests: [SPAM], tags: [{ to: ["spamtest"], tag: PERCENT }] },
  { capability: "virustest", tests: [scannerTest("virustest", "sieve_virustest", 5)] },
];
