/** `godwit report list|show|trends`: what people see of the reports of others. */

import { systemClock } from "../clock/mod.ts";
import {
  type IncomingReport,
  type ReceivedReports,
  receivedReports,
  type ReportDetail,
  type ReportTrends,
  type ReportView,
  type TrendFailure,
} from "../report/mod.ts";
import { type CommonOptions, withDataStore } from "./data_store.ts";
import { type Output, printable, table } from "./output.ts";
import { type ReportFilterOptions, toReportFilter } from "./report_filter.ts";
import { forEachId, showFound } from "./report_ids.ts";

/** Options of `list`. */
export interface ListOptions extends CommonOptions, ReportFilterOptions {
  readonly limit?: string;
  readonly after?: string;
}

const MOST = 10_000;
/** Rows of a table of details. */
const MOST_ROWS = 100;

function withReports(
  options: CommonOptions,
  output: Output,
  action: (reports: ReceivedReports) => Promise<number>,
): Promise<number> {
  return withDataStore(options, output, (store) => action(receivedReports(store, systemClock)));
}

function printTable(headings: readonly string[], rows: readonly (readonly string[])[], output: Output): void {
  for (const line of table(headings, rows, output)) output.print(line);
}

/** Lists received reports, the latest first; the exit status. */
export async function listIncoming(options: ListOptions, output: Output): Promise<number> {
  const filter = toReportFilter(options, systemClock.now());
  const limit = Number(options.limit ?? "100");
  if (typeof filter === "string" || !Number.isSafeInteger(limit) || limit < 1 || limit > MOST) {
    const text = typeof filter === "string"
      ? filter
      : `--limit ${options.limit}: expected a whole number from 1 to ${MOST}`;
    output.error(printable(text));
    return 2;
  }
  return await withReports(options, output, async (reports) => {
    const { after } = options;
    const found = await reports.list({ ...filter, limit, ...(after === undefined ? {} : { after }) });
    if (options.json === true) {
      output.print(JSON.stringify(found));
    } else if (found.length === 0) {
      output.print("no reports");
    } else {
      const rows = found.map((view) => [
        view.id,
        view.kind,
        view.received,
        view.domain,
        view.reporter,
        String(view.passed),
        String(view.failed),
      ]);
      printTable(["ID", "KIND", "RECEIVED", "DOMAIN", "REPORTER", "PASSED", "FAILED"], rows, output);
      if (found.length === limit) {
        output.print(`the latest ${limit}; --limit shows more, --after ${found.at(-1)?.id} those that follow`);
      }
    }
    return 0;
  });
}

/** Shows one report; the exit status. */
export async function showIncoming(id: string, options: CommonOptions, output: Output): Promise<number> {
  return await withReports(options, output, async (reports) => {
    const detail = await reports.show(id);
    return showFound(detail, { unknown: unknown(id), print: printDetail, json: options.json }, output);
  });
}

/** Deletes reports; the exit status. */
export async function removeIncoming(ids: readonly string[], options: CommonOptions, output: Output): Promise<number> {
  return await withReports(options, output, async (reports) => {
    const { found: removed, status } = await forEachId(ids, (id) => reports.remove(id), unknown, output);
    if (options.json === true) output.print(JSON.stringify({ removed }));
    else for (const id of removed) output.print(`report ${printable(id)} is deleted`);
    return status;
  });
}

function unknown(id: string): string {
  return `no report ${printable(id)}; godwit report list shows what there is`;
}

/** Prints what reports say over days; the exit status. */
export async function trends(
  options: CommonOptions & { readonly days?: string; readonly domain?: string },
  output: Output,
): Promise<number> {
  const days = Number(options.days ?? "30");
  if (!Number.isSafeInteger(days) || days < 1 || days > 400) {
    output.error(printable(`--days ${options.days}: expected a whole number from 1 to 400`));
    return 2;
  }
  return await withReports(options, output, async (reports) => {
    const found = await reports.trends(days, options.domain);
    if (options.json === true) output.print(JSON.stringify(found));
    else printTrends(found, output);
    return 0;
  });
}

function printTrends(trends: ReportTrends, output: Output): void {
  const days = trends.days.flatMap(({ day, kinds }) =>
    Object.entries(kinds).map(([kind, { passed, failed }]) => [day, kind, String(passed), String(failed)])
  );
  if (days.length === 0) return output.print("no reports about these days");
  printTable(["DAY", "KIND", "PASSED", "FAILED"], days, output);
  const failures = (heading: string, list: readonly TrendFailure[]) => {
    if (list.length === 0) return;
    output.print("");
    printTable(
      [heading, "DOMAIN", "FAILED", "REPORTS", "WHY"],
      list.map((one) => [one.source || "-", one.domain, String(one.failed), String(one.reports), one.detail]),
      output,
    );
  };
  failures("FAILING DMARC", trends.failingSources);
  failures("FAILING TLS", trends.tlsFailures);
  failures("COMPLAINED ABOUT", trends.complaints);
  failures("REFUSED BY", trends.bounces);
  output.print("");
  printTable(
    ["REPORTER", "KIND", "REPORTS", "PASSED", "FAILED"],
    trends.reporters.map((one) => [
      one.reporter,
      one.kind,
      String(one.reports),
      String(one.passed),
      String(one.failed),
    ]),
    output,
  );
}

