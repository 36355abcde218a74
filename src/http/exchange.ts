/** One request with all that is known about it; what Hono's handlers see as `c.env`. */

import { LookupUnavailable, type Scope, type Value } from "../expression/types.ts";
import { emitEvaluationErrors } from "../telemetry/event.ts";
import { forwardedAddress, hasForwardingHeaders, normalizeIp } from "./client_address.ts";
import type { HttpDependencies, RequestInfo } from "./dependencies.ts";

/** A request on its way through the app. */
export interface Exchange {
  readonly request: Request;
  readonly info: RequestInfo;
  readonly url: URL;
  /** The Host header, or the authority of an HTTP/2 request; with port if it has one. */
  readonly host: string;
  /** Client address: the peer's, or with `http.use-x-forwarded` what the proxy says. */
  readonly clientIp: string;
  /** Variables of the context `http`. */
  readonly scope: Scope;
  /** Who was let in to administer, once that is known. */
  administrator?: string;
}

/** Builds the exchange of a request. */
export function openExchange(request: Request, info: RequestInfo, deps: HttpDependencies): Exchange {
  const url = new URL(request.url);
  const peerIp = normalizeIp(info.remote.ip) ?? info.remote.ip;
  let clientIp = peerIp;
  if (deps.config.useXForwarded) {
    const forwarded = forwardedAddress(request.headers);
    if (forwarded !== undefined) clientIp = forwarded;
    else if (!hasForwardingHeaders(request.headers)) {
      deps.emit("http.x-forwarded-missing", { listener: info.listener, remoteIp: peerIp });
    }
  }
  let headers: Value | undefined;
  const variables: Record<string, Value | undefined> = {
    listener: info.listener,
    protocol: info.tls ? "https" : "http",
    remote_ip: clientIp,
    remote_port: info.remote.port,
    local_ip: normalizeIp(info.local.ip) ?? info.local.ip,
    local_port: info.local.port,
    is_tls: info.tls,
    asn: 0,
    country: "",
    url: request.url,
    url_path: url.pathname,
    method: request.method,
    // Built when an expression asks, which few do.
    get headers() {
      return headers ??= [...request.headers].map(([name, value]) => `${name}: ${value}`);
    },
  };
  return {
    request,
    info,
    url,
    host: request.headers.get("host") ?? url.host,
    clientIp,
    scope: {
      variables,
      functions: deps.functions,
      onError: emitEvaluationErrors(deps.emit, { listener: info.listener }),
    },
  };
}

/**
 * Base URL of this server for links, from `http.url`, without final slash; `""` where it gives none, so that links
 * start at the root.
 */
export async function baseUrl(exchange: Exchange, deps: HttpDependencies): Promise<string> {
  try {
    const url = await deps.config.url.evaluate(exchange.scope);
    return URL.canParse(url) ? url.replace(/\/+$/, "") : "";
  } catch (error) {
    if (error instanceof LookupUnavailable) return "";
    throw error;
  }
}
