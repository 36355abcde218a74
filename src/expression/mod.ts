/**
 * The expression language of configuration values: lexer, parser, compiler to closures, functions,
 * typed variables, and settings with their if/then/else lists and defaults. Pure: whatever an expression asks of the
 * world goes through the {@link FunctionHost} that its caller hands in.
 *
 * @example
 * ```ts
 * const compiled = compileSetting<boolean>({
 *   key: "session.rcpt.relay",
 *   context: "rcpt",
 *   type: { kind: "bool" },
 *   source: "!is_empty(authenticated_as)",
 *   default: false,
 *   environment: EMPTY_ENVIRONMENT,
 * });
 * if (compiled.setting) await compiled.setting.evaluate(scope);
 * ```
 *
 * @module
 */

export * from "./types.ts";
export type { SettingType } from "./coerce.ts";
export {
  type AddedFunction,
  type CompileEnvironment,
  EMPTY_ENVIRONMENT,
  FUNCTION_NAMES,
  type HostLanguage,
  type NameReader,
} from "./compiler.ts";
export {
  compileExpression,
  evaluateText,
  type Expression,
  type ExpressionOptions,
  formatValue,
  parseVariable,
} from "./evaluate.ts";
export { nearestName, suggestion } from "./nearest.ts";
export { ExpressionError, type ExpressionProblem, formatProblem } from "./problem.ts";
export { type CompiledSetting, compileSetting, constantSetting } from "./setting.ts";
export type { SettingOptions, SettingSource } from "./source.ts";
export {
  DURATION_SYNTAX,
  formatDuration,
  formatRate,
  parseDuration,
  parseInteger,
  parseRate,
  parseSize,
  type Rate,
  RATE_SYNTAX,
  SIZE_SYNTAX,
} from "./units.ts";
export { isTrue, TypeMismatch } from "./value.ts";
export { ALL_VARIABLES, VARIABLES, type VariableSet, type VariableType } from "./variables.ts";
