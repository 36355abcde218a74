/** Builds `report.*` (reference §8). */

import type { AggregateReportConfig, ReportConfig } from "../config.ts";
import type { BuildContext } from "./context.ts";

/** What is told to others. */
export function buildReport(context: BuildContext): ReportConfig {
  const { reader } = context;
  return {
    domain: reader.get("report.domain"),
    submitter: reader.get("report.submitter"),
    dsn: {
      fromName: reader.get("report.dsn.from-name"),
      fromAddress: reader.get("report.dsn.from-address"),
      sign: reader.get("report.dsn.sign"),
    },
    dmarcAggregate: buildAggregate(context, "dmarc"),
    tlsAggregate: buildAggregate(context, "tls"),
    analysis: {
      addresses: reader.get("report.analysis.addresses"),
      forward: reader.get("report.analysis.forward"),
      store: reader.get("report.analysis.store"),
    },
  };
}

function buildAggregate({ reader }: BuildContext, kind: "dmarc" | "tls"): AggregateReportConfig {
  return {
    fromName: reader.get(`report.${kind}.aggregate.from-name`),
    fromAddress: reader.get(`report.${kind}.aggregate.from-address`),
    orgName: reader.get(`report.${kind}.aggregate.org-name`),
    contactInfo: reader.get(`report.${kind}.aggregate.contact-info`),
    send: reader.get(`report.${kind}.aggregate.send`),
    maxSize: reader.get(`report.${kind}.aggregate.max-size`),
    sign: reader.get(`report.${kind}.aggregate.sign`),
  };
}
