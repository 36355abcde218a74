/** What becomes of recipients: after an attempt, or when they are looked at without one. */

import type { ScheduleConfig } from "../config/config.ts";
import { FLAG, type MessageRecord, type RecipientRecord } from "./record.ts";
import {
  countNotice,
  deadlineOf,
  expiryOf,
  isExhausted,
  isTooOld,
  nextChange,
  nextLook,
  pauseAfter,
} from "./schedule.ts";
import type { Strategy } from "./strategy.ts";
import type { FailureDetail, Outcome } from "./types.ts";

/** What became of one recipient, in full. `recipient` is its new state. */
export type Settlement =
  | {
    readonly kind: "delivered";
    readonly recipient: RecipientRecord;
    readonly outcome: Extract<Outcome, { kind: "delivered" }>;
  }
  | {
    readonly kind: "failed";
    readonly recipient: RecipientRecord;
    readonly detail: FailureDetail;
    /** Whether the queue gave up, instead of the peer. */
    readonly expired: boolean;
    /** No attempt was made now: what was said in the last one still holds. */
    readonly unattempted?: true;
  }
  | {
    readonly kind: "deferred";
    readonly recipient: RecipientRecord;
    readonly detail: FailureDetail;
    /** When the scheduler looks at it again. */
    readonly look: number;
    /** When something becomes of it even without an attempt, Infinity for never. */
    readonly change: number;
    /** Whether the sender is to be told of the delay now. */
    readonly delayed: boolean;
    readonly unattempted?: true;
    /** It waits for something on this side, as it did when that was recorded last: history has it once. */
    readonly repeated?: true;
  }
  /** No attempt was made; back to waiting, maybe after a delay notice. */
  | { readonly kind: "waiting"; readonly recipient: RecipientRecord; readonly look: number; readonly delayed: boolean }
  | { readonly kind: "cancelled"; readonly recipient: RecipientRecord };

/** Claimed recipients, sorted by what is to be done. */
export interface Triage {
  /** To be tried now. */
  readonly attempts: readonly RecipientRecord[];
  /** Given up, cancelled, or back to waiting. */
  readonly settled: readonly Settlement[];
}

const GIVEN_UP = { expired: true, unattempted: true } as const;

/** Sorts claimed recipients: most are tried, some are given up, cancelled, held or only reported as delayed. */
export async function triage(
  message: MessageRecord,
  recipients: readonly RecipientRecord[],
  strategy: Strategy,
  now: number,
): Promise<Triage> {
  const attempts: RecipientRecord[] = [];
  const settled: Settlement[] = [];
  for (const recipient of recipients) {
    if (recipient.flags & FLAG.cancel) {
      settled.push({ kind: "cancelled", recipient });
      continue;
    }
    if (recipient.flags & FLAG.hold) {
      settled.push({ kind: "waiting", recipient, look: recipient.attemptAt, delayed: false });
      continue;
    }
    // RFC 2852 §4.1: what is late already must come back, not arrive.
    if (isPastDeadline(message, now)) {
      settled.push({ kind: "failed", recipient, detail: deadlineDetail(message, recipient.lastDetail), ...GIVEN_UP });
      continue;
    }
    const ripe = now >= recipient.attemptAt;
    // What was never tried is tried once however late, so the schedule has nothing to say.
    if (ripe && recipient.attempts === 0) {
      attempts.push(recipient);
      continue;
    }
    const schedule = await scheduleOf(message, recipient, strategy, now);
    if (isExhausted(recipient, schedule, now) || (!ripe && isTooOld(recipient, now))) {
      settled.push({ kind: "failed", recipient, detail: recipient.lastDetail ?? TOO_OLD, ...GIVEN_UP });
    } else if (ripe) {
      attempts.push(recipient);
    } else {
      const notified = countNotice(recipient, message, schedule, now);
      const waiting = { ...recipient, notified };
      const delayed = notified > recipient.notified;
      settled.push({ kind: "waiting", recipient: waiting, look: nextLook(waiting, message, schedule), delayed });
    }
  }
  return { attempts, settled };
}

/** Settles the recipients of an attempt; one without an outcome counts as deferred. */
export async function settleAttempt(
  message: MessageRecord,
  recipients: readonly RecipientRecord[],
  outcomes: readonly Outcome[],
  strategy: Strategy,
  now: number,
): Promise<Settlement[]> {
  const settlements: Settlement[] = [];
  for (const [index, recipient] of recipients.entries()) {
    // As a rule they come in order; searching would take long for thousands of recipients.
    const next = outcomes[index];
    const outcome = next?.recipient === recipient.seq ? next : outcomes.find((one) => one.recipient === recipient.seq);
    switch (outcome?.kind) {
      case "delivered":
        settlements.push({ kind: "delivered", recipient, outcome });
        break;
      case "failed":
        settlements.push({
          ...{ kind: "failed", recipient, detail: outcome.detail, expired: false },
          ...(outcome.untried === undefined ? {} : { unattempted: true }),
        });
        break;
      default:
        settlements.push(
          await settleDeferral(message, recipient, outcome?.detail ?? NO_OUTCOME, strategy, now, outcome),
        );
    }
  }
  return settlements;
}

