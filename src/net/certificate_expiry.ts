/** When a certificate ends, with the chain that is sent along, and when that is worth a warning. Pure. */

import { X509Certificate } from "node:crypto";

/** The end of a certificate. */
export interface CertificateEnd {
  /** Milliseconds since the Unix epoch: the end of the certificate of the chain that ends first. */
  readonly expires: number;
  /** Set when somebody should do something: what is the matter, for people. */
  readonly warning: string | undefined;
}

/** Milliseconds before the end that a warning comes: renewals have been tried for a while then. */
const WARNED_BEFORE = 21 * 86_400_000;
/** Certificates that live for days only are renewed in the last third of that time (RFC 9773 has an example). */
const WARNED_PART = 1 / 3;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Looks at a certificate and its chain.
 *
 * @param pem the server's own certificate first
 * @param now milliseconds since the Unix epoch
 * @returns `undefined` if there is none that can be read
 */
export function certificateEnd(pem: string, now: number): CertificateEnd | undefined {
  let chain: X509Certificate[];
  try {
    chain = [...pem.matchAll(CERTIFICATE)].map(([one]) => new X509Certificate(one));
  } catch {
    return undefined;
  }
  const ends = chain.map(({ validTo }) => Date.parse(validTo));
  const expires = Math.min(...ends);
  const first = chain[ends.indexOf(expires)];
  const [own] = chain;
  if (own === undefined || first === undefined) return undefined;
  const begins = Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom)));
  const who = first === own ? "the certificate" : `the certificate of ${nameOf(first)}, which is sent along,`;
  const date = new Date(expires).toISOString().slice(0, 10);
  let warning: string | undefined;
  if (now >= expires) {
    warning = `${who} expired on ${date}; clients that check it do not connect`;
  } else if (now < begins) {
    warning = `the certificate is not valid before ${new Date(begins).toISOString().slice(0, 16)}Z`;
  } else if (expires - now < Math.min(WARNED_BEFORE, (expires - Date.parse(first.validFrom)) * WARNED_PART)) {
    const days = Math.floor((expires - now) / 86_400_000);
    warning = `${who} expires on ${date}, ${
      days === 0 ? "today or tomorrow" : days === 1 ? "in a day" : `in ${days} days`
    }`;
  }
  return { expires, warning };
}

function nameOf({ subject }: X509Certificate): string {
  return subject.split("\n").at(-1)?.replace(/^CN=/, "") ?? "an authority";
}
