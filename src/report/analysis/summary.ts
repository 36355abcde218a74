/** What a report comes to: numbers by domain, and where the failures are. */

import type { IncomingReport } from "./incoming.ts";
import { MOST_FAILING } from "./limits.ts";

/** A report in numbers. */
export interface ReportSummary {
  /** The day that it is about, since the epoch, UTC. */
  readonly day: number;
  /** Start and end of what it is about, milliseconds since the epoch, as far as it says. */
  readonly begin: number | undefined;
  readonly end: number | undefined;
  readonly reportId: string;
  /** What it is about: messages of DMARC, sessions of TLS, recipients of notifications; complaints count as failed. */
  readonly passed: number;
  readonly failed: number;
  readonly domains: readonly DomainSummary[];
  readonly failures: readonly FailureSummary[];
}

/** The part of one domain; `""` where a report names none. */
export interface DomainSummary {
  readonly domain: string;
  readonly passed: number;
  readonly failed: number;
}

/** What failed at one place in one way. */
export interface FailureSummary {
  readonly domain: string;
  /** IP address that mail came from; for TLS the MX host, for notifications the server that refused. */
  readonly source: string;
  /** Result of TLS, type of feedback, status of a notification; `""` for DMARC. */
  readonly detail: string;
  readonly failed: number;
}

const DAY = 86_400_000;
/** Days back that are believed. */
const OLDEST = 400;

/** Sums a report up. @param received when it came, milliseconds since the epoch */
export function summarize(report: IncomingReport, received: number): ReportSummary {
  const { domains, failures } = numbersOf(report);
  const begin = report.kind === "dmarc" || report.kind === "tls" ? report.begin : report.arrived;
  const end = report.kind === "dmarc" || report.kind === "tls" ? report.end : undefined;
  const today = Math.floor(received / DAY);
  // A report is about the past; a clock that is wrong must not make a day of its own in the next century.
  const day = begin === undefined ? today : Math.floor(begin / DAY);
  return {
    day: day > today || day < today - OLDEST ? today : day,
    begin,
    end,
    reportId: report.kind === "dmarc" || report.kind === "tls" ? report.reportId : "",
    passed: sum(domains, ({ passed }) => passed),
    failed: sum(domains, ({ failed }) => failed),
    domains,
    failures: failures.sort((a, b) => b.failed - a.failed).slice(0, MOST_FAILING),
  };
}

interface Numbers {
  readonly domains: readonly DomainSummary[];
  readonly failures: FailureSummary[];
}

function numbersOf(report: IncomingReport): Numbers {
  switch (report.kind) {
    case "dmarc": {
      const { policy: { domain }, totals: { passed, failed }, failing } = report;
      return {
        domains: [{ domain, passed, failed }],
        failures: failing.map(({ source, failed }) => ({ domain, source, detail: "", failed })),
      };
    }
    case "tls": {
      const failures = report.policies.flatMap(({ domain, mxHosts, failures }) =>
        failures.map(({ mx, receivingIp, result, sessions }) => ({
          domain,
          source: mx || receivingIp || mxHosts[0] || "",
          detail: result,
          failed: sessions,
        }))
      );
      const domains = report.policies.map(({ domain, succeeded, failed }) => ({ domain, passed: succeeded, failed }));
      return { domains: merged(domains), failures: mergedFailures(failures) };
    }
    case "abuse":
    case "auth-failure": {
      const { domains, incidents: failed, source } = report;
      const detail = report.authFailure || report.feedbackType;
      const about = domains.length === 0 ? [""] : domains;
      return {
        domains: about.map((domain) => ({ domain, passed: 0, failed })),
        failures: about.map((domain) => ({ domain, source, detail, failed })),
      };
    }
    case "dsn": {
      const results = report.recipients.map(({ recipient, action, remoteMta, status }) => ({
        domain: recipient.slice(recipient.lastIndexOf("@") + 1).toLowerCase(),
        source: remoteMta || report.reporter,
        detail: status,
        failed: action === "failed" ? 1 : 0,
        passed: action === "delivered" || action === "relayed" || action === "expanded" ? 1 : 0,
      }));
      return { domains: merged(results), failures: mergedFailures(results.filter(({ failed }) => failed > 0)) };
    }
  }
}

function sum<T>(list: readonly T[], number: (item: T) => number): number {
  return list.reduce((total, item) => total + number(item), 0);
}

function merged(parts: readonly DomainSummary[]): readonly DomainSummary[] {
  const byDomain = new Map<string, DomainSummary>();
  for (const { domain, passed, failed } of parts) {
    const known = byDomain.get(domain);
    byDomain.set(domain, { domain, passed: passed + (known?.passed ?? 0), failed: failed + (known?.failed ?? 0) });
  }
  return [...byDomain.values()];
}

function mergedFailures(parts: readonly FailureSummary[]): FailureSummary[] {
  const byPlace = new Map<string, FailureSummary>();
  for (const { domain, source, detail, failed } of parts) {
    const key = JSON.stringify([domain, source, detail]);
    byPlace.set(key, { domain, source, detail, failed: failed + (byPlace.get(key)?.failed ?? 0) });
  }
  return [...byPlace.values()];
}
