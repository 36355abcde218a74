/** MAIL FROM (RFC 5321 §4.1.1.2): may this client send, from this address, a message like this? */

import type { FilterRun } from "../filter/mod.ts";
import {
  addressDomain,
  asAddress,
  type Command,
  type MailParameters,
  readMailParameters,
  type Reply,
  reply,
} from "../smtp/mod.ts";
import { admit } from "./admission.ts";
import { offeredNow } from "./ehlo.ts";
import { checkMailFrom } from "./checks.ts";
import { filterStage } from "./filters.ts";
import { admitParameters, levelOf, maySendFrom, refuseParameter } from "./mail_parameters.ts";
import { type Session, setRecipients, type Transaction } from "./session.ts";

type MailCommand = Extract<Command, { path: string }>;

/** Answers MAIL and opens the transaction. */
export async function mail(session: Session, command: MailCommand): Promise<Reply> {
  const { config, emit } = session.deps;
  if (session.heloDomain === "" && await session.evaluate(config.ehlo.require)) {
    const first = session.lmtp ? "Send LHLO first" : "Send EHLO first";
    return session.refuse("smtp.did-not-say-ehlo", reply(503, "5.5.1", first));
  }
  if (session.account === undefined && await session.evaluate(config.auth.require)) {
    return session.refuse("smtp.mail-from-unauthenticated", reply(530, "5.7.0", "Authentication required"));
  }
  if (session.transaction !== undefined) {
    return session.refuse("smtp.multiple-mail-from", reply(503, "5.5.1", "A mail transaction is open already"));
  }
  if (session.messages >= await session.evaluate(config.data.limits.messages)) {
    const answer = reply(452, "4.4.5", "Too many messages in this session, open a new one");
    return session.refuse("smtp.too-many-messages", answer);
  }
  const parsed = readMailParameters(command.parameters, await offeredNow(session));
  if (parsed.kind === "error") return refuseParameter(session, parsed.reply);
  if (command.nonAscii && parsed.parameters.smtputf8 !== true) {
    // RFC 6531 §3.5
    return reply(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter");
  }
  const admission = await admitParameters(session, parsed.parameters);
  if (admission.kind === "refused") return admission.reply;
  const { parameters } = admission;

  let sender = command.path;
  setSender(session, sender);
  session.variables.priority = parameters.mtPriority === undefined ? 0 : await levelOf(session, parameters);
  if (session.account !== undefined && sender !== "" && await session.evaluate(config.auth.mustMatchSender)) {
    if (!await maySendFrom(session, session.account.emails, sender)) {
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
      setSender(session, sender);
      emit("smtp.mail-from-rewritten", { session: session.id, from: command.path, to: sender });
    }
  }
  if (!await session.evaluate(config.mail.isAllowed)) {
    emit("smtp.mail-from-not-allowed", { session: session.id, from: sender });
    clearVariables(session);
    return reply(550, "5.7.1", "Sender is not allowed");
  }
  const limited = await admit(session, "message");
  if (limited !== undefined) {
    clearVariables(session);
    return limited;
  }
  const transaction = openTransaction(sender, parameters);
  if (session.deps.checks !== undefined) {
    const refusal = await checkMailFrom(session, command.path, session.deps.checks);
    if (refusal !== undefined) {
      emit("smtp.mail-from-not-allowed", { session: session.id, from: sender, reason: refusal.text[0] });
      clearVariables(session);
      session.releasePermits();
      return refusal;
    }
  }
  if (session.filters !== undefined) {
    const refusal = await filterMail(session, session.filters, transaction);
    if (refusal !== undefined) {
      clearVariables(session);
      session.releasePermits();
      session.filters.reset();
      return refusal;
    }
  }
  session.transaction = transaction;
  emit("smtp.mail-from", { session: session.id, from: transaction.sender, size: parameters.size });
  // RFC 6710 §4.1: the client hears of a priority that a filter has changed.
  const priority = transaction.parameters.mtPriority;
  return priority === parsed.parameters.mtPriority
    ? reply(250, "2.1.0", "Sender OK")
    : reply(250, "2.3.6", `${priority ?? 0} is the priority that is granted`);
}

function openTransaction(sender: string, parameters: MailParameters): Transaction {
  return {
    sender,
    parameters,
    recipients: [],
    addresses: [],
    known: new Set(),
    accepted: [],
    chunks: undefined,
    failure: undefined,
    fate: { discarded: false, held: false },
  };
}

async function filterMail(session: Session, run: FilterRun, transaction: Transaction): Promise<Reply | undefined> {
  const given = { sender: transaction.sender, parameters: transaction.parameters, recipients: [] };
  const filtered = await filterStage(session, run, "mail", transaction.fate, given);
  if (filtered.kind === "refused") {
    session.deps.emit("smtp.mail-from-not-allowed", { session: session.id, from: transaction.sender });
    return filtered.reply;
  }
  const changed = filtered.transaction;
  if (changed === undefined || changed === given) return undefined;
  transaction.sender = changed.sender;
  transaction.parameters = changed.parameters;
  setRecipients(transaction, changed.recipients);
  setSender(session, transaction.sender);
  session.variables.priority = await levelOf(session, transaction.parameters);
  return undefined;
}

function setSender(session: Session, sender: string): void {
  session.variables.sender = sender;
  session.variables.sender_domain = sender === "" ? "" : addressDomain(sender);
}

function clearVariables(session: Session): void {
  session.variables.sender = "";
  session.variables.sender_domain = "";
  session.variables.priority = 0;
}
