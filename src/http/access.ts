/** Who may administer, as docs/configuration.md ("Logs, metrics, HTTP") has it. */

import { Buffer } from "node:buffer";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { LookupUnavailable } from "../expression/types.ts";
import { hasForwardingHeaders, isLoopback, isLoopbackHost } from "./client_address.ts";
import type { HttpDependencies } from "./dependencies.ts";

/** What was decided about a request to an administrator's path. */
export type Access =
  | { readonly kind: "admitted"; readonly account: string; readonly by: "token" | "login" | "loopback" }
  /** No credentials, or wrong ones: ask for a login. */
  | { readonly kind: "challenge"; readonly account: string | undefined; readonly detail: string }
  | { readonly kind: "forbidden"; readonly detail: string }
  /** Credentials that were not looked at, because too many wrong ones came before. */
  | { readonly kind: "unchecked" }
  /** The directory cannot be reached, or too many logins are being checked. */
  | { readonly kind: "unavailable"; readonly detail: string };

/** Decides about requests. */
export type CheckAccess = (request: AccessRequest) => Promise<Access>;

/** The part of a request that access depends on. */
export interface AccessRequest {
  /** Address of the peer of the connection; a proxy's word does not count here. */
  readonly peerIp: string;
  readonly headers: Headers;
  /** The Host header, or the authority of an HTTP/2 request. */
  readonly host: string;
  /** Whether credentials that may be a guess are looked at. What is known to be right counts in any case. */
  readonly mayGuess: boolean;
}

/** What access is decided by. */
export type AccessDependencies = Pick<
  HttpDependencies,
  "config" | "clock" | "login" | "verifySecret" | "directoryHasAdministrators"
>;

/** A good login is remembered this long, in milliseconds: the status page asks often, and checking a hash is dear. */
const LOGIN_KEPT = 60_000;
const MOST_LOGINS_KEPT = 100;

/** Logins that are checked at once. */
const MOST_CHECKS = 8;

// A key of this process: digests made with it are of no use to anyone who gets hold of them.
const KEY = randomBytes(32);

function digest(text: string): Buffer {
  return createHmac("sha256", KEY).update(text).digest();
}

/** Compares two texts in a time that depends on neither. */
export function isSameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

/** User and password of a `Basic` Authorization header (RFC 7617), in UTF-8. */
export function basicCredentials(authorization: string | null): { user: string; password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const decoded = Buffer.from(encoded, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  return colon < 0 ? undefined : { user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** Makes the check for one configuration. */
export function createAccessCheck(deps: AccessDependencies): CheckAccess {
  const { authToken, fallbackAdmin } = deps.config;
  const openToLoopback = authToken === undefined && fallbackAdmin === undefined && !deps.directoryHasAdministrators;
  const kept = new Map<string, number>();
  let checking = 0;

  async function isAdministrator(user: string, password: string): Promise<boolean> {
    if (fallbackAdmin !== undefined) {
      const isUser = isSameSecret(fallbackAdmin.user, user);
      // Checked for any user name, so that the time does not tell whose it is.
      const isPassword = await deps.verifySecret(fallbackAdmin.secret, password);
      if (isUser && isPassword) return true;
    }
    const result = await deps.login(user, password);
    return result.kind === "accepted" && result.account.class === "admin";
  }

  async function checkLogin(user: string, password: string, mayGuess: boolean): Promise<Access> {
    const key = digest(`${user}\0${password}`).toString("base64");
    const until = kept.get(key);
    if (until !== undefined && until > deps.clock.now()) return { kind: "admitted", account: user, by: "login" };
    kept.delete(key);
    if (!mayGuess) return { kind: "unchecked" };
    if (checking >= MOST_CHECKS) {
      return { kind: "unavailable", detail: "Too many logins are being checked; try again in a moment." };
    }
    checking++;
    try {
      if (!await isAdministrator(user, password)) {
        return {
          kind: "challenge",
          account: user,
          detail: "The user name or password is wrong, or the account is not an administrator's.",
        };
      }
    } catch (error) {
      if (!(error instanceof LookupUnavailable)) throw error;
      return { kind: "unavailable", detail: "The directory cannot be reached, so the login cannot be checked." };
    } finally {
      checking--;
    }
    kept.set(key, deps.clock.now() + LOGIN_KEPT);
    const [oldest] = kept.keys();
    if (kept.size > MOST_LOGINS_KEPT && oldest !== undefined) kept.delete(oldest);
    return { kind: "admitted", account: user, by: "login" };
  }

  return async ({ peerIp, headers, host, mayGuess }) => {
    if (openToLoopback) {
      if (isLoopback(peerIp) && isLoopbackHost(host) && !hasForwardingHeaders(headers)) {
        return { kind: "admitted", account: "loopback", by: "loopback" };
      }
      return {
        kind: "forbidden",
        detail: "No administrator is configured, so only this machine is served, by a loopback address and name and " +
          "without a proxy. Set http.auth.token, authentication.fallback-admin, or a principal of class admin.",
      };
    }
    const authorization = headers.get("authorization");
    const token = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (token !== undefined) {
      if (authToken !== undefined && isSameSecret(authToken, token)) {
        return { kind: "admitted", account: "token", by: "token" };
      }
      return mayGuess
        ? { kind: "challenge", account: "token", detail: "The bearer token is wrong." }
        : { kind: "unchecked" };
    }
    const basic = basicCredentials(authorization);
    if (basic !== undefined) return await checkLogin(basic.user, basic.password, mayGuess);
    return { kind: "challenge", account: undefined, detail: "Show the bearer token or an administrator's login." };
  };
}
