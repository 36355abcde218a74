/** The MTA-STS policy that this server publishes for its local domains (RFC 8461 §3.2, §3.3). */

import { createHash } from "node:crypto";
import type { MtaStsConfig } from "../config/config.ts";
import { POLICY_PATH, policyLines } from "../outbound/mod.ts";
import type { WellKnownAnswer } from "./dependencies.ts";

/** A policy to publish. */
export interface PublishedPolicy {
  readonly text: string;
  /** For the TXT record; another one whenever the policy is another one. */
  readonly id: string;
}

const HOST_PREFIX = "mta-sts.";

/**
 * The policy of the configuration.
 *
 * @param names names in the TLS certificates, for a configuration that names no hosts
 * @returns `undefined` if there is no host to name: without a certificate nobody could keep to the policy
 */
export function publishedPolicy(config: MtaStsConfig, names: readonly string[]): PublishedPolicy | undefined {
  const mx = config.mx ?? [...new Set(names)].filter((name) => name.includes("."));
  if (mx.length === 0 && config.mode !== "none") return undefined;
  const lines = policyLines({ mode: config.mode, maxAge: Math.floor(config.maxAge / 1000), mx });
  const text = `${lines.join("\r\n")}\r\n`;
  // RFC 8461 §3.1: up to 32 letters and digits. DNS may change case, so only small ones.
  return { text, id: createHash("sha256").update(text).digest("hex").slice(0, 20) };
}

/** Answers under `/.well-known/` with the policy, if host name and path are those of a local domain's policy. */
export function stsAnswer(
  policy: PublishedPolicy | undefined,
  isLocalDomain: (domain: string) => boolean | Promise<boolean>,
): (path: string, host: string) => Promise<WellKnownAnswer | undefined> {
  return async (path, host) => {
    if (policy === undefined || path !== POLICY_PATH || !host.startsWith(HOST_PREFIX)) return undefined;
    if (!await isLocalDomain(host.slice(HOST_PREFIX.length))) return undefined;
    return { contentType: "text/plain; charset=utf-8", body: policy.text };
  };
}
