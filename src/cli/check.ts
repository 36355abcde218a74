/** `godwit check`: validates a configuration and starts nothing. */

import { type Config, type ConfigProblem, formatProblem } from "../config/mod.ts";
import { certificateEnd } from "../net/mod.ts";
import { find, read } from "./configuration.ts";
import type { Output } from "./output.ts";

/** Prints every problem, one a line, key path first. @returns 0 if the configuration can be used, else 1 */
export async function check(options: { config?: string; json?: boolean }, output: Output): Promise<number> {
  const file = await find(options.config, output);
  if (file === undefined) return 1;
  const { config, problems: found } = await read(file);
  const valid = config !== undefined;
  const problems = valid ? [...found, ...ends(config, Date.now())] : found;
  if (options.json === true) {
    output.print(JSON.stringify({ file, valid, problems }));
  } else {
    for (const problem of problems) output.print(formatProblem(problem, file));
    const warnings = problems.filter((problem) => problem.severity === "warning").length;
    const errors = problems.length - warnings;
    output.print(
      valid ? `${file} is valid${count(warnings)}` : `${file} has ${plural(errors, "error")}${count(warnings)}`,
    );
  }
  return valid ? 0 : 1;
}

/** Certificates that expire soon, or have expired. */
function ends(config: Config, now: number): readonly ConfigProblem[] {
  return config.certificates.flatMap(({ id, cert }): ConfigProblem[] => {
    const message = certificateEnd(cert, now)?.warning;
    const key = `certificate.${id}.cert`;
    const line = config.place(key)?.line ?? 0;
    return message === undefined ? [] : [{ severity: "warning", key, line, message }];
  });
}

function count(warnings: number): string {
  return warnings === 0 ? "" : `, ${plural(warnings, "warning")}`;
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
