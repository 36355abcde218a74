/** SPF of one identity (RFC 7208 §2.3, §2.4 and §4). */

import { addressDomain, addressLocal, domainToAscii } from "../../smtp/mod.ts";
import type { CheckContext, SpfResult } from "../types.ts";
import { ipOctets } from "./address.ts";
import { evaluate, explain, type Subject } from "./evaluate.ts";

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
  const { identity, helo } = query;
  const ofHelo = identity === "helo" || query.sender === "";
  const heloDomain = domainToAscii(helo) ?? helo.toLowerCase();
  const domain = withoutFinalDot(ofHelo ? heloDomain : senderDomain(query.sender));
  // RFC 7208 §4.3: without a local part it is "postmaster".
  const local = (ofHelo ? "" : addressLocal(query.sender)) || "postmaster";
  const sender = `${local}@${domain}`;
  const ip = ipOctets(query.ip);
  const base = { method: "spf", identity, domain, sender } as const;
  if (ip === undefined) return { ...base, result: "none", reason: "the client has no IP address" };
  if (!isCheckable(domain)) return { ...base, result: "none", reason: "not a domain name with several labels" };
  const subject: Subject = { ip, local, domain, helo: heloDomain || "unknown", receiver: query.receiver };
  const outcome = await evaluate(subject, context);
  const explanation = outcome.verdict === "fail" ? await explain(outcome, subject, context) : undefined;
  return {
    ...base,
    result: outcome.verdict,
    ...(outcome.directive === undefined ? {} : { mechanism: outcome.directive }),
    ...(explanation === undefined ? {} : { explanation }),
    ...(outcome.reports === undefined ? {} : { reports: outcome.reports }),
    ...(outcome.reason === undefined ? {} : { reason: outcome.reason }),
  };
}

function senderDomain(sender: string): string {
  const domain = addressDomain(sender);
  return domainToAscii(domain) ?? domain.toLowerCase();
}

function withoutFinalDot(domain: string): string {
  return domain.endsWith(".") ? domain.slice(0, -1) : domain;
}

/** RFC 7208 §4.3: a name of several labels, none of them empty or too long. */
function isCheckable(domain: string): boolean {
  return domain.length <= 253 && /^(?:[a-z0-9_-]{1,63}\.)+[a-z0-9_-]{1,63}$/i.test(domain);
}
