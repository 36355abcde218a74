/** The start of a session: limits are evaluated and the client is greeted. */

import { type Reply, reply } from "../smtp/mod.ts";
import type { Session } from "./session.ts";

/** Makes the greeting (RFC 5321 §4.2, 4.3.1). */
export async function greet(session: Session): Promise<Reply> {
  const { config, listenerGreetings } = session.deps;
  await session.refreshLimits();
  const hostname = await session.evaluate(config.connect.hostname);
  const text = listenerGreetings.get(session.connection.listener) ?? await session.evaluate(config.connect.greeting);
  return reply(220, "", `${hostname} ${text}`.trimEnd());
}
