/** Who decides about TLS with a host: policies are asked in turn, the first that has an opinion wins. */

import { isIP } from "node:net";
import type { TlsPolicyConfig } from "../config/config.ts";
import type { Security } from "../dns/mod.ts";
import type { ClientTlsResult } from "../net/mod.ts";
import type { LastError } from "../queue/types.ts";
import { domainToAscii } from "../smtp/mod.ts";
import type { ReportedPolicy } from "./tls_result.ts";
import { type Failure, failure, type TlsFaultType } from "./verdict.ts";

/** Enhanced status for a host without TLS where it is required (RFC 3463 X.7.4: security features not supported). */
export const NO_TLS = "4.7.4";

/** A host that is about to be connected to. */
export interface TlsTarget {
  /** Domain of the recipients. */
  readonly domain: string;
  /** Name of the host, or its address where it has no name. */
  readonly host: string;
  readonly port: number;
  /** How the host was found: by MX records (also implied ones), or named by the administrator. */
  readonly found: "mx" | "relay";
  /** The name of {@link domain} behind CNAMEs, where its MX records stand; `undefined` if it is no alias. */
  readonly domainAlias: string | undefined;
  /** The name of {@link host} behind CNAMEs, where its addresses stand; `undefined` if it is no alias. */
  readonly hostAlias: string | undefined;
  /** DNSSEC state of the answer that named the host, and of its addresses. */
  readonly hostSecurity: Security;
  readonly addressSecurity: Security;
  /** The definition that `queue.strategy.tls` chose. */
  readonly config: TlsPolicyConfig;
  /** TLS from the first byte. */
  readonly implicit: boolean;
  /** The certificate need not verify: the route of a relay, or the definition, says so. */
  readonly allowInvalidCerts: boolean;
  /** A message asks for REQUIRETLS (RFC 8689). */
  readonly requiretls: boolean;
}

/** Room in a DNS name for `_mta-sts.` in front. */
const LONGEST_DOMAIN = 244;

/**
 * Whose policy is asked for (RFC 8461 §3.4): the domain of the recipient, or the smart host that mail is routed to; in
 * A-labels. `undefined` where there is no name.
 */
export function policyDomain({ found, host, domain }: TlsTarget): string | undefined {
  const name = found === "relay" ? host : domain;
  if (name === "" || name.startsWith("[") || isIP(name) !== 0) return undefined;
  const ascii = /^[\x21-\x7e]+$/.test(name) ? name.toLowerCase() : domainToAscii(name);
  return ascii === undefined || ascii.length > LONGEST_DOMAIN ? undefined : ascii;
}

/** Why a connection may not have the message. */
export interface TlsFault {
  readonly type: TlsFaultType;
  /** For people, without the name of the peer. */
  readonly text: string;
}

/** What a policy wants of the connection. */
export type TlsDecision =
  | { readonly kind: "plain"; readonly key: string }
  | {
    readonly kind: "tls";
    /** Without TLS nothing is delivered. */
    readonly required: boolean;
    readonly verify: "none" | "pki";
    readonly serverName: string;
    /** What is wrong with the peer, or `undefined` if it may have the message. */
    fault(result: ClientTlsResult): TlsFault | undefined;
    /** Others may want more, and are asked too; it goes before what the administrator wants of everybody. */
    readonly yields?: true;
    /** What a failure counts as. */
    readonly lastError: Extract<LastError, "tls" | "dane" | "mta-sts">;
    /** What was found that asks for this, for people. */
    readonly because?: string;
    /** Connections whose decisions have the same key (and the same host) can stand for one another. */
    readonly key: string;
    /** The policy of the domain that sessions are counted for; absent: there is none. */
    readonly reported?: ReportedPolicy;
  }
  /** The host must not be used. */
  | { readonly kind: "refuse"; readonly failure: Failure; readonly reported?: ReportedPolicy };

/** A policy that is on trial: others decide, but what it would have said of the session is counted. */
export interface TlsTrial {
  readonly kind: "trial";
  readonly reported: ReportedPolicy;
  /** What it has against the host, whatever the session shows. */
  readonly fault: TlsFault | undefined;
}

/** A decision that lets the connection come about. */
export type TlsAllowed = Exclude<TlsDecision, { kind: "refuse" }>;

/** What a policy says. */
export type TlsAnswer = TlsDecision | TlsTrial | undefined;

