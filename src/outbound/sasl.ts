/** Logging in at a relay: AUTH PLAIN, LOGIN and CRAM-MD5 (RFC 4954, RFC 4616, RFC 2195). */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { Reply } from "../smtp/mod.ts";
import type { Session } from "./session.ts";
import { type Failure, failure, refusal } from "./verdict.ts";

/** SASL credentials. */
export interface Credentials {
  readonly username: string;
  readonly secret: string;
}

const base64 = (text: string) => Buffer.from(text, "utf8").toString("base64");

/**
 * Logs in with the best mechanism that both sides have. Mechanisms that show the password are used only on an
 * encrypted link, or to an address of this machine.
 *
 * A refusal is a deferral even where the peer says 5yz: the credentials are the administrator's to mend, and the
 * messages are not to blame.
 *
 * @returns why it did not work, `undefined` if it did
 * @throws {ConnectionLost}
 */
export async function logIn(session: Session, credentials: Credentials, timeout: number): Promise<Failure | undefined> {
  const offered = session.peer.auth;
  const mayShow = session.encrypted || isLoopback(session.connection.remote.ip);
  const mechanism = (mayShow ? ["PLAIN", "LOGIN", "CRAM-MD5"] : ["CRAM-MD5"]).find((one) => offered.includes(one));
  if (mechanism === undefined) {
    const why = offered.length === 0
      ? "does not offer AUTH"
      : mayShow
      ? `offers only AUTH ${offered.join(" ")}`
      : "is not encrypted, and its AUTH mechanisms would show the password";
    return failure("deferred", "unexpected-reply", "4.7.0", `login at ${session.label}: the connection ${why}`, {
      host: session.host,
      dialogue: session.dialogue.lines(),
      elsewhere: true,
    });
  }
  const reply = await exchange(session, mechanism, credentials, timeout);
  if (reply.code === 235) return undefined;
  const refused = refusal(session, `AUTH ${mechanism}`, reply, true);
  const enhanced = reply.code >= 500 ? "4.7.8" : refused.detail.enhanced;
  return { ...refused, kind: "deferred", detail: { ...refused.detail, enhanced } };
}

async function exchange(
  session: Session,
  mechanism: string,
  { username, secret }: Credentials,
  timeout: number,
): Promise<Reply> {
  const name = `AUTH ${mechanism}`;
  if (mechanism === "PLAIN") {
    return await session.command(`AUTH PLAIN ${base64(`\0${username}\0${secret}`)}`, name, timeout);
  }
  let reply = await session.command(name, name, timeout);
  if (reply.code !== 334) return reply;
  if (mechanism === "LOGIN") {
    reply = await session.command(base64(username), name, timeout);
    if (reply.code !== 334) return reply;
    return await session.command(base64(secret), name, timeout);
  }
  const challenge = Buffer.from(reply.text[0] ?? "", "base64");
  const digest = createHmac("md5", secret).update(challenge).digest("hex");
  return await session.command(base64(`${username} ${digest}`), name, timeout);
}

function isLoopback(ip: string): boolean {
  return ipaddr.isValid(ip) && ipaddr.process(ip).range() === "loopback";
}
