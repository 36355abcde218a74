/** What is told of received reports: one event for each, with its numbers and where failures come from. */

import type { EventFields, EventName } from "../../telemetry/event.ts";
import type { IncomingReport, Unreadable } from "./incoming.ts";
import type { ReportSummary } from "./summary.ts";

/** Places of failures that an event names. */
const MOST_NAMED = 5;

/** An event to emit. */
export interface ReportEvent {
  readonly name: EventName;
  readonly fields: EventFields;
}

/** The event of a report. */
export function reportEvent(report: IncomingReport, summary: ReportSummary): ReportEvent {
  const { passed, failed, begin, end, reportId } = summary;
  const common = {
    reporter: report.reporter,
    reportId: reportId === "" ? undefined : reportId,
    domain: summary.domains.map(({ domain }) => domain).slice(0, MOST_NAMED),
    begin: begin === undefined ? undefined : new Date(begin).toISOString(),
    end: end === undefined ? undefined : new Date(end).toISOString(),
    problems: report.problems.length === 0 ? undefined : report.problems,
  };
  const failures = placesOf(summary);
  switch (report.kind) {
    case "dmarc": {
      const { totals, policy } = report;
      return {
        name: failed > 0 ? "incoming-report.dmarc-report-with-warnings" : "incoming-report.dmarc-report",
        fields: {
          ...common,
          policy: policy.p === "" ? undefined : policy.p,
          passed,
          failed,
          quarantined: totals.quarantined,
          rejected: totals.rejected,
          dkimPassed: totals.dkimPassed,
          spfPassed: totals.spfPassed,
          failures,
        },
      };
    }
    case "tls":
      return {
        name: failed > 0 ? "incoming-report.tls-report-with-warnings" : "incoming-report.tls-report",
        fields: { ...common, policy: [...new Set(report.policies.map(({ type }) => type))], passed, failed, failures },
      };
    case "abuse":
      return {
        name: "incoming-report.abuse-report",
        fields: {
          ...common,
          type: report.feedbackType,
          source: report.source,
          from: report.envelopeFrom,
          incidents: report.incidents,
          messageId: report.original.messageId,
        },
      };
    case "auth-failure":
      return {
        name: "incoming-report.auth-failure-report",
        fields: {
          ...common,
          type: report.authFailure,
          result: report.deliveryResult,
          source: report.source,
          from: report.envelopeFrom,
          incidents: report.incidents,
          messageId: report.original.messageId,
        },
      };
    case "dsn":
      return {
        name: "incoming-report.delivery-status",
        fields: {
          ...common,
          to: report.recipients.map(({ recipient }) => recipient).slice(0, MOST_NAMED),
          passed,
          failed,
          failures,
        },
      };
  }
}

/** Such as `192.0.2.1: 12`, `mx1.example.org certificate-expired: 3`. */
function placesOf({ failures }: ReportSummary): readonly string[] | undefined {
  if (failures.length === 0) return undefined;
  return failures.slice(0, MOST_NAMED).map(({ source, detail, failed }) =>
    `${[source, detail].filter((part) => part !== "").join(" ")}: ${failed}`
  );
}

const UNREADABLE: Readonly<Record<Unreadable["kind"], EventName>> = {
  message: "incoming-report.message-parse-failed",
  archive: "incoming-report.decompress-error",
  dmarc: "incoming-report.dmarc-parse-failed",
  tls: "incoming-report.tls-rpc-parse-failed",
  feedback: "incoming-report.arf-parse-failed",
};

/** The event of what could not be read. */
export function unreadableEvent({ kind, reason }: Unreadable): ReportEvent {
  return { name: UNREADABLE[kind], fields: { reason } };
}
