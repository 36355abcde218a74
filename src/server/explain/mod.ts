/** Explains what would become of a message. Loaded when somebody asks, which few servers ever are. */

export { explain, ExplainError } from "./explain.ts";
export { readRequest, REQUEST_NAMES } from "./request.ts";
