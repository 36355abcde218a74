/** A directory that asks an OpenID Connect provider about bearer tokens (type `oidc`). */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock/mod.ts";
import type { OidcDirectoryConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import { lowerDomain } from "./address.ts";
import type { Account, Directory, LoginResult } from "./directory.ts";

/** What an OpenID Connect directory works with. */
export interface OidcDirectoryOptions {
  readonly clock: Clock;
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** Most octets of an answer that are read. */
const LARGEST_ANSWER = 65_536;

/** RFC 6750 §2.1: what a bearer token may be made of. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

const REFUSED: LoginResult = { kind: "refused" };

/** Makes an OpenID Connect directory. It knows no recipients and no passwords. */
export function createOidcDirectory(config: OidcDirectoryConfig, options: OidcDirectoryOptions): Directory {
  const { clock, fetch: call = fetch } = options;
  const domains = new Set(config.domains);
  const unavailable = (why: string, cause?: unknown) =>
    new LookupUnavailable(`directory ${config.id}: ${config.endpoint.url} ${why}`, { cause });

  /** What the provider says of a token, `undefined` if it is no good. */
  const ask = async (token: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
    const control = new AbortController();
    const timer = clock.after(config.timeout, () => control.abort());
    try {
      const response = await call(config.endpoint.url, { ...request(config, token), signal: control.signal });
      const text = await readText(response);
      if (isRefusal(config, response.status)) return undefined;
      if (response.status !== 200) throw unavailable(`answered ${response.status}`);
      return toRecord(text) ?? fail(unavailable("did not answer with a JSON object"));
    } catch (error) {
      if (error instanceof LookupUnavailable) throw error;
      if (control.signal.aborted) throw unavailable(`did not answer within ${config.timeout / 1000} s`, error);
      throw unavailable(`cannot be asked: ${error instanceof Error ? error.message : error}`, error);
    } finally {
      timer.cancel();
    }
  };

  return {
    id: config.id,
    isLocalDomain: (domain) => domains.has(domain.toLowerCase()),
    localDomains: () => config.domains,
    recipients: () => [],
    account: () => undefined,
    login: () => Promise.resolve(REFUSED),
    async token(token, name) {
      if (!TOKEN.test(token)) return REFUSED;
      const claims = await ask(token);
      if (claims === undefined) return REFUSED;
      // RFC 7662 §2.2: anything but true means that the token is of no use, for whatever reason.
      if (config.endpoint.method === "introspect" && (claims.active !== true || isOver(claims, clock.now()))) {
        return REFUSED;
      }
      const account = toAccount(config, claims);
      if (account === undefined) {
        const { username, email } = config.fields;
        throw unavailable(`names nobody: its answer has neither '${username}' nor '${email}' (see 'fields')`);
      }
      return name === "" || isNamed(account, name) ? { kind: "accepted", account } : REFUSED;
    },
  };
}

function request({ endpoint, auth }: OidcDirectoryConfig, token: string): RequestInit {
  const headers: Record<string, string> = { Accept: "application/json" };
  // A redirect would take the token to somebody whom the configuration does not name.
  const redirect = "error";
  if (endpoint.method === "userinfo") {
    // OpenID Connect Core §5.3.1
    headers.Authorization = `Bearer ${token}`;
    return { method: "GET", headers, redirect };
  }
  // RFC 7662 §2.1
  switch (auth.method) {
    case "basic": {
      // RFC 6749 §2.3.1: both are form-encoded before they are joined.
      const pair = `${formEncode(auth.username)}:${formEncode(auth.secret)}`;
      headers.Authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
      break;
    }
    case "token":
      headers.Authorization = `Bearer ${auth.token}`;
      break;
    case "user-token":
      headers.Authorization = `Bearer ${token}`;
      break;
    case "none":
      break;
  }
  return { method: "POST", headers, redirect, body: new URLSearchParams({ token, token_type_hint: "access_token" }) };
}

/** RFC 7662 §2.2: whether the token has expired, or does not count yet, whatever a cached answer says. */
function isOver({ exp, nbf }: Readonly<Record<string, unknown>>, now: number): boolean {
  return (typeof exp === "number" && exp * 1000 <= now) || (typeof nbf === "number" && nbf * 1000 > now);
}

function formEncode(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

/** Whether the status says that the user's token is no good, not that our own credentials are not. */
function isRefusal({ endpoint, auth }: OidcDirectoryConfig, status: number): boolean {
  const isUsersToken = endpoint.method === "userinfo" || auth.method === "user-token";
  return isUsersToken && (status === 401 || status === 403 || (status === 400 && endpoint.method === "userinfo"));
}

async function readText(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    // Leaving the loop cancels the rest.
    if (length > LARGEST_ANSWER) throw new Error(`the answer is longer than ${LARGEST_ANSWER} octets`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function toRecord(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function toAccount({ fields }: OidcDirectoryConfig, claims: Readonly<Record<string, unknown>>): Account | undefined {
  const text = (field: string): string => {
    const value = Object.hasOwn(claims, field) ? claims[field] : undefined;
    return typeof value === "string" ? value.trim() : "";
  };
  // OpenID Connect Core §5.1: an address that nobody has verified may be anybody's.
  const email = claims.email_verified === false ? "" : text(fields.email);
  const name = text(fields.username) || email;
  if (name === "") return undefined;
  const account: Account = {
    name,
    class: "individual",
    emails: /^[^@\s]+@[^@\s]+$/.test(email) ? [lowerDomain(email)] : [],
  };
  const description = text(fields.fullName);
  return description === "" ? account : { ...account, description };
}

/** Whether a client that gives this name means the account. */
function isNamed({ name, emails }: Account, given: string): boolean {
  return [name, ...emails].some((own) => own.toLowerCase() === given.toLowerCase());
}

function fail(error: Error): never {
  throw error;
}