/**
 * Settles one recipient whose attempt failed for now; gives up when the schedule says so.
 *
 * @param limited whether a limit of ours stands in the way
 */
export async function settleDeferral(
  message: MessageRecord,
  before: RecipientRecord,
  detail: FailureDetail,
  strategy: Strategy,
  now: number,
  { waits, limited = waits !== undefined, retryAfter = waits?.turn(), notBefore = 0, untried }:
    & Pick<Extract<Outcome, { kind: "deferred" }>, "waits" | "retryAfter" | "notBefore" | "untried">
    & { readonly limited?: boolean } = {},
): Promise<Settlement> {
  // A limit of ours is not a failed attempt: the schedule does not advance.
  const attempts = before.attempts + (retryAfter === undefined ? 1 : 0);
  const unattempted = retryAfter === undefined && untried === undefined ? {} : { unattempted: true } as const;
  const failed: RecipientRecord = {
    ...before,
    attempts,
    lastError: detail.lastError,
    lastStatus: detail.status,
    lastDetail: detail,
  };
  const schedule = await scheduleOf(message, failed, strategy, now);
  const recipient: RecipientRecord = {
    ...failed,
    // Only what was tried may be given up for the number of attempts.
    attempts: untried === true
      ? Math.max(before.attempts, Math.min(attempts, (schedule.maxAttempts ?? Infinity) - 1))
      : attempts,
    queue: schedule.queueName,
    expires: expiryOf(message, schedule, failed.extended),
    attemptAt: now + (retryAfter ?? Math.max(notBefore, pauseAfter(schedule, attempts))),
  };
  if (isExhausted(recipient, schedule, now) || isTooOld(recipient, now)) {
    const last = isPastDeadline(message, now) ? deadlineDetail(message, detail) : detail;
    return { kind: "failed", recipient, detail: last, expired: true, ...unattempted };
  }
  const notified = countNotice(recipient, message, schedule, now);
  const delayed = notified > recipient.notified;
  recipient.notified = notified;
  const same = before.lastError === detail.lastError && (limited || before.lastDetail?.text === detail.text);
  const repeated = retryAfter !== undefined && same ? { repeated: true } as const : {};
  const change = nextChange(recipient, message, schedule);
  const look = Math.min(recipient.attemptAt, change);
  return { kind: "deferred", recipient, detail, look, change, delayed, ...unattempted, ...repeated };
}

async function scheduleOf(
  message: MessageRecord,
  recipient: RecipientRecord,
  strategy: Strategy,
  now: number,
): Promise<ScheduleConfig> {
  try {
    return await strategy.schedule(message, recipient, now);
  } catch {
    // The strategy cannot be asked for now; the recipient stays in its queue and keeps its times.
    const { expires, queue } = recipient;
    const start = Math.max(message.created, message.holdUntil ?? 0) + recipient.extended;
    const expire = expires === undefined ? undefined : expires - start;
    return { ...strategy.fallback, queueName: queue, expire };
  }
}

/** The failure of a recipient whose route cannot be told. */
export function lookupDetail(error: unknown): FailureDetail {
  const text = error instanceof Error ? error.message : String(error);
  return { lastError: "io", status: 0, enhanced: "4.3.0", text: `The route is not known for now: ${text}`, host: "" };
}

/** Whether the sender wants the message back by now instead of delivered (RFC 2852, mode R). */
function isPastDeadline(message: MessageRecord, now: number): boolean {
  const deadline = deadlineOf(message);
  return deadline !== undefined && now >= deadline;
}

/** The failure of a recipient that was not reached by the deadline (RFC 2852 §4.1.4: status 5.4.7). */
export function deadlineDetail(message: MessageRecord, last?: FailureDetail): FailureDetail {
  const seconds = message.envelope.parameters.by?.seconds ?? 0;
  const text = `The message could not be delivered within the ${seconds} seconds that its sender allowed`;
  const none: FailureDetail = { lastError: "none", status: 0, enhanced: "5.4.7", text, host: "" };
  return last === undefined ? none : { ...last, enhanced: "5.4.7", text: `${text}. The last attempt: ${last.text}` };
}

/** The outcomes of a job that has waited for its turn until the sender wants the message back; undefined before that. */
export function lateOutcomes(
  message: MessageRecord,
  recipients: readonly RecipientRecord[],
  now: number,
): readonly Outcome[] | undefined {
  if (!isPastDeadline(message, now)) return undefined;
  return recipients.map(({ seq, lastDetail }) => ({
    kind: "failed",
    recipient: seq,
    detail: deadlineDetail(message, lastDetail),
    untried: true,
  }));
}

const NO_OUTCOME: FailureDetail = {
  lastError: "io",
  status: 0,
  enhanced: "4.3.0",
  text: "The attempt ended without an answer",
  host: "",
};

// RFC 3463 §3.5, for when there is no failure of an attempt to report instead.
const TOO_OLD: FailureDetail = {
  lastError: "none",
  status: 0,
  enhanced: "4.4.7",
  text: "The message is too old",
  host: "",
};
