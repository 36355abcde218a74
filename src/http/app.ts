/** The HTTP app: every request passes limits, the endpoint rule, rates and access, in this order, then its route. */

import { Hono } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { LookupUnavailable } from "../expression/types.ts";
import { StoreUnavailable } from "../queue/types.ts";
import { createAccessCheck } from "./access.ts";
import { apiRoutes } from "./api.ts";
import { rateKey } from "./client_address.ts";
import type { HttpDependencies, RequestInfo } from "./dependencies.ts";
import { baseUrl, type Exchange, openExchange } from "./exchange.ts";
import { publicRoutes } from "./public_routes.ts";
import { problem } from "./problem.ts";
import { createTokenBuckets } from "./rate_limit.ts";
import { responseHeaders } from "./response_headers.ts";
import { isCrossSite } from "./same_origin.ts";
import { statusRoutes } from "./status/routes.ts";

/** Answers requests. */
export interface HttpApp {
  fetch(request: Request, info: RequestInfo): Promise<Response>;
}

/** Bounds of a request: URL in characters, headers in characters together, body in octets. No route reads a body. */
const LONGEST_URL = 8 * 1024;
const LARGEST_HEADERS = 32 * 1024;
const LARGEST_BODY = 64 * 1024;

/** Longest time a response may take to begin, in milliseconds. */
const ANSWER_WITHIN = 30_000;

/** Not counted: probes, and proofs of names, since an authority may ask for many from one address, or through a proxy. */
const UNLIMITED_PATHS = /^\/(?:healthz(?:\/live|\/ready)?|readyz|\.well-known\/acme-challenge\/[^/]*)$/;
const PUBLIC_PATHS = /^\/(?:robots\.txt|metrics|metrics\/prometheus|\.well-known\/.*)$/;

