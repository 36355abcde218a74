/** What received reports say over days: charts of the status page, metrics and the management API. */

import type { Rows, SqlValue, Store } from "../../store/mod.ts";
import { REPORT_KINDS, type ReportKind } from "./incoming.ts";

/** Sums over the days up to today. */
export interface ReportTrends {
  /** Each day once, the oldest first, also those without reports. */
  readonly days: readonly TrendDay[];
  /** By kind and domain, most failures first. */
  readonly domains: readonly (Passed & { readonly kind: ReportKind; readonly domain: string })[];
  /** Who reports, and of how much; most failures first. */
  readonly reporters: readonly (Passed & {
    readonly kind: ReportKind;
    readonly reporter: string;
    readonly reports: number;
  })[];
  /** Addresses that mail came from which failed DMARC, most of it first. */
  readonly failingSources: readonly TrendFailure[];
  /** Hosts of ours that TLS failed at. */
  readonly tlsFailures: readonly TrendFailure[];
  /** Addresses that complaints and reports of failed authentication are about. */
  readonly complaints: readonly TrendFailure[];
  /** Servers that refused mail, as notifications say. */
  readonly bounces: readonly TrendFailure[];
}

interface Passed {
  readonly passed: number;
  readonly failed: number;
}

/** One day. */
export interface TrendDay {
  /** Such as `2026-01-31`, UTC. */
  readonly day: string;
  /** What passed and failed, by kind; only kinds that there were reports of. */
  readonly kinds: Readonly<Partial<Record<ReportKind, Passed>>>;
}

/** A place of failures. */
export interface TrendFailure {
  /** Address or host. */
  readonly source: string;
  readonly domain: string;
  /** Result of TLS, kind of complaint, status of a notification; several are joined by commas. */
  readonly detail: string;
  readonly failed: number;
  /** Reports that name it. */
  readonly reports: number;
}

/** Which days and domains. */
export interface TrendOptions {
  /** Number of days up to today, 1 to 400. */
  readonly days: number;
  readonly now: number;
  /** Only what is about this domain. */
  readonly domain?: string;
}

const DAY = 86_400_000;
const MOST = 10;

const DAYS = "SELECT kind, day, sum(passed), sum(failed) FROM incoming_report_domains WHERE kind = ? AND day >= ? " +
  "AND (? IS NULL OR domain = ?) GROUP BY day";
const DOMAINS = "SELECT kind, domain, sum(passed), sum(failed) FROM incoming_report_domains WHERE kind = ? " +
  `AND day >= ? AND (? IS NULL OR domain = ?) GROUP BY domain ORDER BY 4 DESC, 3 DESC LIMIT ${MOST}`;
const REPORTERS = "SELECT kind, reporter, sum(passed), sum(failed), count(DISTINCT report) " +
  "FROM incoming_report_domains WHERE kind = ? AND day >= ? AND (? IS NULL OR domain = ?) " +
  `GROUP BY reporter ORDER BY 4 DESC, 3 DESC LIMIT ${MOST}`;
const FAILURES = "SELECT source, domain, group_concat(DISTINCT detail), sum(failed), count(DISTINCT report) " +
  "FROM incoming_report_failures WHERE kind = ? AND day >= ? AND (? IS NULL OR domain = ?) " +
  `GROUP BY source, domain ORDER BY 4 DESC, 1 LIMIT ${MOST}`;

/** Sums up. Rejects with `StoreUnavailable` if the store is away. */
export async function reportTrends(store: Store, { days, now, domain }: TrendOptions): Promise<ReportTrends> {
  const today = Math.floor(now / DAY);
  const first = today - days + 1;
  const about: SqlValue = domain?.toLowerCase() ?? null;
  const ask = (sql: string, kinds: readonly ReportKind[]): Promise<readonly Rows[]> =>
    Promise.all(kinds.map((kind) => store.read(sql, [kind, first, about, about])));
  const [perDay, domains, reporters, ...failures] = await Promise.all([
    ask(DAYS, REPORT_KINDS),
    ask(DOMAINS, REPORT_KINDS),
    ask(REPORTERS, REPORT_KINDS),
    ask(FAILURES, ["dmarc"]),
    ask(FAILURES, ["tls"]),
    ask(FAILURES, ["abuse", "auth-failure"]),
    ask(FAILURES, ["dsn"]),
  ]);
  const [failingSources = [], tlsFailures = [], complaints = [], bounces = []] = failures.map(failuresOf);
  return {
    days: daysOf(perDay, first, today),
    domains: flat(domains).map(([kind, name, passed, failed]) => ({
      kind: kindOf(kind),
      domain: String(name),
      passed: Number(passed),
      failed: Number(failed),
    })),
    reporters: flat(reporters).map(([kind, reporter, passed, failed, reports]) => ({
      kind: kindOf(kind),
      reporter: String(reporter),
      passed: Number(passed),
      failed: Number(failed),
      reports: Number(reports),
    })),
    failingSources,
    tlsFailures,
    complaints,
    bounces,
  };
}

function flat(results: readonly Rows[]) {
  return results.flatMap(({ rows }) => rows);
}

function kindOf(value: SqlValue | undefined): ReportKind {
  return REPORT_KINDS.find((known) => known === value) ?? "dmarc";
}

function daysOf(results: readonly Rows[], first: number, today: number): readonly TrendDay[] {
  const days = new Map<number, Partial<Record<ReportKind, Passed>>>();
  for (let day = first; day <= today; day++) days.set(day, {});
  for (const [kind, day, passed, failed] of flat(results)) {
    const kinds = days.get(Number(day));
    if (kinds !== undefined) kinds[kindOf(kind)] = { passed: Number(passed), failed: Number(failed) };
  }
  return [...days].map(([day, kinds]) => ({ day: new Date(day * DAY).toISOString().slice(0, 10), kinds }));
}

function failuresOf(results: readonly Rows[]): readonly TrendFailure[] {
  return flat(results).map(([source, domain, detail, failed, reports]) => ({
    source: String(source),
    domain: String(domain),
    detail: String(detail ?? "").split(",").filter((one) => one !== "").join(", "),
    failed: Number(failed),
    reports: Number(reports),
  })).sort((a, b) => b.failed - a.failed).slice(0, MOST);
}
