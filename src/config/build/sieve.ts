/** Builds `sieve.trusted.*` and `session.*.script`: compiles the scripts (reference §9). */

import { isAbsolute } from "node:path";
import type { CompileEnvironment } from "../../expression/mod.ts";
import { type CompileOptions, compileScript, SERVER_NAMESPACES } from "../../sieve/mod.ts";
import type { ScriptConfig, SieveConfig } from "../sieve.ts";
import { isBroken, isSecret } from "../toml/node.ts";
import type { BuildContext } from "./context.ts";

const CONTENTS = "sieve.trusted.scripts.<id>.contents";

/** Builds what scripts are run with. Settings that name scripts and signatures must know their ids. */
export function buildSieve(context: BuildContext, environment: CompileEnvironment): SieveConfig {
  const { get } = context.reader;
  return {
    scripts: buildScripts(context, environment),
    stages: {
      connect: get("session.connect.script"),
      ehlo: get("session.ehlo.script"),
      mail: get("session.mail.script"),
      rcpt: get("session.rcpt.script"),
      data: get("session.data.script"),
    },
    fromName: get("sieve.trusted.from-name"),
    fromAddress: get("sieve.trusted.from-addr"),
    returnPath: get("sieve.trusted.return-path"),
    sign: get("sieve.trusted.sign"),
    hostname: get("sieve.trusted.hostname"),
    receivedHeaders: get("sieve.trusted.limits.received-headers"),
    exec: { allow: readAllowed(context), timeout: get("sieve.trusted.exec.timeout") },
    user: {
      limits: {
        instructions: get("sieve.user.limits.cpu"),
        redirects: get("sieve.user.limits.redirects"),
        outMessages: get("sieve.user.limits.out-messages"),
        variableSize: get("sieve.user.limits.variable-size"),
      },
      scriptSize: get("sieve.user.limits.script-size"),
    },
  };
}

function buildScripts(context: BuildContext, environment: CompileEnvironment): ReadonlyMap<string, ScriptConfig> {
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
}

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

/** Values that came from a macro are not shown (reference §1.3), and what is quoted is a piece of one. */
function withoutQuotes(message: string): string {
  const quote = message.search(/["']/);
  return quote < 0
    ? message
    : `${message.slice(0, quote)}…; 'godwit sieve check' on a file of the script shows all of it`;
}

function readAllowed({ reader }: BuildContext): readonly string[] | undefined {
  const allowed = reader.get("sieve.trusted.exec.allow");
  if (allowed?.some((path) => !isAbsolute(path)) === true) {
    const found = reader.found("sieve.trusted.exec.allow");
    reader.error("sieve.trusted.exec.allow", [], `expected absolute paths of programs, found ${found}`);
  }
  return allowed;
}
