/** The mechanisms that send the password: PLAIN (RFC 4616) and LOGIN. */

import { reply } from "../smtp/mod.ts";
import { ended, type Exchange, firstResponse, type Mechanism, respond, type SaslResult } from "./sasl_exchange.ts";

export const plain: Mechanism = {
  checks: "password",
  exposes: "password",
  async run(exchange) {
    const response = await firstResponse(exchange);
    if ("code" in response) return ended(response);
    const parts = response.text.split("\0");
    const [authorize, user, password] = parts;
    if (parts.length !== 3 || authorize === undefined || !user || !password) {
      return ended(reply(501, "5.5.2", "PLAIN takes authorization identity, NUL, user name, NUL, password"));
    }
    return await check(exchange, user, password, authorize);
  },
};

export const login: Mechanism = {
  checks: "password",
  exposes: "password",
  async run(exchange) {
    const user = await firstResponse(exchange, "Username:");
    if ("code" in user) return ended(user);
    const password = await respond(exchange.session, "Password:");
    if ("code" in password) return ended(password);
    if (user.text === "" || password.text === "") {
      return ended(reply(501, "5.5.2", "User name and password must not be empty"));
    }
    return await check(exchange, user.text, password.text);
  },
};

async function check(
  { directory }: Exchange,
  user: string,
  password: string,
  authorize = "",
): Promise<SaslResult> {
  const result = await directory.login(user, password);
  // RFC 4616 §2: acting for somebody else is not offered.
  const allowed = authorize === "" || authorize === user;
  return result.kind === "accepted" && allowed
    ? { kind: "accepted", account: result.account, name: user }
    : { kind: "refused", name: user };
}
