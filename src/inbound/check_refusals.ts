/** What a client is told when a check that is `strict` fails (RFC 7372), and when it could not be carried out. */

import type { ArcResult, DkimResult, DmarcResult, IprevResult, SpfResult } from "../authentication/mod.ts";
import { type Reply, reply } from "../smtp/mod.ts";

/** RFC 7372 §3.3 */
export function refuseIprev({ result, ip, name }: IprevResult): Reply | undefined {
  switch (result) {
    case "pass":
      return undefined;
    case "temperror":
      return reply(451, "4.7.25", `The name of ${ip} cannot be looked up for now, try again later`);
    case "permerror":
      return reply(550, "5.7.25", `${ip} has no name, reverse DNS validation failed`);
    case "fail":
      return reply(550, "5.7.25", `${name} does not lead back to ${ip}, reverse DNS validation failed`);
  }
}

/** RFC 7372 §3.2. `softfail` is no failure (RFC 7208 §8.5). */
export function refuseSpf({ result, domain, reason, explanation }: SpfResult): Reply | undefined {
  switch (result) {
    case "fail":
      return reply(
        550,
        "5.7.23",
        `SPF validation failed, ${domain} does not let this client send for it`,
        // RFC 7208 §6.2: the reader has to see who is speaking.
        ...(explanation === undefined ? [] : [`${domain} explains:`, explanation]),
      );
    case "temperror":
      return reply(451, "4.7.24", `SPF of ${domain} cannot be looked up for now, try again later`);
    case "permerror":
      return reply(550, "5.7.24", `SPF validation error: ${reason ?? `the record of ${domain} cannot be used`}`);
    default:
      return undefined;
  }
}

/** RFC 7372 §3.1: refused only if there are signatures and none passes. */
export function refuseDkim(results: readonly DkimResult[]): Reply | undefined {
  // RFC 6376 §3.6.1: mail of a domain that is trying DKIM out is treated as if it were not signed.
  const signatures = results.filter(({ result, testing }) => result === "pass" || (result !== "none" && !testing));
  if (signatures.length === 0 || signatures.some(({ result }) => result === "pass")) return undefined;
  if (signatures.some(({ result }) => result === "temperror")) {
    return reply(451, "4.7.20", "A DKIM key cannot be looked up for now, try again later");
  }
  return signatures.every(({ result }) => result === "policy")
    ? reply(550, "5.7.21", "No acceptable DKIM signature found")
    : reply(550, "5.7.20", "No passing DKIM signature found");
}

/** RFC 8617 §10.3 */
export function refuseArc({ result, temporary }: ArcResult): Reply | undefined {
  if (result !== "fail") return undefined;
  return temporary
    ? reply(451, "4.7.29", "A key of the ARC chain cannot be looked up for now, try again later")
    : reply(550, "5.7.29", "ARC validation failed");
}

/**
 * RFC 7489 §10.3 has 5.7.1 for this. Only what the domain itself wants refused is, and what hides whose domain that would
 * be (§6.6.1): an author behind others, or in a second From field, would get past every policy.
 */
export function refuseDmarc({ result, disposition, fromDomain, improperFrom }: DmarcResult): Reply | undefined {
  if (result === "temperror") {
    return reply(451, "4.7.1", `The DMARC policy of ${fromDomain} cannot be looked up for now, try again later`);
  }
  if (result === "fail" && disposition === "reject") {
    return reply(550, "5.7.1", `Rejected as the DMARC policy of ${fromDomain} asks for`);
  }
  return improperFrom === true
    ? reply(550, "5.7.1", "A message needs one From field, and only authors in it whose domains can be read")
    : undefined;
}
