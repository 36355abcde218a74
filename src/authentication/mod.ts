/**
 * Who sent a message: SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617), DMARC (RFC 7489) and the reverse lookup
 * (RFC 8601 §3), and what receivers write about it.
 *
 * Checks are functions of a message, or of an address and a name, and of a resolver. They never reject because of what
 * they read: bad records and trouble with DNS are results.
 *
 * @module
 */

export { authenticationResults, authenticationResultsField, claimsToBe } from "./authentication_results.ts";
export { evaluateDmarc } from "./dmarc/evaluate.ts";
export { loadPublicSuffixes } from "./dmarc/organizational_domain.ts";
export { readReportConsent } from "./dmarc/record.ts";
export { checkIprev } from "./iprev.ts";
export { receivedSpfField, type ReceivedSpfOptions } from "./received_spf.ts";
export { checkSpf, type SpfQuery } from "./spf/check.ts";
export { verifySignatures } from "./signatures.ts";
export { publicKeyRecord } from "./signing/public_key.ts";
export { createSigner, type Signer, type SignerOptions, type SignRequest } from "./signing/signer.ts";
export type * from "./types.ts";
