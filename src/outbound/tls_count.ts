/** Counts sessions for TLS reports (RFC 8460): one result for each connection that came as far as TLS. */

import type { OpenOptions } from "./open_session.ts";
import type { Session } from "./session.ts";
import { policyDomain, type TlsDecision, type TlsTarget, unauthorized } from "./tls_policy.ts";
import { noPolicy, type ReportedPolicy, type TlsResults, type TlsResultType } from "./tls_result.ts";
import type { Failure } from "./verdict.ts";

/** Counts a session that was opened, or did not come about. What failed for reasons other than TLS is none. */
export function countSession(results: TlsResults, options: OpenOptions, opened: Session | Failure): void {
  const { tls, trial, host, ip, localIp, implicit, protocol, target } = options;
  if (tls.kind === "plain" || options.uncounted || implicit || protocol === "lmtp") return;
  const policy = trial?.reported ?? tls.reported ?? defaultPolicy(tls.lastError, target);
  if (policy === undefined) return;
  const fail = (type: TlsResultType, details: string, from: string) =>
    results.record({ policy, failure: { type, localIp: from, host, remoteIp: ip, details } });
  if ("kind" in opened) {
    if (opened.tlsFault !== undefined) fail(opened.tlsFault, opened.detail.text, localIp ?? "");
    return;
  }
  const from = opened.connection.local.ip;
  const { tlsResult } = opened.connection;
  if (trial?.fault !== undefined) return fail(trial.fault.type, trial.fault.text, from);
  if (tlsResult === undefined) return fail("starttls-not-supported", `${opened.label} does not offer STARTTLS`, from);
  const fault = trial === undefined ? undefined : unauthorized(tlsResult);
  if (fault !== undefined) return fail(fault.type, `${opened.label}: ${fault.text}`, from);
  results.record({ policy });
}

/** Counts a host that a policy does not let be used. */
export function countRefusal(
  results: TlsResults,
  { failure, reported }: Extract<TlsDecision, { kind: "refuse" }>,
  target: TlsTarget,
  ip: string,
): void {
  const { tlsFault, detail } = failure;
  const policy = reported ?? defaultPolicy(detail.lastError, target);
  if (tlsFault === undefined || policy === undefined) return;
  const { host } = target;
  results.record({ policy, failure: { type: tlsFault, localIp: "", host, remoteIp: ip, details: detail.text } });
}

function defaultPolicy(lastError: string, target: TlsTarget): ReportedPolicy | undefined {
  const domain = policyDomain(target);
  if (domain === undefined) return undefined;
  if (lastError === "dane") return { type: "tlsa", domain };
  return lastError === "mta-sts" ? { type: "sts", domain } : noPolicy(domain);
}
