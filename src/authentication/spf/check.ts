/** SPF of one identity (RFC 7208 §2.3, §2.4 and §4). */

import { addressDomain, addressLocal, domainToAscii } from "../../smtp/mod.ts";
import { createMemory, type Memory } from "../memory.ts";
import type { CheckContext, SpfResult } from "../types.ts";
import { ipOctets } from "./address.ts";
import { evaluate, explain, type Outcome, type Subject } from "./evaluate.ts";

/** Who is asked about. */
export interface SpfQuery {
  readonly identity: SpfResult["identity"];
  /** Address of the client; IPv4-mapped addresses count as IPv4. */
  readonly ip: string;
  /** Name given in EHLO, HELO or LHLO, `""` without one. */
  readonly helo: string;
  /** Reverse-path, `""` for the null sender, which is checked as `postmaster` at the EHLO name (RFC 7208 §2.4). */
  readonly sender: string;
  /** Name of this server, for explanations. */
  readonly receiver: string;
}

/**
 * Finds out whether the domain of an identity lets the client send for it. Never rejects because of what DNS holds:
 * bad records are `permerror`, trouble with DNS is `temperror`, no record and what is no domain are `none`.
 */
export async function checkSpf(query: SpfQuery, context: CheckContext): Promise<SpfResult> {
  const { identity, ip } = query;
  const ofHelo = identity === "helo" || query.sender === "";
  const domain = withoutFinalDot(asciiName(ofHelo ? query.helo : addressDomain(query.sender)));
  // RFC 7208 §4.3: without a local part it is "postmaster".
  const local = (ofHelo ? "" : addressLocal(query.sender)) || "postmaster";
  const sender = `${local}@${domain}`;
  const base = { method: "spf", identity, domain, sender } as const;
  const outcomes = outcomesBy(context.resolver);
  const key = `${ip} ${domain}`;
  const known = outcomes.get(key);
  if (known?.until !== undefined && known.until > context.now()) return resultOf(base, known);
  const octets = ipOctets(ip);
  if (octets === undefined) return { ...base, result: "none", reason: "the client has no IP address" };
  if (!isCheckable(domain)) return { ...base, result: "none", reason: "not a domain name with several labels" };
  const helo = asciiName(query.helo) || "unknown";
  const subject: Subject = { ip: octets, local, domain, helo, receiver: query.receiver };
  const outcome = await evaluate(subject, context);
  if (outcome.verdict === "fail" && outcome.explanation !== undefined) {
    const explanation = await explain(outcome, subject, context);
    return { ...resultOf(base, outcome), ...(explanation === undefined ? {} : { explanation }) };
  }
  if (outcome.until !== undefined) outcomes.set(key, outcome);
  return resultOf(base, outcome);
}

function resultOf(
  base: Pick<SpfResult, "method" | "identity" | "domain" | "sender">,
  { verdict, directive, reports, records, reason }: Outcome,
): SpfResult {
  return {
    ...base,
    result: verdict,
    ...(directive === undefined ? {} : { mechanism: directive }),
    ...(reports === undefined ? {} : { reports }),
    ...(records === undefined ? {} : { records }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Outcomes that are remembered for each resolver. */
const MOST_OUTCOMES = 10_000;

const remembered = new WeakMap<CheckContext["resolver"], Memory<Outcome>>();

/** What DNS has said through a resolver lets outcomes hold for a while (RFC 1035 §3.2.1, TTL). */
function outcomesBy(resolver: CheckContext["resolver"]): Memory<Outcome> {
  let outcomes = remembered.get(resolver);
  if (outcomes === undefined) remembered.set(resolver, outcomes = createMemory(MOST_OUTCOMES));
  return outcomes;
}

/** As A-labels if possible, in lower case. */
function asciiName(name: string): string {
  return domainToAscii(name) ?? name.toLowerCase();
}

function withoutFinalDot(domain: string): string {
  return domain.endsWith(".") ? domain.slice(0, -1) : domain;
}

/** RFC 7208 §4.3: a name of several labels, none of them empty or too long. */
function isCheckable(domain: string): boolean {
  return domain.length <= 253 && /^(?:[a-z0-9_-]{1,63}\.)+[a-z0-9_-]{1,63}$/i.test(domain);
}
