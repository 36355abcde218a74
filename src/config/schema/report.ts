/** Keys of `report` and `sieve`. */

import { bool, dur, filled, glob, hostname, int, listOf, orFalse, size, span } from "../value_type.ts";
import {
  asAddress,
  asAddressOrNone,
  asIds,
  asRateOrFalse,
  asRoom,
  asText,
  asTextOrFalse,
  asWord,
} from "./setting_shape.ts";
import { computed, key, optional, required, sameAs, setting } from "./spec.ts";

const REPORT_DOMAIN = "config_get('report.domain')";
const signatures = asIds("signature");
const period = asWord("hourly", "daily", "weekly", "never");
const noReply = (kind: string) => `'noreply-${kind}@' + ${REPORT_DOMAIN}`;

export const reportKeys = {
  "report.domain": key(hostname, computed((from) => domainPart(from.source("server.hostname")))),
  "report.submitter": setting("report", asText, "config_get('server.hostname')"),
  "report.dsn.from-name": setting("queue", asText, "'Mail Delivery Subsystem'"),
  "report.dsn.from-address": setting("queue", asAddress, `'MAILER-DAEMON@' + ${REPORT_DOMAIN}`),
  "report.dsn.sign": setting("queue", signatures, false),
  "report.dkim.from-name": setting("data", asText, "'Report Subsystem'"),
  "report.dkim.from-address": setting("data", asAddress, noReply("dkim")),
  "report.dkim.subject": setting("data", asText, "'DKIM Authentication Failure Report'"),
  "report.dkim.send": setting("data", asRateOrFalse, false),
  "report.dkim.sign": setting("data", signatures, false),
  "report.spf.from-name": setting("data", asText, "'Report Subsystem'"),
  "report.spf.from-address": setting("data", asAddress, noReply("spf")),
  "report.spf.subject": setting("data", asText, "'SPF Authentication Failure Report'"),
  "report.spf.send": setting("data", asRateOrFalse, false),
  "report.spf.sign": setting("data", signatures, false),
  "report.dmarc.from-name": setting("data", asText, "'Report Subsystem'"),
  "report.dmarc.from-address": setting("data", asAddress, noReply("dmarc")),
  "report.dmarc.subject": setting("data", asText, "'DMARC Authentication Failure Report'"),
  "report.dmarc.send": setting("data", asRateOrFalse, false),
  "report.dmarc.sign": setting("data", signatures, false),
  "report.dmarc.aggregate.from-name": setting("report", asText, "'DMARC Report'"),
  "report.dmarc.aggregate.from-address": setting("report", asAddress, noReply("dmarc")),
  "report.dmarc.aggregate.org-name": setting("report", asText, REPORT_DOMAIN),
  "report.dmarc.aggregate.contact-info": setting("report", asTextOrFalse, false),
  "report.dmarc.aggregate.send": setting("report", period, "'daily'"),
  "report.dmarc.aggregate.max-size": setting("report", asRoom, 26214400),
  "report.dmarc.aggregate.sign": setting("report", signatures, false),
  "report.tls.aggregate.from-name": setting("report", asText, "'TLS Report'"),
  "report.tls.aggregate.from-address": setting("report", asAddress, noReply("tls")),
  "report.tls.aggregate.org-name": setting("report", asText, REPORT_DOMAIN),
  "report.tls.aggregate.contact-info": setting("report", asTextOrFalse, false),
  "report.tls.aggregate.send": setting("report", period, "'daily'"),
  "report.tls.aggregate.max-size": setting("report", asRoom, 26214400),
  "report.tls.aggregate.sign": setting("report", signatures, false),
  "report.redact": key(bool, true),
  "report.redact-key": optional(filled),
  "report.analysis.addresses": key(listOf(glob), []),
  "report.analysis.forward": key(bool, true),
  "report.analysis.store": key(orFalse(dur), "30d"),
};

/** The name without its first label, if two labels are left: `mx1.example.net` gives `example.net`. */
function domainPart(name: unknown): string | undefined {
  if (typeof name !== "string") return undefined;
  const labels = name.replace(/\.$/, "").split(".");
  return labels.length > 2 ? labels.slice(1).join(".") : labels.join(".");
}

export const sieveKeys = {
  "sieve.trusted.scripts.<id>.contents": required(filled),
  "sieve.trusted.from-name": setting("data", asText, "'Automated Message'"),
  "sieve.trusted.from-addr": setting("data", asAddress, `'MAILER-DAEMON@' + ${REPORT_DOMAIN}`),
  "sieve.trusted.return-path": setting("data", asAddressOrNone, ""),
  "sieve.trusted.sign": setting("data", signatures, false),
  "sieve.trusted.hostname": key(hostname, sameAs("server.hostname")),
  "sieve.trusted.no-capability-check": key(bool, true),
  "sieve.trusted.limits.redirects": key(int(), 3),
  "sieve.trusted.limits.out-messages": key(int(), 5),
  "sieve.trusted.limits.received-headers": key(int(), 50),
  "sieve.trusted.limits.cpu": key(int(1), 10000),
  "sieve.trusted.limits.nested-includes": key(int(), 5),
  "sieve.trusted.limits.duplicate-expiry": key(dur, "7d"),
  "sieve.trusted.limits.variable-size": key(size, 1048576),
  "sieve.trusted.exec.allow": optional(listOf(filled)),
  "sieve.trusted.exec.timeout": key(span, "10s"),
  "sieve.user.limits.cpu": key(int(1), 5000),
  "sieve.user.limits.redirects": key(int(), 1),
  "sieve.user.limits.out-messages": key(int(), 3),
  "sieve.user.limits.variable-size": key(size, 16384),
  "sieve.user.limits.script-size": key(size, 102400),
};
