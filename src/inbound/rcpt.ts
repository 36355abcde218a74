/** RCPT TO (RFC 5321 §4.1.1.3): do we take mail for this address from this client? */

import type { Directory } from "../directory/mod.ts";
import type { FilterRun } from "../filter/mod.ts";
import {
  addressDomain,
  asAddress,
  type Command,
  type RcptParameters,
  readRcptParameters,
  type Reply,
  reply,
} from "../smtp/mod.ts";
import { admit } from "./admission.ts";
import { hasRoom, QUOTA_FULL } from "./quota.ts";
import { offeredNow } from "./ehlo.ts";
import { addTargets } from "./expansion.ts";
import { filterStage, remarkOnRefused } from "./filters.ts";
import { SEND_MAIL } from "./intake.ts";
import { refuseParameter } from "./mail_parameters.ts";
import { resolveInAnySpelling } from "./recipient.ts";
import { type Session, setRecipients, type Transaction } from "./session.ts";

type RcptCommand = Extract<Command, { path: string }>;

/** Answers RCPT and adds the recipient to the transaction. */
export async function rcpt(session: Session, command: RcptCommand): Promise<Reply> {
  const transaction = session.transaction;
  if (transaction === undefined) return session.refuse("smtp.mail-from-missing", SEND_MAIL);
  if (transaction.chunks !== undefined || transaction.failure !== undefined) {
    return reply(503, "5.5.1", "RCPT is not permitted after BDAT");
  }
  const { rcpt, rcpt_domain } = session.variables;
  setVariables(session, command.path, transaction);
  let answer: Reply | undefined;
  try {
    answer = await judge(session, command, transaction);
    return answer;
  } finally {
    // Later stages see the last recipient that was accepted.
    if (answer?.code !== 250) Object.assign(session.variables, { rcpt, rcpt_domain });
  }
}

