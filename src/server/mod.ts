/**
 * The composition root: builds everything from a configuration, starts it, reloads it, drains it and stops it. No other
 * room but the command line imports this one.
 *
 * @module
 */

export { explain, ExplainError, type ExplainWorld } from "./explain/explain.ts";
export type { Decision, Explanation, LimitDecision } from "./explain/explanation.ts";
export { type ExplainRequest, readRequest, REQUEST_NAMES } from "./explain/request.ts";
export { createFunctionHost, type FunctionSources } from "./functions.ts";
export { createLookups, type Lookups } from "./generation.ts";
export { type ListenerInfo, type RunningServer, type ServerOptions, startServer } from "./server.ts";
export { closeStores, openStores } from "./stores.ts";
export { VERSION } from "./version.ts";