function printDetail(detail: ReportDetail, output: Output): void {
  const { report, mail } = detail;
  const facts: readonly (readonly [string, string])[] = [
    ["report", `${detail.id}, ${detail.kind}`],
    ["reporter", detail.reporter],
    ["domain", detail.domain],
    ["about", about(detail)],
    ["passed", String(detail.passed)],
    ["failed", String(detail.failed)],
    ...factsOf(report),
    ["received", `${detail.received}, kept until ${detail.expires}`],
    ["sent by", `${mail.from === "" ? "<>" : mail.from} from ${mail.remoteIp}, DMARC ${mail.dmarc || "not checked"}`],
    ["sent to", mail.to],
    ...report.problems.map((problem) => ["problem", problem] as const),
  ];
  for (const [name, value] of facts) if (value !== "") output.print(`${name.padEnd(10)}${printable(value)}`);
  printRows(report, output);
}

function about({ begin, end }: ReportView): string {
  return begin === null ? "" : end === null ? begin : `${begin} to ${end}`;
}

function factsOf(report: IncomingReport): readonly (readonly [string, string])[] {
  switch (report.kind) {
    case "dmarc": {
      const { policy, totals } = report;
      return [
        ["id", report.reportId],
        ["contact", report.contact],
        ["policy", Object.entries(policy).flatMap(([key, value]) => value === "" ? [] : `${key}=${value}`).join(" ")],
        ["aligned", `DKIM ${totals.dkimPassed}, SPF ${totals.spfPassed} of ${totals.messages}`],
        ["done", `accepted ${totals.accepted}, quarantined ${totals.quarantined}, rejected ${totals.rejected}`],
        ...report.errors.map((error) => ["error", error] as const),
      ];
    }
    case "tls":
      return [["id", report.reportId], ["contact", report.contact]];
    case "abuse":
    case "auth-failure":
      return [
        ["type", [report.feedbackType, report.authFailure].filter((part) => part !== "").join(" ")],
        ["result", report.deliveryResult],
        ["source", report.source],
        ["from", report.envelopeFrom],
        ["to", report.envelopeTo.join(", ")],
        ["subject", report.original.subject],
        ["message", report.original.messageId],
        ...report.authenticationResults.map((result) => ["results", result] as const),
      ];
    case "dsn":
      return [["subject", report.original.subject], ["message", report.original.messageId]];
  }
}

function printRows(report: IncomingReport, output: Output): void {
  const rows = (headings: readonly string[], all: readonly (readonly string[])[], more = 0) => {
    if (all.length === 0) return;
    output.print("");
    printTable(headings, all.slice(0, MOST_ROWS), output);
    const hidden = all.length - Math.min(all.length, MOST_ROWS) + more;
    if (hidden > 0) output.print(`and ${hidden} more; --json prints all that are kept`);
  };
  switch (report.kind) {
    case "dmarc":
      rows(
        ["SOURCE", "MESSAGES", "DISPOSITION", "DKIM", "SPF", "FROM", "WHY"],
        report.records.map((record) => [
          record.source,
          String(record.count),
          record.disposition,
          record.dkim,
          record.spf,
          record.headerFrom,
          record.reasons.map(({ type, comment }) => comment === "" ? type : `${type} (${comment})`).join(", "),
        ]),
        report.recordsLeftOut,
      );
      break;
    case "tls":
      rows(
        ["DOMAIN", "POLICY", "PASSED", "FAILED"],
        report.policies.map((one) => [one.domain, one.type, String(one.succeeded), String(one.failed)]),
      );
      rows(
        ["HOST", "RESULT", "SESSIONS", "FROM", "DETAIL"],
        report.policies.flatMap(({ failures }) =>
          failures.map((one) => [
            one.mx || one.receivingIp || "-",
            one.result,
            String(one.sessions),
            one.sendingIp,
            [one.reason, one.information].filter((part) => part !== "").join(" "),
          ])
        ),
      );
      break;
    case "dsn":
      rows(
        ["RECIPIENT", "ACTION", "STATUS", "SERVER", "DETAIL"],
        report.recipients.map((one) => [one.recipient, one.action, one.status, one.remoteMta, one.diagnostic]),
      );
      break;
    default:
      break;
  }
}
