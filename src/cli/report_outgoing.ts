/** `godwit report` for reports that go out: what is gathered, what waits, what was sent. */

import {
  type OutgoingReportDetail,
  type OutgoingReports,
  outgoingReports,
  REPORT_STATES,
  type ReportState,
} from "../report/mod.ts";
import { type CommonOptions, withDataStore } from "./data_store.ts";
import { type Output, printable, table } from "./output.ts";
import { forEachId, showFound } from "./report_ids.ts";

/** Options of `list --outgoing`. */
export interface OutgoingListOptions extends CommonOptions {
  readonly kind?: string;
  readonly domain?: string;
  readonly state?: string;
  readonly limit?: string;
  readonly after?: string;
}

const MOST = 10_000;
/** Rows of a table of details. */
const MOST_ROWS = 100;

function withReports(
  options: CommonOptions,
  output: Output,
  action: (reports: OutgoingReports) => Promise<number>,
): Promise<number> {
  return withDataStore(options, output, (store) => action(outgoingReports(store)));
}

/** Lists reports in the order in which they were begun; the exit status. */
export async function listOutgoing(options: OutgoingListOptions, output: Output): Promise<number> {
  const wrong = (text: string) => {
    output.error(printable(text));
    return 2;
  };
  const kind = options.kind?.toLowerCase();
  if (kind !== undefined && kind !== "dmarc" && kind !== "tls") {
    return wrong(`--kind ${options.kind}: expected dmarc or tls`);
  }
  const state = REPORT_STATES.find((known): known is ReportState => known === options.state?.toLowerCase());
  if (options.state !== undefined && state === undefined) {
    return wrong(`--state ${options.state}: expected one of ${REPORT_STATES.join(", ")}`);
  }
  const limit = Number(options.limit ?? "100");
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST) {
    return wrong(`--limit ${options.limit}: expected a whole number from 1 to ${MOST}`);
  }
  return await withReports(options, output, async (reports) => {
    const found = await reports.list({
      limit,
      ...(kind === undefined ? {} : { kind }),
      ...(options.domain === undefined ? {} : { domain: options.domain.toLowerCase() }),
      ...(state === undefined ? {} : { state }),
      ...(options.after === undefined ? {} : { after: options.after }),
    });
    if (options.json === true) {
      output.print(JSON.stringify(found));
    } else if (found.length === 0) {
      output.print("no reports");
    } else {
      const rows = found.map((view) => [
        view.id,
        view.kind,
        view.domain,
        view.begins,
        view.ends,
        view.state,
        view.due ?? "-",
        String(view.results),
        view.problem,
      ]);
      const headings = ["ID", "KIND", "DOMAIN", "BEGINS", "ENDS", "STATE", "DUE", "RESULTS", "PROBLEM"];
      for (const line of table(headings, rows, output)) output.print(line);
      if (found.length === limit) {
        output.print(`the first ${limit}; --limit shows more, --after ${found.at(-1)?.id} those that follow`);
      }
    }
    return 0;
  });
}

/** Shows one report with what was counted for it; the exit status. */
export async function showOutgoing(id: string, options: CommonOptions, output: Output): Promise<number> {
  return await withReports(options, output, async (reports) => {
    const detail = await reports.show(id);
    return showFound(detail, { unknown: unknown(id), print: printDetail, json: options.json }, output);
  });
}

/** Cancels reports; the exit status. */
export async function cancelOutgoing(ids: readonly string[], options: CommonOptions, output: Output): Promise<number> {
  return await withReports(options, output, async (reports) => {
    const { found: cancelled, status } = await forEachId(ids, (id) => reports.cancel(id), unknown, output);
    if (options.json === true) output.print(JSON.stringify({ cancelled }));
    else for (const id of cancelled) output.print(`report ${printable(id)} is cancelled`);
    return status;
  });
}

function unknown(id: string): string {
  return `no report ${printable(id)} waits; godwit report list --outgoing shows what there is`;
}

function printDetail(detail: OutgoingReportDetail, output: Output): void {
  const facts: readonly (readonly [string, string])[] = [
    ["report", `${detail.id}, ${detail.kind}`],
    ["domain", detail.domain],
    ["covers", `${detail.begins} to ${detail.ends}`],
    ["state", detail.state],
    ["due", detail.due ?? ""],
    ["attempts", detail.attempts === 0 ? "" : String(detail.attempts)],
    ["problem", detail.problem],
    ["handed to", detail.handedTo.join(", ")],
    ["about", JSON.stringify(detail.about)],
  ];
  for (const [name, value] of facts) if (value !== "") output.print(`${name.padEnd(11)}${printable(value)}`);
  if (detail.counted.length === 0) return;
  output.print("");
  const [headings, rows] = detail.kind === "dmarc" ? dmarcRows(detail) : tlsRows(detail);
  for (const line of table(headings, rows.slice(0, MOST_ROWS), output)) output.print(line);
  const hidden = detail.results - Math.min(rows.length, MOST_ROWS);
  if (hidden > 0) output.print(`and ${hidden} more`);
}

type Table = readonly [headings: readonly string[], rows: readonly (readonly string[])[]];

function dmarcRows({ counted }: OutgoingReportDetail): Table {
  const aligned = (passed: boolean) => passed ? "pass" : "fail";
  return [
    ["SOURCE", "MESSAGES", "DISPOSITION", "DKIM", "SPF", "FROM", "ENVELOPE", "WHY"],
    counted.flatMap((row) =>
      "ip" in row
        ? [[
          row.ip,
          String(row.count),
          row.disposition,
          aligned(row.dkimAligned),
          aligned(row.spfAligned),
          row.headerFrom,
          row.envelopeFrom || "<>",
          row.reasons.join(", "),
        ]]
        : []
    ),
  ];
}

function tlsRows({ counted }: OutgoingReportDetail): Table {
  return [
    ["POLICY", "RESULT", "SESSIONS", "HOST", "DETAIL"],
    counted.flatMap((row) =>
      "policy" in row
        ? [[row.policy.split(" ")[0] ?? "", row.result || "ok", String(row.count), row.host, row.details]]
        : []
    ),
  ];
}
