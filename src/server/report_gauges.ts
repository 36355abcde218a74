/** What others report, as it is measured when metrics are asked for. */

import type { ReceivedReports } from "../report/mod.ts";
import type { Telemetry } from "../telemetry/mod.ts";

/** Days that the gauges of reports sum up. */
const REPORTED_DAYS = 7;

/** Adds the gauges of what others report. */
export function registerReportGauges(telemetry: Telemetry, reports: ReceivedReports): void {
  const both = <T extends { readonly passed: number; readonly failed: number }>(
    list: readonly T[],
    labels: (one: T) => Readonly<Record<string, string>>,
  ) =>
    list.flatMap((one) => [
      { labels: { ...labels(one), result: "passed" }, value: one.passed },
      { labels: { ...labels(one), result: "failed" }, value: one.failed },
    ]);
  telemetry.registerGauge(
    "godwit_received_report_results",
    "What reports of the last seven days say passed and failed, by domain",
    async () => both((await reports.trends(REPORTED_DAYS)).domains, ({ kind, domain }) => ({ kind, domain })),
    ["kind", "domain", "result"],
  );
  telemetry.registerGauge(
    "godwit_received_report_reporter",
    "What reports of the last seven days say passed and failed, by who reports",
    async () => both((await reports.trends(REPORTED_DAYS)).reporters, ({ kind, reporter }) => ({ kind, reporter })),
    ["kind", "reporter", "result"],
  );
  telemetry.registerGauge(
    "godwit_received_report_failures",
    "Addresses and hosts that fail most, as reports of the last seven days say",
    async () => {
      const { failingSources, tlsFailures, complaints, bounces } = await reports.trends(REPORTED_DAYS);
      return ([["dmarc", failingSources], ["tls", tlsFailures], ["complaint", complaints], ["dsn", bounces]] as const)
        .flatMap(([kind, list]) =>
          list.map(({ source, domain, failed }) => ({ labels: { kind, source, domain }, value: failed }))
        );
    },
    ["kind", "source", "domain"],
  );
}
