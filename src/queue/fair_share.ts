/**
 * Who goes next in a virtual queue. Priority goes first; within one, senders take turns, and the destinations of each
 * sender do. What a destination may have at the same time depends on how it does and on what it leaves to others, so
 * that a dead or slow one in a queue does not hold up the rest.
 */

import type { Clock } from "../clock/mod.ts";
import { createReady, type Ranked, type Ready } from "./ready.ts";
import type { LastError, Outcome } from "./types.ts";

/** What the order needs to know of a job. */
export interface Sharer extends Ranked {
  /** Jobs with the same destination share its fate: route, and domain where that decides. */
  readonly destination: string;
  /** Whether the destination is one of many, so that others are to be expected although none waits. */
  readonly oneOfMany: boolean;
  readonly sender: string;
  /** Set if it came from memory; without, it was claimed in the store and can be put back. */
  readonly hold: unknown;
}

/**
 * What an attempt says about its destination: it was reached, it was not, or neither can be told.
 */
export type Reached = "yes" | "no" | "unknown";

const UNREACHED: ReadonlySet<LastError> = new Set(["connection", "dns"]);

/** What the outcomes of an attempt say. */
export function reachedBy(outcomes: readonly Outcome[]): Reached {
  const [first] = outcomes;
  if (first === undefined) return "unknown";
  if (outcomes.some((one) => one.kind === "delivered" || one.detail.status > 0)) return "yes";
  return first.kind === "deferred" && UNREACHED.has(first.detail.lastError) ? "no" : "unknown";
}

/** Jobs that wait for a place, and how many have one. */
export interface FairShare<T extends Sharer> {
  /** Places in all. */
  limit: number;
  readonly running: number;
  /** Claimed jobs that may start as soon as there is a place. */
  readonly claimed: number;
  /** How many of them have a priority above 0. */
  readonly urgent: number;
  /** How many of the claimed jobs each sender has. */
  senders(): Map<string, number>;
  push(job: T): void;
  /** The job that goes next; it has a place until {@link FairShare.end}. */
  take(): T | undefined;
  end(job: T, reached: Reached, took: number): void;
  /** Takes claimed jobs out that wait for their destination, if there are more than fit in memory. */
  surplus(): T[];
  /** Milliseconds after which a job of {@link FairShare.surplus} should come back. */
  turn(job: T): number;
  /** Takes everything out that waits, in no order. */
  clear(): T[];
}

/** A destination may have so many times the places that it leaves free, unless it is the only one. */
const GREED = 4;
/**
 * With so few places in all that would leave none free. Then nobody has all of them but who is known to be quick, and
 * alone lately.
 */
const FEW = GREED;
/** An attempt that takes longer is slow, in milliseconds. */
const SLOW = 3000;
/** It is not, if another one was seen within so many milliseconds. */
const MIXED = 10 * 60_000;
/** Claimed jobs that wait in memory for their destination. Beyond it all but half go back. */
const MOST_PARKED = 1000;
/** What an attempt is believed to take at first, in milliseconds, and the weight of the last one. */
const USUAL = 500;
const NEWEST = 0.1;
/** Nobody stays away for less or longer, in milliseconds. */
const SHORTEST_TURN = 1000;
const LONGEST_TURN = 10 * 60_000;
/** Jobs come back faster than places come free, so that there is always one for the next place. */
const HASTE = 2;

/** Destinations that are remembered because they did badly. */
const MOST_DESTINATIONS = 10_000;

interface Destination<T extends Sharer> {
  readonly name: string;
  readonly oneOfMany: boolean;
  running: number;
  /** Most at the same time, infinite for one that does well. */
  window: number;
  /** Milliseconds an attempt takes. */
  mean: number;
  /** When the last one that went back is to return. */
  turn: number;
  /** Whether the last attempt that tells was answered soon. */
  quick: boolean;
  /** Lines that wait until there is room. */
  readonly parked: Set<Line<T>>;
  /** Lines there are at all. */
  lines: number;
}

/** Jobs of one priority, sender and destination. */
interface Line<T extends Sharer> {
  readonly sender: SenderTurn<T>;
  readonly destination: Destination<T>;
  readonly jobs: Ready<T>;
  /** How many of the jobs were claimed. */
  claimed: number;
}

/** A sender among those of one priority. */
interface SenderTurn<T extends Sharer> {
  readonly level: Level<T>;
  readonly name: string;
  readonly lines: Map<string, Line<T>>;
  /** Lines that may go, whose turn is next first. */
  readonly open: Set<Line<T>>;
}

interface Level<T extends Sharer> {
  readonly priority: number;
  readonly senders: Map<string, SenderTurn<T>>;
  readonly open: Set<SenderTurn<T>>;
}

