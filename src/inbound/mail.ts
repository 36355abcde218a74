/** MAIL FROM (RFC 5321 §4.1.1.2): may this client send, from this address, a message like this? */

import {
  addressDomain,
  type Command,
  type MailParameters,
  readMailParameters,
  type Reply,
  reply,
} from "../smtp/mod.ts";
import { asAddress } from "./address.ts";
import { offeredNow } from "./ehlo.ts";
import type { Session } from "./session.ts";

type MailCommand = Extract<Command, { path: string }>;

/** Answers MAIL and opens the transaction. */
export async function mail(session: Session, command: MailCommand): Promise<Reply> {
  const { config, emit } = session.deps;
  if (session.heloDomain === "" && await session.evaluate(config.ehlo.require)) {
    return reply(503, "5.5.1", session.lmtp ? "Send LHLO first" : "Send EHLO first");
  }
  if (session.account === undefined && await session.evaluate(config.auth.require)) {
    return reply(530, "5.7.0", "Authentication required");
  }
  if (session.transaction !== undefined) return reply(503, "5.5.1", "A mail transaction is open already");
  if (session.messages >= await session.evaluate(config.data.limits.messages)) {
    return reply(452, "4.4.5", "Too many messages in this session, open a new one");
  }
  const parsed = readMailParameters(command.parameters, await offeredNow(session));
  if (parsed.kind === "error") return parsed.reply;
  const parameters = parsed.parameters;
  if (command.nonAscii && parameters.smtputf8 !== true) {
    // RFC 6531 §3.5
    return reply(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter");
  }
  const refusal = await refuseParameters(session, parameters);
  if (refusal !== undefined) return refusal;

  let sender = command.path;
  setVariables(session, sender, parameters);
  if (session.account !== undefined && sender !== "" && await session.evaluate(config.auth.mustMatchSender)) {
    if (!owns(session.account.emails, sender)) {
      emit("smtp.mail-from-unauthorized", { session: session.id, account: session.account.name, from: sender });
      clearVariables(session);
      return reply(553, "5.7.1", `${session.account.name} may not send from this address`);
    }
  }
  const rewritten = await session.evaluate(config.mail.rewrite);
  if (rewritten !== false) {
    const address = rewritten === "" ? "" : asAddress(rewritten);
    if (address === undefined) {
      emit("smtp.invalid-sender-address", { session: session.id, from: sender, result: rewritten });
    } else {
      sender = address;
      setVariables(session, sender, parameters);
      emit("smtp.mail-from-rewritten", { session: session.id, from: command.path, to: sender });
    }
  }
  if (!await session.evaluate(config.mail.isAllowed)) {
    emit("smtp.mail-from-not-allowed", { session: session.id, from: sender });
    clearVariables(session);
    return reply(550, "5.7.1", "Sender is not allowed");
  }
  session.transaction = { sender, parameters, recipients: [], addresses: [], known: new Set(), chunks: undefined };
  emit("smtp.mail-from", { session: session.id, from: sender, size: parameters.size });
  return reply(250, "2.1.0", "Sender OK");
}

async function refuseParameters(session: Session, parameters: MailParameters): Promise<Reply | undefined> {
  const { config, clock } = session.deps;
  const limit = await session.evaluate(config.data.limits.size);
  if (parameters.size !== undefined && parameters.size > limit) {
    return reply(552, "5.3.4", `Message of ${parameters.size} octets is too big, the limit is ${limit}`);
  }
  if (parameters.holdFor !== undefined || parameters.holdUntil !== undefined) {
    const longest = await session.evaluate(config.extensions.futureRelease);
    const wanted = parameters.holdFor !== undefined
      ? parameters.holdFor * 1000
      : (parameters.holdUntil ?? 0) - clock.now();
    if (longest === false || wanted > longest) {
      return reply(501, "5.5.4", "The requested hold is longer than this server permits");
    }
  }
  if (parameters.solicit !== undefined) {
    const refused = await session.evaluate(config.extensions.noSoliciting);
    const keywords = new Set(refused === false ? [] : refused.toLowerCase().split(","));
    if (parameters.solicit.toLowerCase().split(",").some((keyword) => keywords.has(keyword.trim()))) {
      // RFC 3865 §2.4
      return reply(550, "5.7.1", "Soliciting mail of this kind is not wanted here");
    }
  }
  return undefined;
}

function setVariables(session: Session, sender: string, parameters: MailParameters): void {
  session.variables.sender = sender;
  session.variables.sender_domain = sender === "" ? "" : addressDomain(sender);
  session.variables.priority = parameters.mtPriority ?? 0;
}

function clearVariables(session: Session): void {
  session.variables.sender = "";
  session.variables.sender_domain = "";
  session.variables.priority = 0;
}

/** Whether `sender` is one of an account's addresses, or in a domain whose catch-all it owns. */
function owns(emails: readonly string[], sender: string): boolean {
  const wanted = sender.toLowerCase();
  const domain = "@" + addressDomain(wanted);
  return emails.some((email) => {
    const own = email.toLowerCase();
    return own === wanted || own === domain;
  });
}
