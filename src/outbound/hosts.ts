/** Where the mail of a domain goes: its mail hosts in the order to try them, and their addresses. */

import type { IpLookup, RouteConfig } from "../config/config.ts";
import { type Answer, DnsError, type MxRecord, type Resolver, type Security } from "../dns/mod.ts";
import { canonicalIp } from "../net/mod.ts";
import { domainToAscii, parseAddressLiteral } from "../smtp/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { type Failure, failure } from "./verdict.ts";

/** A host to try. */
export interface Host {
  /** Name, or the address where there is no name. */
  readonly name: string;
  /** Set when there is nothing to look up. */
  readonly ip?: string;
  /** DNSSEC state of the answer that named it. */
  readonly security: Security;
  /** Name of the domain behind CNAMEs, if it is an alias. */
  readonly domainAlias?: string;
}

/** What hosts are found with. */
export interface HostLookup {
  readonly resolver: Resolver;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly emit: Emit;
  /** Whether a name is one of this server's own. */
  readonly isOwnName: (name: string) => boolean;
}

/** Hosts of a domain that are kept at least; those without an address do not count as tried. */
const MOST_HOSTS = 32;

/**
 * The hosts for mail to `domain` (RFC 5321 §5.1), the larger of `limit` and 32: by preference, shuffled within one.
 * A domain without MX records is its own mail host. Our own name in the list ends it there: mail never goes to hosts
 * that are no nearer to its destination than we are.
 */
export async function mailHosts(domain: string, limit: number, lookup: HostLookup): Promise<readonly Host[] | Failure> {
  const { emit } = lookup;
  const ip = parseAddressLiteral(domain);
  if (ip !== undefined) return [{ name: ip, ip, security: "insecure" }];
  let answer: Answer<MxRecord>;
  try {
    answer = await lookup.resolver.mx(domain);
  } catch (error) {
    const failed = lookupFailure(error, `mail hosts of ${domain}`, "");
    emit("delivery.mx-lookup-failed", { domain, details: failed.detail.text });
    return failed;
  }
  const { records, exists, security } = answer;
  const alias = answer.name === domain.toLowerCase() ? {} : { domainAlias: answer.name };
  if (!exists) {
    emit("delivery.mx-lookup-failed", { domain, details: "no such domain" });
    // RFC 3463 X.1.2: bad destination system address.
    return failure("failed", "dns", "5.1.2", `the domain ${domain} does not exist`);
  }
  // RFC 7505 §3: the null MX stands alone; beside others it means nothing.
  const named = records.filter(({ exchange }) => exchange !== "");
  if (records.length > 0 && named.length === 0) {
    emit("delivery.null-mx", { domain });
    return failure("failed", "dns", "5.1.10", `the domain ${domain} takes no mail (null MX)`, { status: 556 });
  }
  if (named.length === 0) {
    return lookup.isOwnName(domain) ? loop(domain, emit) : [{ name: domain, security, ...alias }];
  }
  const own = named.find(({ exchange }) => lookup.isOwnName(exchange));
  const nearer = own === undefined ? named : named.filter(({ preference }) => preference < own.preference);
  if (nearer.length === 0) return loop(domain, emit);
  const hosts: Host[] = [];
  for (const { exchange } of shuffleEqual(nearer, lookup.random)) {
    // Some publish an address where a name belongs; it is used all the same.
    const address = canonicalIp(exchange);
    const named = { name: exchange, security, ...alias };
    hosts.push(address === undefined ? named : { ...named, ip: address });
    if (hosts.length >= Math.max(limit, MOST_HOSTS)) break;
  }
  emit("delivery.mx-lookup", { domain, hosts: hosts.map(({ name }) => name) });
  return hosts;
}

// RFC 3463 X.4.6: routing loop detected.
function loop(domain: string, emit: Emit): Failure {
  emit("delivery.loop-detected", { domain });
  return failure("failed", "dns", "5.4.6", `mail for ${domain} loops back to this server: it is the best mail host`);
}

