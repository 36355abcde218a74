/** The connections to one milter: a bounded number, kept for the next session where the protocol allows it. */

import type { Clock, Timer } from "../../clock/mod.ts";
import type { MilterLink } from "./link.ts";
import { COMMAND, packet } from "./protocol.ts";
import { MilterTrouble } from "./trouble.ts";

const QUIT = packet(COMMAND.quit);
/** Ends a session of a filter and begins another one on the same connection, without negotiating anew (version 6). */
const QUIT_NEW_CONNECTION = packet(COMMAND.quitNewConnection);

/** How a pool works. */
export interface PoolOptions {
  /** Most connections at the same time. */
  readonly limit: number;
  /** Milliseconds that somebody waits for one. */
  readonly wait: number;
  /** Milliseconds that a connection is kept while nobody uses it. */
  readonly idle: number;
  readonly clock: Clock;
  /** @throws {MilterTrouble} (rejects) */
  open(): Promise<MilterLink>;
}

/** Somebody who has a link and no use for it at the moment; gives it back when asked. */
export interface Holder {
  giveBack(): void;
}

/** A link with the news whether others used it before. */
export interface Lease {
  readonly link: MilterLink;
  readonly reused: boolean;
}

/** The connections. */
export interface MilterPool {
  /**
   * A link, kept or new. `fresh` gets a new one.
   *
   * @throws {MilterTrouble} (rejects) if there is none to be had in time
   */
  take(fresh?: boolean): Promise<Lease>;
  /**
   * Gives a link back; it must have answered everything it was asked. It is kept if the filter can be told that another
   * session comes now. A closed one only frees its place.
   */
  giveBack(link: MilterLink): void;
  /** Tells that a holder could do without its link, or no longer. */
  spare(holder: Holder): void;
  need(holder: Holder): void;
  /** Closes what is idle, and what comes back. */
  retire(): void;
}

/** Makes a pool. */
export function createMilterPool(options: PoolOptions): MilterPool {
  const { limit, wait, idle, clock, open } = options;
  const kept: { readonly link: MilterLink; readonly timer: Timer }[] = [];
  const waiters: ((lease: Lease | undefined) => void)[] = [];
  const spares = new Set<Holder>();
  let used = 0;
  let retired = false;

  const leave = (link: MilterLink) => link.leave(QUIT);

  const takeKept = (): MilterLink | undefined => {
    for (let last = kept.pop(); last !== undefined; last = kept.pop()) {
      last.timer.cancel();
      if (!last.link.closed) return last.link;
    }
    return undefined;
  };

  /** Hands a place on, with the link in it if there is one. */
  const free = (link: MilterLink | undefined) => {
    const next = waiters.shift();
    if (next !== undefined) next(link === undefined ? undefined : { link, reused: true });
    else used--;
    return next !== undefined;
  };

  const forget = (link: MilterLink) => {
    const place = kept.findIndex((each) => each.link === link);
    if (place < 0) return;
    kept[place]?.timer.cancel();
    kept.splice(place, 1);
    link.close();
  };

  /** Waits until somebody gives a place back. */
  const place = (): Promise<Lease | undefined> => {
    const { promise, resolve, reject } = Promise.withResolvers<Lease | undefined>();
    const waiter = (lease: Lease | undefined) => {
      timer.cancel();
      resolve(lease);
    };
    const timer = clock.after(wait, () => {
      waiters.splice(waiters.indexOf(waiter), 1);
      reject(
        new MilterTrouble("milter.timeout", `all ${limit} connections to it were in use for ${wait / 1000} s`),
      );
    });
    waiters.push(waiter);
    // Sessions that wait for their client lend theirs.
    for (const holder of spares) {
      spares.delete(holder);
      holder.giveBack();
      break;
    }
    return promise;
  };

  const openNew = async (): Promise<Lease> => {
    try {
      const link = await open();
      return { link, reused: false };
    } catch (error) {
      free(undefined);
      throw error;
    }
  };

  return {
    async take(fresh = false) {
      if (used >= limit) {
        const lease = await place();
        if (lease !== undefined && !fresh) return lease;
        lease?.link.close();
        return await openNew();
      }
      used++;
      const link = fresh ? undefined : takeKept();
      return link === undefined ? await openNew() : { link, reused: true };
    },
    giveBack(link) {
      if (link.closed) return void free(undefined);
      if (retired || link.version < 6 || !link.renewable) {
        leave(link);
        return void free(undefined);
      }
      link.put(QUIT_NEW_CONNECTION);
      link.answered = false;
      link.onTraffic = undefined;
      link.flush().then(() => {
        if (free(link)) return;
        if (retired) return leave(link);
        kept.push({ link, timer: clock.after(idle, () => forget(link)) });
        link.watch(() => forget(link));
      }, () => free(undefined));
    },
    spare(holder) {
      if (waiters.length > 0) holder.giveBack();
      else spares.add(holder);
    },
    need: (holder) => void spares.delete(holder),
    retire() {
      retired = true;
      for (const { link, timer } of kept.splice(0)) {
        timer.cancel();
        leave(link);
      }
    },
  };
}
