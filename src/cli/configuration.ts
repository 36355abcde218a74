/** Finding and loading the configuration for a command. */

import {
  type Config,
  type ConfigProblem,
  findConfigFile,
  formatProblem,
  loadConfig,
  type LoadResult,
} from "../config/mod.ts";
import { secretProblem } from "../directory/mod.ts";
import { type Emit, EVENTS } from "../telemetry/mod.ts";
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

/** Loads the configuration; errors in it are printed and make it nothing. Nothing is said of warnings. */
export async function load(file: string | undefined, output: Output): Promise<Config | undefined> {
  const found = await find(file, output);
  if (found === undefined) return undefined;
  const { config, problems } = await read(found);
  for (const problem of problems) if (problem.severity === "error") output.error(formatProblem(problem, found));
  return config;
}

/** Tells the warnings of a configuration that is used from now on. */
export function emitWarnings(emit: Emit, problems: readonly ConfigProblem[]): void {
  for (const { severity, spelling, key, line, message } of problems) {
    if (severity !== "warning") continue;
    emit(spelling === true ? "config.parse-warning" : "config.build-warning", {
      key,
      line: line === 0 ? undefined : line,
      reason: message,
    });
  }
}
