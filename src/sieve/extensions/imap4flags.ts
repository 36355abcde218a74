/** `setflag`, `addflag`, `removeflag`, `hasflag`, `:flags` (RFC 5232). */

import type { Call, CommandDefinition, Compiler, Extension, TestDefinition } from "../definition.ts";
import { NEXT, type Run, slot } from "../run.ts";
import { findVariable, type Variable, variableText } from "../variable.ts";

/**
 * The internal variable of RFC 5232 §2. `set` is whether the script touched it: else actions say nothing of flags, and
 * the mailbox decides.
 */
export const internalFlags: { readonly initial: () => { flags: readonly string[]; set: boolean } } = {
  initial: () => ({ flags: [], set: false }),
};

/** RFC 9051 §2.3.2; `\Recent` cannot be set. */
const SYSTEM_FLAGS: ReadonlySet<string> = new Set(["\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"]);
const MOST_FLAGS = 200;

/** Whether an IMAP server would take the flag. */
function isFlag(flag: string): boolean {
  return flag.startsWith("\\")
    ? SYSTEM_FLAGS.has(flag.toLowerCase())
    : /^[!#$&'+\-./0-9:;<=>?@A-Z^_`a-z|}~]+$/.test(flag);
}

/** The flags in a list of strings (RFC 5232 §2): blanks separate them, and case and repetition do not count. */
function flagsIn(texts: readonly string[]): readonly string[] {
  const found = new Map<string, string>();
  for (const text of texts) {
    for (const flag of text.split(" ")) {
      const lower = flag.toLowerCase();
      if (flag !== "" && found.size < MOST_FLAGS && isFlag(flag) && !found.has(lower)) found.set(lower, flag);
    }
  }
  return [...found.values()];
}

function without(flags: readonly string[], removed: readonly string[]): readonly string[] {
  const gone = new Set(removed.map((flag) => flag.toLowerCase()));
  return flags.filter((flag) => !gone.has(flag.toLowerCase()));
}

interface FlagStore {
  read(run: Run): readonly string[];
  write(run: Run, flags: readonly string[]): void;
}

const INTERNAL: FlagStore = {
  read: (run) => slot(run, internalFlags).flags,
  write(run, flags) {
    Object.assign(slot(run, internalFlags), { flags, set: true });
  },
};

function inVariable(variable: Variable): FlagStore {
  return {
    read: (run) => flagsIn([variableText(variable.read(run))]),
    write: (run, flags) => void variable.write?.(run, flags.join(" ")),
  };
}

/** The variable named by an argument; undefined, reported, if there cannot be one. */
function namedStore(call: Call, name: string, index: number, compiler: Compiler): FlagStore | undefined {
  const at = call.position("variable", index);
  if (!compiler.enabled("variables")) {
    compiler.error(at, `${call.title} can name a variable only with: require "variables";`);
    return undefined;
  }
  const variable = findVariable(name, at, compiler);
  if (variable === "none") compiler.error(at, `'${name.slice(0, 80)}' is not the name of a variable`);
  return variable === "none" || variable === undefined ? undefined : inVariable(variable);
}

/** Says which flags of a fixed list no server takes. */
function checkFlags(call: Call, compiler: Compiler): void {
  call.texts("list of flags").literal?.forEach((text, index) => {
    for (const flag of text.split(" ")) {
      if (flag !== "" && !isFlag(flag)) {
        compiler.warn(call.position("list of flags", index), `'${flag.slice(0, 80)}' is not a flag, and is left out`);
      }
    }
  });
}

function command(
  name: string,
  change: (before: readonly string[], given: readonly string[]) => readonly string[],
): CommandDefinition {
  return {
    name,
    parameters: [
      { name: "variable", type: "string", optional: true, constant: true },
      { name: "list of flags", type: "strings" },
    ],
    compile(call, compiler) {
      checkFlags(call, compiler);
      const store = call.given("variable")
        ? namedStore(call, call.text("variable").literal ?? "", 0, compiler)
        : INTERNAL;
      if (store === undefined) return undefined;
      const given = call.texts("list of flags");
      return (run) => {
        store.write(run, change(store.read(run), flagsIn(given.read(run))));
        return NEXT;
      };
    },
  };
}

const hasflag: TestDefinition = {
  name: "hasflag",
  parameters: [
    { name: "variable", type: "strings", optional: true, constant: true },
    { name: "list of flags", type: "strings" },
  ],
  tagSets: ["Match"],
  compile(call, compiler) {
    const stores: FlagStore[] = [];
    if (call.given("variable")) {
      call.texts("variable").literal?.forEach((name, index) => {
        const store = namedStore(call, name, index, compiler);
        if (store !== undefined) stores.push(store);
      });
      if (stores.length === 0) return undefined;
    } else {
      stores.push(INTERNAL);
    }
    // RFC 5232 §4: keys hold flags as lists do, but numbers, and names of external lists, are what they are.
    const type = call.inGroup("match type")?.definition.name ?? "is";
    const given = call.texts("list of flags");
    const keys = ["count", "value", "list"].includes(type)
      ? given
      : { read: (run: Run) => given.read(run).flatMap((text) => text.split(" ").filter((flag) => flag !== "")) };
    const matcher = compiler.matcher({ ...call, texts: () => keys }, "list of flags");
    if (matcher === undefined) return undefined;
    return (run) => matcher(run, stores.flatMap((store) => store.read(run)));
  },
};

export const imap4flags: readonly Extension[] = [{
  capability: "imap4flags",
  commands: [
    command("setflag", (_before, given) => given),
    command("addflag", (before, given) => flagsIn([...before, ...given])),
    command("removeflag", without),
  ],
  tests: [hasflag],
  tags: [{
    to: ["keep", "fileinto"],
    tag: {
      name: "flags",
      value: { name: "list of flags", type: "strings" },
      onAction: ({ texts }) => (run, action) => {
        if (action.kind === "keep" || action.kind === "store") action.flags = flagsIn(texts.read(run));
      },
    },
  }],
  onAction(run, action) {
    const { flags, set } = slot(run, internalFlags);
    // RFC 5232 §5: what ":flags" says comes before the variable.
    if ((action.kind === "keep" || action.kind === "store") && set) action.flags ??= flags;
  },
}];
