/** Compiles the scripts of a configuration. Loaded only where there are any: the language takes some megabytes. */

import { type CompileOptions, compileScript, SERVER_NAMESPACES } from "../../sieve/mod.ts";
import type { ScriptConfig } from "../sieve.ts";
import { isBroken, isSecret } from "../toml/node.ts";
import type { BuildContext, CompileScripts } from "./context.ts";

const CONTENTS = "sieve.trusted.scripts.<id>.contents";

/** Compiles `sieve.trusted.scripts.*`; what is wrong with one is a problem of the configuration. */
export const compileScripts: CompileScripts = (context, environment) => {
  const { reader } = context;
  const sources = new Map<string, string>();
  for (const id of reader.names("sieve.trusted.scripts")) {
    const node = reader.node(CONTENTS, id);
    const source = reader.get(CONTENTS, id);
    if (node !== undefined && !isBroken(node)) sources.set(id, source);
  }
  const options = { ...compileOptions(context), environment };
  const scripts = new Map<string, ScriptConfig>();
  for (const [id, source] of sources) {
    const script = compile(context, id, source, sources, options);
    if (script !== undefined) scripts.set(id, script);
  }
  return scripts;
};

function compileOptions({ reader }: BuildContext): CompileOptions {
  const { get } = reader;
  const memory = String(Math.ceil(get("sieve.trusted.limits.duplicate-expiry") / 1000));
  return {
    noCapabilityCheck: get("sieve.trusted.no-capability-check"),
    namespaces: SERVER_NAMESPACES,
    limits: {
      instructions: get("sieve.trusted.limits.cpu"),
      redirects: get("sieve.trusted.limits.redirects"),
      outMessages: get("sieve.trusted.limits.out-messages"),
      nestedIncludes: get("sieve.trusted.limits.nested-includes"),
      variableSize: get("sieve.trusted.limits.variable-size"),
    },
    settings: new Map([
      ["sieve_duplicate_default_period", memory],
      ["sieve_duplicate_max_period", memory],
    ]),
  };
}

/** What makes a script wait for checks of who sends: their variables, and the items of RFC 5183 that need them. */
const RESULTS = /\benv\.(?:spf|spf_ehlo|dkim|arc|dmarc|iprev)\b|\benvironment\b/i;
const SENDS = /\b(?:notify|vacation)\b/i;

function compile(
  { reader }: BuildContext,
  id: string,
  source: string,
  sources: ReadonlyMap<string, string>,
  options: CompileOptions,
): ScriptConfig | undefined {
  const texts = [source];
  const { script, problems } = compileScript(source, {
    ...options,
    name: id,
    thorough: true,
    // Administrators have one set of scripts, wherever a script believes the other one to be.
    loadScript: (_location, name) => {
      const included = sources.get(name);
      if (included !== undefined) texts.push(included);
      return included;
    },
  });
  const node = reader.node(CONTENTS, id);
  const hidden = node !== undefined && isSecret(node);
  for (const problem of problems) {
    // What is wrong with an included script is told at its own key.
    if (problem.script !== undefined && sources.has(problem.script)) continue;
    const what = hidden ? withoutQuotes(problem.message) : problem.message;
    const message = `line ${problem.line}, column ${problem.column} of the script: ${what}`;
    if (problem.severity === "error") reader.error(CONTENTS, [id], message);
    else reader.warning(CONTENTS, [id], message);
  }
  if (script === undefined) return undefined;
  return {
    id,
    script,
    readsResults: texts.some((text) => RESULTS.test(text)),
    sends: texts.some((text) => SENDS.test(text)),
  };
}

/** Values that came from a macro are not shown, and what is quoted is a piece of one. */
function withoutQuotes(message: string): string {
  const quote = message.search(/["']/);
  return quote < 0
    ? message
    : `${message.slice(0, quote)}…; 'godwit sieve check' on a file of the script shows all of it`;
}
