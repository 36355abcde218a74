/**
 * Sends aggregate reports when they fall due: each is claimed by one node of a cluster, made, queued as mail in the commit
 * that notes it, or brought to its place by HTTPS. What fails is tried again for a day (RFC 8460 §5.5).
 */

import type { Clock, Timer } from "../../clock/mod.ts";
import { LookupUnavailable } from "../../expression/types.ts";
import type { AccompanyingRows } from "../../queue/mod.ts";
import { StatementError, type Store, StoreUnavailable } from "../../store/mod.ts";
import type { Emit, EventName } from "../../telemetry/event.ts";
import type { ReportMail } from "../report_mail.ts";
import {
  type AggregateKind,
  claimDue,
  dropResults,
  type DueReport,
  givingUp,
  handOver,
  nextDue,
  postponement,
} from "./ledger.ts";
import type { AggregatePost, MadeReport, Reporter } from "./made.ts";

/** What {@link startSending} needs. */
export interface SendingOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Name of this run of this node; no other may have it. */
  readonly owner: string;
  /** Who reports about a domain. May reject with `LookupUnavailable`. */
  readonly reporterFor: (kind: AggregateKind, domain: string) => Promise<Reporter>;
  /** Makes a report. May reject with `StoreUnavailable`. */
  readonly make: (report: DueReport, reporter: Reporter) => Promise<MadeReport>;
  /**
   * Queues mails in one commit with further rows, and gives their ids. Rejects with `StoreUnavailable` if they could not
   * be stored.
   */
  readonly send: (
    mails: readonly { readonly mail: ReportMail; readonly sign: readonly string[] }[],
    rows: AccompanyingRows,
  ) => Promise<readonly string[]>;
  /** Brings a report to its place; rejects if that fails. */
  readonly post: (post: AggregatePost, signal: AbortSignal) => Promise<void>;
  readonly emit: Emit;
}

