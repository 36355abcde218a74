/** What the builders of the parts of a {@link Config} share. */

import { isAbsolute, resolve } from "node:path";
import type { CompileEnvironment } from "../../expression/mod.ts";
import type { Problems } from "../problems.ts";
import type { Reader } from "../reader.ts";
import type { ScriptConfig } from "../sieve.ts";

/** Compiles all scripts of a configuration; gives those that can be run, by id. */
export type CompileScripts = (
  context: BuildContext,
  environment: CompileEnvironment,
) => ReadonlyMap<string, ScriptConfig>;

/** Access to the file, and to the few things outside it that loading needs. */
export interface BuildContext {
  readonly reader: Reader;
  readonly problems: Problems;
  /** Folder that relative paths start at. */
  readonly folder: string;
  /** Name of the machine, `""` if it has none. */
  readonly systemHostname: string;
  /** The text of a file, by absolute path. @throws if it cannot be read */
  readFile(path: string): string;
  /** The permission bits of a file, by absolute path; `undefined` if they cannot be told. */
  fileMode(path: string): number | undefined;
  /** What is wrong with a secret that may be a hash; `undefined` if nothing is, or nobody here can tell. */
  secretProblem(secret: string): string | undefined;
  readonly compileScripts: CompileScripts;
  /** Every event that can happen, if the caller knows them. */
  readonly events: readonly string[] | undefined;
}

/** The absolute form of a path in the file: relative ones start at the folder of the configuration file. */
export function absolutePath(context: BuildContext, path: string): string {
  return isAbsolute(path) ? path : resolve(context.folder, path);
}
