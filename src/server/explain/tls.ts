/** What the domain of a host asks of TLS: its TLSA records and its MTA-STS policy, as they are now. */

import { type Clock, systemClock } from "../../clock/mod.ts";
import type { RouteConfig, TlsPolicyConfig } from "../../config/config.ts";
import type { Resolver } from "../../dns/mod.ts";
import {
  allowsHost,
  createDanePolicy,
  createPolicyFetch,
  createStsCache,
  createStsPolicy,
  type FetchPolicy,
  type Host,
  type HostAddresses,
  policyDomain,
  type StsState,
  type TlsTarget,
} from "../../outbound/mod.ts";
import type { Store } from "../../store/mod.ts";

/** A host with a name, and how it was found. */
export interface FoundName {
  readonly host: Host;
  readonly addresses: HostAddresses;
  readonly route: Extract<RouteConfig, { type: "mx" | "relay" }>;
  /** Domain of the recipient. */
  readonly domain: string;
}

/** What is asked. */
export interface TlsWorld {
  readonly resolver: Resolver;
  /** Where policies are kept; nothing is written there. */
  readonly store: Store | undefined;
  /** By HTTPS if not given. */
  readonly fetchPolicy?: FetchPolicy | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** What policies come to, each in a sentence; `undefined` where one is switched off. */
export interface TlsWishes {
  readonly dane: string | undefined;
  readonly mtaSts: string | undefined;
}

/** Asks DNS, and for a policy that is not known here the domain's web server. */
export async function explainTls(found: FoundName, config: TlsPolicyConfig, world: TlsWorld): Promise<TlsWishes> {
  const { host, addresses, route, domain } = found;
  const target: TlsTarget = {
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
  };
  const policy = createDanePolicy({ resolver: world.resolver, clock: systemClock, emit: () => {} });
  const decision = await policy.decide(target);
  let dane: string | undefined;
  if (decision?.kind === "refuse") dane = `nothing is delivered: ${decision.failure.detail.text}`;
  else if (decision?.kind === "tls") dane = decision.because;
  else if (config.dane !== "disable") {
    const signed = (security: string) => security === "secure" ? "signed" : "not signed";
    const record = route.type === "mx" ? `MX ${signed(host.security)}, ` : "";
    dane = `does not hold: there are no signed TLSA records (${record}addresses ${signed(addresses.security)})`;
  }
  if (config.mtaSts === "disable") return { dane, mtaSts: undefined };
  // RFC 8461 §2: DANE goes before.
  const isOpen = decision === undefined || (decision.kind === "tls" && decision.yields === true);
  return { dane, mtaSts: isOpen ? await explainSts(target, world) : "is not asked: DANE decides" };
}

/** Octets; there is one policy. */
const CAPACITY = 1_000_000;

async function explainSts(target: TlsTarget, { resolver, store, fetchPolicy, now }: TlsWorld): Promise<string> {
  const domain = policyDomain(target);
  const still: Clock = { now: () => now, after: () => ({ cancel: () => {} }) };
  const cache = createStsCache({
    resolver,
    fetch: fetchPolicy ?? createPolicyFetch({ resolver, clock: systemClock }),
    store: {
      read: (sql, args) => store?.read(sql, args) ?? Promise.resolve({ columns: [], rows: [] }),
      write: (statements) => Promise.resolve(statements.map(() => ({ changes: 0, rows: [] }))),
      close: () => Promise.resolve(),
    },
    clock: still,
    emit: () => {},
    capacity: CAPACITY,
  });
  try {
    const state = domain === undefined ? {} : await cache.look(domain, target.config.timeout.mtaSts);
    const answer = await createStsPolicy({ cache, emit: () => {} }).decide(target);
    if (answer?.kind === "refuse") return `nothing is delivered: ${answer.failure.detail.text}${policyOf(state)}`;
    if (answer?.kind === "tls") {
      return `TLS, with a certificate that verifies and bears the name ${answer.serverName}${policyOf(state)}`;
    }
    if (answer?.kind === "trial") {
      const fits = state.cached !== undefined && allowsHost(state.cached.policy, target.host);
      return `is tried out by ${domain}, which changes nothing here; it ${fits ? "names" : "does not name"} ` +
        `the host${policyOf(state)}`;
    }
    const why = state.fault?.text ?? state.trouble ?? `${domain ?? "an address"} has no policy in force`;
    return `does not hold: ${why}${policyOf(state)}`;
  } finally {
    await cache.close();
  }
}

function policyOf({ cached, fault }: StsState): string {
  if (cached === undefined) return "";
  const { mode, mx } = cached.policy;
  const since = fault === undefined ? "" : `; a newer one cannot be had: ${fault.text}`;
  return ` (policy ${cached.id}, mode ${mode}, mx ${mx.join(", ") || "none"}, until ${
    new Date(cached.expires).toISOString().slice(0, 16)
  }Z${since})`;
}
