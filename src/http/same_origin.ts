/** Protection against cross-site requests: a page elsewhere cannot make a logged-in browser change anything here. */

/**
 * Whether a request may be one that another site's page made a browser send. Browsers add `Sec-Fetch-Site` (Fetch
 * Metadata, W3C) to secure and loopback requests and `Origin` (RFC 6454 §7) to all that are not GET or HEAD; other
 * programs send neither and carry no one else's login.
 *
 * @param hosts `host[:port]` values that are this server: the Host header and that of `http.url`
 */
export function isCrossSite(headers: Headers, hosts: readonly string[]): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null) return site !== "same-origin" && site !== "none";
  const origin = headers.get("origin");
  if (origin === null) return false;
  // `null` is the origin of sandboxed frames and files.
  if (!URL.canParse(origin)) return true;
  return !hosts.includes(new URL(origin).host);
}
