/** Limits on what clients may do: inbound limiters, and clients that speak before their turn. */

import type { LimiterStage } from "../config/config.ts";
import { type Reply, reply } from "../smtp/mod.ts";
import type { Session } from "./session.ts";

const WORDS: Readonly<Record<LimiterStage, string>> = {
  connection: "Too many connections of this kind",
  message: "Too many messages of this kind",
  recipient: "Too many recipients of this kind",
};

/**
 * Counts a connection, message or recipient (`[[queue.limiter.inbound]]`). What is limited at the same time counts until
 * the transaction ends, a connection until it is closed.
 *
 * @returns the refusal if a limiter says so
 * @throws {LookupUnavailable} (rejects) if it cannot be counted
 */
export async function admit(session: Session, stage: LimiterStage): Promise<Reply | undefined> {
  const { limits, emit } = session.deps;
  if (limits === undefined) return undefined;
  // What a failed MAIL has left behind.
  if (stage === "message") session.releasePermits();
  const admission = await limits.admit(stage, session.scope);
  if (admission.kind === "admitted") {
    session.keepPermit(stage === "connection" ? "session" : "transaction", admission.release);
    return undefined;
  }
  emit(admission.by === "rate" ? "smtp.rate-limit-exceeded" : "smtp.concurrency-limit-exceeded", {
    session: session.id,
    listener: session.connection.listener,
    remoteIp: session.connection.remote.ip,
    stage,
    limiter: admission.limiter,
  });
  // RFC 5321 §3.8: 421 is the reply of a server that closes the connection.
  return reply(stage === "connection" ? 421 : 451, "4.4.5", `${WORDS[stage]}, try again later`);
}

/**
 * Finds out whether the client spoke before the greeting. RFC 5321 §4.3.1 has it wait; programs that do not will not listen to
 * replies either. What has arrived by now counts; nobody is delayed to catch more. LMTP clients and addresses that are
 * trusted are not asked.
 *
 * @returns the refusal of one that did
 */
export async function refuseEarlyTalker(session: Session): Promise<Reply | undefined> {
  const { deps, connection } = session;
  if (session.lmtp || deps.isTrusted === undefined || deps.isTrusted(connection.remote.ip)) return undefined;
  session.readAhead();
  // A turn of the event loop, so that what lies in the socket gets here.
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
  if (!session.hasReadAhead) return undefined;
  deps.emit("smtp.early-talker", {
    session: session.id,
    listener: connection.listener,
    remoteIp: connection.remote.ip,
  });
  return reply(554, "5.5.1", "You spoke before the greeting, that is a protocol error");
}
