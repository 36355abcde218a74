/** The JSON of TLS reports (RFC 8460 §4.4). */

import type { StoredResult } from "../aggregate/ledger.ts";
import { decodeTlsRow, type PoliciesByKey, type TlsRow } from "./recorder.ts";

/** What a report says beside its results. */
export interface TlsReportMetadata {
  readonly orgName: string;
  /** An address. */
  readonly contactInfo: string;
  readonly reportId: string;
  /** Milliseconds since the epoch, the end not included. */
  readonly begins: number;
  readonly ends: number;
}

/** A report, as JSON has it. */
export interface TlsReportJson {
  readonly "organization-name": string;
  readonly "date-range": { readonly "start-datetime": string; readonly "end-datetime": string };
  readonly "contact-info": string;
  readonly "report-id": string;
  readonly "policies": readonly TlsPolicyJson[];
}

/** What came of one policy. */
export interface TlsPolicyJson {
  readonly "policy": {
    readonly "policy-type": string;
    readonly "policy-string"?: readonly string[];
    readonly "policy-domain": string;
    readonly "mx-host"?: readonly string[];
  };
  readonly "summary": {
    readonly "total-successful-session-count": number;
    readonly "total-failure-session-count": number;
  };
  readonly "failure-details"?: readonly TlsFailureJson[];
}

/** Failures that are alike. */
export interface TlsFailureJson {
  readonly "result-type": string;
  readonly "sending-mta-ip"?: string;
  readonly "receiving-mx-hostname"?: string;
  readonly "receiving-ip"?: string;
  readonly "failed-session-count": number;
  readonly "failure-reason-code"?: string;
}

/**
 * The report about one domain.
 *
 * @param mostDetails failures that are told in detail, of each policy the most frequent ones; all are in the sums
 */
export function tlsReport(
  metadata: TlsReportMetadata,
  domain: string,
  policies: PoliciesByKey,
  results: readonly StoredResult[],
  mostDetails = Infinity,
): TlsReportJson {
  const byPolicy = Map.groupBy(
    results.map(({ result, count }): Counted => ({ ...decodeTlsRow(result), count })),
    ({ policy }) => policy,
  );
  return {
    "organization-name": metadata.orgName,
    "date-range": {
      "start-datetime": dateTime(metadata.begins),
      // RFC 8460 appendix B: the last second belongs to the report.
      "end-datetime": dateTime(metadata.ends - 1000),
    },
    "contact-info": metadata.contactInfo,
    "report-id": metadata.reportId,
    "policies": [...byPolicy].map(([key, rows]) => policyJson(key, rows, domain, policies, mostDetails)),
  };
}

type Counted = TlsRow & { readonly count: number };

function policyJson(
  key: string,
  rows: readonly Counted[],
  domain: string,
  policies: PoliciesByKey,
  mostDetails: number,
): TlsPolicyJson {
  const { type = key.split(" ")[0] ?? key, strings, mxHosts } = policies[key] ?? {};
  const sum = (some: readonly Counted[]) => some.reduce((total, { count }) => total + count, 0);
  const failures = rows.filter(({ result }) => result !== "").toSorted((a, b) => b.count - a.count);
  const details = failures.slice(0, mostDetails).map(failureJson);
  return {
    "policy": {
      "policy-type": type,
      ...(strings === undefined ? {} : { "policy-string": strings }),
      "policy-domain": domain,
      ...(mxHosts === undefined ? {} : { "mx-host": mxHosts }),
    },
    "summary": {
      "total-successful-session-count": sum(rows) - sum(failures),
      "total-failure-session-count": sum(failures),
    },
    ...(details.length === 0 ? {} : { "failure-details": details }),
  };
}

function failureJson({ result, localIp, host, remoteIp, details, count }: Counted): TlsFailureJson {
  return {
    "result-type": result,
    ...(localIp === "" ? {} : { "sending-mta-ip": localIp }),
    ...(host === "" ? {} : { "receiving-mx-hostname": host }),
    ...(remoteIp === "" ? {} : { "receiving-ip": remoteIp }),
    "failed-session-count": count,
    ...(details === "" ? {} : { "failure-reason-code": details.toWellFormed() }),
  };
}

/** RFC 3339, without fractions of a second. */
function dateTime(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+/, "");
}
