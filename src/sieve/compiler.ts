/** Commands and tests to closures, with everything checked that can be checked without a message. */

import { actionStep } from "./action_step.ts";
import type { CallNode } from "./ast.ts";
import { base } from "./base/mod.ts";
import { checkCall } from "./call.ts";
import {
  BROKEN,
  type Call,
  type CommandDefinition,
  type CompileOptions,
  type Compiler,
  type Extension,
  type FieldSource,
  type Step,
  type TestDefinition,
  type Text,
} from "./definition.ts";
import { EXTENSIONS } from "./extensions/mod.ts";
import { suggestion } from "../expression/mod.ts";
import { fieldsNamed } from "../message/mod.ts";
import { parseScript } from "./parser.ts";
import type { Position, SieveProblem } from "./problem.ts";
import { createVocabulary, type Vocabulary } from "./registry.ts";
import { checkShape, type ShapeNames } from "./shape.ts";
import { branches, isBranch, sequence } from "./control.ts";

/** A script that can be run any number of times, also at the same time. */
export interface CompiledScript {
  readonly name: string;
  readonly step: Step;
  readonly options: CompileOptions;
  /** Extensions that want to see every action. */
  readonly watchers: readonly Extension[];
}

/** The script, undefined if there are errors, and everything that was found. */
export interface Compilation {
  readonly script: CompiledScript | undefined;
  readonly problems: readonly SieveProblem[];
}

const MOST_PROBLEMS = 100;

/** Compiles a script. Never throws. */
export function compileScript(source: string, options: CompileOptions = {}): Compilation {
  const parsed = parseScript(source);
  const shared: Shared = { slots: new Map(), problems: [], watchers: new Set() };
  if (parsed.commands === undefined) {
    const { problems, recovered } = parsed;
    if (options.thorough === true) compileCommands(recovered, options.name ?? "main script", options, shared);
    return { script: undefined, problems: inOrder([...problems, ...shared.problems]) };
  }
  const step = compileCommands(parsed.commands, options.name ?? "main script", options, shared);
  const problems = inOrder(shared.problems);
  const failed = problems.some(({ severity }) => severity === "error");
  return {
    script: failed ? undefined : { name: options.name ?? "main script", step, options, watchers: [...shared.watchers] },
    problems,
  };
}

