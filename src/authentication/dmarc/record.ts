/** DMARC records (RFC 7489 §6.3, with the tags of RFC 9091 and RFC 9989). */

import { createMemory } from "../memory.ts";
import type { Alignment, DmarcPolicy, DmarcRecord } from "../types.ts";

/** A record, and what it says about where it stands in DNS. */
export interface PolicyRecord {
  readonly record: DmarcRecord;
  /** `psd=`: the domain is a public suffix (`y`), or nobody's subdomain (`n`); `u` is the same as nothing. */
  readonly psd: "y" | "n" | "u";
  /** The record uses tags that came with the tree walk: its owner means that to be used (RFC 9989 §4.10). */
  readonly walks: boolean;
}

const VERSION = /^v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/;
const POLICIES: readonly DmarcPolicy[] = ["none", "quarantine", "reject"];
const URI = /^[a-z][a-z0-9+.-]*:[!-~]+$/i;

/** Reports go to this many places at most. */
const MOST_URIS = 20;

/** Whether a TXT record is meant as a DMARC record (RFC 7489 §6.6.3, step 2): the version stands first. */
export function isDmarcRecord(text: string): boolean {
  return VERSION.test(text);
}

// Authors are few, and their records change seldom. Long records are not worth their memory.
const remembered = createMemory<PolicyRecord | string>(1000);
const LONGEST_REMEMBERED = 2048;

/**
 * Reads a record. What is wrong in it is taken for not written, except in `p=`, `sp=` and `np=`: then the record asks
 * for nothing but reports, and without an address for those it is no record (§6.6.3, step 6; RFC 9989 §4.10.1).
 *
 * @param domain where it was found, without `_dmarc.`
 * @returns a text that says why there is no record
 */
export function readDmarcRecord(domain: string, text: string): PolicyRecord | string {
  if (text.length > LONGEST_REMEMBERED) return read(domain, text);
  const key = `${domain} ${text}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const record = read(domain, text);
  remembered.set(key, record);
  return record;
}

function read(domain: string, text: string): PolicyRecord | string {
  const tags = readTags(text);
  const aggregateReports = uris(tags.get("rua"));
  let policy = policyOf(tags.get("p"));
  let subdomainPolicy = policyOf(tags.get("sp"));
  let nonexistentPolicy = policyOf(tags.get("np"));
  const wrong = policy === undefined
    ? "p"
    : ["sp", "np"].find((name) => tags.has(name) && policyOf(tags.get(name)) === undefined);
  if (policy === undefined || wrong !== undefined) {
    if (aggregateReports.length === 0) return `the record has no valid policy in ${wrong}=`;
    policy = subdomainPolicy = nonexistentPolicy = "none";
  }
  subdomainPolicy ??= policy;
  const psd = tags.get("psd")?.toLowerCase();
  return {
    record: {
      domain,
      policy,
      subdomainPolicy,
      nonexistentPolicy: nonexistentPolicy ?? subdomainPolicy,
      dkimAlignment: alignment(tags.get("adkim")),
      spfAlignment: alignment(tags.get("aspf")),
      percent: numberUpTo(tags.get("pct"), 100) ?? 100,
      testing: tags.get("t")?.toLowerCase() === "y",
      failureOptions: failureOptions(tags.get("fo")),
      reportInterval: numberUpTo(tags.get("ri"), 0xffff_ffff) ?? 86_400,
      aggregateReports,
      failureReports: uris(tags.get("ruf")),
      text,
    },
    psd: psd === "y" || psd === "n" ? psd : "u",
    walks: tags.has("psd") || tags.has("np") || tags.has("t"),
  };
}

/**
 * What a receiver of reports says about those for another domain (RFC 7489 §7.1, steps 5 to 8).
 *
 * @returns the URIs that it wants to have instead, none if it is content with those of the other domain; undefined if
 * the record gives no leave
 */
export function readReportConsent(text: string, tag: "rua" | "ruf"): readonly string[] | undefined {
  return isDmarcRecord(text) ? uris(readTags(text).get(tag)) : undefined;
}

// More forgiving than DKIM's lists: a doubled semicolon must not cost a domain its protection.
function readTags(text: string): ReadonlyMap<string, string> {
  const tags = new Map<string, string>();
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    if (equals < 0) continue;
    const name = part.slice(0, equals).trim().toLowerCase();
    if (!tags.has(name)) tags.set(name, part.slice(equals + 1).trim());
  }
  return tags;
}

function policyOf(text: string | undefined): DmarcPolicy | undefined {
  const word = text?.toLowerCase();
  return POLICIES.find((policy) => policy === word);
}

function alignment(text: string | undefined): Alignment {
  return text?.toLowerCase() === "s" ? "strict" : "relaxed";
}

function numberUpTo(text: string | undefined, most: number): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const number = Number(text);
  return number <= most ? number : undefined;
}

function failureOptions(text: string | undefined): readonly string[] {
  const options = (text ?? "").toLowerCase().split(":").map((option) => option.trim());
  const known = options.filter((option, index) => /^[01ds]$/.test(option) && options.indexOf(option) === index);
  return known.length === 0 ? ["0"] : known;
}

function uris(text: string | undefined): readonly string[] {
  const found = (text ?? "").split(",", MOST_URIS + 1).map((uri) => uri.trim());
  return found.filter((uri) => URI.test(uri)).slice(0, MOST_URIS);
}
