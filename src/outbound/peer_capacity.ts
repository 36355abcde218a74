/**
 * How many connections each peer takes from us, as far as it has let us know.
 *
 * A peer that answers 421 to a new connection while others are open, or are being opened, has as many as it wants
 * (RFC 5321 §3.8). From then on no more are opened than it accepts of those; one more is tried every minute, for limits
 * change.
 */

import type { Clock } from "../clock/mod.ts";

/** A connection as it is counted. */
export interface Place {
  /** The peer takes mail on it. */
  established(): void;
  /** It will not. */
  failed(): void;
  /** It is gone. May be called again. */
  free(): void;
}

/** Connections by peer: address and port. */
export interface PeerCapacity {
  hasRoom(peer: string): boolean;
  /** A connection is about to be opened. */
  take(peer: string): Place;
  /** The peer said 421 to a new one. True if that means that the others are as many as it wants. */
  refused(peer: string): boolean;
  /** Connections that the peer takes at the same time, if it has let us know. */
  limitOf(peer: string): number | undefined;
}

/** Milliseconds after which one more connection is tried. */
const RECOVERY = 60_000;
/** With so many connections more than the peer once took, there is no limit worth remembering. */
const RECOVERED = 100;
const MOST_PEERS = 10_000;

interface Peer {
  /** Connections that are open or about to be. */
  taken: number;
  /** Those of them of which it is not known yet whether the peer accepts them. */
  opening: number;
  /** Those that it has accepted. */
  established: number;
  limit: number | undefined;
  learned: number;
}

/** Makes an empty count. `onFree` is told of peers that have one connection less. */
export function createPeerCapacity(clock: Clock, onFree: (peer: string) => void): PeerCapacity {
  const peers = new Map<string, Peer>();

  const limitOf = (peer: Peer): number | undefined => {
    if (peer.limit === undefined) return undefined;
    const more = Math.floor((clock.now() - peer.learned) / RECOVERY);
    if (more >= RECOVERED) peer.limit = undefined;
    return peer.limit === undefined ? undefined : peer.limit + more;
  };

  /** Peers that are of no interest any more make room. */
  const tidy = () => {
    for (const [name, peer] of peers) {
      if (peers.size <= MOST_PEERS) return;
      if (peer.taken === 0) peers.delete(name);
    }
  };

  return {
    hasRoom(name) {
      const peer = peers.get(name);
      return peer === undefined || peer.taken < (limitOf(peer) ?? Infinity);
    },
    take(name) {
      let peer = peers.get(name);
      if (peer === undefined) {
        peer = { taken: 0, opening: 0, established: 0, limit: undefined, learned: 0 };
        peers.set(name, peer);
        if (peers.size > MOST_PEERS) tidy();
      }
      const counted = peer;
      counted.taken++;
      counted.opening++;
      let state: "new" | "established" | "failed" | "free" = "new";
      return {
        established() {
          if (state !== "new") return;
          state = "established";
          counted.opening--;
          counted.established++;
          // It was refused others while this one was on its way.
          if (counted.limit !== undefined) counted.limit = Math.max(counted.limit, counted.established);
        },
        failed() {
          if (state !== "new") return;
          state = "failed";
          counted.opening--;
        },
        free() {
          if (state === "free") return;
          if (state === "established") counted.established--;
          if (state === "new") counted.opening--;
          state = "free";
          counted.taken--;
          if (counted.taken === 0 && limitOf(counted) === undefined) peers.delete(name);
          onFree(name);
        },
      };
    },
    refused(name) {
      const peer = peers.get(name);
      if (peer === undefined || peer.established + peer.opening === 0) return false;
      peer.limit = Math.max(1, peer.established);
      peer.learned = clock.now();
      return true;
    },
    limitOf(name) {
      const peer = peers.get(name);
      return peer === undefined ? undefined : limitOf(peer);
    },
  };
}
