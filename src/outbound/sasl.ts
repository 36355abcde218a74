/**
 * Logging in at a relay (RFC 4954): AUTH PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256 and XOAUTH2 (RFC 4616, RFC 2195,
 * RFC 7677).
 */

import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { Reply } from "../smtp/mod.ts";
import { SCRAM_HEADER, scramFinal, scramFirst } from "./scram.ts";
import type { Session } from "./session.ts";
import { type Failure, failure, refusal } from "./verdict.ts";

/** SASL credentials; for XOAUTH2 the secret is the access token. */
export interface Credentials {
  readonly username: string;
  readonly secret: string;
}

const base64 = (text: string) => Buffer.from(text, "utf8").toString("base64");
const fromBase64 = (reply: Reply) => Buffer.from(reply.text[0] ?? "", "base64");

/** One way to log in. The replies are those of the session; the last one tells. */
interface Mechanism {
  readonly name: string;
  /** Whether somebody on the path, or posing as the relay, would learn the secret. */
  readonly shows: boolean;
  run(dialogue: Exchange, credentials: Credentials): Promise<Reply | Unproven>;
}

/** Sends a line and gives the reply. */
type Exchange = (line: string) => Promise<Reply>;

/** The relay says that all is well, and has not shown that it knows the password. */
interface Unproven {
  readonly unproven: string;
}

const CANCEL = "*";

const plain: Mechanism = {
  name: "PLAIN",
  shows: true,
  run: (say, { username, secret }) => say(`AUTH PLAIN ${base64(`\0${username}\0${secret}`)}`),
};

const login: Mechanism = {
  name: "LOGIN",
  shows: true,
  async run(say, { username, secret }) {
    let reply = await say("AUTH LOGIN");
    if (reply.code === 334) reply = await say(base64(username));
    return reply.code === 334 ? await say(base64(secret)) : reply;
  },
};

const cramMd5: Mechanism = {
  name: "CRAM-MD5",
  shows: false,
  async run(say, { username, secret }) {
    const reply = await say("AUTH CRAM-MD5");
    if (reply.code !== 334) return reply;
    const digest = createHmac("md5", secret).update(fromBase64(reply)).digest("hex");
    return await say(base64(`${username} ${digest}`));
  },
};

const scramSha256: Mechanism = {
  name: "SCRAM-SHA-256",
  shows: false,
  async run(say, { username, secret }) {
    const nonce = randomBytes(18).toString("base64");
    const first = scramFirst(username, nonce);
    const challenge = await say(`AUTH SCRAM-SHA-256 ${base64(SCRAM_HEADER + first)}`);
    if (challenge.code !== 334) return challenge;
    const final = await scramFinal(first, nonce, fromBase64(challenge).toString("utf8"), secret);
    if (final === undefined) {
      await say(CANCEL);
      return { unproven: "sent a challenge that is none of SCRAM-SHA-256" };
    }
    const proof = await say(base64(final.message));
    if (proof.code !== 334 && proof.code !== 235) return proof;
    if (!final.isProof(fromBase64(proof).toString("utf8"))) {
      return { unproven: "did not prove that it knows the password" };
    }
    // RFC 4954 §4: SMTP has no place for data beside success, so the proof is one more challenge.
    return proof.code === 334 ? await say("") : proof;
  },
};

const xoauth2: Mechanism = {
  name: "XOAUTH2",
  shows: true,
  async run(say, { username, secret }) {
    const reply = await say(`AUTH XOAUTH2 ${base64(`user=${username}\x01auth=Bearer ${secret}\x01\x01`)}`);
    // What is wrong comes as a challenge, to be answered by nothing.
    return reply.code === 334 ? await say("") : reply;
  },
};

/** By preference: whoever knows the relay to be the right one may have the password, which every relay can check. */
const WITH_KNOWN = [plain, login, scramSha256, cramMd5, xoauth2];
const WITH_ANYBODY = [scramSha256, cramMd5, plain, login, xoauth2];

/** Secrets that turned out to be tokens; their relays would otherwise count a failed login at each connection. */
const tokens = new WeakSet<Credentials>();

/**
 * Logs in with the best mechanism that both sides have. Mechanisms that show the password are used only on an
 * encrypted link, or to an address of this machine. If the password is refused and XOAUTH2 is offered, the secret may
 * be a token.
 *
 * A refusal is a deferral even where the peer says 5yz: the credentials are the administrator's to mend, and the
 * messages are not to blame.
 *
 * @returns why it did not work, `undefined` if it did
 * @throws {ConnectionLost}
 */
export async function logIn(session: Session, credentials: Credentials, timeout: number): Promise<Failure | undefined> {
  const offered = session.peer.auth;
  const isLocal = isLoopback(session.connection.remote.ip);
  const mayShow = session.encrypted || isLocal;
  const isKnown = isLocal || session.connection.tlsResult?.authorized === true;
  const usable = (isKnown ? WITH_KNOWN : WITH_ANYBODY)
    .filter(({ name, shows }) => offered.includes(name) && (mayShow || !shows));
  const mechanism = tokens.has(credentials) && usable.includes(xoauth2) ? xoauth2 : usable[0];
  if (mechanism === undefined) {
    const why = offered.length === 0
      ? "does not offer AUTH"
      : mayShow
      ? `offers only AUTH ${offered.join(" ")}`
      : "is not encrypted, and its AUTH mechanisms would show the password";
    return unable(session, `the connection ${why}`);
  }
  const refused = await tryOne(session, mechanism, credentials, timeout);
  if (refused === undefined || refused.detail.status < 500 || session.closed) return refused;
  if (mechanism === xoauth2 || !usable.includes(xoauth2)) return refused;
  return await tryOne(session, xoauth2, credentials, timeout) === undefined ? undefined : refused;
}

async function tryOne(
  session: Session,
  mechanism: Mechanism,
  credentials: Credentials,
  timeout: number,
): Promise<Failure | undefined> {
  const name = `AUTH ${mechanism.name}`;
  const reply = await mechanism.run((line) => session.command(line, name, timeout), credentials);
  if ("unproven" in reply) {
    const failed = unable(session, `it ${reply.unproven}`);
    session.close();
    return failed;
  }
  if (reply.code === 235) {
    if (mechanism === xoauth2) tokens.add(credentials);
    return undefined;
  }
  const refused = refusal(session, name, reply, true);
  const enhanced = reply.code >= 500 ? "4.7.8" : refused.detail.enhanced;
  return { ...refused, kind: "deferred", detail: { ...refused.detail, enhanced } };
}

function unable(session: Session, why: string): Failure {
  return failure("deferred", "unexpected-reply", "4.7.0", `login at ${session.label}: ${why}`, {
    host: session.host,
    dialogue: session.dialogue.lines(),
    elsewhere: true,
  });
}

function isLoopback(ip: string): boolean {
  return ipaddr.isValid(ip) && ipaddr.process(ip).range() === "loopback";
}
