/** Whose an address is, in whichever spelling the directory knows its domain. */

import { type Directory, type ResolvedRecipient, type ResolveOptions, resolveRecipient } from "../directory/mod.ts";
import { domainToAscii, domainToUnicode, needsSmtpUtf8, splitAddress } from "../smtp/mod.ts";

/**
 * As `resolveRecipient`. A domain with U-labels is the same as one with A-labels (RFC 5890 §2.3.2.1): what is not local
 * in the spelling of the client is looked up in the other one.
 */
export async function resolveInAnySpelling(
  directory: Directory,
  address: string,
  options: ResolveOptions,
): Promise<ResolvedRecipient> {
  const found = await resolveRecipient(directory, address, options);
  if (found.kind !== "not-local") return found;
  const other = otherSpelling(address);
  return other === undefined ? found : await resolveRecipient(directory, other, options);
}

function otherSpelling(address: string): string | undefined {
  const { local, domain } = splitAddress(address);
  if (!needsSmtpUtf8(domain) && !domain.includes("xn--")) return undefined;
  const other = needsSmtpUtf8(domain) ? domainToAscii(domain) : domainToUnicode(domain);
  return other === undefined || other === domain ? undefined : `${local}@${other}`;
}
