/** Examines mail for the addresses of `report.analysis.addresses`, before it is acknowledged. */

import { setImmediate } from "node:timers";
import type { Clock } from "../../clock/mod.ts";
import { compileGlob } from "../../directory/mod.ts";
import type { Content } from "../../message/content.ts";
import { formatMessageId, type MessageId } from "../../queue/mod.ts";
import type { Store } from "../../store/mod.ts";
import type { Emit } from "../../telemetry/event.ts";
import type { Findings, ReadReport } from "./incoming.ts";
import { LARGEST_MAIL } from "./limits.ts";
import { reportEvent, unreadableEvent } from "./report_events.ts";
import { keepStatements, type ReportCarrier } from "./report_rows.ts";
import { summarize } from "./summary.ts";

/** Mails that may wait for their turn: each is read by itself, so that memory holds one of them. */
const MOST_WAITING = 50;

/** Settings of {@link createReportAnalysis} (`report.analysis.*`). */
export interface ReportAnalysisOptions {
  /** Globs; empty: nothing is examined. */
  readonly addresses: readonly string[];
  /** Whether a report goes to its recipient as well. */
  readonly forward: boolean;
  /** How long reports are kept, milliseconds; false: not at all. */
  readonly keep: number | false;
  readonly store: Store;
  readonly nextId: () => MessageId;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** A mail that is for such an address. */
export interface ReportMailArrival {
  readonly id: MessageId;
  readonly content: Content;
  readonly carrier: ReportCarrier;
}

/** Examines mail. */
export interface ReportAnalysis {
  readonly forward: boolean;
  /** Whether mail for this address is examined. */
  wants(address: string): boolean;
  /**
   * Reads the reports in a mail, keeps them and tells of them. What is kept is durable when this resolves. A mail that
   * comes again, as its client never got the answer, is kept once.
   *
   * @returns `busy` if too many mails are waiting already, so that it should come later
   * @throws {StoreUnavailable} (rejects) if reports cannot be kept for now
   */
  examine(arrival: ReportMailArrival): Promise<"reports" | "none" | "busy">;
}

/** Builds the analysis; nothing if no address asks for it. */
export function createReportAnalysis(options: ReportAnalysisOptions): ReportAnalysis | undefined {
  const { forward, keep, store, nextId, clock, emit } = options;
  if (options.addresses.length === 0) return undefined;
  const globs = options.addresses.map((glob) => compileGlob(glob.toLowerCase()));
  let waiting = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const read = async (content: Content): Promise<Findings> => {
    if (content.size > LARGEST_MAIL) {
      return { reports: [], unreadable: [{ kind: "message", reason: `it is larger than ${LARGEST_MAIL} octets` }] };
    }
    // Only with the first such mail: parsers that nobody needs would cost each server a megabyte.
    const { findReports } = await import("./examine.ts");
    return await findReports(await gather(content), { pause });
  };

  const keepReport = async ({ report, digest }: ReadReport, id: MessageId, carrier: ReportCarrier) => {
    const received = clock.now();
    const summary = summarize(report, received);
    let duplicate: true | undefined;
    if (keep !== false) {
      const statements = keepStatements({
        id,
        report,
        digest,
        summary,
        mail: carrier,
        received,
        expires: received + keep,
      });
      const [result] = await store.write(statements);
      if (result?.changes === 0) duplicate = true;
    }
    const event = reportEvent(report, summary);
    emit(event.name, { id: formatMessageId(id), ...event.fields, dmarc: carrier.dmarc || undefined, duplicate });
  };

  const examine = async ({ id, content, carrier }: ReportMailArrival): Promise<"reports" | "none"> => {
    const { reports, unreadable } = await read(content);
    for (const [index, report] of reports.entries()) await keepReport(report, index === 0 ? id : nextId(), carrier);
    for (const one of unreadable) {
      const { name, fields } = unreadableEvent(one);
      emit(name, {
        id: formatMessageId(id),
        from: carrier.from,
        to: carrier.to,
        remoteIp: carrier.remoteIp,
        ...fields,
      });
    }
    return reports.length > 0 ? "reports" : "none";
  };

  return {
    forward,
    wants(address) {
      const lower = address.toLowerCase();
      return globs.some((matches) => matches(lower));
    },
    async examine(arrival) {
      if (waiting >= MOST_WAITING) return "busy";
      waiting++;
      const before = turn;
      const { promise, resolve } = Promise.withResolvers<void>();
      turn = promise;
      try {
        await before;
        return await examine(arrival);
      } finally {
        waiting--;
        resolve();
      }
    },
  };
}

/** Lets what is ready in the event loop run. */
function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function gather(content: Content): Promise<Uint8Array> {
  if (content.complete) return content.head;
  const whole = new Uint8Array(content.size);
  let at = 0;
  for await (const chunk of content.chunks()) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