/** The records by preference; those of one preference in random order, to spread the load (RFC 5321 §5.1). */
function shuffleEqual(records: readonly MxRecord[], random: () => number): readonly MxRecord[] {
  if (records.length < 2) return records;
  const shuffled = [...records];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const swapped = shuffled[i] as MxRecord;
    shuffled[i] = shuffled[j] as MxRecord;
    shuffled[j] = swapped;
  }
  // The sort is stable: the order among equals stays random.
  return shuffled.sort((a, b) => a.preference - b.preference);
}

type RelayRoute = Extract<RouteConfig, { type: "relay" }>;

const hostsOfRelays = new WeakMap<RelayRoute, readonly Host[]>();

/** The one host of a relay; worked out once per configuration. */
export function relayHosts(route: RelayRoute): readonly Host[] {
  let hosts = hostsOfRelays.get(route);
  if (hosts === undefined) {
    const ip = canonicalIp(route.address);
    const name = ip ?? domainToAscii(route.address) ?? route.address.toLowerCase();
    hosts = [ip === undefined ? { name, security: "insecure" } : { name, ip, security: "insecure" }];
    hostsOfRelays.set(route, hosts);
  }
  return hosts;
}

/** Addresses of a host in the order to try them. */
export interface HostAddresses {
  readonly ips: readonly string[];
  readonly security: Security;
  /** Name behind CNAMEs, if the host is an alias. */
  readonly alias?: string;
}

/**
 * The addresses of a host, at most `limit`, by the order of families that `ipLookup` asks for. Where there are both
 * families the second has at least the last place, as a host that cannot be reached by one may be by the other. One
 * that cannot be looked up does not matter where the other gives an address.
 *
 * @param permanent what it means that there are none: `failed`, or `deferred` where the administrator named the host
 */
export async function hostAddresses(
  host: Host,
  ipLookup: IpLookup,
  limit: number,
  lookup: HostLookup,
  permanent: Failure["kind"],
): Promise<HostAddresses | Failure> {
  if (host.ip !== undefined) return { ips: [host.ip], security: host.security };
  const { resolver } = lookup;
  let ips: string[] = [];
  let security: Security = "insecure";
  let alias: string | undefined;
  let trouble: unknown;
  for (const family of FAMILIES[ipLookup]) {
    if (ips.length > 0 && limit < 2) break;
    try {
      const answer = await (family === "a" ? resolver.a(host.name) : resolver.aaaa(host.name));
      if (answer.name !== host.name && answer.records.length > 0) alias = answer.name;
      if (ips.length === 0) security = answer.security;
      else if (answer.security !== "secure" && answer.records.length > 0) security = answer.security;
      if (ips.length > 0 && answer.records.length > 0) ips = ips.slice(0, limit - 1);
      ips = [...ips, ...answer.records].slice(0, limit);
    } catch (error) {
      trouble ??= error;
    }
  }
  if (ips.length > 0) {
    lookup.emit("delivery.ip-lookup", { host: host.name, ips });
    return alias === undefined ? { ips, security } : { ips, security, alias };
  }
  const failed = trouble === undefined
    // RFC 3463 X.4.4: unable to route.
    ? failure(permanent, "dns", permanent === "failed" ? "5.4.4" : "4.4.4", `the host ${host.name} has no address`, {
      host: host.name,
      elsewhere: true,
    })
    : lookupFailure(trouble, `addresses of ${host.name}`, host.name);
  lookup.emit("delivery.ip-lookup-failed", { host: host.name, details: failed.detail.text });
  return failed;
}

const FAMILIES: Readonly<Record<IpLookup, readonly ("a" | "aaaa")[]>> = {
  ipv4_only: ["a"],
  ipv6_only: ["aaaa"],
  ipv4_then_ipv6: ["a", "aaaa"],
  ipv6_then_ipv4: ["aaaa", "a"],
};

function lookupFailure(error: unknown, what: string, host: string): Failure {
  if (!(error instanceof DnsError)) throw error;
  // RFC 3463 X.4.3: directory server failure.
  return failure("deferred", "dns", "4.4.3", `${what} could not be looked up: ${error.message}`, {
    host,
    elsewhere: true,
  });
}
