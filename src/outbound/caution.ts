/**
 * Peers that offer what they cannot do. Such a peer is spoken to step by step and without chunks for a while, so that
 * the next attempt gets through.
 */

import type { Clock } from "../clock/mod.ts";
import type { PeerExtensions, Reply } from "../smtp/mod.ts";

/** Peers, by address and port, that did not do what they offered. */
export interface Caution {
  /** It offered more than it can. */
  note(endpoint: string): void;
  /** What to believe of an offer. */
  believe(endpoint: string, offer: PeerExtensions): PeerExtensions;
}

/** Milliseconds until the offer is believed again. */
const MEMORY = 24 * 3_600_000;
const MOST_PEERS = 10_000;

/** Nobody is known to be boasting. */
export function createCaution(clock: Clock): Caution {
  const until = new Map<string, number>();
  return {
    note(endpoint) {
      until.delete(endpoint);
      until.set(endpoint, clock.now() + MEMORY);
      if (until.size <= MOST_PEERS) return;
      for (const oldest of until.keys()) {
        until.delete(oldest);
        break;
      }
    },
    believe(endpoint, offer) {
      const end = until.get(endpoint);
      if (end === undefined) return offer;
      if (clock.now() < end) return { ...offer, pipelining: false, chunking: false, binarymime: false };
      until.delete(endpoint);
      return offer;
    },
  };
}

/** Whether a reply says that the command itself is unknown or out of place (RFC 5321 §4.2.3, §4.3.2). */
export function isUnknownCommand({ code }: Reply): boolean {
  return code === 500 || code === 502 || code === 503 || code === 504;
}