/** Builds the app for one configuration. A reload makes a new one. */
export function createHttpApp(deps: HttpDependencies): HttpApp {
  const { clock, config, emit } = deps;
  const app = new Hono<{ Bindings: Exchange }>();
  const checkAccess = createAccessCheck(deps);
  const anonymous = createTokenBuckets(config.rateLimit.anonymous, clock);
  // Apart from those of visitors, so that no number of these keeps an administrator out.
  const guesses = createTokenBuckets(config.rateLimit.anonymous, clock);
  const accounts = createTokenBuckets(config.rateLimit.account, clock);
  const complete = responseHeaders(config);
  const takesLogins = config.fallbackAdmin !== undefined || deps.directoryHasAdministrators;

  app.use(methodNotAllowed({
    app,
    onMethodNotAllowed: (_, methods) =>
      problem(405, `This path takes ${methods.join(", ")}.`, { allow: methods.join(", ") }),
  }));
  app.notFound(() => problem(404, "There is nothing at this path."));
  app.onError((error, c) => failure(error, c.req.method, c.req.path));
  app.route("/", publicRoutes(deps));
  app.route("/api", apiRoutes(deps));
  app.route("/", statusRoutes(deps));

  function failure(error: unknown, method: string, path: string): Response {
    if (error instanceof StoreUnavailable) {
      return problem(503, "The store cannot be reached for now.", { "retry-after": "5" });
    }
    if (error instanceof LookupUnavailable) {
      return problem(503, "A directory, list or DNS server cannot be reached for now.", { "retry-after": "5" });
    }
    emit("http.error", { method, path, reason: error instanceof Error ? error.message : String(error) });
    return problem(500, "Something went wrong here; the log says what.");
  }

  /** Refuses what is over a rate or not allowed; nothing if the request may go on. */
  async function refusal(exchange: Exchange): Promise<Response | undefined> {
    const { request, url, clientIp, info } = exchange;
    if (UNLIMITED_PATHS.test(url.pathname)) return undefined;
    const key = rateKey(clientIp);
    const isPublic = PUBLIC_PATHS.test(url.pathname);
    const isLogin = !isPublic && request.headers.has("authorization");
    const wait = isLogin ? 0 : isPublic ? anonymous.take(key) : anonymous.peek(key);
    if (wait > 0) return tooMany(exchange, wait);
    if (isPublic) return undefined;

    const access = await checkAccess({
      peerIp: info.remote.ip,
      headers: request.headers,
      host: exchange.host,
      // This is what slows down guessing: without a token left a login is not even looked at.
      mayGuess: guesses.peek(key) === 0,
    });
    if (access.kind === "admitted") {
      const accountWait = accounts.take(access.account);
      if (accountWait > 0) return tooMany(exchange, accountWait);
      exchange.administrator = access.account;
      return await crossSiteRefusal(exchange, access.by);
    }
    if (access.kind === "unchecked") return tooMany(exchange, guesses.peek(key));
    (isLogin ? guesses : anonymous).take(key);
    const fields = { listener: info.listener, remoteIp: clientIp, path: url.pathname };
    switch (access.kind) {
      case "challenge": {
        if (access.account !== undefined) emit("auth.failed", { ...fields, account: access.account });
        const schemes = [
          ...(takesLogins ? ['Basic realm="godwit", charset="UTF-8"'] : []),
          ...(config.authToken !== undefined ? ['Bearer realm="godwit"'] : []),
        ];
        return problem(401, access.detail, { "www-authenticate": schemes.join(", ") });
      }
      case "forbidden":
        emit("security.unauthorized", fields);
        return problem(403, access.detail);
      case "unavailable":
        return problem(503, access.detail, { "retry-after": "5" });
    }
  }

  async function crossSiteRefusal(exchange: Exchange, by: "token" | "login" | "loopback") {
    // A token is never sent by a browser on its own. A GET changes nothing, but where no login is asked for, only the
    // browser's own origin rule keeps another site from reading, and permissive-cors switches that rule off.
    const { method, headers } = exchange.request;
    const isRead = method === "GET" || method === "HEAD";
    if (by === "token" || (isRead && !(by === "loopback" && config.permissiveCors))) return undefined;
    const base = await baseUrl(exchange, deps);
    const hosts = base === "" ? [exchange.host] : [exchange.host, new URL(base).host];
    if (!isCrossSite(headers, hosts)) return undefined;
    emit("security.unauthorized", { remoteIp: exchange.clientIp, path: exchange.url.pathname, reason: "cross-site" });
    return problem(403, "A request from another site's page is not served without the bearer token.");
  }

  function tooMany(exchange: Exchange, wait: number): Response {
    emit("limit.too-many-requests", { listener: exchange.info.listener, remoteIp: exchange.clientIp });
    const seconds = Math.max(1, Math.ceil(wait / 1000));
    return problem(429, `Too many requests; try again in ${seconds} s.`, { "retry-after": String(seconds) });
  }

  async function answer(exchange: Exchange): Promise<Response> {
    const { request, url } = exchange;
    if (deps.blocked?.(exchange.clientIp) === true) {
      emit("security.ip-blocked", { listener: exchange.info.listener, remoteIp: exchange.clientIp, reason: "blocked" });
      return problem(403, "Requests from this address are not served.", { connection: "close" });
    }
    const status = await config.allowedEndpoint.evaluate(exchange.scope);
    if (status !== 200) {
      return problem(isErrorStatus(status) ? status : 403, "This path is not served here (http.allowed-endpoint).");
    }
    if (request.method === "OPTIONS" && config.permissiveCors && isApiPath(url.pathname)) {
      return new Response(null, { status: 204 });
    }
    return await refusal(exchange) ?? await app.fetch(request, exchange);
  }

  async function fetch(request: Request, info: RequestInfo): Promise<Response> {
    const started = clock.now();
    const tooLarge = sizeProblem(request);
    if (tooLarge !== undefined) {
      emit("limit.size-request", { listener: info.listener, remoteIp: info.remote.ip });
      return complete(tooLarge, false);
    }
    const exchange = openExchange(request, info, deps);
    const { pathname } = exchange.url;
    let response: Response;
    try {
      response = await withinTime(answer(exchange));
    } catch (error) {
      response = failure(error, request.method, pathname);
    }
    emit("http.request-url", {
      listener: info.listener,
      remoteIp: exchange.clientIp,
      method: request.method,
      path: pathname,
      status: response.status,
      elapsed: clock.now() - started,
    });
    return complete(response, isApiPath(pathname));
  }

  async function withinTime(response: Promise<Response>): Promise<Response> {
    let timer: { cancel(): void } | undefined;
    const late = new Promise<Response>((resolve) => {
      timer = clock.after(ANSWER_WITHIN, () => {
        resolve(problem(503, "This takes too long; try again later.", { "retry-after": "30" }));
      });
    });
    try {
      return await Promise.race([response, late]);
    } finally {
      timer?.cancel();
      // Whoever lost the race must not become an unhandled rejection.
      response.catch(() => {});
    }
  }

  return { fetch };
}

function isErrorStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 400 && status <= 599;
}

function isApiPath(path: string): boolean {
  return path === "/api" || path.startsWith("/api/");
}

function sizeProblem(request: Request): Response | undefined {
  if (request.url.length > LONGEST_URL) return problem(414, `The URL is longer than ${LONGEST_URL} characters.`);
  let size = 0;
  for (const [name, value] of request.headers) size += name.length + value.length + 4;
  if (size > LARGEST_HEADERS) return problem(431, `The headers are longer than ${LARGEST_HEADERS} characters.`);
  if (Number(request.headers.get("content-length") ?? 0) > LARGEST_BODY) {
    return problem(413, `The body is larger than ${LARGEST_BODY} octets.`);
  }
  return undefined;
}
