/** When a certificate is renewed, and when an order that failed is repeated. Pure. */

import { createHash } from "node:crypto";
import { type AcmeError, problemName } from "./problem.ts";
import type { Validity } from "./x509.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The time in which an authority wants a certificate renewed (RFC 9773 §4.2), milliseconds since the epoch. */
export interface RenewalWindow {
  readonly start: number;
  readonly end: number;
}

/** Renewals are spread over so much of `renew-before`, and over no more than that in milliseconds. */
const SPREAD = 0.05;
const LONGEST_SPREAD = 12 * HOUR;

/**
 * When to renew: `renewBefore` milliseconds before the end, in the second half of its life in any case, and earlier if
 * the authority wants that.
 *
 * @param spread where in the window, or in the minutes after, from 0 to 1: so that not all who began on one day come on
 * one day
 */
export function renewalTime(
  { notBefore, notAfter }: Validity,
  renewBefore: number,
  window: RenewalWindow | undefined,
  spread: number,
): number {
  const before = Math.min(renewBefore, (notAfter - notBefore) / 2);
  const own = notAfter - before + spread * Math.min(before * SPREAD, LONGEST_SPREAD);
  return window === undefined ? own : Math.min(own, window.start + spread * (window.end - window.start));
}

/** A number from 0 to 1 that is always the same for a certificate, so that looking often brings no earlier time. */
export function spreadOf(cert: string): number {
  return createHash("sha256").update(cert).digest().readUInt32BE() / 2 ** 32;
}

/** First pauses, and the longest, in milliseconds. Authorities count failed proofs, five an hour are a usual limit. */
const AFTER_REFUSAL = 15 * MINUTE;
const AFTER_NETWORK = MINUTE;
const LONGEST = 12 * HOUR;
const LONGEST_NETWORK = HOUR;

/** Longest pause after an order that failed, whoever wants it, in milliseconds. */
export const LONGEST_PAUSE = 24 * HOUR;

/** A certificate that is about to end, or has just done so, is cared for at least so often. */
const LEAST_CARE = HOUR;

/**
 * The longest pause that leaves time to renew: half of what is left of a certificate. After its end pauses grow again
 * with the time that nobody has missed it.
 *
 * @param end when the certificate in use expires, if there is one
 */
export function longestPause(end: number | undefined, now: number): number {
  if (end === undefined) return LONGEST_PAUSE;
  return Math.min(Math.max((end - now) / 2, now - end, LEAST_CARE), LONGEST_PAUSE);
}

/** How long an order waits that failed, in milliseconds. */
export interface Pause {
  /** Until it is tried again. */
  readonly length: number;
  /** So much of it because the authority wants it, which nobody here can cut short. */
  readonly asked: number;
}

/**
 * How long to wait after an order that failed: twice as long each time, and as long as the authority wants
 * (RFC 8555 §6.6), but no longer than `longest`.
 *
 * @param failures how many have failed in a row, this one included
 * @param random from 0 to 1
 */
export function pauseAfter(
  error: AcmeError,
  failures: number,
  { now, random, longest }: { readonly now: number; readonly random: number; readonly longest: number },
): Pause {
  const isLimit = error.problem !== undefined && problemName(error.problem) === "rateLimited";
  const [first, most] = error.kind === "network" ? [AFTER_NETWORK, LONGEST_NETWORK] : [AFTER_REFUSAL, LONGEST];
  const least = isLimit && error.notBefore === undefined ? HOUR : first;
  const own = Math.min(least * 2 ** Math.min(failures - 1, 20), most) * (1 + random / 4);
  const asked = Math.min(Math.max((error.notBefore ?? now) - now, 0), longest);
  return { length: Math.max(Math.min(own, longest), asked), asked };
}
