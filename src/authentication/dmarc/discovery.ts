/** Finding the policy that holds for a domain (RFC 7489 §6.6.3; RFC 9989 §4.10 where a record asks for that). */

import { DnsError } from "../../dns/mod.ts";
import type { CheckResolver, PolicyDiscovery } from "../types.ts";
import { isWithin, loadPublicSuffixes } from "./organizational_domain.ts";
import { isDmarcRecord, type PolicyRecord, readDmarcRecord } from "./record.ts";

/** What there is at one name. */
export type PolicyLookup =
  | { readonly kind: "record"; readonly found: PolicyRecord }
  | { readonly kind: "none" }
  | { readonly kind: "unusable" | "temporary"; readonly reason: string };

/** The policy for a domain, and who belongs to its organization. */
export type Policy =
  | {
    readonly kind: "policy";
    readonly found: PolicyRecord;
    /** By which list or walk organizations were told apart. */
    readonly discovery: PolicyDiscovery;
    /** Whether a name is of the same organization. May ask DNS, and reject with {@link DnsError}. */
    isSameOrganization(domain: string): boolean | Promise<boolean>;
  }
  | { readonly kind: "none" }
  | { readonly kind: "unusable" | "temporary"; readonly reason: string };

/** Asks for the records at names, once for each. */
export type LookUpPolicy = (domain: string) => Promise<PolicyLookup>;

/** RFC 9989 §4.10: a walk asks for the name itself and for at most seven above. */
const LONGEST_WALK = 8;

/** Makes the lookups of one message. They never reject because of DNS. */
export function policyLookups(resolver: CheckResolver): LookUpPolicy {
  const asked = new Map<string, Promise<PolicyLookup>>();
  return (domain) => {
    const known = asked.get(domain);
    if (known !== undefined) return known;
    const lookup = lookUp(resolver, domain);
    asked.set(domain, lookup);
    return lookup;
  };
}

async function lookUp(resolver: CheckResolver, domain: string): Promise<PolicyLookup> {
  const name = `_dmarc.${domain}`;
  if (name.length > 253) return { kind: "none" };
  try {
    const records = (await resolver.txt(name)).records.filter(isDmarcRecord);
    if (records.length > 1) return { kind: "unusable", reason: `${domain} publishes ${records.length} DMARC records` };
    const [text] = records;
    if (text === undefined) return { kind: "none" };
    const found = readDmarcRecord(domain, text);
    return typeof found === "string" ? { kind: "unusable", reason: found } : { kind: "record", found };
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    return { kind: "temporary", reason: `the policy of ${domain} could not be looked up: ${error.reason}` };
  }
}

/**
 * The policy that holds for mail from `domain`: its own, else that of its organization. Organizations are those of the
 * public suffix list, unless a record uses tags of RFC 9989: then they are found by walking up the tree.
 */
export async function findPolicy(domain: string, lookUpPolicy: LookUpPolicy): Promise<Policy> {
  const suffixes = loadPublicSuffixes();
  const organizationalDomain = suffixes instanceof Promise ? await suffixes : suffixes;
  const own = await lookUpPolicy(domain);
  let found = own;
  if (found.kind === "none") {
    const organization = organizationalDomain(domain);
    if (organization !== domain) found = await lookUpPolicy(organization);
  }
  if (found.kind === "unusable" || found.kind === "temporary") return found;
  if (found.kind === "record" && !found.found.walks) {
    return {
      kind: "policy",
      found: found.found,
      discovery: "psl",
      isSameOrganization: (other) => organizationalDomain(other) === organizationalDomain(domain),
    };
  }
  const walk = await walkUp(domain, lookUpPolicy);
  if ("kind" in walk) {
    if (own.kind !== "record") return walk;
    // RFC 9989 §4.10.1: nothing above takes the place of a domain's own record. Only who else belongs to the organization
    // is not known for now.
    const { reason } = walk;
    return {
      kind: "policy",
      found: own.found,
      discovery: "treewalk",
      isSameOrganization: () => Promise.reject(new DnsError(reason, "servfail")),
    };
  }
  // Whoever publishes above does not ask for this way of looking: to others the record is not there.
  if (!walk.some(({ walks }) => walks)) return { kind: "none" };
  const root = organizationOf(domain, walk);
  const policy = walk.find(({ record }) => record.domain === domain) ??
    walk.find(({ record }) => record.domain === root) ?? walk.find(({ psd }) => psd === "y");
  if (policy === undefined) return { kind: "none" };
  return {
    kind: "policy",
    found: policy,
    discovery: "treewalk",
    isSameOrganization: async (other) => {
      if (other === root) return true;
      if (!isWithin(other, root)) return false;
      const names = await walkUp(other, lookUpPolicy);
      if ("kind" in names) throw new DnsError(names.reason, "servfail");
      return organizationOf(other, names) === root;
    },
  };
}

/**
 * The records from `domain` upwards (RFC 9989 §4.10), the longest name first, up to one that says where an
 * organization begins. Records that cannot be used count as absent.
 */
async function walkUp(
  domain: string,
  lookUpPolicy: LookUpPolicy,
): Promise<readonly PolicyRecord[] | Extract<PolicyLookup, { kind: "unusable" | "temporary" }>> {
  const labels = domain.split(".");
  const names = labels.map((_, index) => labels.slice(index).join("."));
  const asked = names.length > LONGEST_WALK ? [domain, ...names.slice(1 - LONGEST_WALK)] : names;
  const records: PolicyRecord[] = [];
  for (const name of asked) {
    const lookup = await lookUpPolicy(name);
    if (lookup.kind === "temporary") return lookup;
    if (lookup.kind !== "record") continue;
    records.push(lookup.found);
    if (lookup.found.psd !== "u") break;
  }
  return records;
}

/** The organizational domain of `domain`, given the records above it (RFC 9989 §4.10.2). */
function organizationOf(domain: string, records: readonly PolicyRecord[]): string {
  const top = records.at(-1);
  if (top === undefined) return domain;
  const name = top.record.domain;
  if (top.psd !== "y" || name === domain) return name;
  // One label below the public suffix.
  return domain.split(".").slice(-(name.split(".").length + 1)).join(".");
}
