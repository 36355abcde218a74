/** What DMARC reports tell of messages that are alike, and how the ledger keeps it. */

import type { DkimResult, DkimVerdict, DmarcObservation, DmarcResult, SpfVerdict } from "../../authentication/types.ts";
import { addressDomain, domainToAscii } from "../../smtp/mod.ts";

/** What became of messages (RFC 9990): `pass` where DMARC passed under a policy that asks for more than reports. */
export type RowDisposition = "none" | "pass" | "quarantine" | "reject";

/** Why that is not what the policy asks for. */
export type OverrideReason = "sampled_out" | "policy_test_mode" | "local_policy";

/** Messages that are alike in all that a report says of them. */
export interface DmarcRow {
  readonly ip: string;
  readonly disposition: RowDisposition;
  readonly dkimAligned: boolean;
  readonly spfAligned: boolean;
  readonly reasons: readonly OverrideReason[];
  readonly headerFrom: string;
  /** `""` for the null sender. */
  readonly envelopeFrom: string;
  /** Domain, selector and result of each signature. */
  readonly dkim: readonly (readonly [domain: string, selector: string, result: DkimVerdict])[];
  /** Domain and result; absent if SPF was not checked. */
  readonly spf: readonly [domain: string, result: SpfVerdict] | undefined;
}

/** Signatures that are told of; more say nothing new about where a message comes from. */
const MOST_SIGNATURES = 10;
/** Selectors are names in DNS. */
const LONGEST_SELECTOR = 253;

/** The row that a message counts for. */
export function rowOf({ ip, sender, results, refused }: DmarcObservation): DmarcRow {
  const { dmarc, dkim = [], spfMailFrom } = results;
  const { disposition, reasons } = outcomeOf(dmarc, refused);
  const spfDomain = spfMailFrom?.domain ?? "";
  return {
    ip,
    disposition,
    dkimAligned: dmarc.dkimAligned,
    spfAligned: dmarc.spfAligned,
    reasons,
    headerFrom: dmarc.fromDomain,
    envelopeFrom: sender === "" ? "" : spfDomain === "" ? senderDomain(sender) : spfDomain,
    dkim: signaturesOf(dkim, dmarc.fromDomain),
    spf: spfMailFrom === undefined ? undefined : [spfDomain, spfMailFrom.result],
  };
}

function senderDomain(sender: string): string {
  const domain = addressDomain(sender);
  return (domainToAscii(domain) ?? domain).toLowerCase();
}

function outcomeOf(
  { result, policy, disposition: asked, override, record }: DmarcResult,
  refused: boolean,
): Pick<DmarcRow, "disposition" | "reasons"> {
  if (result === "pass") return { disposition: policy === "none" ? "none" : "pass", reasons: [] };
  const applied = refused && asked === "reject" ? "reject" : "none";
  const reasons: OverrideReason[] = [];
  if (result === "fail") {
    if (override === "sampled_out") reasons.push("sampled_out");
    else if (override !== undefined && record?.testing === true) reasons.push("policy_test_mode");
    if (applied !== asked) reasons.push("local_policy");
  }
  return { disposition: applied, reasons };
}

/** RFC 9990 §3.1.3: what passed and is closest to the author comes first. */
function signaturesOf(results: readonly DkimResult[], author: string): DmarcRow["dkim"] {
  const signatures = results.filter(({ result, domain }) => result !== "none" && domain !== "");
  const rank = ({ result, domain }: DkimResult) =>
    result !== "pass" ? 3 : domain === author ? 0 : isRelated(domain, author) ? 1 : 2;
  return (signatures.length > 1 ? signatures.toSorted((a, b) => rank(a) - rank(b)) : signatures)
    .slice(0, MOST_SIGNATURES)
    .map(({ domain, selector, result }) => [domain, selector.slice(0, LONGEST_SELECTOR), result]);
}

function isRelated(domain: string, author: string): boolean {
  return domain.endsWith(`.${author}`) || author.endsWith(`.${domain}`);
}

/** The row as the ledger keeps it. Rows of one address stand together. */
export function encodeRow(row: DmarcRow): string {
  const aligned = (row.dkimAligned ? "d" : "") + (row.spfAligned ? "s" : "");
  return JSON.stringify([
    row.ip,
    row.headerFrom,
    row.disposition,
    aligned,
    row.envelopeFrom,
    row.reasons,
    row.dkim,
    row.spf ?? null,
  ]);
}

/** A row of the ledger. */
export function decodeRow(text: string): DmarcRow {
  const [ip, headerFrom, disposition, aligned, envelopeFrom, reasons, dkim, spf] = JSON.parse(text);
  return {
    ip,
    disposition,
    dkimAligned: aligned.includes("d"),
    spfAligned: aligned.includes("s"),
    reasons,
    headerFrom,
    envelopeFrom,
    dkim,
    spf: spf ?? undefined,
  };
}
