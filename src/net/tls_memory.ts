/**
 * What earlier handshakes with a server leave behind: sessions that can be resumed (RFC 8446 §2.2, RFC 5077), and
 * certificates that were verified.
 *
 * The runtime lets connections resume each other's sessions only if they share one verifier, and then what it says about
 * a certificate may be about that of another connection. So it verifies a certificate with a verifier made for that
 * handshake alone, which is slow; later handshakes share one, whose word counts for nothing. There it is enough that the
 * server has shown the same certificate again: in the handshake, or in the one that the session is from.
 */

import { createHash } from "node:crypto";
import type { Clock } from "../clock/mod.ts";

/** What is remembered of servers, by the name asked for. */
export interface TlsMemory {
  /** The session to resume, if there is one. */
  session(serverName: string): Uint8Array | undefined;
  keepSession(serverName: string, session: Uint8Array): void;
  /** Offers no session to the server until there is a new one. */
  forgetSession(serverName: string): void;
  /** Whether some certificate was verified for this name under `trust`, and not too long ago. */
  knows(serverName: string, trust: string): boolean;
  /** Whether this one was. */
  vouches(serverName: string, trust: string, certificate: Uint8Array): boolean;
  /** A certificate was verified; `until`: when the first certificate of its chain expires, in milliseconds. */
  verified(serverName: string, trust: string, certificate: Uint8Array, until: number): void;
}

/** Milliseconds after which a certificate is verified anew. */
const RECHECK = 60 * 60 * 1000;
const MOST_NAMES = 4096;
/** Machines behind one name may have certificates of their own. With more of them, remembering does not pay. */
const MOST_CERTIFICATES = 16;

/** Makes an empty memory. */
export function createTlsMemory(clock: Clock): TlsMemory {
  const sessions = new Map<string, Uint8Array>();
  /** By trust and name: digests of certificates, each with the time from which and until which it counts. */
  const certificates = new Map<string, Map<string, { readonly from: number; readonly until: number }>>();

  const current = (known: { readonly from: number; readonly until: number } | undefined) => {
    const now = clock.now();
    return known !== undefined && known.from <= now && now < known.until;
  };

  return {
    session: (serverName) => sessions.get(serverName),
    keepSession(serverName, session) {
      sessions.delete(serverName);
      sessions.set(serverName, session);
      dropOldest(sessions, MOST_NAMES);
    },
    forgetSession: (serverName) => void sessions.delete(serverName),
    knows(serverName, trust) {
      const known = certificates.get(keyOf(serverName, trust));
      return known !== undefined && known.values().some(current);
    },
    vouches: (serverName, trust, certificate) =>
      current(certificates.get(keyOf(serverName, trust))?.get(digest(certificate))),
    verified(serverName, trust, certificate, until) {
      const key = keyOf(serverName, trust);
      const known = certificates.get(key) ?? new Map<string, { readonly from: number; readonly until: number }>();
      const from = clock.now();
      known.delete(digest(certificate));
      known.set(digest(certificate), { from, until: Math.min(until, from + RECHECK) });
      dropOldest(known, MOST_CERTIFICATES);
      certificates.delete(key);
      certificates.set(key, known);
      dropOldest(certificates, MOST_NAMES);
    },
  };
}

function keyOf(serverName: string, trust: string): string {
  return `${serverName} ${trust}`;
}

function digest(certificate: Uint8Array): string {
  return createHash("sha256").update(certificate).digest("hex");
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  if (map.size <= most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