/** Problems in the order of the script; those of included scripts stand where they were found. */
function inOrder(problems: SieveProblem[]): readonly SieveProblem[] {
  if (problems.some(({ script }) => script !== undefined)) return problems;
  return problems.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** All capabilities that are not restricted. */
export function capabilityNames(): readonly string[] {
  return EXTENSIONS.filter(({ restricted }) => restricted !== true).map(({ capability }) => capability);
}

/** What a script and those that it includes have in common. */
interface Shared {
  readonly slots: Map<unknown, unknown>;
  readonly problems: SieveProblem[];
  readonly watchers: Set<Extension>;
}

function compileCommands(
  commands: readonly CallNode[],
  name: string,
  options: CompileOptions,
  shared: Shared,
): Step {
  const vocabulary = createVocabulary(base);
  const compiler = newCompiler(name, options, vocabulary, shared);
  let last = 0;
  while (commands[last]?.name === "require") last++;
  for (const node of commands.slice(0, last)) compiler.requireAll(node);
  if (options.noCapabilityCheck === true) {
    for (const capability of compiler.capabilities()) compiler.require(capability, { line: 1, column: 1 });
  }
  compiler.endOfRequire();
  return compiler.block(commands.slice(last));
}

/** RFC 5228 §3.2. */
const REQUIRE = {
  kind: "command",
  name: "require",
  parameters: [{ name: "capability list", type: "strings", constant: true }],
  tags: [],
} as const;

interface ScriptCompiler extends Compiler {
  requireAll(node: CallNode): void;
  /** All `require` commands were read. */
  endOfRequire(): void;
}

function newCompiler(name: string, options: CompileOptions, vocabulary: Vocabulary, shared: Shared): ScriptCompiler {
  const available = new Map<string, Extension>();
  for (const extension of [...EXTENSIONS, ...options.extensions ?? []]) {
    const { capability } = extension;
    const allowed = extension.restricted === true
      ? options.restricted?.has(capability) === true
      : options.capabilities?.has(capability) ?? true;
    if (allowed) available.set(capability, extension);
  }
  const unknown = new Set<string>();
  const required: { readonly extension: Extension; readonly at: Position }[] = [];
  const decoders = () => [...vocabulary.loaded.values()];
  const report = (severity: SieveProblem["severity"], at: Position, message: string) => {
    if (shared.problems.length < MOST_PROBLEMS) shared.problems.push({ severity, ...at, message });
  };

  const findCommand = (node: CallNode): CommandDefinition | undefined => {
    const definition = vocabulary.command(node.name);
    if (definition === undefined) unknownName("command", node);
    return definition;
  };
  const findTest = (node: CallNode): TestDefinition | undefined => {
    const definition = vocabulary.test(node.name);
    if (definition === undefined) unknownName("test", node);
    return definition;
  };
  const unknownName = (kind: "command" | "test", node: CallNode) => {
    const other = kind === "command" ? vocabulary.test(node.name) : vocabulary.command(node.name);
    if (other !== undefined || (kind === "test" && isBranch(node.name))) {
      const [is, as] = kind === "command" ? ["test", "command"] : ["command", "test"];
      compiler.error(node.at, `cannot use ${is} '${node.name}' as a ${as}; ${as}s stand elsewhere`);
      return;
    }
    // Once is enough: the rest would say the same.
    if (unknown.has(node.name)) return;
    unknown.add(node.name);
    const owner = [...available.values()].find((extension) =>
      (kind === "command" ? extension.commands : extension.tests)?.some((each) => each.name === node.name)
    );
    const names = kind === "command" ? vocabulary.commandNames() : vocabulary.testNames();
    compiler.error(
      node.at,
      `unknown ${kind} '${node.name}'` +
        (owner === undefined ? suggestion(node.name, names) : `; it needs: require "${owner.capability}";`),
    );
  };

  /** Checks the arguments and what stands around them. Blocks and tests inside are looked at by the caller. */
  const check = (
    node: CallNode,
    kind: "command" | "test",
    definition: CommandDefinition | TestDefinition,
  ): Call | undefined => {
    const tags = vocabulary.tagsOf(definition);
    const signature = { kind, name: definition.name, parameters: definition.parameters ?? [], tags };
    const title = `the ${definition.name} ${kind}`;
    const tagNames = new Set(tags.map((tag) => tag.name));
    const names = { ...shapeNames, isTag: (test: string) => tagNames.has(test) };
    const [spurious] = definition.tests === undefined && node.args.length === 0 ? node.tests : [];
    // A test where an argument should be is one error, not two.
    const misplaced = spurious !== undefined && vocabulary.test(spurious.name) !== undefined;
    const call = misplaced ? undefined : checkCall(node, signature, compiler);
    return checkShape(title, node, definition, names) ? call : undefined;
  };

  const compileCommand = (node: CallNode): Step | undefined => {
    if (node.name === "require") {
      compiler.error(node.at, "require must stand before all other commands");
      return undefined;
    }
    const definition = findCommand(node);
    if (definition === undefined) return undefined;
    const before = shared.problems.length;
    const call = check(node, "command", definition);
    if (call !== undefined) {
      const special = call.tags.find((use) => use.definition.command !== undefined);
      if (special?.definition.command !== undefined) return special.definition.command(special, call, compiler);
      return definition.compile(call, compiler);
    }
    // What stands inside is looked at too, so that its errors are not hidden by this one.
    if (definition.tests !== undefined) { for (const test of node.tests) compiler.test(test); }
    if (definition.block === true && node.block !== undefined) compiler.block(node.block);
    if (shared.problems.length === before) compiler.error(node.at, `'${node.name}' cannot be used like this`);
    return undefined;
  };

  const shapeNames: ShapeNames = {
    error: (at, message) => report("error", at, message),
    warn: (at, message) => report("warning", at, message),
    isTag: () => false,
    isTest: (test) => vocabulary.test(test) !== undefined,
  };

  const compiler: ScriptCompiler = {
    name,
    options,
    error: (at, message) => report("error", at, message),
    warn: (at, message) => report("warning", at, message),
    enabled: (capability) => vocabulary.loaded.has(capability),
    known: (capability) => available.has(capability),
    capabilities: () => [...available.keys()],
    require(capability, at, quiet = false) {
      if (vocabulary.loaded.has(capability)) return true;
      const extension = available.get(capability);
      if (extension === undefined) {
        if (!quiet) {
          compiler.error(at, `unknown capability '${capability}'${suggestion(capability, available.keys())}`);
        }
        return false;
      }
      vocabulary.add(extension);
      if (extension.onAction !== undefined) shared.watchers.add(extension);
      for (const implied of extension.implies ?? []) compiler.require(implied, at, true);
      required.push({ extension, at });
      return true;
    },
    endOfRequire() {
      for (const { extension, at } of required.splice(0)) extension.onRequire?.(at, compiler);
    },
    requireAll(node) {
      const call = checkCall(node, REQUIRE, compiler);
      if (!checkShape("the require command", node, {}, shapeNames) || call === undefined) return;
      call.texts("capability list").literal?.forEach((capability, index) =>
        compiler.require(capability, call.position("capability list", index))
      );
    },
    block(nodes) {
      const steps: Step[] = [];
      const places: Position[] = [];
      for (let i = 0; i < nodes.length; i++) {
        const node = nodes[i];
        if (node === undefined) continue;
        if (!isBranch(node.name)) {
          const step = compileCommand(node);
          if (step === undefined) continue;
          steps.push(step);
          places.push(node.at);
          continue;
        }
        // An `if` with all that follows it.
        const from = i;
        while (nodes[i + 1]?.name === "elsif" || nodes[i + 1]?.name === "else") i++;
        places.push(node.at);
        steps.push(branches(nodes.slice(from, i + 1), compiler, (each, shape) => checkShapeOf(each, shape)));
      }
      return sequence(steps, places);
    },
    test(node) {
      const definition = findTest(node);
      if (definition === undefined) return BROKEN;
      const call = check(node, "test", definition);
      if (call === undefined) {
        if (definition.tests !== undefined) { for (const test of node.tests) compiler.test(test); }
        return BROKEN;
      }
      const special = call.tags.find((use) => use.definition.test !== undefined);
      if (special?.definition.test !== undefined) return special.definition.test(special, call, compiler) ?? BROKEN;
      return definition.compile(call, compiler) ?? BROKEN;
    },
    text(text, at): Text {
      let decoded = text;
      for (const { decode } of decoders()) if (decode !== undefined) decoded = decode(decoded, at, compiler);
      for (const { substitute } of decoders()) {
        const compiled = substitute?.(decoded, at, compiler);
        if (compiled !== undefined) return compiled;
      }
      return { literal: decoded, read: () => decoded };
    },
    comparator(call) {
      const use = call.tag("comparator");
      const wanted = use?.text.literal ?? "i;ascii-casemap";
      const comparator = vocabulary.comparator(wanted);
      if (comparator === undefined) {
        const needs = available.has(`comparator-${wanted}`)
          ? `; it needs: require "comparator-${wanted}";`
          : suggestion(wanted, vocabulary.comparatorNames());
        compiler.error(use?.valueAt ?? call.at, `unknown comparator '${wanted}' for ${call.title}${needs}`);
      }
      return comparator;
    },
    matcher(call, keys) {
      const tag = call.inGroup("match type");
      const type = vocabulary.matchType(tag?.definition.name ?? "is");
      const comparator = vocabulary.comparator(call.tag("comparator")?.text.literal ?? "i;ascii-casemap");
      // Checked and reported with the tag.
      if (type === undefined || comparator === undefined) return undefined;
      if (type.substring === true && !comparator.substring) {
        compiler.error(
          tag?.at ?? call.at,
          `the comparator '${comparator.name}' cannot be used with ':${type.tag}': it does not look into strings`,
        );
        return undefined;
      }
      return type.compile(
        { comparator, keys: call.texts(keys), tag, call, keyAt: (index) => call.position(keys, index) },
        compiler,
      );
    },
    addressPart(call) {
      const wanted = call.inGroup("address part")?.definition.name ?? "all";
      return vocabulary.addressPart(wanted) ?? { tag: wanted, read: () => undefined };
    },
    envelopePart: (part) => vocabulary.envelopePart(part),
    envelopeParts: () => [...vocabulary.envelopeParts()],
    namespace: (space) => vocabulary.namespace(space) ?? options.namespaces?.[space],
    fields(call) {
      let source: FieldSource = (run, field) => fieldsNamed(run.message.header, field);
      for (const use of call.tags) {
        const { fields } = use.definition;
        if (fields !== undefined) source = fields(use, call, compiler, source);
      }
      return source;
    },
    fieldChoice(call) {
      for (const use of call.tags) {
        const { choice } = use.definition;
        if (choice !== undefined) return choice(use, call, compiler);
      }
      return undefined;
    },
    fieldValues(call) {
      for (const use of call.tags) {
        const { values } = use.definition;
        if (values !== undefined) return values(use, call, compiler);
      }
      return undefined;
    },
    action: (call, make) => actionStep(call, make, compiler, shared.watchers),
    slot(key) {
      if (!shared.slots.has(key)) shared.slots.set(key, key.initial());
      return shared.slots.get(key) as ReturnType<typeof key.initial>;
    },
    setting: (setting) => options.settings?.get(setting),
    script(source, script) {
      const parsed = parseScript(source);
      const problems: SieveProblem[] = [...parsed.problems];
      const step = parsed.commands === undefined
        ? undefined
        : compileCommands(parsed.commands, script, options, { ...shared, problems });
      for (const problem of problems) {
        if (shared.problems.length < MOST_PROBLEMS) shared.problems.push({ script, ...problem });
      }
      return problems.some(({ severity }) => severity === "error") ? undefined : step;
    },
  };
  const checkShapeOf = (node: CallNode, shape: { readonly tests?: "one"; readonly block: true }): boolean => {
    const signature = { kind: "command", name: node.name, parameters: [], tags: [] } as const;
    const call = checkCall(node, signature, compiler);
    return checkShape(`the ${node.name} command`, node, shape, shapeNames) && call !== undefined;
  };
  return compiler;
}
