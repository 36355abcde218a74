/** Where reports may go: URIs of DNS records (RFC 7489 §6.2, RFC 8460 §3) and the consent of who is named in them. */

import { loadPublicSuffixes, readReportConsent } from "../authentication/mod.ts";
import { DnsError, type Resolver } from "../dns/mod.ts";
import { addressDomain, asAddress, domainToAscii } from "../smtp/mod.ts";

/** A place that reports can be brought to. */
export type ReportDestination =
  | {
    readonly kind: "mailto";
    /** As written. */
    readonly uri: string;
    readonly address: string;
    /** Lower case, A-labels. */
    readonly domain: string;
    /** Octets of the largest report that is wanted, as it is sent; undefined if nothing is said. */
    readonly limit: number | undefined;
  }
  | { readonly kind: "https"; readonly uri: string; readonly url: URL; readonly domain: string };

/** RFC 7489 §6.4: powers of two. */
const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Reads one URI, with its size limit. Undefined for one that is malformed or of another scheme. */
export function readDestination(text: string): ReportDestination | undefined {
  const [, uri = "", digits, unit = ""] = /^([^!]*)(?:!(\d{1,20})([kmgt]?))?$/i.exec(text) ?? [];
  if (/^mailto:/i.test(uri)) {
    const address = mailAddress(uri.slice("mailto:".length));
    const domain = address === undefined ? undefined : domainToAscii(addressDomain(address));
    if (address === undefined || domain === undefined) return undefined;
    const limit = digits === undefined ? undefined : Number(digits) * (UNITS[unit.toLowerCase()] ?? 1);
    return { kind: "mailto", uri: text, address, domain: domain.toLowerCase(), limit };
  }
  if (!/^https:/i.test(uri) || !URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  return url.username === "" && url.password === ""
    ? { kind: "https", uri: text, url, domain: url.hostname.toLowerCase() }
    : undefined;
}

/** The one address in a mailto URI (RFC 6068 §2); its header fields are left out. */
function mailAddress(rest: string): string | undefined {
  try {
    return asAddress(decodeURIComponent(rest.replace(/\?.*$/, "")));
  } catch {
    return undefined;
  }
}

/** What {@link findDestinations} found out. */
export interface FoundDestinations {
  /** To be used, each once. */
  readonly destinations: readonly ReportDestination[];
  /** URIs of those who have not agreed to get reports for the domain. */
  readonly unauthorized: readonly string[];
  /** URIs about which DNS could not say for now. */
  readonly unknown: readonly string[];
}

/**
 * Reads the URIs of a DMARC record and asks those outside the organization of `domain` whether they want reports for it
 * (RFC 7489 §7.1). What they want instead is read from their answer.
 *
 * @param domain where the record was found
 */
export async function findDestinations(
  uris: readonly string[],
  { domain, tag, resolver }: {
    readonly domain: string;
    readonly tag: "rua" | "ruf";
    readonly resolver: Pick<Resolver, "txt">;
  },
): Promise<FoundDestinations> {
  const organizationOf = await loadPublicSuffixes();
  const own = organizationOf(domain);
  const found = new Map<string, ReportDestination>();
  const unauthorized: string[] = [];
  const unknown: string[] = [];
  const asked = new Map<string, Consent>();
  const add = (destination: ReportDestination) => {
    const key = destination.kind === "mailto" ? destination.address : destination.url.href;
    if (!found.has(key)) found.set(key, destination);
  };
  for (const destination of uris.flatMap((uri) => readDestination(uri) ?? [])) {
    if (organizationOf(destination.domain) === own) {
      add(destination);
      continue;
    }
    const host = destination.domain;
    let consent = asked.get(host);
    if (consent === undefined) asked.set(host, consent = await consentOf(host, domain, tag, resolver));
    if (consent.kind === "no") unauthorized.push(destination.uri);
    else if (consent.kind === "unknown") unknown.push(destination.uri);
    else if (consent.instead === undefined) add(destination);
    else consent.instead.forEach(add);
  }
  return { destinations: [...found.values()], unauthorized, unknown };
}

type Consent =
  | { readonly kind: "yes"; readonly instead: readonly ReportDestination[] | undefined }
  | { readonly kind: "no" }
  | { readonly kind: "unknown" };

const LONGEST_NAME = 253;

async function consentOf(
  host: string,
  domain: string,
  tag: "rua" | "ruf",
  resolver: Pick<Resolver, "txt">,
): Promise<Consent> {
  const name = `${domain}._report._dmarc.${host}`;
  if (name.length > LONGEST_NAME) return { kind: "no" };
  try {
    const consents = (await resolver.txt(name)).records.flatMap((text) => {
      const consent = readReportConsent(text, tag);
      return consent === undefined ? [] : [consent];
    });
    if (consents.length === 0) return { kind: "no" };
    const instead = consents.flat().map(readDestination);
    // RFC 7489 §7.1: whoever names a place elsewhere gets nothing, and neither does that place.
    if (instead.some((place) => place !== undefined && place.domain !== host)) return { kind: "no" };
    const usable = instead.filter((place) => place !== undefined);
    return { kind: "yes", instead: instead.length === 0 ? undefined : usable };
  } catch (error) {
    if (error instanceof DnsError) return { kind: "unknown" };
    throw error;
  }
}