/** Nobody waits yet. */
export function createFairShare<T extends Sharer>(clock: Clock): FairShare<T> {
  let limit = 1;
  let running = 0;
  let claimed = 0;
  let parkedClaimed = 0;
  let levels: Level<T>[] = [];
  const destinations = new Map<string, Destination<T>>();
  /** Those with lines that wait for others to leave places. */
  const throttled = new Set<Destination<T>>();
  let latest: string | undefined;
  let mixedAt = -Infinity;
  /** When what runs began; only kept where places are few. */
  const starts = new Map<T, number>();

  const levelOf = (priority: number): Level<T> => {
    for (const level of levels) if (level.priority === priority) return level;
    const level: Level<T> = { priority, senders: new Map(), open: new Set() };
    levels.push(level);
    levels.sort((a, b) => b.priority - a.priority);
    return level;
  };

  const destinationOf = ({ destination: name, oneOfMany }: T): Destination<T> => {
    let destination = destinations.get(name);
    if (destination === undefined) {
      const fresh = { running: 0, window: Infinity, mean: USUAL, turn: 0, quick: false, lines: 0 };
      destination = { name, oneOfMany, ...fresh, parked: new Set() };
      destinations.set(name, destination);
      if (destinations.size > MOST_DESTINATIONS) forget(name);
    }
    if (name !== latest) {
      if (latest !== undefined) mixedAt = clock.now();
      latest = name;
    }
    return destination;
  };

  /** Makes room for others: how those do that have nothing here is not worth more memory. */
  const forget = (except: string) => {
    for (const { name, running, lines } of destinations.values()) {
      if (running === 0 && lines === 0 && name !== except) destinations.delete(name);
      if (destinations.size <= MOST_DESTINATIONS / 2) return;
    }
  };

  /** Whether it has a place and may keep it for long. */
  const mayHang = ({ name, running, quick }: Destination<T>): boolean => {
    if (running === 0 || !quick) return running > 0;
    const soon = clock.now() - SLOW;
    for (const [job, start] of starts) if (job.destination === name && start < soon) return true;
    return false;
  };

  /** Places that a destination may have in addition to those it has. */
  const roomOf = (destination: Destination<T>, urgent: boolean): number => {
    const free = limit - running;
    const room = Math.min(free, destination.window - destination.running);
    const mixed = clock.now() - mixedAt < MIXED;
    if (room <= 0 || (!destination.oneOfMany && !mixed)) return room;
    if (limit > 1 && limit <= FEW && !urgent) {
      return mixed || mayHang(destination) ? Math.min(room, limit - 1 - destination.running) : room;
    }
    // Each place that it takes is also one that is free no longer.
    return Math.min(room, Math.ceil((GREED * free - destination.running) / (GREED + 1)));
  };

  /** One that is of no interest any more is forgotten. */
  const tidy = (destination: Destination<T>) => {
    if (destination.running === 0 && destination.lines === 0 && destination.window === Infinity) {
      destinations.delete(destination.name);
    }
  };

  const open = (line: Line<T>) => {
    line.sender.open.add(line);
    line.sender.level.open.add(line.sender);
  };

  const park = (line: Line<T>) => {
    line.sender.open.delete(line);
    line.destination.parked.add(line);
    parkedClaimed += line.claimed;
    if (line.destination.running < line.destination.window) throttled.add(line.destination);
  };

  /** Lets as many lines go on as there is room for. */
  const unpark = (destination: Destination<T>) => {
    const room = roomOf(destination, false);
    const roomForUrgent = roomOf(destination, true);
    let opened = 0;
    for (const line of destination.parked) {
      if (opened >= Math.max(room, roomForUrgent)) return;
      if (opened >= (line.sender.level.priority > 0 ? roomForUrgent : room)) continue;
      opened++;
      destination.parked.delete(line);
      parkedClaimed -= line.claimed;
      open(line);
    }
    if (destination.parked.size === 0) throttled.delete(destination);
  };

  const removeLine = (line: Line<T>) => {
    const { sender, destination } = line;
    sender.open.delete(line);
    sender.lines.delete(destination.name);
    destination.lines--;
    if (sender.lines.size > 0) return;
    sender.level.open.delete(sender);
    sender.level.senders.delete(sender.name);
    if (sender.level.senders.size === 0) levels = levels.filter((level) => level !== sender.level);
  };

  /** Takes claimed jobs out of a parked line until `most` are left. */
  const shorten = (line: Line<T>, most: number): T[] => {
    const out: T[] = [];
    let kept = 0;
    // What came due first stays.
    for (const job of line.jobs.clear().sort((a, b) => a.due - b.due || a.message.id - b.message.id)) {
      if (job.hold !== undefined || kept++ < most) line.jobs.push(job);
      else out.push(job);
    }
    line.claimed -= out.length;
    claimed -= out.length;
    parkedClaimed -= out.length;
    if (line.jobs.size === 0) {
      line.destination.parked.delete(line);
      removeLine(line);
    }
    return out;
  };

  const claimedBy = ({ lines }: SenderTurn<T>): number => {
    let count = 0;
    for (const line of lines.values()) if (!line.destination.parked.has(line)) count += line.claimed;
    return count;
  };

  const first = <Item>(items: Set<Item>): Item | undefined => {
    for (const item of items) return item;
    return undefined;
  };

  /** The line whose turn it is at a priority. Lines without room are put aside on the way. */
  const nextLine = (level: Level<T>): Line<T> | undefined => {
    for (let sender = first(level.open); sender !== undefined; sender = first(level.open)) {
      for (let line = first(sender.open); line !== undefined; line = first(sender.open)) {
        if (roomOf(line.destination, level.priority > 0) > 0) return line;
        park(line);
      }
      level.open.delete(sender);
    }
    return undefined;
  };

  const takeFrom = (line: Line<T>): T | undefined => {
    const { sender, destination } = line;
    const job = line.jobs.pop();
    if (job !== undefined && job.hold === undefined) {
      line.claimed--;
      claimed--;
    }
    // Whoever had a turn goes to the end.
    sender.level.open.delete(sender);
    sender.open.delete(line);
    if (line.jobs.size > 0) sender.open.add(line);
    else removeLine(line);
    if (sender.open.size > 0) sender.level.open.add(sender);
    if (job !== undefined) {
      running++;
      destination.running++;
      if (limit <= FEW) starts.set(job, clock.now());
    }
    return job;
  };

  return {
    get limit() {
      return limit;
    },
    set limit(most) {
      limit = most;
    },
    get running() {
      return running;
    },
    get claimed() {
      return claimed - parkedClaimed;
    },
    get urgent() {
      let count = 0;
      for (const { priority, senders } of levels) {
        if (priority <= 0) break;
        for (const sender of senders.values()) count += claimedBy(sender);
      }
      return count;
    },
    senders() {
      const counts = new Map<string, number>();
      for (const { senders } of levels) {
        for (const [name, sender] of senders) counts.set(name, (counts.get(name) ?? 0) + claimedBy(sender));
      }
      return counts;
    },
    push(job) {
      const level = levelOf(job.priority);
      let sender = level.senders.get(job.sender);
      if (sender === undefined) {
        sender = { level, name: job.sender, lines: new Map(), open: new Set() };
        level.senders.set(job.sender, sender);
      }
      let line = sender.lines.get(job.destination);
      if (line === undefined) {
        const destination = destinationOf(job);
        destination.lines++;
        line = { sender, destination, jobs: createReady(), claimed: 0 };
        sender.lines.set(job.destination, line);
        open(line);
      }
      line.jobs.push(job);
      if (job.hold !== undefined) return;
      line.claimed++;
      claimed++;
      if (line.destination.parked.has(line)) parkedClaimed++;
    },
    take() {
      if (running >= limit) return undefined;
      for (const level of levels) {
        const line = nextLine(level);
        if (line !== undefined) return takeFrom(line);
      }
      return undefined;
    },
    end(job, reached, took) {
      const destination = destinations.get(job.destination);
      running--;
      if (starts.size > 0) starts.delete(job);
      if (destination === undefined) return;
      const were = destination.running--;
      if (reached !== "unknown") destination.quick = reached === "yes" && took < SLOW;
      if (reached === "yes") {
        destination.mean += NEWEST * (took - destination.mean);
        if (destination.window < Infinity && ++destination.window >= limit) destination.window = Infinity;
      } else if (reached === "no") {
        destination.window = Math.max(1, Math.floor(Math.min(destination.window, were) / 2));
      }
      if (destination.parked.size > 0) unpark(destination);
      else tidy(destination);
      for (const other of throttled) unpark(other);
    },
    surplus() {
      const out: T[] = [];
      if (parkedClaimed <= MOST_PARKED) return out;
      const waiting = [...destinations.values()].filter(({ parked }) => parked.size > 0);
      for (const destination of waiting) {
        let room = Math.ceil(MOST_PARKED / 2 / waiting.length);
        for (const line of [...destination.parked]) {
          if (line.claimed <= room) room -= line.claimed;
          else {
            out.push(...shorten(line, room));
            room = 0;
          }
        }
      }
      return out;
    },
    turn(job) {
      const now = clock.now();
      const destination = destinations.get(job.destination);
      if (destination === undefined) return SHORTEST_TURN;
      const places = Math.max(1, Math.min(destination.window, limit));
      const next = Math.max(destination.turn + destination.mean / places / HASTE, now + SHORTEST_TURN);
      destination.turn = Math.min(next, now + LONGEST_TURN);
      return Math.ceil(destination.turn - now);
    },
    clear() {
      const all: T[] = [];
      for (const level of levels) {
        for (const sender of level.senders.values()) {
          for (const line of sender.lines.values()) {
            all.push(...line.jobs.clear());
            line.destination.lines--;
            line.destination.parked.clear();
          }
        }
      }
      levels = [];
      throttled.clear();
      claimed = 0;
      parkedClaimed = 0;
      for (const destination of [...destinations.values()]) tidy(destination);
      return all;
    },
  };
}
