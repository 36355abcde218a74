/** `include`, `return`, `global` (RFC 6609). */

import type { Call, Compiler, Extension, Step } from "../definition.ts";
import { DEFAULT_LIMITS } from "../host.ts";
import { later } from "../later.ts";
import { messageBytes, type SieveMessage, sieveMessage } from "../message.ts";
import type { MimePart } from "../../message/mod.ts";
import { hidesBoundary, withPart } from "../mime_edit.ts";
import { mimeRoot } from "../mime_tree.ts";
import { asWhole, partAt, partOf, partReplaced, placeOf } from "../part_loop.ts";
import { SieveRuntimeError } from "../problem.ts";
import { type Flow, NEXT, RETURN, type Run, slot } from "../run.ts";
import { declareGlobal, globalVariable, isVariableName } from "../variable.ts";
import { spendOnCopy } from "./replace.ts";

/** What a compilation knows of its scripts. */
const compilation = {
  initial: () => ({ open: [] as string[], compiled: new Map<string, Step | undefined>() }),
};

/** Scripts that were included in a run, for `:once`. */
const visited = { initial: () => new Set<string>() };

const LONGEST_NAME = 255;

/** Compiles the script to include; a script is compiled once however often it is included. */
function compileIncluded(
  call: Call,
  compiler: Compiler,
  location: "personal" | "global",
  name: string,
): Step | undefined {
  const at = call.position("script name");
  const { open, compiled } = compiler.slot(compilation);
  const limits = { ...DEFAULT_LIMITS, ...compiler.options.limits };
  const key = `${location}/${name}`;
  if (name === "" || name.length > LONGEST_NAME || /[\p{Cc}/\ufffd]/u.test(name) || name.startsWith(".")) {
    compiler.error(at, `${JSON.stringify(name.slice(0, LONGEST_NAME))} is not the name of a script`);
    return undefined;
  }
  // RFC 6609 §3.2: a script that is open was run, so ":once" leaves it out.
  if (open.includes(key) && call.has("once")) return () => NEXT;
  if (open.includes(key)) {
    compiler.error(at, `the script '${name}' includes itself, by way of ${open.join(", ")}`);
    return undefined;
  }
  if (open.length >= limits.nestedIncludes) {
    compiler.error(at, `scripts are included deeper than ${limits.nestedIncludes}`);
    return undefined;
  }
  if (compiled.has(key)) return compiled.get(key);
  if (compiled.size >= limits.includes) {
    compiler.error(at, `more than ${limits.includes} scripts are included`);
    return undefined;
  }
  const source = compiler.options.loadScript?.(location, name);
  if (source === undefined) {
    if (!call.has("optional")) compiler.error(at, `there is no ${location} script '${name}' to include`);
    return () => NEXT;
  }
  open.push(key);
  const step = compiler.script(source, name);
  open.pop();
  compiled.set(key, step);
  if (step === undefined) compiler.error(at, `the included script '${name}' has errors`);
  return step;
}

interface Included {
  readonly location: "personal" | "global";
  readonly name: string;
  readonly once: boolean;
}

/** RFC 6609 §3.2: the included script has variables of its own; `stop` ends everything, `return` only itself. */
function runIncluded(step: Step, { location, name, once }: Included): Step {
  const key = `${location}/${name}`;
  return (run) => {
    const seen = slot(run, visited);
    if (once && seen.has(key)) return NEXT;
    seen.add(key);
    const outer = run.variables;
    run.variables = new Map();
    run.matchValues = [];
    const part = partOf(run);
    const inside = (error: unknown): never => {
      if (error instanceof SieveRuntimeError) error.script ??= name;
      throw error;
    };
    const leave = (flow: Flow): Flow => {
      run.variables = outer;
      run.matchValues = [];
      return flow === RETURN ? NEXT : flow;
    };
    try {
      const flow = part === undefined ? step(run) : runOnPart(run, part, step);
      return typeof flow === "number" ? leave(flow) : flow.then(leave, inside);
    } catch (error) {
      return inside(error);
    }
  };
}

/**
 * RFC 6609 §3.5: within a loop over parts the included script takes the part that the loop is at for the whole message.
 * What it changes is changed in the part; what it does is done with the message.
 */
function runOnPart(run: Run, part: MimePart, step: Step): Flow | Promise<Flow> {
  const whole = run.message;
  const place = placeOf(run) ?? [];
  const before = run.actions.length;
  const shown = sieveMessage(part.bytes.subarray(part.start, part.end));
  run.message = shown;
  const leave = (flow: Flow, bringBack: () => void): Flow | Promise<Flow> => {
    const changed = run.message;
    run.message = whole;
    bringBack();
    return later(changed === shown ? undefined : putBack(run, place, changed), () => {
      for (const action of run.actions.slice(before)) Object.assign(action, { message: run.message });
      return flow;
    });
  };
  return later(mimeRoot(run), (root) => {
    const bringBack = asWhole(run, root);
    return later(step(run), (flow) => leave(flow, bringBack));
  });
}

function putBack(run: Run, place: readonly number[], changed: SieveMessage): void | Promise<void> {
  spendOnCopy(run);
  return later(mimeRoot(run), (root) =>
    later(messageBytes(changed), (bytes) => {
      const part = partAt(root, place);
      if (part === undefined) return;
      if (hidesBoundary(part, bytes)) throw new SieveRuntimeError("a part holds a boundary of the message around it");
      run.message = sieveMessage(withPart(part, bytes));
      return partReplaced(run, place);
    }));
}

export const include: readonly Extension[] = [{
  capability: "include",
  namespaces: {
    global: {
      problem: (name) => isVariableName(name) ? undefined : `'${name}' is not the name of a global variable`,
      read: (run, name) => globalVariable(name).read(run),
      write: (run, name, value) => globalVariable(name).write(run, value),
    },
  },
  commands: [
    {
      name: "include",
      parameters: [{ name: "script name", type: "string", constant: true }],
      tags: [
        { name: "personal", group: "location" },
        { name: "global", group: "location" },
        { name: "once" },
        { name: "optional" },
      ],
      compile(call, compiler) {
        const name = call.text("script name").literal ?? "";
        const location = call.has("global") ? "global" : "personal";
        const step = compileIncluded(call, compiler, location, name);
        return step === undefined ? undefined : runIncluded(step, { location, name, once: call.has("once") });
      },
    },
    { name: "return", compile: () => () => RETURN },
    {
      name: "global",
      parameters: [{ name: "variables", type: "strings", constant: true }],
      compile(call, compiler) {
        if (!compiler.enabled("variables")) {
          compiler.error(call.at, 'global needs: require "variables";');
          return undefined;
        }
        call.texts("variables").literal?.forEach((name, index) => {
          const place = call.position("variables", index);
          const shown = name.slice(0, 80);
          if (!isVariableName(name)) compiler.error(place, `'${shown}' is not the name of a variable`);
          else if (!declareGlobal(compiler, name)) {
            compiler.error(place, `the variable '${shown}' was a local one before`);
          }
        });
        return () => NEXT;
      },
    },
  ],
}];
