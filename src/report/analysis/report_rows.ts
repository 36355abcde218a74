/** Received reports in the store: one row for each, one for each domain that it is about and for each failure in it. */

import { formatMessageId, type MessageId, parseMessageId } from "../../queue/mod.ts";
import type { Row, SqlValue, Statement, Store } from "../../store/mod.ts";
import { type IncomingReport, REPORT_KINDS, type ReportKind } from "./incoming.ts";
import type { ReportSummary } from "./summary.ts";

/** A report to keep. Times in milliseconds since the epoch. */
export interface NewReport {
  readonly id: MessageId;
  readonly report: IncomingReport;
  readonly digest: string;
  readonly summary: ReportSummary;
  readonly mail: ReportCarrier;
  readonly received: number;
  readonly expires: number;
}

/** The mail that brought a report. */
export interface ReportCarrier {
  /** Its return path and first recipient that is for reports. */
  readonly from: string;
  readonly to: string;
  readonly remoteIp: string;
  /** Result of DMARC for it, `""` if that was not checked: whether it comes from whom it says. */
  readonly dmarc: string;
}

/** A received report as people see it in a list. Times in ISO 8601. */
export interface ReportView {
  readonly id: string;
  readonly kind: ReportKind;
  readonly received: string;
  readonly reporter: string;
  /** The first domain that it is about. */
  readonly domain: string;
  readonly begin: string | null;
  readonly end: string | null;
  readonly passed: number;
  readonly failed: number;
}

/** A received report with everything it says. */
export interface ReportDetail extends ReportView {
  readonly expires: string;
  readonly mail: ReportCarrier;
  readonly report: IncomingReport;
}

/** Which reports to list. */
export interface ReportFilter {
  readonly kind?: ReportKind;
  /** A domain that the report is about. */
  readonly domain?: string;
  /** Part of the name of the reporter, in any case. */
  readonly reporter?: string;
  /** A place of failures: IP address or host. */
  readonly source?: string;
  /** Only those that tell of failures. */
  readonly failing?: boolean;
  /** Received from this time, and before that one; milliseconds since the epoch. */
  readonly since?: number;
  readonly until?: number;
  /** Id of the last report of the page before. */
  readonly after?: string;
  readonly limit: number;
}

const INSERT =
  "INSERT INTO incoming_reports (id, digest, kind, received, expires, day, reporter, domain, begins, ends, " +
  "passed, failed, mail, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING";
// Only with the row of the report itself: one that has come before has its rows.
const INSERT_DOMAINS =
  "INSERT OR IGNORE INTO incoming_report_domains (kind, day, domain, report, reporter, passed, failed) " +
  "SELECT ?, ?, value ->> 0, ?, ?, value ->> 1, value ->> 2 FROM json_each(?) " +
  "WHERE EXISTS (SELECT 1 FROM incoming_reports WHERE id = ?)";
const INSERT_FAILURES = "INSERT OR IGNORE INTO incoming_report_failures " +
  "(kind, day, source, domain, detail, report, failed) " +
  "SELECT ?, ?, value ->> 0, value ->> 1, value ->> 2, ?, value ->> 3 FROM json_each(?) " +
  "WHERE EXISTS (SELECT 1 FROM incoming_reports WHERE id = ?)";

/**
 * What keeps a report. The first statement changes one row, or none if the same report has been kept before; then the
 * others change none either.
 */
export function keepStatements(
  { id, report, digest, summary, mail, received, expires }: NewReport,
): readonly Statement[] {
  const { day, begin, end, passed, failed, domains, failures } = summary;
  const statements: Statement[] = [
    {
      sql: INSERT,
      args: [
        id,
        digest,
        report.kind,
        received,
        expires,
        day,
        report.reporter,
        domains[0]?.domain ?? "",
        begin ?? null,
        end ?? null,
        passed,
        failed,
        JSON.stringify(mail),
        JSON.stringify(report),
      ],
    },
    {
      sql: INSERT_DOMAINS,
      args: [
        report.kind,
        day,
        id,
        report.reporter,
        JSON.stringify(domains.map((one) => [one.domain, one.passed, one.failed])),
        id,
      ],
    },
  ];
  if (failures.length > 0) {
    const rows = failures.map((one) => [one.source, one.domain, one.detail, one.failed]);
    statements.push({ sql: INSERT_FAILURES, args: [report.kind, day, id, JSON.stringify(rows), id] });
  }
  return statements;
}

