/**
 * The configuration: TOML text in, a validated and typed {@link Config} out, or everything that is wrong with it, each
 * problem with its key path and line.
 *
 * A text goes through these steps: TOML with the line of every value (`toml/`), other spellings and foreign areas
 * (`spelling.ts`), the key of the schema for every value (`walk.ts`, `schema/`), macros (`macro.ts`), typed values and
 * compiled settings with their defaults (`reader.ts`, `value_type.ts`), and the parts of the `Config` with the checks
 * that look at several keys (`build/`).
 *
 * @example
 * ```ts
 * const { config, problems } = await loadConfig("/etc/godwit/config.toml");
 * for (const problem of problems) console.error(formatProblem(problem, "config.toml"));
 * ```
 *
 * @module
 */

export type * from "./config.ts";
export { developmentConfig, type DevelopmentOptions } from "./development.ts";
export { findConfigFile, loadConfig, type LoadOptions, parseConfig, type ParseOptions } from "./load.ts";
export { reasonOf } from "./macro.ts";
export { formatProblem } from "./problems.ts";
