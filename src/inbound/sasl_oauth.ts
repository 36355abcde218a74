/** The mechanisms that send an OAuth 2 bearer token: OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner. */

import { reply } from "../smtp/mod.ts";
import { ended, firstResponse, type Mechanism, respond } from "./sasl_exchange.ts";

/** Whom a client claims to be, `""` if it does not say, and its token. */
export interface BearerCredentials {
  readonly name: string;
  readonly token: string;
}

export const oauthBearer: Mechanism = bearerMechanism(
  parseOauthBearer,
  JSON.stringify({ status: "invalid_token", schemes: "bearer", scope: "" }),
);

export const xoauth2: Mechanism = bearerMechanism(
  parseXoauth2,
  JSON.stringify({ status: "401", schemes: "bearer", scope: "" }),
);

function bearerMechanism(
  parse: (text: string) => BearerCredentials | undefined,
  failure: string,
): Mechanism {
  return {
    checks: "token",
    exposes: "token",
    async run(exchange) {
      const response = await firstResponse(exchange);
      if ("code" in response) return ended(response);
      const credentials = parse(response.text);
      if (credentials === undefined) {
        return ended(reply(501, "5.5.2", "This is no message of the mechanism that this server understands"));
      }
      const { name, token } = credentials;
      const result = await exchange.directory.token?.(token, name) ?? { kind: "refused" };
      if (result.kind === "accepted") return result;
      // RFC 7628 §3.2.2: the failure is a challenge, and whatever the client answers, the exchange has failed.
      const farewell = await respond(exchange.session, failure);
      return "code" in farewell && farewell.enhanced !== "5.5.2"
        ? { kind: "refused", name, reply: farewell }
        : { kind: "refused", name };
    },
  };
}

/** Reads the client's message of OAUTHBEARER (RFC 7628 §3.1); `undefined` if it is none. */
export function parseOauthBearer(text: string): BearerCredentials | undefined {
  const [header = "", ...pairs] = text.split(SEPARATOR);
  const authorize = /^[ny],(?:a=([^,]*))?,$/.exec(header);
  const token = bearerOf(pairs);
  const name = authorize?.[1] ?? "";
  // RFC 5801 §4: any other use of = is an error.
  if (authorize === null || token === undefined || /=(?!2C|3D)/.test(name)) return undefined;
  return { name: name.replaceAll("=2C", ",").replaceAll("=3D", "="), token };
}

/** Reads the client's message of XOAUTH2; `undefined` if it is none. */
export function parseXoauth2(text: string): BearerCredentials | undefined {
  const [user = "", ...pairs] = text.split(SEPARATOR);
  const name = /^user=(.+)$/s.exec(user)?.[1];
  const token = bearerOf(pairs);
  return name === undefined || token === undefined ? undefined : { name, token };
}

/** Stands behind each pair, and once more at the end. */
const SEPARATOR = "\x01";

/** The token of `auth=Bearer …` among pairs, the two empty ones at the end included. */
function bearerOf(pairs: readonly string[]): string | undefined {
  if (pairs.length < 3 || pairs.at(-1) !== "" || pairs.at(-2) !== "") return undefined;
  for (const pair of pairs) {
    const token = /^auth=bearer +(\S+)$/i.exec(pair)?.[1];
    if (token !== undefined) return token;
  }
  return undefined;
}
