/**
 * Lets administrators follow dialogues while they are held. Sessions are told to speak up only while somebody follows
 * (`wire.tap`); what is said is filtered here, and waits for its reader in a buffer that has an end.
 */

import type { Clock } from "../clock/mod.ts";
import type { Wire, WireLine, WireTap } from "./wire.ts";

/** Which dialogues to follow; what is left out matches all. */
export interface TraceFilter {
  readonly direction?: "in" | "out";
  /** Transactions that name this address in MAIL or RCPT; upper and lower case are the same. */
  readonly address?: string;
  /** Transactions that name an address of this domain. */
  readonly domain?: string;
  /** Address of the other side. */
  readonly peer?: (ip: string) => boolean;
}

/** What a follower gets. */
export type TraceRecord =
  /** Something was said; times in milliseconds since the epoch. */
  | ({ readonly kind: "said"; readonly time: number } & Omit<WireLine, "end">)
  /** The follower was too slow, and this many records are missing here. */
  | { readonly kind: "lost"; readonly count: number };

/** One who follows. */
export interface Follower {
  /**
   * What came since the last call; waits until there is something.
   *
   * @param patience milliseconds after which the answer is an empty list
   * @returns undefined once the follower or the server is closed
   */
  next(patience: number): Promise<readonly TraceRecord[] | undefined>;
  close(): void;
}

/** The dialogues of a process, to be followed. */
export interface DialogueTrace {
  /** To be given to all sessions. */
  readonly wire: Wire;
  /** Begins to follow; undefined if too many do already. */
  follow(filter: TraceFilter): Follower | undefined;
  /** From now on `log` hears everything; undefined: nobody but those who follow does. */
  logTo(log: WireTap | undefined): void;
  /** Ends all that follow, and lets nobody begin. */
  close(): void;
}

const MOST_FOLLOWERS = 8;
/** Records that wait for one follower. */
const MOST_WAITING = 2000;
/** Sessions that one follower may have to remember, and lines that are held until an address shows whether to tell. */
const MOST_SESSIONS = 10_000;
const MOST_HELD = 50;

/** Makes a trace that nobody follows yet. */
export function createDialogueTrace(clock: Clock): DialogueTrace {
  const wire: { tap: WireTap | undefined } = { tap: undefined };
  let log: WireTap | undefined;
  const followers = new Set<{ take(line: WireLine): void; close(): void }>();
  let closed = false;

  const tap = (line: WireLine) => {
    log?.(line);
    for (const follower of followers) follower.take(line);
  };
  const settle = () => {
    wire.tap = followers.size === 0 ? log : tap;
  };

  return {
    wire,
    follow(filter) {
      if (closed || followers.size >= MOST_FOLLOWERS) return undefined;
      const follower = createFollower(filter, clock, () => {
        followers.delete(follower);
        settle();
      });
      followers.add(follower);
      settle();
      return follower;
    },
    logTo(next) {
      log = next;
      settle();
    },
    close() {
      closed = true;
      for (const follower of [...followers]) follower.close();
    },
  };
}

function createFollower(filter: TraceFilter, clock: Clock, onClose: () => void) {
  const waiting: TraceRecord[] = [];
  let lost = 0;
  let closed = false;
  let wake: (() => void) | undefined;
  const push = (record: TraceRecord) => {
    if (waiting.length < MOST_WAITING) waiting.push(record);
    else lost++;
    wake?.();
  };
  const take = createSelection(filter, push);
  const drain = (): readonly TraceRecord[] => {
    const records = waiting.splice(0);
    if (lost > 0) records.push({ kind: "lost", count: lost });
    lost = 0;
    return records;
  };
  return {
    take: (line: WireLine) => take(line, clock.now()),
    async next(patience: number): Promise<readonly TraceRecord[] | undefined> {
      if (waiting.length === 0 && !closed) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = clock.after(patience, resolve);
        await promise;
        timer.cancel();
        wake = undefined;
      }
      return closed ? undefined : drain();
    },
    close() {
      if (closed) return;
      closed = true;
      onClose();
      wake?.();
    },
  };
}

/** What is known of a session whose lines are told only if they concern an address. */
interface Concerned {
  /** Whether the present transaction is one to tell. */
  told: boolean;
  /** Lines before the first transaction, and those of the present one, that have not been told. */
  opening: TraceRecord[];
  held: TraceRecord[];
  /** A transaction has begun. */
  begun: boolean;
}

/** The function that picks out of all lines those that `filter` wants. */
function createSelection(filter: TraceFilter, push: (record: TraceRecord) => void) {
  const { direction, peer } = filter;
  const address = filter.address?.toLowerCase();
  const domain = filter.domain?.toLowerCase();
  const byAddress = address !== undefined || domain !== undefined;
  const sessions = new Map<string, Concerned>();

  const isWanted = (found: string) =>
    (address === undefined || found === address) &&
    (domain === undefined || found.slice(found.lastIndexOf("@") + 1) === domain);

  const hold = (list: TraceRecord[], record: TraceRecord) => {
    if (list.length < MOST_HELD) list.push(record);
  };

  return ({ end, ...line }: WireLine, time: number) => {
    if (direction !== undefined && line.direction !== direction) return;
    if (peer !== undefined && !peer(line.peer)) return;
    const record: TraceRecord = { kind: "said", time, ...line };
    if (!byAddress) return push(record);
    let session = sessions.get(line.session);
    if (session === undefined) {
      session = { told: false, opening: [], held: [], begun: false };
      sessions.set(line.session, session);
      if (sessions.size > MOST_SESSIONS) {
        const [oldest] = sessions.keys();
        if (oldest !== undefined) sessions.delete(oldest);
      }
    }
    const envelope = line.from === "client" ? readEnvelope(line.text[0] ?? "") : undefined;
    if (envelope?.verb === "MAIL") {
      session.told = false;
      session.held = [];
      session.begun = true;
    }
    if (!session.told && envelope !== undefined && isWanted(envelope.address)) {
      for (const earlier of session.opening.splice(0)) push(earlier);
      for (const earlier of session.held.splice(0)) push(earlier);
      session.told = true;
    }
    if (session.told) push(record);
    else hold(session.begun ? session.held : session.opening, record);
    if (end) sessions.delete(line.session);
  };
}

const ENVELOPE = /^(MAIL FROM|RCPT TO):\s*<((?:"(?:[^"\\]|\\.)*"|[^">])*)>/i;

/** Verb and address of MAIL and RCPT, in lower case. */
function readEnvelope(text: string): { readonly verb: "MAIL" | "RCPT"; readonly address: string } | undefined {
  const match = ENVELOPE.exec(text);
  if (match === null) return undefined;
  return { verb: /^MAIL/i.test(text) ? "MAIL" : "RCPT", address: (match[2] ?? "").toLowerCase() };
}
