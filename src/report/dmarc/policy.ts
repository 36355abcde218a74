/** The policy that a DMARC report is about, as the ledger keeps it. */

import type { Alignment, DmarcPolicy, DmarcRecord, PolicyDiscovery } from "../../authentication/types.ts";

/** A policy as it was published, with defaults filled in. */
export interface PublishedPolicy {
  readonly policy: DmarcPolicy;
  readonly subdomainPolicy: DmarcPolicy;
  readonly nonexistentPolicy: DmarcPolicy;
  readonly dkimAlignment: Alignment;
  readonly spfAlignment: Alignment;
  readonly percent: number;
  readonly testing: boolean;
  readonly failureOptions: readonly string[];
  readonly discovery: PolicyDiscovery;
  /** URIs of `rua`. */
  readonly aggregateReports: readonly string[];
}

/** JSON of what a report has to know of a record. */
export function encodePolicy(record: DmarcRecord, discovery: PolicyDiscovery): string {
  const policy: PublishedPolicy = {
    policy: record.policy,
    subdomainPolicy: record.subdomainPolicy,
    nonexistentPolicy: record.nonexistentPolicy,
    dkimAlignment: record.dkimAlignment,
    spfAlignment: record.spfAlignment,
    percent: record.percent,
    testing: record.testing,
    failureOptions: record.failureOptions,
    discovery,
    aggregateReports: record.aggregateReports,
  };
  return JSON.stringify(policy);
}

/** What {@link encodePolicy} has written. */
export function decodePolicy(text: string): PublishedPolicy {
  return JSON.parse(text);
}
