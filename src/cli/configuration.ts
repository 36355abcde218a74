/** Loading the configuration for a command, with its problems printed. */

import { type Config, findConfigFile, formatProblem, loadConfig } from "../config/mod.ts";
import type { Output } from "./output.ts";

/**
 * Loads the configuration; prints every problem. Errors make it nothing.
 *
 * @param file of `--config`; without it the usual places are looked at (reference §1.1)
 */
export async function load(file: string | undefined, output: Output): Promise<Config | undefined> {
  const found = await findConfigFile(file);
  if (found === undefined) {
    output.error(
      file === undefined
        ? "no configuration: neither ./config.toml nor /etc/godwit/config.toml exists; name one with --config FILE"
        : `cannot find the configuration file ${file}`,
    );
    return undefined;
  }
  const { config, problems } = await loadConfig(found);
  for (const problem of problems) output.error(formatProblem(problem, found));
  return config;
}
