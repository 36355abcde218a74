/** Finding and loading the configuration for a command. */

import { type Config, findConfigFile, formatProblem, loadConfig, type LoadResult } from "../config/mod.ts";
import { secretProblem } from "../directory/mod.ts";
import { EVENTS } from "../telemetry/mod.ts";
import type { Output } from "./output.ts";

/** Reads a configuration file with all that is known about the names it may use. */
export function read(file: string): Promise<LoadResult> {
  return loadConfig(file, { events: Object.keys(EVENTS), secretProblem });
}

/**
 * The configuration file to use, or nothing after saying why there is none.
 *
 * @param file of `--config`; without it `./config.toml` and `/etc/godwit/config.toml` are looked at
 */
export async function find(file: string | undefined, output: Output): Promise<string | undefined> {
  const found = await findConfigFile(file);
  if (found === undefined) {
    output.error(
      file === undefined
        ? "no configuration: neither ./config.toml nor /etc/godwit/config.toml exists; name one with --config FILE"
        : `the configuration ${file} does not exist or is no file`,
    );
  }
  return found;
}

/**
 * Loads the configuration; what is wrong with it is printed and makes it nothing.
 *
 * @param warnings whether warnings are printed too; commands that only look something up leave them out
 */
export async function load(
  file: string | undefined,
  output: Output,
  options: { readonly warnings: boolean },
): Promise<Config | undefined> {
  const found = await find(file, output);
  if (found === undefined) return undefined;
  const { config, problems } = await read(found);
  for (const problem of problems) {
    if (problem.severity === "error" || options.warnings) output.error(formatProblem(problem, found));
  }
  return config;
}