async function judge(session: Session, command: RcptCommand, transaction: Transaction): Promise<Reply> {
  const { config, emit } = session.deps;
  const most = await session.evaluate(config.rcpt.maxRecipients);
  // Counted as accepted: several addresses may lead to one account, and each is work.
  if (transaction.accepted.length >= most) {
    return session.refuse("smtp.too-many-recipients", reply(452, "4.5.3", `Too many recipients, the limit is ${most}`));
  }
  const parsed = readRcptParameters(command.parameters, await offeredNow(session));
  if (parsed.kind === "error") return refuseParameter(session, parsed.reply);
  if (command.nonAscii && transaction.parameters.smtputf8 !== true) {
    return reply(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter of MAIL");
  }

  let address = command.path;
  const rewritten = await session.evaluate(config.rcpt.rewrite);
  if (rewritten !== false) {
    const target = asAddress(rewritten);
    if (target === undefined) {
      emit("smtp.invalid-recipient-address", { session: session.id, to: address, result: rewritten });
    } else {
      emit("smtp.rcpt-to-rewritten", { session: session.id, from: address, to: target });
      address = target;
      setVariables(session, address, transaction);
    }
  }

  const limited = await admit(session, "recipient");
  if (limited !== undefined) return limited;
  const decision = await decide(session, address);
  if (decision.kind === "refused") {
    emit(decision.event, { session: session.id, remoteIp: session.connection.remote.ip, to: address });
    if (session.filters !== undefined) {
      const recipient = { address, parameters: parsed.parameters };
      const said = await remarkOnRefused(session, session.filters, transaction, recipient, decision.reply);
      if (said !== decision.reply) return said;
    }
    return await refuse(session, decision.reply);
  }
  let targets = decision.addresses;
  let parameters = parsed.parameters;
  if (session.filters !== undefined) {
    const filtered = await filterRcpt(session, session.filters, transaction, { address, parameters });
    if ("code" in filtered) {
      emit("smtp.rcpt-to-rejected", { session: session.id, remoteIp: session.connection.remote.ip, to: address });
      return filtered.code >= 500 && session.ending === undefined ? await refuse(session, filtered) : filtered;
    }
    // Whoever puts a filter in vouches for what it makes of a recipient: that is not looked up again.
    if (filtered.address !== address) targets = [address = filtered.address];
    parameters = filtered.parameters;
    setVariables(session, address, transaction);
  }
  // What is known of the message by now may say already that a quota leaves no room for it.
  if (session.deps.queue.hasRoom !== undefined && !await hasRoom(session, transaction, targets)) {
    emit("smtp.rcpt-to-rejected", { session: session.id, remoteIp: session.connection.remote.ip, to: address });
    return QUOTA_FULL;
  }
  addTargets(transaction, command.path, targets, parameters);
  transaction.accepted.push(targets);
  emit("smtp.rcpt-to", { session: session.id, to: address });
  return reply(250, "2.1.5", "Recipient OK");
}

interface Target {
  readonly address: string;
  readonly parameters: RcptParameters;
}

async function filterRcpt(
  session: Session,
  run: FilterRun,
  transaction: Transaction,
  recipient: Target,
): Promise<Target | Reply> {
  const { sender, parameters, recipients } = transaction;
  const given = { sender, parameters, recipients, recipient };
  const filtered = await filterStage(session, run, "rcpt", transaction.fate, given);
  if (filtered.kind === "refused") return filtered.reply;
  const changed = filtered.transaction ?? given;
  if (changed === given) return recipient;
  transaction.sender = changed.sender;
  transaction.parameters = changed.parameters;
  if (changed.recipients !== recipients) setRecipients(transaction, changed.recipients);
  session.variables.sender = changed.sender;
  session.variables.sender_domain = addressDomain(changed.sender);
  return changed.recipient ?? recipient;
}

type Decision =
  | { readonly kind: "accepted"; readonly addresses: readonly string[] }
  | {
    readonly kind: "refused";
    readonly reply: Reply;
    readonly event: "smtp.mailbox-does-not-exist" | "smtp.relay-not-allowed";
  };

const UNKNOWN: Decision = {
  kind: "refused",
  reply: reply(550, "5.1.1", "Mailbox does not exist"),
  event: "smtp.mailbox-does-not-exist",
};

async function decide(session: Session, address: string): Promise<Decision> {
  const { config, directories, hostname } = session.deps;
  const directoryId = await session.evaluate(config.rcpt.directory);
  const directory = directoryId === false ? undefined : directories.get(directoryId);
  if (directory !== undefined) {
    const found = await resolveInAnySpelling(directory, address, {
      subAddressing: await session.evaluate(config.rcpt.subAddressing),
      catchAll: await session.evaluate(config.rcpt.catchAll),
      hostname,
    });
    if (found.kind === "local") return { kind: "accepted", addresses: await expand(directory, found) };
    if (found.kind === "unknown") return UNKNOWN;
  }
  if (!address.includes("@")) return UNKNOWN;
  if (await session.evaluate(config.rcpt.relay)) return { kind: "accepted", addresses: [address] };
  return { kind: "refused", reply: reply(550, "5.7.1", "Relay not allowed"), event: "smtp.relay-not-allowed" };
}

/** A list goes to each of its accounts; an account keeps the address that the client gave. */
async function expand(
  directory: Directory,
  found: { readonly accounts: readonly string[]; readonly address: string },
): Promise<readonly string[]> {
  if (found.accounts.length <= 1) return [found.address];
  const addresses: string[] = [];
  for (const name of found.accounts) {
    const account = await directory.account(name);
    const primary = account?.emails.find((email) => !email.startsWith("@"));
    if (primary !== undefined) addresses.push(primary);
  }
  return addresses.length > 0 ? addresses : [found.address];
}

async function refuse(session: Session, refusal: Reply): Promise<Reply> {
  const { errors } = session.deps.config.rcpt;
  session.rcptFailures++;
  await session.pause(await session.evaluate(errors.wait));
  if (session.rcptFailures >= await session.evaluate(errors.total)) {
    session.ending = "refused";
    session.deps.emit("smtp.too-many-invalid-rcpt", {
      session: session.id,
      remoteIp: session.connection.remote.ip,
    });
    return reply(421, "4.7.0", "Too many refused recipients, closing");
  }
  return refusal;
}

function setVariables(session: Session, address: string, transaction: Transaction): void {
  session.variables.rcpt = address;
  session.variables.rcpt_domain = addressDomain(address);
  session.variables.recipients = transaction.addresses;
}
