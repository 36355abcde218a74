/**
 * Takes mail: runs SMTP (RFC 5321) and LMTP (RFC 2033) sessions over connections that the net room accepted, one file per
 * stage, and hands accepted messages to the queue. 250 is answered only after the queue has committed.
 *
 * @module
 */

export type { Checks, FailureReporting, InboundDependencies, Intake, MessageSigning } from "./dependencies.ts";
export { serveSession } from "./serve.ts";
export { type EndReason, Session } from "./session.ts";
