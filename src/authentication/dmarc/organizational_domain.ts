/** The domain that an organization registered, by the public suffix list (RFC 7489 §3.2). */

/** Gives the organizational domain of a name; the name itself if it is a public suffix, or above all of them. */
export type OrganizationalDomain = (domain: string) => string;

// Names come checked, and both parts of the list count: whoever rents names to strangers is not one organization.
const OPTIONS = { allowPrivateDomains: true, extractHostname: false, validateHostname: false };

let loaded: OrganizationalDomain | Promise<OrganizationalDomain> | undefined;

/**
 * Loads the list at the first call: it takes 17 MB of memory and a tenth of a second, which not everybody needs. A
 * promise until it is there.
 */
export function loadPublicSuffixes(): OrganizationalDomain | Promise<OrganizationalDomain> {
  return loaded ??= import("tldts").then(({ getDomain }) => loaded = (domain) => getDomain(domain, OPTIONS) ?? domain);
}

/** Whether `domain` is `ancestor` or stands under it. */
export function isWithin(domain: string, ancestor: string): boolean {
  return domain === ancestor || domain.endsWith(`.${ancestor}`);
}
