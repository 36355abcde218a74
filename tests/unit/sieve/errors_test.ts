/** Every command, test and tag there is, used in wrong ways: one error each, at its place, that says what is right. */

import assert from "node:assert/strict";
import { base } from "../../../src/sieve/base/mod.ts";
import type { CommandDefinition, TagDefinition, TestDefinition } from "../../../src/sieve/definition.ts";
import { EXTENSIONS } from "../../../src/sieve/extensions/mod.ts";
import { capabilityNames, type SieveProblem } from "../../../src/sieve/mod.ts";
import { compileScript } from "../../../src/sieve/mod.ts";
import { createVocabulary } from "../../../src/sieve/registry.ts";

const vocabulary = createVocabulary(base);
for (const extension of EXTENSIONS) vocabulary.add(extension);
const REQUIRE = `require ${JSON.stringify(capabilityNames())};\n`;

/** The errors of a second line, behind a `require` of everything. */
function errorsIn(line: string): readonly SieveProblem[] {
  return compileScript(REQUIRE + line).problems.filter(({ severity }) => severity === "error");
}

/** Checks that there is one error, in a column of the second line, with these words. */
function hasError(line: string, column: number, words: RegExp): void {
  const errors = errorsIn(line);
  const shown = `${line}\n${errors.map((each) => `${each.line}:${each.column} ${each.message}`).join("\n")}`;
  const error = errors.find((each) => words.test(each.message));
  assert.ok(error, shown);
  assert.deepEqual([error.line, error.column], [2, column], shown);
}

interface Use {
  readonly definition: CommandDefinition | TestDefinition;
  readonly title: string;
  /** What stands in front of it on the line. */
  readonly before: string;
  readonly after: string;
}

function* uses(): Generator<Use> {
  for (const name of new Set(vocabulary.commandNames())) {
    const definition = vocabulary.command(name);
    if (definition === undefined) continue;
    yield { definition, title: `the ${name} command`, before: "", after: definition.block === true ? " {}" : ";" };
  }
  for (const name of new Set(vocabulary.testNames())) {
    const definition = vocabulary.test(name);
    if (definition === undefined) continue;
    yield { definition, title: `the ${name} test`, before: "if ", after: " {}" };
  }
}

const sample = ({ type }: { readonly type: string }) => type === "number" ? "1" : '"a"';
const other = ({ type }: { readonly type: string }) => type === "number" ? '"a"' : "1";
const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
/** The tests that a test holds. */
const inner = ({ tests }: { readonly tests?: "one" | "list" }) =>
  tests === undefined ? "" : tests === "one" ? " true" : " (true)";
const required = ({ parameters = [] }: CommandDefinition | TestDefinition) =>
  parameters.filter(({ optional }) => optional !== true);

Deno.test("each command and test says which arguments it requires", () => {
  for (const { definition, title, before, after } of uses()) {
    const least = required(definition).length;
    const most = definition.parameters?.length ?? 0;
    const column = before.length + 1;
    const words = new RegExp(`^${escaped(title)} requires .* but \\d+ (?:is|are) specified$`);
    if (least > 0) hasError(`${before}${definition.name}${inner(definition)}${after}`, column, words);
    const many = Array.from({ length: most + 1 }, () => '"a"').join(" ");
    hasError(`${before}${definition.name} ${many}${inner(definition)}${after}`, column, words);
  }
});

Deno.test("each argument says of what type it has to be", () => {
  for (const { definition, title, before, after } of uses()) {
    // An optional argument is there only together with all others.
    const parameters = definition.parameters ?? [];
    for (const [index, wrong] of parameters.entries()) {
      const args = parameters.map((parameter, place) => place === index ? other(parameter) : sample(parameter));
      const head = `${before}${definition.name} ${args.slice(0, index).map((arg) => `${arg} `).join("")}`;
      const line = `${head}${args.slice(index).join(" ")}${inner(definition)}${after}`;
      const words = new RegExp(`^${escaped(title)} expects a .* as argument ${index + 1} \\(${wrong.name}\\), but`);
      hasError(line, head.length + 1, words);
    }
  }
});

