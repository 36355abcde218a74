/** Sessions for an attempt: kept ones, new ones as many as the peer takes, none where nobody answers. */

import type { Clock } from "../clock/mod.ts";
import type { Caution } from "./caution.ts";
import type { Down, DownHosts } from "./down_hosts.ts";
import { type OpenContext, type OpenOptions, openSession } from "./open_session.ts";
import type { PeerCapacity } from "./peer_capacity.ts";
import type { Pool } from "./pool.ts";
import type { Session } from "./session.ts";
import { countSession } from "./tls_count.ts";
import type { TlsResults } from "./tls_result.ts";
import { type Failure, failure } from "./verdict.ts";
import type { WaitingRoom } from "./waiting_room.ts";

/** What is known of peers, and who waits for them. */
export interface ConnectContext extends OpenContext {
  readonly clock: Clock;
  readonly pool: Pool;
  readonly down: DownHosts;
  readonly caution: Caution;
  readonly capacity: PeerCapacity;
  readonly waiting: WaitingRoom;
  /** Told how TLS went, for reports. */
  readonly results: TlsResults | undefined;
}

/** The attempt that a session is for. */
export interface Connecting {
  /** Whether a person asked for it: then hosts are tried although they are believed to be down. */
  readonly requested: boolean;
  readonly signal: AbortSignal;
  isAborted(): boolean;
  /** Told of a session that is being opened, to close it if the attempt ends. */
  busyWith(session: Session | undefined): void;
}

/** A new session, or a kept one that came back while this waited for the peer to take another connection. */
export async function connectTo(
  options: OpenOptions,
  key: string,
  context: ConnectContext,
  connecting: Connecting,
): Promise<Session | Failure> {
  const { down, capacity, waiting, pool, clock, emit } = context;
  const { host, ip, port } = options;
  const endpoint = `${ip} ${port}`;
  const until = clock.now() + PATIENCE;
  while (true) {
    if (connecting.isAborted()) return failure("deferred", "none", "4.3.2", "the attempt was interrupted", { host });
    if (capacity.hasRoom(endpoint)) {
      const known = connecting.requested ? undefined : down.ask(`${endpoint} ${options.localIp ?? ""}`);
      if (known !== undefined) return notTried(options, known);
      const opened = await openCounted(options, endpoint, context, connecting);
      if (!("kind" in opened)) {
        if (waiting.occupied) waiting.admitted(endpoint);
        opened.key = key;
        return opened;
      }
      if (opened.stale) {
        options = { ...options, fresh: true };
        continue;
      }
      if (opened.detail.status !== 421 || !capacity.refused(endpoint)) return opened;
      emit("delivery.concurrency-limit-exceeded", { host, remoteIp: ip, details: opened.detail.text });
    }
    const limit = capacity.limitOf(endpoint) ?? 1;
    const woken = await waiting.wait(endpoint, {
      most: Math.min(limit, MOST_WAITING),
      until,
      signal: connecting.signal,
    });
    if (!woken) {
      const text = `${host}[${ip}] takes no more than ${limit} connection${limit === 1 ? "" : "s"} from here ` +
        "at the same time; the message waits for its turn";
      const waits = waiting.sentAway(endpoint, LOOK, () => waiting.turn(endpoint, TURN / limit, SHORTEST_TURN));
      return failure("deferred", "concurrency", "4.4.5", text, { host, waits });
    }
    const kept = pool.take(key);
    if (kept !== undefined) return kept;
  }
}

/** Opens a session, counts it, and remembers whether the address answers. */
async function openCounted(
  options: OpenOptions,
  endpoint: string,
  context: ConnectContext,
  connecting: Connecting,
): Promise<Session | Failure> {
  const { down, capacity, results, caution } = context;
  const address = `${endpoint} ${options.localIp ?? ""}`;
  const place = capacity.take(endpoint);
  let standing = false;
  try {
    const opened = await openSession(options, context, (session) => {
      standing = true;
      session.endpoint = endpoint;
      session.onClose = place.free;
      connecting.busyWith(session);
    });
    connecting.busyWith(undefined);
    if (results !== undefined && !("kind" in opened && opened.stale)) countSession(results, options, opened);
    if (!("kind" in opened)) {
      place.established();
      opened.peer = caution.believe(endpoint, opened.peer);
      down.answered(address);
      return opened;
    }
    place.failed();
    if (opened.silent !== undefined) {
      down.failed(address, opened.silent);
    } else if (opened.detail.status > 0) {
      down.answered(address);
    } else {
      down.unknown(address);
    }
    return opened;
  } finally {
    if (!standing) place.free();
  }
}

// Milliseconds that a job waits in memory for a place, and how many do for one peer.
const PATIENCE = 5000;
const MOST_WAITING = 8;
// Milliseconds until those who have no place look whether the peer takes more, though no connection has ended.
const LOOK = 5000;
// What a message takes, roughly, and the least that one that is sent away stays away, in milliseconds.
const TURN = 500;
const SHORTEST_TURN = 1000;

/** What becomes of mail for an address that is known to be down. */
function notTried({ host, ip }: OpenOptions, { reason, pause, probed }: Down): Failure {
  return failure("deferred", "connection", "4.4.1", `${host}[${ip}]: not tried: ${reason}`, {
    host,
    elsewhere: true,
    untried: true,
    ...(probed ? { retryAfter: pause } : { notBefore: pause }),
  });
}
