/** Connections kept open between messages. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { Session } from "./session.ts";

/** How long and how often connections are used. */
export interface PoolLimits {
  /** Milliseconds a connection may lie idle. */
  readonly maxIdle: number;
  /** Messages per connection. */
  readonly maxMessages: number;
  /** Idle connections in all. */
  readonly maxKept: number;
}

/** Keeps idle sessions by key: what has the same key may carry the same messages. */
export interface Pool {
  /** An idle session, the one used last; it belongs to the caller until given back or closed. */
  take(key: string): Session | undefined;
  /** Gives a session back in good order; it is kept, or ended with QUIT if it has done enough. */
  keep(session: Session): void;
  /** Ends a session with QUIT; {@link Pool.close} waits for it. */
  quit(session: Session): void;
  /** Ends the idle sessions. */
  drop(): Promise<void>;
  /** Ends the idle sessions, and from now on keeps none. */
  close(): Promise<void>;
}

// Milliseconds between looks at what has been idle for too long.
const SWEEP = 1000;

export function createPool(clock: Clock, limits: PoolLimits): Pool {
  const idle = new Map<string, Session[]>();
  let kept = 0;
  let closed = false;
  let sweeping: Timer | undefined;
  const goodbyes = new Set<Promise<void>>();

  const quit = (session: Session) => {
    if (session.closed) return;
    const goodbye = session.quit().finally(() => goodbyes.delete(goodbye));
    goodbyes.add(goodbye);
  };

  const forget = (session: Session) => {
    const sessions = idle.get(session.key);
    const index = sessions?.indexOf(session) ?? -1;
    if (sessions === undefined || index < 0) return;
    sessions.splice(index, 1);
    kept--;
    if (sessions.length === 0) idle.delete(session.key);
  };

  const sweep = () => {
    sweeping = undefined;
    const oldest = clock.now() - limits.maxIdle;
    for (const [key, sessions] of [...idle]) {
      // The longest idle is first: sessions are taken from the end and put back there.
      while (sessions[0] !== undefined && sessions[0].idleSince <= oldest) {
        const session = sessions[0];
        forget(session);
        quit(session);
      }
      if (sessions.length === 0) idle.delete(key);
    }
    arm();
  };

  const arm = () => {
    if (idle.size > 0 && sweeping === undefined) sweeping = clock.after(SWEEP, sweep);
  };

  const drop = async () => {
    sweeping?.cancel();
    sweeping = undefined;
    const sessions = [...idle.values()].flat();
    idle.clear();
    kept = 0;
    for (const session of sessions) quit(session);
    await Promise.all(goodbyes);
  };

  return {
    quit,
    take(key) {
      const sessions = idle.get(key);
      if (sessions === undefined) return undefined;
      for (let session = sessions.pop(); session !== undefined; session = sessions.pop()) {
        kept--;
        // An empty list stays for when the session comes back; the sweep removes it otherwise.
        if (session.wake()) return session;
      }
      idle.delete(key);
      return undefined;
    },
    keep(session) {
      if (session.closed) return;
      const { mailMax } = session.peer.limits;
      const most = Math.min(limits.maxMessages, mailMax ?? Infinity);
      if (closed || session.transactions >= most || kept >= limits.maxKept) return quit(session);
      let sessions = idle.get(session.key);
      if (sessions === undefined) idle.set(session.key, sessions = []);
      session.idleSince = clock.now();
      sessions.push(session);
      kept++;
      arm();
      session.rest(forget);
    },
    drop,
    async close() {
      closed = true;
      await drop();
    },
  };
}
