/** Connections kept open between messages. */

import type { Clock, Timer } from "../clock/mod.ts";
import type { PoolConfig } from "../config/config.ts";
import type { Session } from "./session.ts";

/** Keeps idle sessions by key: what has the same key may carry the same messages. */
export interface Pool {
  /** An idle session, the one used last; it belongs to the caller until given back or closed. */
  take(key: string): Session | undefined;
  /** Gives a session back in good order; it is kept within `limits`, or ended with QUIT if it has done enough. */
  keep(session: Session, limits: PoolConfig): void;
  /** Ends a session with QUIT; {@link Pool.close} waits for it. */
  quit(session: Session): void;
  /** Ends the idle sessions. */
  drop(): Promise<void>;
  /** Ends the idle sessions, and from now on keeps none. */
  close(): Promise<void>;
}

interface Idle {
  readonly session: Session;
  readonly limits: PoolConfig;
}

// Milliseconds between looks at what has been idle for too long.
const SWEEP = 1000;

/** An empty pool. */
export function createPool(clock: Clock): Pool {
  const idle = new Map<string, Idle[]>();
  const kept = new Map<PoolConfig, number>();
  let closed = false;
  let sweeping: Timer | undefined;
  const goodbyes = new Set<Promise<void>>();

  const quit = (session: Session) => {
    if (session.closed) return;
    const goodbye = session.quit().finally(() => goodbyes.delete(goodbye));
    goodbyes.add(goodbye);
  };

  const leave = ({ limits }: Idle) => kept.set(limits, (kept.get(limits) ?? 1) - 1);

  const forget = (session: Session) => {
    const sessions = idle.get(session.key);
    const index = sessions?.findIndex((one) => one.session === session) ?? -1;
    const [removed] = index < 0 || sessions === undefined ? [] : sessions.splice(index, 1);
    if (sessions === undefined || removed === undefined) return;
    leave(removed);
    if (sessions.length === 0) idle.delete(session.key);
  };

  const sweep = () => {
    sweeping = undefined;
    const now = clock.now();
    for (const [key, sessions] of [...idle]) {
      for (const { session, limits } of [...sessions]) {
        if (session.idleSince > now - limits.maxIdle) continue;
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
    kept.clear();
    for (const { session } of sessions) quit(session);
    await Promise.all(goodbyes);
  };

  return {
    quit,
    take(key) {
      const sessions = idle.get(key);
      if (sessions === undefined) return undefined;
      for (let one = sessions.pop(); one !== undefined; one = sessions.pop()) {
        leave(one);
        // An empty list stays for when the session comes back; the sweep removes it otherwise.
        if (one.session.wake()) return one.session;
      }
      idle.delete(key);
      return undefined;
    },
    keep(session, limits) {
      if (session.closed) return;
      const { mailMax } = session.peer.limits;
      const most = Math.min(limits.maxMessages, mailMax ?? Infinity);
      const count = kept.get(limits) ?? 0;
      if (closed || session.transactions >= most || count >= limits.maxConnections) return quit(session);
      let sessions = idle.get(session.key);
      if (sessions === undefined) idle.set(session.key, sessions = []);
      session.idleSince = clock.now();
      sessions.push({ session, limits });
      kept.set(limits, count + 1);
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
