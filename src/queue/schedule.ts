/** When a recipient is tried again, when its sender hears of a delay, and when the queue gives up. */

import type { ScheduleConfig } from "../config/config.ts";
import type { MessageRecord, RecipientRecord } from "./record.ts";

/** The time from which ages are counted: acceptance, or the end of a FUTURERELEASE hold (RFC 4865 §4.1). */
export function startOf(message: MessageRecord): number {
  return Math.max(message.created, message.holdUntil ?? 0);
}

/**
 * When the queue gives up, undefined for never: the schedule's word, or an earlier one of DELIVERBY (RFC 2852 §4).
 *
 * @param extended milliseconds that the recipient has longer
 */
export function expiryOf(message: MessageRecord, schedule: ScheduleConfig, extended = 0): number | undefined {
  const own = schedule.expire === undefined ? undefined : startOf(message) + schedule.expire + extended;
  const asked = deadlineOf(message);
  if (asked === undefined) return own;
  return own === undefined ? asked : Math.min(own, asked);
}

/** When a message is to be returned by its sender's wish (RFC 2852 §4, mode R), undefined without one. */
export function deadlineOf(message: MessageRecord): number | undefined {
  const by = message.envelope.parameters.by;
  return by?.mode === "return" ? message.created + by.seconds * 1000 : undefined;
}

/** The times at which the sender is told of a delay, in order. */
export function noticeTimes(message: MessageRecord, schedule: ScheduleConfig): readonly number[] {
  const start = startOf(message);
  const times = schedule.notify.map((age) => start + age);
  const by = message.envelope.parameters.by;
  if (by !== undefined && by.mode === "notify") times.push(message.created + by.seconds * 1000);
  return times.sort((a, b) => a - b);
}

/** The pause after the failed attempt number `attempts`, in milliseconds; the last one repeats. */
export function pauseAfter(schedule: ScheduleConfig, attempts: number): number {
  const index = Math.min(Math.max(attempts, 1), schedule.retry.length) - 1;
  return schedule.retry[index] ?? LONGEST_PAUSE;
}

// For a schedule whose list of pauses is empty.
const LONGEST_PAUSE = 2 * 60 * 60 * 1000;

/** Whether the queue gives up on a recipient whose attempts have failed so far. */
export function isExhausted(recipient: RecipientRecord, schedule: ScheduleConfig, now: number): boolean {
  if (recipient.attempts === 0) return false;
  return isTooOld(recipient, now) ||
    (schedule.maxAttempts !== undefined && recipient.attempts >= schedule.maxAttempts);
}

/** Whether the time of a recipient is over. */
export function isTooOld(recipient: RecipientRecord, now: number): boolean {
  return recipient.expires !== undefined && now >= recipient.expires;
}

/** How many delay notices are done with once those that are due by `now` went out; several missed ones make one. */
export function countNotice(
  recipient: RecipientRecord,
  message: MessageRecord,
  schedule: ScheduleConfig,
  now: number,
): number {
  return Math.max(recipient.notified, noticeTimes(message, schedule).filter((time) => time <= now).length);
}

/** When the scheduler has to look at a waiting recipient: attempt, end of life or next delay notice. */
export function nextLook(recipient: RecipientRecord, message: MessageRecord, schedule: ScheduleConfig): number {
  return Math.min(recipient.attemptAt, nextChange(recipient, message, schedule));
}

/** When something becomes of a recipient that only waits: its end of life or next delay notice; Infinity for never. */
export function nextChange(
  { expires = Infinity, notified }: RecipientRecord,
  message: MessageRecord,
  schedule: ScheduleConfig,
): number {
  return Math.min(expires, noticeTimes(message, schedule)[notified] ?? Infinity);
}
