/** The domain that an organization registered, by the public suffix list (RFC 7489 §3.2). */

import { getDomain } from "tldts";

// Names come checked, and both parts of the list count: whoever rents names to strangers is not one organization.
const OPTIONS = { allowPrivateDomains: true, extractHostname: false, validateHostname: false };

/** The organizational domain of a name; the name itself if it is a public suffix, or above all of them. */
export function organizationalDomain(domain: string): string {
  return getDomain(domain, OPTIONS) ?? domain;
}

/** Whether `domain` is `ancestor` or stands under it. */
export function isWithin(domain: string, ancestor: string): boolean {
  return domain === ancestor || domain.endsWith(`.${ancestor}`);
}