/** Reports that are sent as they fall due. */
export interface Sending {
  /** Sends what is due now. Does not reject. */
  run(): Promise<void>;
  /** Stops. Waits two seconds for what is under way; a report that takes longer is left to the end of its lease. */
  close(): Promise<void>;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The longest pause between two looks at what is due: another node may have added something. */
const LONGEST_PAUSE = 10 * MINUTE;
const SHORTEST_PAUSE = 1_000;
/** How long a claim holds. Making the largest report takes a minute, and a POST has its own limit. */
const LEASE = 15 * MINUTE;
/** Reports claimed at once, and made at the same time. */
const CLAIMED_AT_ONCE = 20;
const MADE_AT_ONCE = 4;
const FIRST_RETRY = 5 * MINUTE;
const LONGEST_RETRY = 4 * HOUR;
/** RFC 8460 §5.5: no attempt later than this after the first one. */
const GIVEN_UP_AFTER = 24 * HOUR;

/** How long the end of the program waits for reports. */
const PATIENCE = 2_000;

const SENT_EVENTS: Readonly<Record<AggregateKind, EventName>> = {
  dmarc: "outgoing-report.dmarc-aggregate-report",
  tls: "outgoing-report.tls-aggregate",
};

/** Begins to send. */
export function startSending(options: SendingOptions): Sending {
  const { store, clock, owner, emit } = options;
  const closing = new AbortController();
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;

  const plan = (pause: number) => {
    timer?.cancel();
    if (closing.signal.aborted) return;
    timer = clock.after(Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, pause)), () => void run());
  };

  const sendDue = async () => {
    let pause = LONGEST_PAUSE;
    try {
      while (!closing.signal.aborted) {
        const due = await nextDue(store);
        const now = clock.now();
        if (due === undefined || due > now) {
          pause = due === undefined ? LONGEST_PAUSE : due - now;
          break;
        }
        const claimed = await claimDue(store, { owner, now, until: now + LEASE, limit: CLAIMED_AT_ONCE });
        const waiting = [...claimed];
        const work = async () => {
          for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await sendOne(next);
        };
        const worked = await Promise.allSettled(Array.from({ length: MADE_AT_ONCE }, work));
        const failed = worked.find((one) => one.status === "rejected");
        if (failed !== undefined) throw failed.reason;
      }
    } catch (error) {
      // The next look finds everything as it was left.
      if (!(error instanceof StoreUnavailable)) throw error;
      pause = MINUTE;
    }
    plan(pause);
  };

  /** Rejects only with `StoreUnavailable`; the report is then due again when its lease ends. */
  const sendOne = async (report: DueReport): Promise<void> => {
    if (closing.signal.aborted) return;
    try {
      await makeAndSend(report);
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      // Settings that cannot be looked up are no fault; anything else is, but of this report alone.
      if (!(error instanceof LookupUnavailable)) emit("outgoing-report.submission-error", { ...about(report), reason });
      await retry(report, reason);
    }
  };

  const makeAndSend = async (report: DueReport): Promise<void> => {
    const reporter = await options.reporterFor(report.kind, report.domain);
    const made = await options.make(report, reporter);
    if (made.kind === "later") return await retry(report, made.reason);
    if (made.kind === "nobody") {
      emit("outgoing-report.no-recipients-found", { ...about(report), reason: made.reason });
      return await finish(report, made.reason);
    }
    const mailed = await mail(report, reporter, made);
    if (mailed === undefined) return;
    await post(mailed, made);
  };

  /** Queues the mails; undefined if the report is no longer this node's. */
  const mail = async (
    report: DueReport,
    reporter: Reporter,
    { mails, posts, later }: Extract<MadeReport, { kind: "made" }>,
  ): Promise<DueReport | undefined> => {
    if (mails.length === 0) return report;
    const uris = mails.flatMap((one) => one.uris);
    const done = posts.length === 0 && later === undefined;
    try {
      const ids = await options.send(
        mails.map((one) => ({ mail: one.mail, sign: reporter.sign })),
        handOver(report, owner, uris, done),
      );
      emit(SENT_EVENTS[report.kind], { ...about(report), ids, rua: uris, to: mails.flatMap((one) => one.mail.to) });
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || !(error.cause instanceof StatementError)) throw error;
      emit("outgoing-report.locked", about(report));
      return undefined;
    }
    if (done) await dropResults(store, report);
    return { ...report, handed: [...report.handed, ...uris] };
  };

  const post = async (
    mailed: DueReport,
    { posts, later }: Extract<MadeReport, { kind: "made" }>,
  ): Promise<void> => {
    if (posts.length === 0 && later === undefined) return;
    let report = mailed;
    let problem = later;
    for (const one of posts) {
      try {
        await options.post(one, closing.signal);
      } catch (error) {
        problem = `${one.url.host}: ${error instanceof Error ? error.message : String(error)}`;
        emit("outgoing-report.submission-error", { ...about(report), url: one.url.href, reason: problem });
        continue;
      }
      emit("outgoing-report.http-submission", { ...about(report), url: one.url.href, size: one.body.length });
      // Noted at once: what follows may fail, and nobody shall get it twice.
      try {
        await store.write(handOver(report, owner, [one.uri], false).statements);
      } catch (error) {
        if (!(error instanceof StatementError)) throw error;
        return emit("outgoing-report.locked", about(report));
      }
      report = { ...report, handed: [...report.handed, one.uri] };
    }
    if (problem === undefined) await finish(report, "");
    else await retry(report, problem);
  };

  const finish = async (report: DueReport, problem: string): Promise<void> => {
    await store.write([givingUp(report, owner, problem)]);
    await dropResults(store, report);
  };

  const retry = async (report: DueReport, problem: string): Promise<void> => {
    const now = clock.now();
    const due = now + Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** report.attempts);
    if (due > (report.firstAttempt ?? now) + GIVEN_UP_AFTER) {
      emit("outgoing-report.submission-error", { ...about(report), reason: `given up: ${problem}` });
      return await finish(report, problem);
    }
    await store.write([postponement(report, owner, { due, problem, now })]);
  };

  const run = (): Promise<void> => running ??= sendDue().finally(() => running = undefined);

  plan(SHORTEST_PAUSE);
  return {
    run,
    async close() {
      closing.abort();
      timer?.cancel();
      if (running === undefined) return;
      const late = Promise.withResolvers<void>();
      const patience = clock.after(PATIENCE, late.resolve);
      await Promise.race([running, late.promise]);
      patience.cancel();
    },
  };
}

function about({ id, kind, domain, begins, ends, results }: DueReport) {
  return {
    report: id,
    kind,
    domain,
    begins: new Date(begins).toISOString(),
    ends: new Date(ends).toISOString(),
    results,
  };
}
