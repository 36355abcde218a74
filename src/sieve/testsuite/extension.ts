/** The commands and tests of `vnd.dovecot.testsuite`, over one {@link World}. */

import type { KeepAction } from "../actions.ts";
import { compileScript } from "../compiler.ts";
import type { Call, CommandDefinition, Compiler, Extension, Step, TestDefinition } from "../definition.ts";
import { runScript } from "../execute.ts";
import { internalFlags } from "../extensions/imap4flags.ts";
import { sieveMessage } from "../message.ts";
import { SieveRuntimeError } from "../problem.ts";
import { parsePath } from "../../smtp/mod.ts";
import { NEXT, type Run, slot } from "../run.ts";
import { carryOut, envelopeOf, limitsOf, mailboxName, metadataKey, testMessage, type World } from "./world.ts";

/** Ends a test. */
export class TestFailed extends SieveRuntimeError {}

/** How one test went. */
export interface TestResult {
  readonly name: string;
  readonly passed: boolean;
  readonly reason: string | null;
}

/** The implicit keep of the script that was run last: its edits and its flags. */
const lastKeep: { readonly initial: () => { action: KeepAction | undefined } } = {
  initial: () => ({ action: undefined }),
};

/** Starts over, as if nothing had been done with the message. */
function resetResult(run: Run): void {
  run.actions.length = 0;
  run.implicitKeep = true;
  slot(run, lastKeep).action = undefined;
}

function setMessage(run: Run, text: string): void {
  run.message = testMessage(text);
  Object.assign(slot(run, internalFlags), internalFlags.initial());
  Object.assign(run.envelope, { auth: undefined, orig_to: undefined }, envelopeOf(run.message));
}

/** `test "name" { … }`: whatever happens inside, the next test is run. */
function testCommand(record: (result: TestResult) => void): CommandDefinition {
  return {
    name: "test",
    parameters: [{ name: "test name", type: "string" }],
    block: true,
    compile(call, compiler) {
      const name = call.text("test name");
      const block = compiler.block(call.node.block ?? []);
      return async (run) => {
        const named = name.read(run);
        resetResult(run);
        try {
          await block(run);
          record({ name: named, passed: true, reason: null });
        } catch (error) {
          if (!(error instanceof SieveRuntimeError)) throw error;
          const place = error.at === undefined ? "" : `line ${error.at.line}: `;
          record({ name: named, passed: false, reason: place + error.message });
        }
        return NEXT;
      };
    },
  };
}

const failCommand: CommandDefinition = {
  name: "test_fail",
  parameters: [{ name: "reason", type: "string" }],
  compile(call) {
    const reason = call.text("reason");
    return (run) => {
      throw new TestFailed(reason.read(run), call.at);
    };
  },
};

const setCommand: CommandDefinition = {
  name: "test_set",
  parameters: [{ name: "object", type: "string", constant: true }, { name: "value", type: "string" }],
  compile(call, compiler) {
    const object = call.text("object").literal ?? "";
    const value = call.text("value");
    if (object === "message") {
      return (run) => {
        setMessage(run, value.read(run));
        return NEXT;
      };
    }
    const part = /^envelope\.(from|to|orig_to|auth)$/.exec(object)?.[1];
    if (part === undefined) {
      compiler.error(call.position("object"), `'${object}' cannot be set; message and envelope.from, .to, .auth can`);
      return undefined;
    }
    return (run) => {
      const text = value.read(run);
      run.envelope[part] = part === "auth" ? text : envelopeAddress(text);
      return NEXT;
    };
  },
};

/** The address in a path, with or without brackets; undefined if it is none. */
function envelopeAddress(text: string): string | undefined {
  const path = text.startsWith("<") ? text : `<${text}>`;
  const parsed = parsePath(path, 0, "reverse");
  return parsed.kind === "path" && parsed.end === path.length ? parsed.path : undefined;
}

/** Compiles a file; what is wrong with it is what `test_error` sees. */
function compileFile(world: World, path: string): boolean {
  world.errors = [];
  const source = world.host.read(path);
  if (source === undefined) {
    world.errors = [`there is no script '${path}'`];
    return false;
  }
  const { script, problems } = compileScript(source, { ...compileOptions(world), name: scriptName(path) });
  world.errors = problems.filter(({ severity }) => severity === "error").map(({ message }) => message);
  if (script === undefined) {
    // The language has one line more for each file that fails; `test_error :count` counts it.
    world.errors.push(`the script '${path}' was not compiled`);
    return false;
  }
  world.script = script;
  world.reloaded = undefined;
  return true;
}

