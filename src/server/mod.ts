/**
 * The composition root: builds everything from a configuration, starts it, reloads it, drains it and stops it. No other
 * room but the command line imports this one.
 *
 * @module
 */

export type { ExplainWorld } from "./explain/explain.ts";
export type { Decision, Explanation, LimitDecision } from "./explain/explanation.ts";
export type { ExplainRequest } from "./explain/request.ts";
export { createFunctionHost, type FunctionSources } from "./functions.ts";
export { createLookups, type Lookups } from "./generation.ts";
export { type ListenerInfo, type RunningServer, type ServerOptions, startServer } from "./server.ts";
export { closeStores, openStores } from "./stores.ts";
export { VERSION } from "./version.ts";

/** What explains; a server does without it until somebody asks. */
export const loadExplain = (): Promise<typeof import("./explain/mod.ts")> => import("./explain/mod.ts");