/** A source of decisions, such as DANE or MTA-STS. */
export interface TlsPolicy {
  /** The decision for a host, or `undefined` if this policy has no say. Must not throw. */
  decide(target: TlsTarget): TlsAnswer | Promise<TlsAnswer>;
}

const PLAIN: TlsAllowed = { kind: "plain", key: "plain" };

/**
 * The administrator's own word (`queue.tls.<id>.starttls`, `queue.route.<id>.tls`): always has an opinion, so it comes
 * last.
 *
 * - `optional` takes a peer that offers no TLS; of one that does, it verifies the certificate like `require`.
 * - A certificate that does not verify defers the recipient with `last_error` `tls`. The usual strategy then turns to
 *   `invalid-tls`, which allows it: encryption without knowing who is there is better than none (RFC 7435).
 */
export const localTlsPolicy: TlsPolicy = {
  decide(target) {
    const { config, host, implicit, allowInvalidCerts, requiretls } = target;
    if (config.starttls === "disable" && !implicit && !requiretls) return PLAIN;
    // RFC 8689 §2: a certificate proves little for a name that anybody may have put into an unsigned MX record. Other
    // policies that vouch for the name have been asked before.
    if (requiretls && target.found === "mx" && target.hostSecurity !== "secure" && host !== target.domain) {
      const text =
        `the MX record that names ${host} is not signed, and no policy of ${target.domain} vouches for it, ` +
        "as REQUIRETLS asks";
      return { kind: "refuse", failure: failure("deferred", "tls", NO_TLS, text, { host, elsewhere: true }) };
    }
    const required = implicit || requiretls || config.starttls === "require";
    // RFC 8689 §4.2.1: REQUIRETLS needs a certificate that verifies, whatever is allowed otherwise.
    const verified = requiretls || !allowInvalidCerts;
    return {
      kind: "tls",
      required,
      verify: verified ? "pki" : "none",
      serverName: host,
      fault: verified ? unauthorized : accepted,
      lastError: "tls",
      key: `${implicit ? "implicit" : required ? "require" : "optional"}${verified ? "-verified" : ""}`,
    };
  },
};

/**
 * What may be tried on a new connection after TLS has failed under `decision`; `undefined` if nothing may.
 *
 * - A message whose header says `TLS-Required: No` goes without a proof of who is there, and if need be in plain text:
 *   what its recipient's domain asks for by DANE or MTA-STS is not held against it (RFC 8689 §3, §4.2.2). What this
 *   administrator requires is.
 * - Where the certificate need not verify and TLS is optional, a peer whose TLS is broken gets plain text (RFC 7435 §3).
 *
 * @param decision the one that failed; `undefined` if a policy refused the host
 * @param tlsIsOptional whether the message says so; asked only when it matters
 */
export function afterTlsFailure(
  decision: TlsAllowed | undefined,
  target: TlsTarget,
  tlsIsOptional: () => boolean,
): TlsAllowed | undefined {
  const { config, host, implicit, requiretls } = target;
  if (decision?.kind === "plain" || requiretls) return undefined;
  if (decision !== undefined && decision.verify === "none" && !decision.required) return PLAIN;
  if ([config.dane, config.mtaSts].includes("require") || !tlsIsOptional()) return undefined;
  const required = implicit || config.starttls === "require";
  // The administrator wants nothing less than this of anybody.
  if (decision?.lastError === "tls" && required) return undefined;
  if (config.starttls === "disable" && !implicit) return PLAIN;
  const verified = required && !target.allowInvalidCerts;
  return {
    kind: "tls",
    required,
    verify: verified ? "pki" : "none",
    serverName: host,
    fault: verified ? unauthorized : accepted,
    lastError: "tls",
    key: `lax${required ? "-require" : ""}${verified ? "-verified" : ""}`,
  };
}

function accepted(): undefined {}

/** Whether the certificate leads to a trusted root and bears the name. */
export function unauthorized({ authorized, authorizationError }: ClientTlsResult): TlsFault | undefined {
  if (authorized) return undefined;
  const text = `the certificate does not verify: ${authorizationError ?? "unknown reason"}`;
  switch (authorizationError) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return { type: "certificate-host-mismatch", text };
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return { type: "certificate-expired", text };
    default:
      return { type: "certificate-not-trusted", text };
  }
}