Deno.test("no command and no test takes a tag that it does not have", () => {
  for (const { definition, title, before, after } of uses()) {
    const args = required(definition).map(sample).join(" ");
    const line = `${before}${definition.name} :no_such_tag ${args}${inner(definition)}${after}`;
    const words = new RegExp(`^unknown tagged argument ':no_such_tag' for ${escaped(title)} \\(it takes `);
    hasError(line, before.length + definition.name.length + 2, words);
  }
});

/** Each tag with each command and test that has it. */
function* tagUses(): Generator<Use & { readonly tag: TagDefinition }> {
  for (const use of uses()) for (const tag of vocabulary.tagsOf(use.definition)) yield { ...use, tag };
}

Deno.test("each tag with a value says what has to follow it", () => {
  let count = 0;
  for (const { definition, title, before, after, tag } of tagUses()) {
    if (tag.value === undefined) continue;
    count++;
    const head = `${before}${definition.name} :${tag.name} `;
    const words = new RegExp(`^the tag ':${tag.name}' of ${escaped(title)} must be followed by a `);
    hasError(`${head}${other(tag.value)}${inner(definition)}${after}`, head.length + 1, words);
    const alone = `${before}${definition.name} :${tag.name}${inner(definition)}${after}`;
    hasError(alone, before.length + definition.name.length + 2, words);
  }
  assert.ok(count > 50, `${count} tags with values were found`);
});

Deno.test("no tag stands twice, nor beside one that says the same", () => {
  let count = 0;
  for (const { definition, title, before, after, tag } of tagUses()) {
    const rivals = vocabulary.tagsOf(definition).filter((each) =>
      each.name === tag.name || (tag.group !== undefined && each.group === tag.group)
    );
    for (const rival of rivals) {
      count++;
      const written = (each: TagDefinition) =>
        `:${each.name}${each.value === undefined ? "" : ` ${sample(each.value)}`} `;
      const head = `${before}${definition.name} ${written(tag)}`;
      const words = new RegExp(`':${rival.name}' of ${escaped(title)} is one too many after ':${tag.name}'$`);
      const args = required(definition).map(sample).join(" ");
      hasError(`${head}${written(rival)}${args}${inner(definition)}${after}`, head.length + 1, words);
    }
  }
  assert.ok(count > 200, `${count} pairs of tags were found`);
});

Deno.test("tests and blocks stand only where they belong", () => {
  for (const { definition, title, before, after } of uses()) {
    const args = required(definition).map(sample).join(" ");
    const head = `${before}${definition.name} ${args}`;
    const column = before.length + 1;
    const has = (line: string, words: string) => hasError(line, column, new RegExp(`^${escaped(title)} ${words}`));
    if (definition.tests === undefined) has(`${head} true${after}`, "accepts no sub-tests");
    else has(`${head}${after}`, "requires a (?:list of )?tests?");
    if (definition.tests === "one") has(`${head} (true, true)${after}`, "requires one test");
    if (definition.tests === "list") has(`${head} true${after}`, "requires a list of tests in parentheses");
    if (before !== "") continue;
    if ("block" in definition && definition.block === true) has(`${head};`, "requires a block");
    else has(`${head} {}`, "does not accept a block");
  }
});

Deno.test("a command of an extension says what it needs", () => {
  for (const extension of EXTENSIONS) {
    const kinds = [["command", extension.commands ?? []], ["test", extension.tests ?? []]] as const;
    for (const [kind, definitions] of kinds) {
      for (const { name } of definitions) {
        const [problem] = compileScript(kind === "command" ? `${name};` : `if ${name} {}`).problems;
        const message = problem?.message ?? "";
        assert.ok(message.startsWith(`unknown ${kind} '${name}'; it needs: require "`), message);
      }
    }
  }
});
