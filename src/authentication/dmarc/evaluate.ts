/** DMARC of one message (RFC 7489 §6.6). */

import { DnsError } from "../../dns/mod.ts";
import { fieldsNamed } from "../../message/mod.ts";
import type {
  Alignment,
  AuthResults,
  CheckContext,
  CheckResolver,
  DmarcPolicy,
  DmarcResult,
  EvaluateDmarc,
} from "../types.ts";
import { authorDomains, type Authors } from "./author.ts";
import { findPolicy, type LookUpPolicy, type Policy, policyLookups } from "./discovery.ts";

type Results = Pick<AuthResults, "spfMailFrom" | "dkim">;

/**
 * Finds the policy of the author's domain and holds the results of SPF and DKIM against it.
 *
 * A message with several authors gets the worst of their results (RFC 7489 §6.6.1). One without a usable From field, or
 * with several of them, is no message that DMARC can vouch for: `permerror`, unless it fails for one of its authors.
 */
export const evaluateDmarc: EvaluateDmarc = async (header, results, context) => {
  const fields = fieldsNamed(header, "from");
  const authors = authorDomains(fields.map((field) => field.value()));
  const [only, ...others] = authors.domains;
  if (only === undefined) {
    const doubt = fields.length === 0 ? "there is no From field" : doubtOf(fields.length, authors);
    if (doubt !== undefined) return { ...withoutAuthor(doubt), improperFrom: true };
    // RFC 7489 §6.6.1: such as a group without members, which is a From field for all that.
    return withoutAuthor("the From field names no domain");
  }
  const lookUpPolicy = policyLookups(context.resolver);
  let worst = await evaluateDomain(only, results, context, lookUpPolicy);
  for (const domain of others) {
    const other = await evaluateDomain(domain, results, context, lookUpPolicy);
    if (severity(other) > severity(worst)) worst = other;
  }
  const doubt = doubtOf(fields.length, authors);
  if (doubt === undefined) return worst;
  if (worst.result === "fail") return { ...worst, improperFrom: true };
  return { ...worst, result: "permerror", disposition: "none", improperFrom: true, reason: doubt };
};

/** Why the authors that were found may not be those that a reader is shown. */
function doubtOf(fields: number, { dubious }: Authors): string | undefined {
  if (fields > 1) return "there are several From fields";
  return dubious ? "not all authors in the From field can be read" : undefined;
}

function withoutAuthor(reason: string): DmarcResult {
  return {
    method: "dmarc",
    result: "permerror",
    fromDomain: "",
    policy: "none",
    disposition: "none",
    spfAligned: false,
    dkimAligned: false,
    reason,
  };
}

const SEVERITY = { pass: 0, none: 1, permerror: 2, temperror: 3, fail: 4 };
const STRICTNESS: Readonly<Record<DmarcPolicy, number>> = { none: 0, quarantine: 1, reject: 2 };

function severity({ result, disposition, policy }: DmarcResult): number {
  return SEVERITY[result] * 100 + STRICTNESS[disposition] * 10 + STRICTNESS[policy];
}

async function evaluateDomain(
  domain: string,
  results: Results,
  context: CheckContext,
  lookUpPolicy: LookUpPolicy,
): Promise<DmarcResult> {
  const policy = await findPolicy(domain, lookUpPolicy);
  const base = { ...withoutAuthor(""), fromDomain: domain };
  if (policy.kind === "none") return { ...base, result: "none", reason: "there is no DMARC record" };
  if (policy.kind !== "policy") {
    return { ...base, result: policy.kind === "temporary" ? "temperror" : "permerror", reason: policy.reason };
  }
  const { record } = policy.found;
  const spf = await spfAlignment(domain, results, policy);
  const dkim = await dkimAlignment(domain, results, policy);
  const judged = {
    method: "dmarc",
    fromDomain: domain,
    record,
    discovery: policy.discovery,
    policy: await policyFor(domain, policy, context.resolver),
    disposition: "none",
    spfAligned: spf === "pass",
    dkimAligned: dkim === "pass",
  } as const;
  if (spf === "pass" || dkim === "pass") return { ...judged, result: "pass" };
  if (spf === "temporary" || dkim === "temporary") {
    return { ...judged, result: "temperror", reason: "an identifier in alignment could not be checked for now" };
  }
  const reason = "neither SPF nor DKIM passed for an identifier in alignment";
  return { ...judged, result: "fail", reason, ...applied(judged.policy, policy, context) };
}

type Found = Extract<Policy, { kind: "policy" }>;
type Aligned = "pass" | "temporary" | "no";

async function spfAlignment(domain: string, { spfMailFrom: spf }: Results, policy: Found): Promise<Aligned> {
  if (spf?.result !== "pass" && spf?.result !== "temperror") return "no";
  const aligned = await isAligned(spf.domain, domain, policy.found.record.spfAlignment, policy);
  return aligned === "no" || spf.result === "pass" ? aligned : "temporary";
}

async function dkimAlignment(domain: string, { dkim = [] }: Results, policy: Found): Promise<Aligned> {
  let best: Aligned = "no";
  for (const { result, domain: signer } of dkim) {
    if (result !== "pass" && (result !== "temperror" || best === "temporary")) continue;
    const aligned = await isAligned(signer, domain, policy.found.record.dkimAlignment, policy);
    if (aligned === "pass" && result === "pass") return "pass";
    if (aligned !== "no") best = "temporary";
  }
  return best;
}

// RFC 7489 §3.1.
async function isAligned(name: string, author: string, alignment: Alignment, policy: Found): Promise<Aligned> {
  if (name === author) return "pass";
  if (alignment === "strict" || name === "") return "no";
  try {
    return await policy.isSameOrganization(name) ? "pass" : "no";
  } catch (error) {
    if (error instanceof DnsError) return "temporary";
    throw error;
  }
}

/** Which of `p=`, `sp=` and `np=` is meant for a domain. */
async function policyFor(domain: string, { found: { record } }: Found, resolver: CheckResolver): Promise<DmarcPolicy> {
  if (domain === record.domain) return record.policy;
  if (record.nonexistentPolicy === record.subdomainPolicy) return record.subdomainPolicy;
  try {
    // RFC 8020: a name that does not exist has no records of any type, and no names under it.
    return (await resolver.a(domain)).exists ? record.subdomainPolicy : record.nonexistentPolicy;
  } catch (error) {
    if (error instanceof DnsError) return record.subdomainPolicy;
    throw error;
  }
}

const MILDER: Readonly<Record<DmarcPolicy, DmarcPolicy>> = { none: "none", quarantine: "none", reject: "quarantine" };

/** What is left of a policy in a test (RFC 9989 §4.7) or for a part of the mail (RFC 7489 §6.6.4). */
function applied(
  policy: DmarcPolicy,
  { found: { record } }: Found,
  { random }: CheckContext,
): Pick<DmarcResult, "disposition" | "override"> {
  if (policy === "none") return { disposition: policy };
  if (record.testing) return { disposition: MILDER[policy], override: "other" };
  if (record.percent < 100 && random() * 100 >= record.percent) {
    return { disposition: MILDER[policy], override: "sampled_out" };
  }
  return { disposition: policy };
}
