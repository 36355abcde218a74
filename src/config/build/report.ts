/** Builds `report.*`. */

import type { AggregateReportConfig, FailureReportConfig, ReportConfig } from "../config.ts";
import type { Node } from "../toml/node.ts";
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
    dkim: buildFailure(context, "dkim"),
    spf: buildFailure(context, "spf"),
    dmarc: buildFailure(context, "dmarc"),
    redact: reader.get("report.redact"),
    redactKey: reader.get("report.redact-key"),
    dmarcAggregate: buildAggregate(context, "dmarc"),
    tlsAggregate: buildAggregate(context, "tls"),
    analysis: {
      addresses: reader.get("report.analysis.addresses"),
      forward: reader.get("report.analysis.forward"),
      store: reader.get("report.analysis.store"),
    },
  };
}

function buildFailure({ reader }: BuildContext, kind: "dkim" | "spf" | "dmarc"): FailureReportConfig {
  return {
    fromName: reader.get(`report.${kind}.from-name`),
    fromAddress: reader.get(`report.${kind}.from-address`),
    subject: reader.get(`report.${kind}.subject`),
    send: reader.get(`report.${kind}.send`),
    sign: reader.get(`report.${kind}.sign`),
  };
}

function buildAggregate({ reader }: BuildContext, kind: "dmarc" | "tls"): AggregateReportConfig {
  const isSent = reader.isSet(`report.${kind}.aggregate.send`) &&
    !isNever(reader.node(`report.${kind}.aggregate.send`));
  if (isSent && !reader.isSet(`report.${kind}.aggregate.sign`)) {
    // RFC 8460 §3, RFC 7489 §7.2.1.1.
    const wanted = kind === "tls"
      ? "TLS reports without a signature are ignored"
      : "reports have to pass DMARC themselves";
    reader.warning(`report.${kind}.aggregate.send`, [], `${wanted}; set report.${kind}.aggregate.sign`);
  }
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

function isNever(node: Node | undefined): boolean {
  return node?.kind === "scalar" && /^'?never'?$/.test(String(node.value));
}
