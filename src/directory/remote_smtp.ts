/** Asking an SMTP or LMTP server: whether it takes a recipient, and whether it takes a login. */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import type { RemoteDirectoryConfig } from "../config/config.ts";
import { LookupUnavailable } from "../expression/types.ts";
import {
  asciiAddress,
  formatPath,
  needsSmtpUtf8,
  parseEhlo,
  type PeerExtensions,
  ProtocolError,
  type Reply,
  ReplyParser,
} from "../smtp/mod.ts";
import { ConnectionBroken, type Pooled } from "./connection_pool.ts";
import { openRemoteStream, type RemoteOptions, toBase64 } from "./remote_stream.ts";

/** A session with the server. */
export interface MailServerLink extends Pooled {
  /** Makes sure that it is still there and in no transaction. */
  reset(): Promise<void>;
  /** Whether the server takes mail for an address; asked once between two resets. @throws {LookupUnavailable} if it does not say */
  takes(address: string): Promise<boolean>;
  /** Whether the server accepts a login. After one that it accepted, the session can do nothing more. */
  accepts(name: string, password: string): Promise<boolean>;
}

const MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5"] as const;

/** Opens a session: greeting, EHLO or LHLO, and TLS if the server offers it. */
export async function openMailServerLink(
  config: RemoteDirectoryConfig,
  options: RemoteOptions,
): Promise<MailServerLink> {
  const stream = await openRemoteStream(config, options);
  const replies = new ReplyParser();
  const server = `directory ${config.id}: ${config.address}`;
  let finished = false;
  let recipients = 0;
  let failures = 0;

  const reply = async (): Promise<Reply> => {
    try {
      while (true) {
        const found = replies.next();
        if (found !== undefined) {
          // RFC 5321 §3.8: 421 announces that the server leaves.
          if (found.code === 421) throw new ConnectionBroken(`the server says ${show(found)}`);
          return found;
        }
        replies.push(await stream.read());
      }
    } catch (error) {
      stream.close();
      if (error instanceof ProtocolError) throw new ConnectionBroken(error.message, { cause: error });
      throw error;
    }
  };
  const command = async (line: string): Promise<Reply> => {
    await stream.write(`${line}\r\n`);
    return await reply();
  };
  const unexpected = (what: string, answer: Reply) =>
    new LookupUnavailable(`${server} answers ${what} with ${show(answer)}`);
  const hello = async (): Promise<PeerExtensions> => {
    const verb = config.type === "lmtp" ? "LHLO" : "EHLO";
    const answer = await command(`${verb} ${options.hostname}`);
    if (answer.code !== 250) throw unexpected(verb, answer);
    return parseEhlo(answer);
  };
  const begin = async (): Promise<PeerExtensions> => {
    const greeting = await reply();
    if (greeting.code !== 220) throw unexpected("a connection", greeting);
    const peer = await hello();
    if (stream.encrypted || !peer.starttls) return peer;
    const answer = await command("STARTTLS");
    if (answer.code !== 220) throw unexpected("STARTTLS", answer);
    replies.clear();
    await stream.startTls();
    return await hello();
  };

  let peer: PeerExtensions;
  try {
    peer = await begin();
  } catch (error) {
    stream.close();
    throw error;
  }

  const exchange = async (mechanism: string, name: string, password: string): Promise<Reply> => {
    if (mechanism === "PLAIN") return await command(`AUTH PLAIN ${toBase64(`\0${name}\0${password}`)}`);
    let answer = await command(`AUTH ${mechanism}`);
    if (answer.code !== 334) return answer;
    if (mechanism === "LOGIN") {
      answer = await command(toBase64(name));
      return answer.code === 334 ? await command(toBase64(password)) : answer;
    }
    const challenge = Buffer.from(answer.text[0] ?? "", "base64");
    return await command(toBase64(`${name} ${createHmac("md5", password).update(challenge).digest("hex")}`));
  };

  return {
    get alive() {
      return stream.alive && !finished;
    },
    close: () => stream.close("QUIT\r\n"),
    async reset() {
      const answer = await command("RSET");
      if (answer.code !== 250) throw new ConnectionBroken(`the server answers RSET with ${show(answer)}`);
    },
    async takes(address) {
      const international = needsSmtpUtf8(address);
      // RFC 6531 §3.2: a domain has an ASCII form; a local part that has none cannot be a mailbox of such a server.
      const target = international && !peer.smtputf8 ? asciiAddress(address) : address;
      if (target === undefined) return false;
      // The null sender: nobody is to be told about a question.
      const mail = await command(`MAIL FROM:<>${international && peer.smtputf8 ? " SMTPUTF8" : ""}`);
      if (mail.code !== 250) throw unexpected("MAIL FROM:<>", mail);
      const answer = await command(`RCPT TO:${formatPath(target)}`);
      recipients++;
      if (recipients >= config.limits.rcpt) finished = true;
      const taken = judgeRecipient(answer);
      if (taken === undefined) throw unexpected("RCPT", answer);
      return taken;
    },
    async accepts(name, password) {
      const usable = MECHANISMS.filter((one) => peer.auth.includes(one) && (stream.isPrivate || one === "CRAM-MD5"));
      const [mechanism] = usable;
      if (mechanism === undefined) {
        finished = true;
        const why = peer.auth.length === 0
          ? "does not offer AUTH"
          : stream.isPrivate
          ? `offers only AUTH ${peer.auth.join(" ")}`
          : "has no TLS, and its mechanisms would show passwords to the network";
        throw new LookupUnavailable(`${server} ${why}`);
      }
      const answer = await exchange(mechanism, name, password);
      if (answer.code === 235) {
        // RFC 4954 §4: one login is all that a session takes.
        finished = true;
        return true;
      }
      failures++;
      if (failures >= config.limits.authErrors) finished = true;
      // RFC 4954 §6: 535 is the reply to wrong credentials; anything else is about the server, not the user.
      if (answer.code === 535) return false;
      finished = true;
      throw unexpected(`AUTH ${mechanism}`, answer);
    },
  };
}

/** Whether a reply to RCPT says that there is such a mailbox; `undefined` if it says something else. */
function judgeRecipient({ code, enhanced = "" }: Reply): boolean | undefined {
  if (code >= 200 && code < 300) return true;
  // A full mailbox is one that exists; delivery will tell whether it is still full then.
  if (code === 552 || enhanced === "5.2.2") return true;
  // Refusals for reasons of policy or of protocol (5.7.x, 5.5.x, 50x, 530) say nothing about the mailbox.
  const aboutMailbox = enhanced === "" || /^5\.[012]\./.test(enhanced);
  return aboutMailbox && (code === 550 || code === 551 || code === 553 || code === 554) ? false : undefined;
}

function show({ code, enhanced, text }: Reply): string {
  return [code, enhanced, text[0]].filter((part) => part !== undefined && part !== "").join(" ");
}
