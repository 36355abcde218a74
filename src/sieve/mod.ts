/**
 * The Sieve language (RFC 5228 and its extensions). Pure: what a script wants done comes out as data, and what it asks
 * of the world goes through the {@link SieveHost} that its caller hands in. A script is compiled once to closures and
 * run any number of times; a run answers at once unless the host has to be waited for.
 *
 * @example
 * ```ts
 * const { script, problems } = compileScript(source, { name: "filter" });
 * if (script === undefined) return problems.map((problem) => formatProblem(problem, "filter"));
 * const outcome = await runScript(script, { message: sieveMessage(bytes), envelope: { from, to }, host });
 * ```
 *
 * @module
 */

export type {
  Action,
  DiscardAction,
  FileCopy,
  KeepAction,
  NotifyAction,
  OutgoingMail,
  RedirectAction,
  RejectAction,
  StoreAction,
  VacationAction,
} from "./actions.ts";
export { capabilityNames, type Compilation, type CompiledScript, compileScript } from "./compiler.ts";
export type { CompileOptions, Namespace } from "./definition.ts";
export { type Rejection, rejectionNotice } from "./disposition.ts";
export { type Outcome, type RunError, type RunInput, runScript } from "./execute.ts";
export { type Answer, DEFAULT_LIMITS, type SieveHost, type SieveLimits } from "./host.ts";
export { DEFAULT_ADDRESS_BOOK, listName } from "./extensions/extlists.ts";
export { messageBytes, messageOfContent, type SieveMessage, sieveMessage } from "./message.ts";
export { parseScript } from "./parser.ts";
export { redirectedMessage } from "./redirection.ts";
export { formatProblem, type Position, type SieveProblem } from "./problem.ts";
export type { Envelope } from "./run.ts";
export { ENVELOPE_PARTS, type EnvironmentVariable, SERVER_NAMESPACES } from "./server_variables.ts";
export { runTests, type TestHost, type TestReport, type TestResult } from "./testsuite/mod.ts";
