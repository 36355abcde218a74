/**
 * What is found out about who sent a message, as unions of the result words of RFC 8601 §2.7, and what a check is given.
 *
 * Domains in these types are in lower case, as A-labels, without final dot, unless something else is said; `""` where
 * there is none. Texts come from strangers: whoever writes them into a header, a log or a reply encodes them.
 */

import type { Resolver } from "../dns/resolver.ts";
import type { Content } from "../message/content.ts";
import type { ParsedHeader } from "../message/mod.ts";

/** Results of SPF (RFC 7208 §2.6). */
export type SpfVerdict = "none" | "neutral" | "pass" | "fail" | "softfail" | "temperror" | "permerror";

/** Results of DKIM, for one signature (RFC 8601 §2.7.1). */
export type DkimVerdict = "none" | "pass" | "fail" | "policy" | "neutral" | "temperror" | "permerror";

/** Status of an ARC chain (RFC 8617 §4.4). */
export type ArcVerdict = "none" | "pass" | "fail";

/** Results of DMARC (RFC 7489 §11.2). */
export type DmarcVerdict = "none" | "pass" | "fail" | "temperror" | "permerror";

/** Results of the reverse lookup (RFC 8601 §2.7.3). */
export type IprevVerdict = "pass" | "fail" | "temperror" | "permerror";

/** What DMARC asks to be done with a message that fails (RFC 7489 §6.3). */
export type DmarcPolicy = "none" | "quarantine" | "reject";

/** Whether the names of two identifiers must be equal or only belong together (RFC 7489 §3.1). */
export type Alignment = "relaxed" | "strict";

/** What a domain wants to hear about SPF results (RFC 6652 §3). */
export interface SpfReports {
  /** Where reports go. */
  readonly address: string;
  /** In how many of a hundred cases, 0 to 100. */
  readonly percent: number;
  /** The results: `all`, or of `e` errors, `f` fail, `s` softfail, `n` neutral and none. */
  readonly wanted: readonly ("all" | "e" | "f" | "s" | "n")[];
}

/** An SPF record as published. */
export interface SpfRecordText {
  readonly domain: string;
  readonly text: string;
}

/** SPF of one identity. */
export interface SpfResult {
  readonly method: "spf";
  readonly result: SpfVerdict;
  /** `helo` for the EHLO name, `mailfrom` for the return path (RFC 7208 §2.3 and §2.4). */
  readonly identity: "helo" | "mailfrom";
  /** The domain whose record was asked for. */
  readonly domain: string;
  /** The address that was checked; `postmaster@` and the EHLO name where there is no other (RFC 7208 §2.4). */
  readonly sender: string;
  /** The directive that decided, as written, such as `-all`; absent if none did. */
  readonly mechanism?: string;
  /** What the domain has to say about a `fail` (RFC 7208 §6.2). Printable ASCII. */
  readonly explanation?: string;
  /** Whom the domain wants told of results; absent if nobody. */
  readonly reports?: SpfReports;
  /** The records that were read for it, in that order, up to 4096 characters; absent if there are none. */
  readonly records?: readonly SpfRecordText[];
  /** What is wrong with the record or the lookup, for an administrator. */
  readonly reason?: string;
}

/**
 * What is wrong with a signature, as reports tell failures apart (RFC 6591 §3.3, RFC 6651 §5.1): its key cannot be had or
 * was revoked; it is refused for what it is; it or its key cannot be read; the body or the signed fields are others;
 * it has expired; something else.
 */
export type DkimFault = "dns" | "revoked" | "policy" | "syntax" | "body" | "signature" | "expired" | "other";

/** DKIM of one signature. `none` stands alone, for a message without signatures. */
export interface DkimResult {
  readonly method: "dkim";
  readonly result: DkimVerdict;
  /** `d=`, `s=` and `a=`; `""` where the signature cannot be read. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: string;
  /** `i=` as written, or its default `@` and the domain. */
  readonly auid: string;
  /** `b=` without white space. */
  readonly signature: string;
  /** The key says that the domain is only trying DKIM out (`t=y`, RFC 6376 §3.6.1). */
  readonly testing: boolean;
  /** The signer asks for reports of failures (`r=y`, RFC 6651 §3.1). */
  readonly reportRequested: boolean;
  /** Absent for `pass` and `none`. */
  readonly fault?: DkimFault;
  readonly reason?: string;
}

/** The chain of ARC sets of a message. */
export interface ArcResult {
  readonly method: "arc";
  readonly result: ArcVerdict;
  /** Number of the last set, 0 without any. */
  readonly instance: number;
  /** `d=` and `s=` of the last seal. */
  readonly domain: string;
  readonly selector: string;
  /** Lowest instance whose message signature still verifies (RFC 8617 §5.2, step 6); 0 if it is the first or unknown. */
  readonly oldestPass: number;
  /** The chain failed only because DNS did not answer. RFC 8617 §5.2.1 has it fail; a refusal can still be for now. */
  readonly temporary: boolean;
  readonly reason?: string;
}

/** How the record was found: by the public suffix list (RFC 7489 §3.2) or by walking up the tree (RFC 9989 §4.10). */
export type PolicyDiscovery = "psl" | "treewalk";

