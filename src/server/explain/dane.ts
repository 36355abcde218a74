/** What DANE asks of a host, as its TLSA records are now. */

import { systemClock } from "../../clock/mod.ts";
import type { RouteConfig, TlsPolicyConfig } from "../../config/config.ts";
import type { Resolver } from "../../dns/mod.ts";
import { createDanePolicy, type Host, type HostAddresses } from "../../outbound/mod.ts";

/** A host with a name, and how it was found. */
export interface FoundName {
  readonly host: Host;
  readonly addresses: HostAddresses;
  readonly route: Extract<RouteConfig, { type: "mx" | "relay" }>;
  /** Domain of the recipient. */
  readonly domain: string;
}

/** In a sentence; `undefined` if DANE is switched off, or DNS not asked. */
export async function explainDane(
  found: FoundName | undefined,
  config: TlsPolicyConfig | undefined,
  resolver: Resolver | undefined,
): Promise<string | undefined> {
  if (found === undefined || config === undefined || resolver === undefined || config.dane === "disable") {
    return undefined;
  }
  const { host, addresses, route, domain } = found;
  const policy = createDanePolicy({ resolver, clock: systemClock, emit: () => {} });
  const decision = await policy.decide({
    domain,
    host: host.name,
    port: route.type === "relay" ? route.port : 25,
    found: route.type,
    domainAlias: host.domainAlias,
    hostAlias: addresses.alias,
    hostSecurity: host.security,
    addressSecurity: addresses.security,
    config,
    implicit: route.type === "relay" && route.tls.implicit,
    allowInvalidCerts: config.allowInvalidCerts,
    requiretls: false,
  });
  if (decision?.kind === "refuse") return `nothing is delivered: ${decision.failure.detail.text}`;
  if (decision?.kind === "tls") return decision.because;
  const signed = (security: string) => security === "secure" ? "signed" : "not signed";
  const record = route.type === "mx" ? `MX ${signed(host.security)}, ` : "";
  return `does not hold: there are no signed TLSA records (${record}addresses ${signed(addresses.security)})`;
}
