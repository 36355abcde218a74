/** What became of TLS with the hosts of a domain, in the words of SMTP TLS reporting (RFC 8460). */

import type { TlsFaultType } from "./verdict.ts";

/** A result type of RFC 8460 §4.3 for sessions that failed. */
export type TlsResultType =
  | TlsFaultType
  | "sts-policy-fetch-error"
  | "sts-policy-invalid"
  | "sts-webpki-invalid";

/**
 * The policy that a session is counted for (RFC 8460 §4.4). Results are gathered by identity, so whoever decides gives the
 * same object as long as the policy is the same.
 */
export interface ReportedPolicy {
  readonly type: "tlsa" | "sts" | "no-policy-found";
  /** Policy domain, which is told of the results; lower case A-labels. */
  readonly domain: string;
  /** The policy itself: lines of an MTA-STS policy, or TLSA records such as `3 1 1 1F850A...`. */
  readonly strings?: readonly string[];
  /** Patterns that the names of hosts have to match, for `sts`. */
  readonly mxHosts?: readonly string[];
}

/** One session, or the attempt to have one. */
export interface TlsResult {
  readonly policy: ReportedPolicy;
  /** Absent if TLS was agreed on and all that the policy asks for was there. */
  readonly failure?: {
    readonly type: TlsResultType;
    /** Our address; `""` if no connection was made. */
    readonly localIp: string;
    /** Host and address on the other side; `""` where it did not get so far. */
    readonly host: string;
    readonly remoteIp: string;
    /** For people. */
    readonly details: string;
  };
}

/** Takes results. Must be quick and must not throw. */
export interface TlsResults {
  record(result: TlsResult): void;
}

/** The policy of a domain without one. */
export function noPolicy(domain: string): ReportedPolicy {
  return { type: "no-policy-found", domain };
}
