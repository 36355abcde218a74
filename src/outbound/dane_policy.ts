/**
 * DANE for SMTP (RFC 7672): what the recipient's domain has signed about the certificates of its hosts.
 *
 * DANE holds for a host if its MX record, its address and its TLSA records are all secure. Then TLS is a must. If the
 * TLSA records can be used the server has to agree with one of them; if none can be used, it need only encrypt, unless
 * MTA-STS wants more. A TLSA lookup that fails makes the host unusable for now: an attacker who could make it fail would
 * otherwise choose what protects the message.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { isIP } from "node:net";
import type { Clock } from "../clock/mod.ts";
import { type Answer, DnsError, type Resolver, type TlsaRecord } from "../dns/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { daneFault } from "./dane_match.ts";
import { strongestRecords, usableRecords } from "./dane_records.ts";
import { NO_TLS, policyDomain, type TlsDecision, type TlsPolicy, type TlsTarget } from "./tls_policy.ts";
import type { ReportedPolicy } from "./tls_result.ts";
import { failure, type TlsFaultType } from "./verdict.ts";

/** What the policy is made with. */
export interface DaneOptions {
  readonly resolver: Pick<Resolver, "tlsa" | "cname">;
  readonly clock: Clock;
  readonly emit: Emit;
}

type Decision = Exclude<TlsDecision, { kind: "plain" }>;

/** TLSA records of a host, and the name under which they were found (the TLSA base domain, RFC 7672 §2.2.2). */
interface Found {
  readonly base: string;
  readonly records: readonly TlsaRecord[];
}

/** Makes the policy. It has no say about hosts without secure TLSA records, unless DANE is required. */
export function createDanePolicy(options: DaneOptions): TlsPolicy {
  const { resolver, emit } = options;
  // Resolvers give the same records as long as they are valid, so what they mean is worked out once.
  const known = new WeakMap<readonly TlsaRecord[], Map<string, Decision | undefined>>();

  const decisionFor = (found: Found, target: TlsTarget): Decision | undefined => {
    const names = referenceIdentifiers(found.base, target);
    const { requiretls, config: { dane } } = target;
    const key = `${names.join(" ")} ${dane} ${requiretls}`;
    let decisions = known.get(found.records);
    if (decisions === undefined) known.set(found.records, decisions = new Map());
    if (decisions.has(key)) return decisions.get(key);
    const decision = decide(found, names, target, options);
    decisions.set(key, decision);
    return decision;
  };

  const lookUp = async (target: TlsTarget): Promise<Decision | undefined> => {
    const { host, port } = target;
    let found: Found | undefined;
    try {
      found = await findRecords(target, resolver);
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      emit("dane.tlsa-record-fetch-error", { host, port, details: error.message });
      return refuse(host, "4.7.5", `the TLSA records of ${host} could not be looked up: ${error.message}`, {
        type: error.reason === "bogus" ? "dnssec-invalid" : "tlsa-invalid",
      });
    }
    if (found !== undefined) return decisionFor(found, target);
    emit("dane.tlsa-record-not-found", { host, port });
    return without(target, "it has no signed TLSA records");
  };

  return {
    decide(target) {
      const { config, found, host, hostSecurity, addressSecurity, hostAlias } = target;
      if (config.dane === "disable") return undefined;
      if (isIP(host) !== 0) return without(target, "it has no name");
      // The administrator's word for a relay is as good as a signed MX record (RFC 7672 §2.2.2).
      if (found === "mx" && hostSecurity !== "secure" && host !== target.domain) {
        return without(target, `the MX records of ${target.domain} are not signed`);
      }
      // An alias may be signed where what it leads to is not; otherwise nothing secure can stand under that name, and
      // TLSA queries are spared servers that choke on them.
      if (addressSecurity !== "secure" && hostAlias === undefined) {
        return without(target, "its addresses are not signed");
      }
      return lookUp(target);
    },
  };
}

/** RFC 7672 §2.2.2. `undefined` if there are no secure records. */
async function findRecords(target: TlsTarget, resolver: DaneOptions["resolver"]): Promise<Found | undefined> {
  const { host, port, addressSecurity, hostAlias } = target;
  const bases = [host];
  if (hostAlias !== undefined) {
    if (addressSecurity === "secure") bases.unshift(hostAlias);
    else if (secured(await resolver.cname(host), host) === undefined) return undefined;
  }
  for (const base of bases) {
    const name = `_${port}._tcp.${base}`;
    const answer = secured(await resolver.tlsa(name), name);
    if (answer !== undefined && answer.records.length > 0) return { base, records: answer.records };
  }
  return undefined;
}

