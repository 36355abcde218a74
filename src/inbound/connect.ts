/** The start of a session: limits are evaluated and the client is greeted. */

import { type Reply, reply } from "../smtp/mod.ts";
import { admit, refuseEarlyTalker } from "./admission.ts";
import { startIprev } from "./checks.ts";
import { filterStage } from "./filters.ts";
import type { Session } from "./session.ts";

/** Makes the greeting (RFC 5321 §4.2, 4.3.1). */
export async function greet(session: Session): Promise<Reply> {
  const { config, listenerGreetings } = session.deps;
  await session.refreshLimits();
  const refusal = await admit(session, "connection") ?? await refuseEarlyTalker(session);
  if (refusal !== undefined) return refusal;
  if (session.deps.checks !== undefined) await startIprev(session, session.deps.checks);
  const hostname = await session.evaluate(config.connect.hostname);
  if (session.filters !== undefined) {
    const filtered = await filterStage(session, session.filters, "connect", session.fate);
    if (filtered.kind === "refused") return filtered.reply;
  }
  const text = listenerGreetings.get(session.connection.listener) ?? await session.evaluate(config.connect.greeting);
  return reply(220, "", `${hostname} ${text}`.trimEnd());
}