function scriptName(path: string): string {
  return path.replace(/^.*\//, "").replace(/\.sieve$/, "");
}

/** How scripts of a test file are compiled. */
export function compileOptions(world: World) {
  return {
    limits: limitsOf(world.settings),
    settings: world.settings,
    extensions: world.extensions,
    restricted: new Set(world.extensions.map(({ capability }) => capability)),
    loadScript: (location: "personal" | "global", name: string) =>
      world.host.read(`${location === "global" ? "included-global" : "included"}/${name}.sieve`),
  };
}

async function runFile(world: World, run: Run, append: boolean): Promise<boolean> {
  const { script } = world;
  world.errors = [];
  if (script === undefined) throw new SieveRuntimeError("no script was compiled");
  if (!append) resetResult(run);
  const { message, envelope } = run;
  const before = append ? [...run.actions] : [];
  const { options } = script;
  const outcome = await runScript(
    world.reloaded === undefined ? script : { ...script, options: { ...options, limits: world.reloaded } },
    { message, envelope, host: world.sieveHost, before },
  );
  if (outcome.error !== undefined) {
    world.errors = [outcome.error.message];
    return false;
  }
  run.actions.splice(0, run.actions.length, ...outcome.actions);
  const keep = outcome.implicitKeep;
  run.implicitKeep = keep !== undefined && (!append || run.implicitKeep);
  slot(run, lastKeep).action = keep;
  return true;
}

function executeResult(world: World, run: Run): Promise<boolean> {
  world.errors = [];
  const keep = run.implicitKeep
    ? slot(run, lastKeep).action ?? { kind: "keep", message: run.message } as const
    : undefined;
  return carryOut(world, run.actions, keep, run.envelope, run.message).then((error) => {
    if (error !== undefined) world.errors = [error];
    return error === undefined;
  });
}

/** Scripts one after the other; the next one runs while the message is still to be kept. */
async function runMultiple(world: World, run: Run, paths: readonly string[]): Promise<boolean> {
  const { message, envelope } = run;
  world.errors = [];
  let current = message;
  let keep: Parameters<typeof carryOut>[2];
  for (const path of paths) {
    if (!compileFile(world, path) || world.script === undefined) return false;
    const outcome = await runScript(world.script, { message: current, envelope, host: world.sieveHost });
    if (outcome.error !== undefined) {
      world.errors = [outcome.error.message];
      return false;
    }
    const kept = outcome.actions.find(({ kind }) => kind === "keep");
    const others = outcome.actions.filter(({ kind }) => kind !== "keep");
    const problem = await carryOut(world, others, undefined, envelope, message);
    if (problem !== undefined) {
      world.errors = [problem];
      return false;
    }
    current = outcome.message;
    keep = outcome.implicitKeep ?? (kept?.kind === "keep" ? kept : undefined);
    if (keep === undefined) break;
  }
  return await carryOut(world, [], keep, envelope, message) === undefined;
}

/** The message that `test_message` names becomes the one to test. */
function chooseMessage(call: Call, compiler: Compiler, world: World): ((run: Run) => boolean) | undefined {
  const folder = call.tag("folder");
  if (folder === undefined && !call.has("smtp")) {
    compiler.error(call.at, "test_message needs ':smtp' or ':folder'");
    return undefined;
  }
  const index = call.number("index");
  return (run) => {
    const mail = folder === undefined ? world.sent[index] : undefined;
    const stored = folder === undefined ? undefined : world.mailboxes.get(mailboxName(folder.text.read(run)))?.[index];
    const bytes = mail?.bytes ?? stored?.bytes;
    if (bytes === undefined) return false;
    run.message = sieveMessage(bytes);
    // A stored message brings its flags.
    if (stored !== undefined) Object.assign(slot(run, internalFlags), { flags: stored.flags, set: false });
    Object.assign(run.envelope, { auth: undefined }, envelopeOf(run.message));
    if (mail !== undefined) Object.assign(run.envelope, { from: mail.from, to: mail.to[0] });
    return true;
  };
}

/** A test that matches some of a list: all, or the one at `:index`. */
function matchList(name: string, list: (world: World, run: Run) => readonly string[], world: World): TestDefinition {
  return {
    name,
    parameters: [{ name: "key list", type: "strings" }],
    tagSets: ["Match"],
    tags: [{ name: "index", value: { name: "index", type: "number" } }],
    compile(call, compiler) {
      const matcher = compiler.matcher(call, "key list");
      if (matcher === undefined) return undefined;
      const index = call.tag("index")?.number;
      return (run) => {
        const all = list(world, run);
        return matcher(run, index === undefined ? all : all.slice(index - 1, index));
      };
    },
  };
}

const MESSAGE_PARAMETERS = {
  name: "test_message",
  parameters: [{ name: "index", type: "number" }],
  tags: [
    { name: "smtp", group: "source" },
    { name: "folder", group: "source", value: { name: "mailbox", type: "string" } },
  ],
} as const;

/** A command that does something with its strings. */
function command(name: string, parameters: readonly string[], act: (values: readonly string[], run: Run) => void) {
  return {
    name,
    parameters: parameters.map((parameter) => ({ name: parameter, type: "string" as const })),
    compile(call: Call): Step {
      const texts = parameters.map((parameter) => call.text(parameter));
      return (run) => {
        act(texts.map((text) => text.read(run)), run);
        return NEXT;
      };
    },
  };
}

/** @param record told of each test when it ends */
export function testsuiteExtension(world: World, record: (result: TestResult) => void): Extension {
  const reload: CommandDefinition = {
    name: "test_config_reload",
    tags: [{ name: "extension", value: { name: "extension", type: "string" } }],
    // Scripts read settings when they are compiled, but for their limits; the test file itself is running already.
    compile: () => (run) => {
      world.reloaded = limitsOf(world.settings);
      Object.assign(run.limits, world.reloaded);
      return NEXT;
    },
  };
  const metadata: CommandDefinition = {
    name: "test_imap_metadata_set",
    parameters: [{ name: "annotation", type: "string" }, { name: "value", type: "string" }],
    tags: [{ name: "mailbox", value: { name: "mailbox", type: "string" } }],
    compile(call) {
      const mailbox = call.tag("mailbox")?.text;
      const [entry, value] = [call.text("annotation"), call.text("value")];
      return (run) => {
        world.metadata.set(metadataKey(mailbox?.read(run), entry.read(run)), value.read(run));
        return NEXT;
      };
    },
  };
  return {
    capability: "vnd.dovecot.testsuite",
    restricted: true,
    namespaces: { tst: { read: (_run, name) => name === "path" ? world.host.folder ?? "" : "" } },
    commands: [
      testCommand(record),
      failCommand,
      setCommand,
      reload,
      metadata,
      command("test_config_set", ["setting", "value"], ([name = "", value = ""]) => world.settings.set(name, value)),
      command("test_config_unset", ["setting"], ([name = ""]) => world.settings.delete(name)),
      command("test_result_reset", [], (_, run) => {
        resetResult(run);
        world.sent.length = 0;
      }),
      command("test_result_print", [], () => {}),
      command("test_message_print", [], () => {}),
      command("test_mailbox_create", ["mailbox"], ([name = ""]) => {
        const mailbox = mailboxName(name);
        if (!world.mailboxes.has(mailbox)) world.mailboxes.set(mailbox, []);
      }),
      command("test_mailbox_delete", ["mailbox"], ([name = ""]) => world.mailboxes.delete(mailboxName(name))),
      command("test_binary_save", ["name"], ([name = ""]) => {
        if (world.script !== undefined) world.compiled.set(name, world.script);
      }),
      command("test_binary_load", ["name"], ([name = ""]) => void (world.script = world.compiled.get(name))),
      {
        ...MESSAGE_PARAMETERS,
        compile(call, compiler) {
          const choose = chooseMessage(call, compiler, world);
          return choose === undefined ? undefined : (run) => {
            if (!choose(run)) throw new SieveRuntimeError("there is no such message", call.at);
            return NEXT;
          };
        },
      },
    ],
    tests: [
      { ...MESSAGE_PARAMETERS, compile: (call, compiler) => chooseMessage(call, compiler, world) },
      {
        name: "test_script_compile",
        parameters: [{ name: "script", type: "string" }],
        compile(call) {
          const path = call.text("script");
          return (run) => compileFile(world, path.read(run));
        },
      },
      {
        name: "test_script_run",
        tags: [{ name: "append_result" }],
        compile: (call) => (run) => runFile(world, run, call.has("append_result")),
      },
      {
        name: "test_multiscript",
        parameters: [{ name: "scripts", type: "strings" }],
        compile(call) {
          const paths = call.texts("scripts");
          return (run) => runMultiple(world, run, paths.read(run));
        },
      },
      { name: "test_result_execute", compile: () => (run) => executeResult(world, run) },
      matchList("test_error", ({ errors }) => errors, world),
      matchList("test_result_action", (_, { actions }) => actions.map(({ kind }) => kind), world),
    ],
  };
}
