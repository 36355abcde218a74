/** Headers that go on every response: those that keep browsers careful, and those of the configuration. */

import type { HttpConfig } from "../config/config.ts";

/** Content-Security-Policy of everything that is not a page: nothing may load, nobody may frame. */
const DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox";

/** Policy of the status page: its own style, script, icon and frames, and requests to itself only. */
export const PAGE_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
  "img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/**
 * Policy of HTML mail in its frame: no script, no form, no request to anywhere; own inline style and inline images.
 * `sandbox` makes it an origin of its own even if it is opened outside the frame.
 */
export const MAIL_POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'self'";

/** Two years, as preload lists ask. */
const HSTS = "max-age=63072000; includeSubDomains";

/** `http.headers` taken apart; what is not `Name: value` is left out (loading has told of it). */
function configuredHeaders(lines: readonly string[]): [string, string][] {
  const headers: [string, string][] = [];
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) headers.push([match[1], match[2].trim()]);
  }
  return headers;
}

/** Makes the function that completes a response. A header that the response has itself is kept, save configured ones. */
export function responseHeaders(config: HttpConfig): (response: Response, isApi: boolean) => Response {
  const configured = configuredHeaders(config.headers);
  return (response, isApi) => {
    const headers = new Headers(response.headers);
    const byDefault = (name: string, value: string) => {
      if (!headers.has(name)) headers.set(name, value);
    };
    byDefault("content-security-policy", DATA_POLICY);
    byDefault("x-content-type-options", "nosniff");
    byDefault("x-frame-options", "DENY");
    byDefault("referrer-policy", "no-referrer");
    byDefault("cache-control", "no-store");
    byDefault("cross-origin-opener-policy", "same-origin");
    byDefault("cross-origin-resource-policy", isApi && config.permissiveCors ? "cross-origin" : "same-origin");
    // Sent on plain connections too: TLS may end at a proxy, which this side cannot see. Browsers ignore it there
    // (RFC 6797 §8.1).
    if (config.hsts) headers.set("strict-transport-security", HSTS);
    if (config.permissiveCors && isApi) {
      headers.set("access-control-allow-origin", "*");
      headers.set("access-control-allow-methods", "GET, POST, DELETE");
      headers.set("access-control-allow-headers", "authorization, content-type");
      headers.set("access-control-max-age", "600");
    }
    const seen = new Set<string>();
    for (const [name, value] of configured) {
      const key = name.toLowerCase();
      if (seen.has(key)) headers.append(name, value);
      else headers.set(name, value);
      seen.add(key);
    }
    return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
  };
}