/** Reports that are deleted in one commit: a report may have a thousand rows, and mail waits for its commits. */
const PURGED_AT_ONCE = 50;
const EXPIRED = "SELECT id FROM incoming_reports WHERE expires <= ? ORDER BY expires LIMIT ?";
const IN_LIST = "IN (SELECT value FROM json_each(?))";

/** Deletes reports that have expired. @returns the number of rows. Rejects with `StoreUnavailable` if the store is away */
export async function purgeReports(store: Store, now: number): Promise<number> {
  let deleted = 0;
  while (true) {
    const { rows } = await store.read(EXPIRED, [now, PURGED_AT_ONCE]);
    if (rows.length === 0) return deleted;
    const ids = JSON.stringify(rows.map(([id]) => Number(id)));
    const results = await store.write([
      { sql: `DELETE FROM incoming_reports WHERE id ${IN_LIST}`, args: [ids] },
      { sql: `DELETE FROM incoming_report_domains WHERE report ${IN_LIST}`, args: [ids] },
      { sql: `DELETE FROM incoming_report_failures WHERE report ${IN_LIST}`, args: [ids] },
    ]);
    deleted += results.reduce((sum, { changes }) => sum + changes, 0);
  }
}

/** Deletes a report. @returns false if there is none. Rejects with `StoreUnavailable` if the store is away */
export async function deleteReport(store: Store, id: string): Promise<boolean> {
  const number = parseMessageId(id);
  if (number === undefined) return false;
  const [result] = await store.write([
    { sql: "DELETE FROM incoming_reports WHERE id = ?", args: [number] },
    { sql: "DELETE FROM incoming_report_domains WHERE report = ?", args: [number] },
    { sql: "DELETE FROM incoming_report_failures WHERE report = ?", args: [number] },
  ]);
  return (result?.changes ?? 0) > 0;
}

const COLUMNS = "id, kind, received, reporter, domain, begins, ends, passed, failed";

/** Received reports, the latest first. Rejects as {@link deleteReport}. */
export async function listReports(store: Store, filter: ReportFilter): Promise<readonly ReportView[]> {
  const conditions: string[] = [];
  const args: SqlValue[] = [];
  const where = (condition: string, value: SqlValue | undefined) => {
    if (value === undefined) return;
    conditions.push(condition);
    args.push(value);
  };
  where("kind = ?", filter.kind);
  where(
    "id IN (SELECT report FROM incoming_report_domains WHERE domain = ?)",
    filter.domain?.toLowerCase().replace(/\.$/, ""),
  );
  where("instr(lower(reporter), lower(?)) > 0", filter.reporter);
  where("id IN (SELECT report FROM incoming_report_failures WHERE source = ?)", filter.source?.toLowerCase());
  if (filter.failing === true) conditions.push("failed > 0");
  where("received >= ?", filter.since);
  where("received < ?", filter.until);
  if (filter.after !== undefined) where("id < ?", parseMessageId(filter.after) ?? 0);
  const { rows } = await store.read(
    `SELECT ${COLUMNS} FROM incoming_reports ${
      conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`
    } ORDER BY id DESC LIMIT ?`,
    [...args, filter.limit],
  );
  return rows.map(viewOf);
}

/** One report; undefined if there is none. Rejects as {@link deleteReport}. */
export async function showReport(store: Store, id: string): Promise<ReportDetail | undefined> {
  const number = parseMessageId(id);
  if (number === undefined) return undefined;
  const { rows: [row] } = await store.read(
    `SELECT ${COLUMNS}, expires, mail, content FROM incoming_reports WHERE id = ?`,
    [number],
  );
  if (row === undefined) return undefined;
  return {
    ...viewOf(row),
    expires: isoTime(row[9]) ?? "",
    mail: JSON.parse(String(row[10])),
    report: JSON.parse(String(row[11])),
  };
}

function viewOf([id, kind, received, reporter, domain, begin, end, passed, failed]: Row): ReportView {
  return {
    id: formatMessageId(Number(id)),
    kind: REPORT_KINDS.find((known) => known === kind) ?? "dmarc",
    received: isoTime(received) ?? "",
    reporter: String(reporter),
    domain: String(domain),
    begin: isoTime(begin),
    end: isoTime(end),
    passed: Number(passed),
    failed: Number(failed),
  };
}

function isoTime(value: SqlValue | undefined): string | null {
  return value === null || value === undefined ? null : new Date(Number(value)).toISOString();
}
