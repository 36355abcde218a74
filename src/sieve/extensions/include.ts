/** `include`, `return`, `global` (RFC 6609). */

import type { Call, Compiler, Extension, Step } from "../definition.ts";
import { DEFAULT_LIMITS } from "../host.ts";
import { NEXT, RETURN, type Run, slot } from "../run.ts";
import { declareGlobal, globalVariable, isVariableName } from "../variable.ts";

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

/** RFC 6609 §3.2: the included script has variables of its own; `stop` ends everything, `return` only itself. */
function runIncluded(step: Step, key: string, once: boolean): Step {
  const leave = (run: Run, outer: Run["variables"]) => {
    run.variables = outer;
    run.matchValues = [];
  };
  return (run) => {
    const seen = slot(run, visited);
    if (once && seen.has(key)) return NEXT;
    seen.add(key);
    const outer = run.variables;
    run.variables = new Map();
    run.matchValues = [];
    const flow = step(run);
    if (typeof flow === "number") {
      leave(run, outer);
      return flow === RETURN ? NEXT : flow;
    }
    return flow.then((ended) => {
      leave(run, outer);
      return ended === RETURN ? NEXT : ended;
    });
  };
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
        return step === undefined ? undefined : runIncluded(step, `${location}/${name}`, call.has("once"));
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
