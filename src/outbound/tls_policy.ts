/** Who decides about TLS with a host: policies are asked in turn, the first that has an opinion wins. */

import type { TlsPolicyConfig } from "../config/config.ts";
import type { Security } from "../dns/mod.ts";
import type { ClientTlsResult } from "../net/mod.ts";
import type { LastError } from "../queue/types.ts";
import type { Failure } from "./verdict.ts";

/** A host that is about to be connected to. */
export interface TlsTarget {
  /** Domain of the recipients. */
  readonly domain: string;
  /** Name of the host, or its address where it has no name. */
  readonly host: string;
  readonly port: number;
  /** How the host was found: by MX records (also implied ones), or named by the administrator. */
  readonly found: "mx" | "relay";
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
    fault(result: ClientTlsResult): string | undefined;
    /** What a failure counts as. */
    readonly lastError: Extract<LastError, "tls" | "dane" | "mta-sts">;
    /** Connections whose decisions have the same key (and the same host) can stand for one another. */
    readonly key: string;
  }
  /** The host must not be used. */
  | { readonly kind: "refuse"; readonly failure: Failure };

/** A source of decisions, such as DANE or MTA-STS. */
export interface TlsPolicy {
  /** The decision for a host, or `undefined` if this policy has no say. Must not throw. */
  decide(target: TlsTarget): TlsDecision | undefined | Promise<TlsDecision | undefined>;
}

const PLAIN: TlsDecision = { kind: "plain", key: "plain" };

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

function accepted(): undefined {}

function unauthorized(result: ClientTlsResult): string | undefined {
  if (result.authorized) return undefined;
  return `the certificate does not verify: ${result.authorizationError ?? "unknown reason"}`;
}