/** The answer if it is secure, `undefined` if it is not signed. */
function secured<T>(answer: Answer<T>, name: string): Answer<T> | undefined {
  if (answer.security === "bogus") throw new DnsError(`${name}: DNSSEC validation failed`, "bogus");
  return answer.security === "secure" ? answer : undefined;
}

/** Names that a certificate below a DANE-TA anchor may bear (RFC 7672 §3.2.3). */
function referenceIdentifiers(base: string, { found, host, domain, domainAlias }: TlsTarget): readonly string[] {
  const names = found === "relay" ? [base, host] : [base, domain, ...domainAlias === undefined ? [] : [domainAlias]];
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

function decide(
  { base, records }: Found,
  names: readonly string[],
  target: TlsTarget,
  { clock, emit }: DaneOptions,
): Decision | undefined {
  const { host, port, config: { dane }, requiretls } = target;
  const usable = usableRecords(records);
  const fields = { host, port, details: `${usable.length} of ${records.length} records can be used` };
  if (usable.length < records.length) emit("dane.tlsa-record-invalid", fields);
  if (usable.length === 0) {
    if (dane === "require") return without(target, "none of its TLSA records can be used");
    // Such records authenticate nobody, and REQUIRETLS wants somebody authenticated: by the roots, then.
    if (requiretls) return undefined;
    // RFC 7672 §2.2: the server has said that it does TLS, and that is held against a downgrade.
    return {
      kind: "tls",
      required: true,
      verify: "none",
      serverName: base,
      fault: () => undefined,
      // RFC 8461 §2 forbids overriding DANE where it fails; here there is nothing that could.
      yields: true,
      lastError: "dane",
      because: `none of the ${records.length} TLSA records of ${base} can be used: TLS, whoever answers`,
      key: `dane-unusable ${base}`,
      ...reportedAs(records, target),
    };
  }
  emit("dane.tlsa-record-fetch", fields);
  const strongest = strongestRecords(usable);
  return {
    kind: "tls",
    required: true,
    // Roots and names say nothing here; the records do.
    verify: "none",
    // RFC 7672 §8.1: SNI is the TLSA base domain.
    serverName: base,
    fault({ peerCertificates, remembered }) {
      const fault = daneFault(peerCertificates, strongest, names, clock.now());
      if (fault === undefined) {
        emit("dane.authentication-success", { host, port });
        return undefined;
      }
      // Certificates may have changed since the session was made; the next handshake tells.
      if (remembered) return { type: fault.type, text: fault.text };
      if (peerCertificates.length === 0) emit("dane.no-certificates-found", { host, port });
      emit("dane.authentication-failure", { host, port, details: fault.text });
      return { type: fault.type, text: `${fault.text} (DANE)` };
    },
    lastError: "dane",
    because: `TLS, with a certificate that agrees with the TLSA records of ${base}: ` +
      strongest.map(({ usage, selector, matchingType }) => `${usage} ${selector} ${matchingType}`).join(", "),
    key: `dane ${digest(strongest, names)}`,
    ...reportedAs(records, target),
  };
}

/** RFC 8460 §4.4: the policy string of DANE is the TLSA records. */
function reportedAs(records: readonly TlsaRecord[], target: TlsTarget): { readonly reported?: ReportedPolicy } {
  const domain = policyDomain(target);
  if (domain === undefined) return {};
  const strings = records.slice(0, MOST_REPORTED).map(({ usage, selector, matchingType, data }) => {
    return `${usage} ${selector} ${matchingType} ${Buffer.from(data).toString("hex").toUpperCase()}`;
  });
  return { reported: { type: "tlsa", domain, strings } };
}

/** TLSA records that reports show; a host may have any number. */
const MOST_REPORTED = 20;

/** Stands for records and names in the key of a kept connection. */
function digest(records: readonly TlsaRecord[], names: readonly string[]): string {
  const hash = createHash("sha256").update(names.join(" "));
  for (const { usage, selector, matchingType, data } of records) {
    hash.update(` ${usage} ${selector} ${matchingType} ${data.length} `).update(data);
  }
  return hash.digest("hex").slice(0, 32);
}

/** What becomes of a host that DANE does not hold for. */
function without({ config, host }: TlsTarget, why: string): Decision | undefined {
  if (config.dane !== "require") return undefined;
  const text = `DANE is required by queue.tls.${config.id}.dane, but does not hold for ${host}: ${why}`;
  return refuse(host, NO_TLS, text, { type: "dane-required" });
}

function refuse(host: string, enhanced: string, text: string, { type }: { readonly type: TlsFaultType }): Decision {
  return {
    kind: "refuse",
    failure: failure("deferred", "dane", enhanced, text, { host, elsewhere: true, tlsFault: type }),
  };
}
