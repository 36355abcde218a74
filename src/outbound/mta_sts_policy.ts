/**
 * MTA-STS (RFC 8461): a domain says by HTTPS which hosts take its mail, and that they do so over TLS with a certificate that
 * verifies.
 *
 * It is asked behind DANE, which it must not weaken (RFC 8461 §2), and about hosts whose TLSA records say nothing. A
 * policy on trial (`testing`) changes nothing about a delivery; what would have failed is counted.
 */

import type { Emit } from "../telemetry/event.ts";
import type { CachedPolicy, StsCache, StsState } from "./mta_sts_cache.ts";
import { allowsHost } from "./mta_sts_record.ts";
import { NO_TLS, policyDomain, type TlsAnswer, type TlsPolicy, type TlsTarget, unauthorized } from "./tls_policy.ts";
import { failure } from "./verdict.ts";

/** Answers that are kept for one policy. */
const MOST_HOSTS = 100;

/** Makes the policy. It has no say about domains without MTA-STS, unless that is required. */
export function createStsPolicy({ cache, emit }: { readonly cache: StsCache; readonly emit: Emit }): TlsPolicy {
  const known = new WeakMap<CachedPolicy, Map<string, TlsAnswer>>();

  const answer = (state: StsState, domain: string, target: TlsTarget): TlsAnswer => {
    const { host, config } = target;
    const { cached } = state;
    const mode = cached?.policy.mode ?? "none";
    if (cached === undefined || mode === "none") {
      const none = `${domain} has ${cached === undefined ? "no MTA-STS policy" : "an MTA-STS policy of mode none"}`;
      const passing = state.fault?.text ?? state.trouble;
      return passing === undefined ? without(target, none) : without(target, passing, "4.7.0");
    }
    const isAllowed = allowsHost(cached.policy, host);
    emit(isAllowed ? "mta-sts.authorized" : "mta-sts.not-authorized", { domain, host, policy: mode });
    // Whoever requires MTA-STS here wants it also where the domain still tries it out.
    const strict = mode === "enforce" || config.mtaSts === "require";
    const key = `${strict} ${host}`;
    let answers = known.get(cached);
    if (answers === undefined || answers.size >= MOST_HOSTS) known.set(cached, answers = new Map());
    let found = answers.get(key);
    if (found === undefined) {
      found = strict ? enforced(cached, domain, host, isAllowed) : onTrial(cached, domain, host, isAllowed);
      answers.set(key, found);
    }
    return found;
  };

  return {
    decide(target) {
      const { config } = target;
      if (config.mtaSts === "disable") return undefined;
      const domain = policyDomain(target);
      if (domain === undefined) return without(target, "there is no domain name to look for");
      const state = cache.known(domain);
      if (state !== undefined) return answer(state, domain, target);
      return cache.look(domain, config.timeout.mtaSts).then((found) => answer(found, domain, target));
    },
  };
}

function enforced({ reported }: CachedPolicy, domain: string, host: string, isAllowed: boolean): TlsAnswer {
  if (!isAllowed) {
    const { text, type } = notAllowed(domain, host);
    // RFC 3463 X.7.0: other or undefined security status.
    const refused = failure("deferred", "mta-sts", "4.7.0", text, { host, elsewhere: true, tlsFault: type });
    return { kind: "refuse", failure: refused, reported };
  }
  return {
    kind: "tls",
    required: true,
    verify: "pki",
    // RFC 8461 §4.2: the certificate bears the name of the host, not of the domain.
    serverName: host,
    fault(result) {
      const fault = unauthorized(result);
      return fault === undefined ? undefined : { type: fault.type, text: `${fault.text} (MTA-STS)` };
    },
    lastError: "mta-sts",
    key: "mta-sts",
    reported,
  };
}

function onTrial({ reported }: CachedPolicy, domain: string, host: string, isAllowed: boolean): TlsAnswer {
  return { kind: "trial", reported, fault: isAllowed ? undefined : notAllowed(domain, host) };
}

function notAllowed(domain: string, host: string) {
  return { type: "validation-failure", text: `the MTA-STS policy of ${domain} does not name ${host}` } as const;
}

/** What becomes of a host without a policy that holds for it. */
function without({ config, host }: TlsTarget, why: string, enhanced = NO_TLS): TlsAnswer {
  if (config.mtaSts !== "require") return undefined;
  const text = `MTA-STS is required by queue.tls.${config.id}.mta-sts, but does not hold for ${host}: ${why}`;
  return { kind: "refuse", failure: failure("deferred", "mta-sts", enhanced, text, { host, elsewhere: true }) };
}
