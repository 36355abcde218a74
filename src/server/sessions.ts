/** The sessions that are running: counted, and brought to an end when the server stops. */

import type { Clock } from "../clock/mod.ts";
import { type InboundDependencies, serveSession, type Session } from "../inbound/mod.ts";
import type { ServerConnection } from "../net/mod.ts";
import { reply } from "../smtp/mod.ts";

const BANNED = reply(421, "4.7.0", "Your address is banned here, closing");
const FAREWELL = reply(421, "4.3.2", "Server is shutting down, try again later");

/** The running sessions of all SMTP and LMTP listeners. */
export interface Sessions {
  /** Serves a connection until it ends. Never rejects. */
  serve(connection: ServerConnection, deps: InboundDependencies): Promise<void>;
  readonly count: number;
  /** Closes the connections of addresses that have come to be banned. */
  ban(isBanned: (ip: string) => boolean): void;
  /**
   * Ends every session: idle ones now, others when their transaction is over, and after `grace` milliseconds whatever
   * is left. A message whose 250 has not been written may then still be committed; the client will send it again.
   */
  stop(grace: number): Promise<void>;
}

/** Makes an empty register. */
export function createSessions(clock: Clock): Sessions {
  const running = new Map<Session, Promise<void>>();
  let stopping = false;
  return {
    async serve(connection, deps) {
      let session: Session | undefined;
      const ended = serveSession(connection, deps, (opened) => {
        session = opened;
        if (stopping) opened.leave(FAREWELL);
      });
      if (session !== undefined) running.set(session, ended);
      await ended;
      if (session !== undefined) running.delete(session);
    },
    get count() {
      return running.size;
    },
    ban(isBanned) {
      for (const session of running.keys()) {
        if (isBanned(session.connection.remote.ip)) session.expire("refused", BANNED);
      }
    },
    async stop(grace) {
      stopping = true;
      for (const session of running.keys()) session.leave(FAREWELL);
      const all = Promise.all(running.values());
      const timer = clock.after(grace, () => {
        for (const session of running.keys()) session.expire("shutdown", FAREWELL);
      });
      await all;
      timer.cancel();
    },
  };
}
