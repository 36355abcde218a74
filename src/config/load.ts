/** Loads a configuration: finds the file, reads it and reports everything that is wrong with it at once. */

import { hostname as systemHostname } from "node:os";
import { dirname, resolve } from "node:path";
import { buildConfig } from "./build/config.ts";
import type { BuildContext, CompileScripts } from "./build/context.ts";
import type { ConfigProblem, LoadResult } from "./config.ts";
import { expandMacros, reasonOf } from "./macro.ts";
import { createProblems } from "./problems.ts";
import { createReader } from "./reader.ts";
import { dropOtherAreas, normalizeSpellings } from "./spelling.ts";
import { readToml } from "./toml/document.ts";
import { findKeys } from "./walk.ts";

/** What loading asks of the world; each has a default that asks the machine. */
export interface LoadOptions {
  /** An environment variable. */
  readonly env?: (name: string) => string | undefined;
  /** The text of a file, by absolute path. Throws if it cannot be read. */
  readonly readFile?: (path: string) => string;
  /** The permission bits of a file, by absolute path; `undefined` if they cannot be told. */
  readonly fileMode?: (path: string) => number | undefined;
  /** Name of the machine. */
  readonly hostname?: () => string;
  /** Number of processors. */
  readonly cpus?: number;
  /** What is wrong with a secret that may be a hash, if anything is; without it their form is not checked. */
  readonly secretProblem?: (secret: string) => string | undefined;
  /** Names of all events; with them names in `tracing.level` are checked in full, else only their areas. */
  readonly events?: readonly string[];
}

/** Options of {@link parseConfig}. */
export interface ParseOptions extends LoadOptions {
  /** Absolute path of the file: relative paths start at its folder. `""` or left out: the working directory. */
  readonly file?: string;
  /** Compiles scripts (`build/scripts.ts`); only a text without any can be parsed without it. */
  readonly compileScripts?: CompileScripts;
}

/**
 * Reads and checks a configuration file. Never throws for what is in the file, nor if it cannot be read.
 *
 * @returns the configuration if there is no error; problems in the order of the file in any case
 */
export async function loadConfig(file: string, options: LoadOptions = {}): Promise<LoadResult> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(file);
  } catch (error) {
    return failure({ key: "", line: 0, message: `cannot read the configuration: ${reasonOf(error)}` });
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return failure({ key: "", line: badLine(bytes), message: "expected UTF-8, found octets that are none" });
  }
  const parsed = beginParsing(text, { ...options, file: resolve(file) });
  return parsed.hasScripts ? parsed.finish((await import("./build/scripts.ts")).compileScripts) : parsed.finish();
}

/** Reads and checks the text of a configuration, as {@link loadConfig} does. */
export function parseConfig(text: string, options: ParseOptions = {}): LoadResult {
  return beginParsing(text, options).finish(options.compileScripts);
}

/** A text whose keys and values are known. */
interface Parsed {
  readonly hasScripts: boolean;
  /** Checks and builds the rest. */
  finish(compileScripts?: CompileScripts): LoadResult;
}

function beginParsing(text: string, options: ParseOptions): Parsed {
  const { file = "", readFile = Deno.readTextFileSync, env = readEnv, cpus = navigator.hardwareConcurrency } = options;
  const folder = file === "" ? Deno.cwd() : dirname(file);
  const hostname = (options.hostname ?? readHostname)();
  const problems = createProblems();
  const { root, complete, problems: syntaxProblems } = readToml(text);
  for (const problem of syntaxProblems) problems.add(problem);
  normalizeSpellings(root, problems);
  dropOtherAreas(root, problems);
  const set = findKeys(root, problems);
  const machine = { hostname, cpus };
  expandMacros(set, { env, readFile: (path) => readFile(resolve(folder, path)), ...machine }, problems);
  problems.textIsRead();
  const reader = createReader(set, { problems, ...machine });
  const hasScripts = complete && reader.names("sieve.trusted.scripts").length > 0;
  return {
    hasScripts,
    finish(compileScripts) {
      if (hasScripts && compileScripts === undefined) throw new Error("nobody was given who compiles the scripts");
      const context: BuildContext = {
        reader,
        problems,
        folder,
        systemHostname: hostname,
        readFile,
        fileMode: options.fileMode ?? readMode,
        secretProblem: options.secretProblem ?? (() => undefined),
        compileScripts: compileScripts ?? (() => new Map()),
        events: options.events,
      };
      // A syntax error may have swallowed anything; what seems to be missing or undefined means nothing then.
      const config = complete ? buildConfig(context, file) : undefined;
      return { config: problems.hasErrors ? undefined : config, problems: problems.all };
    },
  };
}

/** Where a configuration is looked for when none is named. */
export const USUAL_PLACES: readonly string[] = ["config.toml", "/etc/godwit/config.toml"];

/**
 * The absolute path of the configuration file.
 *
 * @param explicit the path that was asked for; without it the usual places are looked at
 * @returns `undefined` if there is no such file
 */
export async function findConfigFile(explicit?: string): Promise<string | undefined> {
  for (const place of explicit === undefined ? USUAL_PLACES : [explicit]) {
    if (await isFile(place)) return resolve(place);
  }
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return !(await Deno.stat(path)).isDirectory;
  } catch (error) {
    // What exists but may not be looked at is for loadConfig to report.
    return !(error instanceof Deno.errors.NotFound);
  }
}

function readEnv(name: string): string | undefined {
  // Names with these characters cannot exist, and the runtime throws on them.
  return name === "" || /[=\0]/.test(name) ? undefined : Deno.env.get(name);
}

function readMode(path: string): number | undefined {
  try {
    return Deno.statSync(path).mode ?? undefined;
  } catch {
    return undefined;
  }
}

function readHostname(): string {
  try {
    return systemHostname();
  } catch {
    return "";
  }
}

function failure(problem: Omit<ConfigProblem, "severity">): LoadResult {
  return { config: undefined, problems: [{ severity: "error", ...problem }] };
}

/** The first line that is not UTF-8. */
function badLine(bytes: Uint8Array): number {
  let line = 1;
  for (let start = 0; start <= bytes.length; line++) {
    const end = bytes.indexOf(10, start);
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, end === -1 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end === -1) break;
    start = end + 1;
  }
  return 0;
}