/** A DMARC record (RFC 7489 §6.3), with defaults filled in. */
export interface DmarcRecord {
  /** The domain it was found under, without `_dmarc.`. */
  readonly domain: string;
  readonly policy: DmarcPolicy;
  /** `sp=` and `np=`, filled in from `policy`, and from `sp=`. */
  readonly subdomainPolicy: DmarcPolicy;
  readonly nonexistentPolicy: DmarcPolicy;
  readonly dkimAlignment: Alignment;
  readonly spfAlignment: Alignment;
  /** 0 to 100. */
  readonly percent: number;
  /** `t=y`: apply a policy one step milder. */
  readonly testing: boolean;
  /** `fo=`, of `0`, `1`, `d`, `s`. */
  readonly failureOptions: readonly string[];
  /** `ri=` in seconds. */
  readonly reportInterval: number;
  /** URIs of `rua=` and `ruf=`, as written. */
  readonly aggregateReports: readonly string[];
  readonly failureReports: readonly string[];
  /** The record as published. */
  readonly text: string;
}

/** DMARC of one message. */
export interface DmarcResult {
  readonly method: "dmarc";
  readonly result: DmarcVerdict;
  /** Domain of the From field; `""` if there is no usable one. */
  readonly fromDomain: string;
  /** The record that applies; absent if there is none, or none that can be read. */
  readonly record?: DmarcRecord;
  /** Present with `record`. */
  readonly discovery?: PolicyDiscovery;
  /** What the record asks for this domain: `p=`, `sp=` or `np=`; `none` without a record. */
  readonly policy: DmarcPolicy;
  /** What is left of it for this message after `pct=` and `t=`; `none` unless the result is `fail`. */
  readonly disposition: DmarcPolicy;
  /** Why `disposition` differs from `policy` (RFC 7489 appendix C). */
  readonly override?: "forwarded" | "sampled_out" | "trusted_forwarder" | "mailing_list" | "local_policy" | "other";
  /** Whether SPF, DKIM passed for an identifier in alignment. */
  readonly spfAligned: boolean;
  readonly dkimAligned: boolean;
  /**
   * Present if nobody can be sure of the author: there is no From field, or there are several, or more domains in it than
   * were looked at, or addresses that cannot be read. Such messages are refused where policies are (RFC 7489 §6.6.1).
   */
  readonly improperFrom?: true;
  readonly reason?: string;
}

/** Whether the client's address and its name agree. */
export interface IprevResult {
  readonly method: "iprev";
  readonly result: IprevVerdict;
  readonly ip: string;
  /** The name that led back to the address; for other results the first name found, `""` without any. */
  readonly name: string;
  readonly reason?: string;
}

/** Any result; `method` is its name in Authentication-Results. */
export type AuthResult = SpfResult | DkimResult | ArcResult | DmarcResult | IprevResult;

/** Everything known about one message. What was not checked is absent. */
export interface AuthResults {
  readonly iprev?: IprevResult;
  readonly spfEhlo?: SpfResult;
  readonly spfMailFrom?: SpfResult;
  /** One entry for each signature that was looked at, in the order of the header, or the one entry `none`. */
  readonly dkim?: readonly DkimResult[];
  readonly arc?: ArcResult;
  readonly dmarc?: DmarcResult;
}

/** What DMARC came to for a message, with what became of it, for reports to the owner of the domain. */
export interface DmarcObservation {
  /** The client's address. */
  readonly ip: string;
  /** Return path, `""` for the null sender. */
  readonly sender: string;
  readonly results: AuthResults & { readonly dmarc: DmarcResult };
  /** Whether the policy was applied: the message was refused because of it. */
  readonly refused: boolean;
}

/** Takes observations. Must be quick and must not throw. */
export interface DmarcObserver {
  observe(observation: DmarcObservation): void;
}

/** The lookups that checks make. */
export type CheckResolver = Pick<Resolver, "a" | "aaaa" | "mx" | "txt" | "ptr">;

/** What every check may use. Checks never reject because of what is in a message or in DNS. */
export interface CheckContext {
  readonly resolver: CheckResolver;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** A message as it arrived. */
export interface ReceivedMessage {
  readonly content: Content;
  /** `parseHeader(content.head)`. */
  readonly header: ParsedHeader;
}

/** What to verify: signatures of either kind share one pass over the body. */
export interface SignatureChecks {
  readonly dkim: boolean;
  readonly arc: boolean;
  /** `auth.dkim.strict`: signatures that prove little get `policy`. */
  readonly strict: boolean;
}

/** Verifies DKIM signatures (RFC 6376 §6) and the ARC chain (RFC 8617 §5.2). */
export type VerifySignatures = (
  message: ReceivedMessage,
  checks: SignatureChecks,
  context: CheckContext,
) => Promise<Pick<AuthResults, "dkim" | "arc">>;

/** Finds the policy of the From domain and holds the results against it (RFC 7489 §6.6). */
export type EvaluateDmarc = (
  header: ParsedHeader,
  results: Pick<AuthResults, "spfMailFrom" | "spfEhlo" | "dkim">,
  context: CheckContext,
) => Promise<DmarcResult>;
