/** Values of reports, which others have written: cut to a length, and read with some tolerance. */

import { canonicalIp } from "../../net/mod.ts";
import { LARGEST_COUNT, LONGEST_VALUE, MOST_PROBLEMS } from "./limits.ts";

/** A value on one line, cut to what is kept. */
export function clip(text: string, most = LONGEST_VALUE): string {
  const line = text.slice(0, most * 4).replace(/\s+/g, " ").trim();
  return line.length <= most ? line : `${line.slice(0, most)}…`;
}

/** A word in lower case, such as the name of a result. */
export function word(text: string): string {
  return clip(text, 100).toLowerCase();
}

/** A domain in lower case without its final dot. */
export function domainName(text: string): string {
  return clip(text, 255).toLowerCase().replace(/\.$/, "");
}

/** A count: a whole number that is not absurd; undefined for anything else. */
export function count(text: string): number | undefined {
  const digits = /^\+?(\d{1,15})(?:\.0+)?$/.exec(text.trim())?.[1];
  const number = digits === undefined ? NaN : Number(digits);
  return number <= LARGEST_COUNT ? number : undefined;
}

/** An IP address in its one spelling, or the text as it is. */
export function ipAddress(text: string): string {
  const bare = text.trim().replace(/^\[?(?:ipv6:)?/i, "").replace(/\]$/, "");
  return canonicalIp(bare) ?? clip(text, 100);
}

/** 1973 to 2200, in seconds: what is beyond is written in milliseconds, or no time. */
const FIRST_SECOND = 100_000_000;
const LAST_SECOND = 7_258_118_400;

/** A time in seconds since the epoch as RFC 7489 has it, in milliseconds, or a date; milliseconds since the epoch. */
export function time(text: string): number | undefined {
  const value = text.trim();
  if (/^\d{1,16}(?:\.\d+)?$/.test(value)) {
    const number = Math.floor(Number(value));
    if (number >= FIRST_SECOND && number <= LAST_SECOND) return number * 1000;
    return number >= FIRST_SECOND * 1000 && number <= LAST_SECOND * 1000 ? number : undefined;
  }
  if (value.length > 40) return undefined;
  // Without a zone it is UTC: nobody knows the reporter's own.
  const zoned = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?$/.test(value)
    ? `${value.replace(" ", "T")}Z`
    : value;
  const parsed = Date.parse(zoned);
  return parsed >= FIRST_SECOND * 1000 && parsed <= LAST_SECOND * 1000 ? parsed : undefined;
}

/** What is odd about a document; a bounded list without repetitions. */
export interface Problems {
  note(problem: string): void;
  readonly list: readonly string[];
}

/** No problem yet. */
export function createProblems(): Problems {
  const list: string[] = [];
  return {
    list,
    note(problem) {
      const text = clip(problem, 200);
      if (list.length < MOST_PROBLEMS && !list.includes(text)) list.push(text);
    },
  };
}
