/**
 * Delivery: takes a job of the queue to where its route leads and answers for every recipient.
 *
 * A `local` route ends in a Maildir. `mx` and `relay` routes end at other servers: hosts are found and tried in turn,
 * {@link TlsPolicy} objects decide about encryption, a session is opened or taken from those kept, and the message goes
 * out in one transaction per host. What happens is told in outcomes, never by exceptions; a reply of 4yz or trouble on
 * the way means a deferral, 5yz means failure.
 *
 * @example
 * ```ts
 * const delivery = createDelivery({ config, hostname, resolver, clock, random, emit, functions, deliveredTo, accountOf });
 * const outcomes = await delivery.deliver(job, signal);
 * ```
 *
 * @module
 */

export { type Certificate, readCertificate } from "./dane_certificate.ts";
export { createDanePolicy } from "./dane_policy.ts";
export { createDelivery, type Delivery, type DeliveryOptions, ownNames } from "./delivery.ts";
export { type Host, type HostAddresses, hostAddresses, type HostLookup, mailHosts } from "./hosts.ts";
export type { Connect } from "./family_race.ts";
export { createStsCache, purgePolicies, type StsCache, type StsState } from "./mta_sts_cache.ts";
export { createPolicyFetch, type FetchPolicy, POLICY_PATH } from "./mta_sts_fetch.ts";
export { createStsPolicy } from "./mta_sts_policy.ts";
export { allowsHost, LONGEST_LIFE, policyLines, type StsPolicy } from "./mta_sts_record.ts";
export { policyDomain, type TlsDecision, type TlsPolicy, type TlsTarget } from "./tls_policy.ts";
export type { ReportedPolicy, TlsResult, TlsResults, TlsResultType } from "./tls_result.ts";
export { type Failure, failure } from "./verdict.ts";
