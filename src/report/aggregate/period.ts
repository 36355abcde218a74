/** The periods that aggregate reports cover, and when they are sent. All of it is UTC. */

import { createHash } from "node:crypto";

/** How often a domain gets a report. */
export type Interval = "hourly" | "daily" | "weekly";

/** What a report covers: milliseconds since the epoch, the end not included. */
export interface Period {
  readonly begins: number;
  readonly ends: number;
}

export const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;

const LENGTH: Readonly<Record<Interval, number>> = { hourly: HOUR, daily: DAY, weekly: WEEK };

/** The first day of the epoch was a Thursday; weeks begin on Monday (ISO 8601). */
const FIRST_MONDAY = 4 * DAY;

/** The hour, day or week that a time lies in. */
export function periodOf(time: number, interval: Interval): Period {
  const length = LENGTH[interval];
  const offset = interval === "weekly" ? FIRST_MONDAY : 0;
  const begins = Math.floor((time - offset) / length) * length + offset;
  return { begins, ends: begins + length };
}

/** What nodes have counted by the end of a period is in the store by then. */
const SETTLED_AFTER = 2 * 60_000;

/** RFC 8460 §4.1: so that reports do not all come at midnight, up to four hours. */
const LONGEST_SPREAD = 4 * HOUR;

/**
 * When a report is made: some time after its period, the same each time for one domain, and another one for the next
 * domain and for other senders of reports.
 *
 * @param reporter who sends it
 */
export function dueTime({ begins, ends }: Period, domain: string, reporter: string): number {
  const spread = Math.min(LONGEST_SPREAD, (ends - begins) / 6);
  const [part = 0] = new Uint32Array(createHash("sha256").update(`${reporter} ${domain}`).digest().buffer.slice(0, 4));
  return ends + SETTLED_AFTER + Math.floor(part / 2 ** 32 * spread);
}
