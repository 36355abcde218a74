/** The commands that only ask: VRFY, EXPN, HELP, NOOP. */

import type { Directory } from "../directory/mod.ts";
import { asAddress, type Command, needsSmtpUtf8, type Reply, reply } from "../smtp/mod.ts";
import { resolveInAnySpelling } from "./recipient.ts";
import type { Session } from "./session.ts";

type QueryCommand = Extract<Command, { argument: string }>;

/** Answers HELP (RFC 5321 §4.1.1.8). */
export function help(session: Session): Reply {
  const hello = session.lmtp ? "LHLO" : "EHLO HELO";
  return reply(
    214,
    "2.0.0",
    `Commands: ${hello} STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT`,
    "See RFC 5321",
  );
}

/** Answers VRFY (RFC 5321 §4.1.1.6). Switched off it says neither yes nor no (§7.3). */
export async function vrfy(session: Session, command: QueryCommand): Promise<Reply> {
  if (!await session.evaluate(session.deps.config.extensions.vrfy)) {
    const neither = reply(252, "2.5.2", "Cannot verify the user, but mail for it will be tried");
    return session.refuse("smtp.vrfy-disabled", neither);
  }
  const { name, utf8 } = readQuery(session, command);
  if (command.nonAscii && !utf8) return NEEDS_UTF8;
  const found = await find(session, name);
  if (found === undefined) {
    const unknown = reply(252, "2.5.2", "Not an address of this server, mail for it may be tried");
    return session.refuse("smtp.vrfy-not-found", unknown);
  }
  if (found === "ambiguous") return session.refuse("smtp.vrfy-not-found", AMBIGUOUS);
  if (found.accounts.length === 0) {
    return session.refuse("smtp.vrfy-not-found", reply(550, "5.1.1", "Mailbox does not exist"));
  }
  tell(session, "smtp.vrfy", found.address);
  return expressible(reply(250, "2.1.5", `<${found.address}>`), utf8);
}

/** Answers EXPN (RFC 5321 §4.1.1.7) with the accounts an address expands to. */
export async function expn(session: Session, command: QueryCommand): Promise<Reply> {
  if (!await session.evaluate(session.deps.config.extensions.expn)) {
    return session.refuse("smtp.expn-disabled", reply(502, "5.5.1", "EXPN is not offered here"));
  }
  const { name: sought, utf8 } = readQuery(session, command);
  if (command.nonAscii && !utf8) return NEEDS_UTF8;
  const found = await find(session, sought);
  if (found === "ambiguous") return session.refuse("smtp.expn-not-found", AMBIGUOUS);
  if (found === undefined || found.accounts.length === 0) {
    return session.refuse("smtp.expn-not-found", reply(550, "5.1.1", "Mailing list does not exist"));
  }
  const lines: string[] = [];
  for (const name of found.accounts) {
    const account = await found.directory.account(name);
    const primary = account?.emails.find((email) => !email.startsWith("@")) ?? name;
    const description = account?.description;
    // A name that the client cannot be told is left out; the address is what was asked for.
    const shown = description !== undefined && (utf8 || !needsSmtpUtf8(description));
    lines.push(shown ? `${description} <${primary}>` : `<${primary}>`);
  }
  tell(session, "smtp.expn", found.address);
  return expressible(reply(250, "2.1.5", ...lines), utf8);
}

function tell(session: Session, event: "smtp.vrfy" | "smtp.expn", to: string): void {
  session.deps.emit(event, { session: session.id, remoteIp: session.connection.remote.ip, to });
}

// RFC 5321 §3.5.1; RFC 3463 §3.2.
const AMBIGUOUS = reply(553, "5.1.4", "User ambiguous, ask with a domain");
const NEEDS_UTF8 = reply(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter");

/** What is asked for, and whether the client may be answered in UTF-8 (RFC 6531 §3.7.4.2). */
export function readQuery(
  session: Session,
  command: QueryCommand,
): { readonly name: string; readonly utf8: boolean } {
  const match = session.extended ? /^(.*\S) +SMTPUTF8$/i.exec(command.argument) : null;
  return match?.[1] === undefined ? { name: command.argument, utf8: false } : { name: match[1], utf8: true };
}

/** RFC 6531 §3.7.4.2: an answer that cannot be given in ASCII is not given to a client that did not ask for UTF-8. */
function expressible(answer: Reply, utf8: boolean): Reply {
  return utf8 || !answer.text.some(needsSmtpUtf8)
    ? answer
    : reply(550, "5.6.8", "The answer needs UTF-8, ask again with SMTPUTF8");
}

interface Found {
  readonly directory: Directory;
  readonly address: string;
  readonly accounts: readonly string[];
}

/** Looks up an address, or a name without a domain; nothing if it cannot be told whether there is such a mailbox. */
async function find(session: Session, argument: string): Promise<Found | "ambiguous" | undefined> {
  const { config, directories } = session.deps;
  const id = await session.evaluate(config.rcpt.directory);
  const directory = id === false ? undefined : directories.get(id);
  if (directory === undefined) return undefined;
  const text = argument.trim().replace(/^<(.*)>$/, "$1");
  const address = asAddress(text);
  return address === undefined ? findName(session, directory, text) : findAddress(session, directory, address);
}

/** Nothing if the address is not in a local domain, or taken only because all are. */
async function findAddress(session: Session, directory: Directory, address: string): Promise<Found | undefined> {
  const { config } = session.deps;
  const subAddressing = await session.evaluate(config.rcpt.subAddressing);
  const found = await resolveInAnySpelling(directory, address, { subAddressing, catchAll: false });
  if (found.kind === "not-local") return undefined;
  if (found.kind === "local") return { directory, address: found.address, accounts: found.accounts };
  const catchAll = await session.evaluate(config.rcpt.catchAll);
  const caught = await resolveInAnySpelling(directory, address, { subAddressing, catchAll });
  if (caught.kind === "local") return undefined;
  return { directory, address, accounts: [] };
}

/** A name is looked up in so many local domains at most: each may be a question to somebody else's server. */
const MOST_DOMAINS = 16;

/**
 * A user name alone (RFC 5321 §3.5.1) is that of the one mailbox that has it at a local domain. Several addresses of
 * one account are no ambiguity. Nothing where there is none: the directory may have domains that it does not list.
 */
async function findName(
  session: Session,
  directory: Directory,
  name: string,
): Promise<Found | "ambiguous" | undefined> {
  const domains = directory.localDomains();
  if (domains.length > MOST_DOMAINS) return undefined;
  const subAddressing = await session.evaluate(session.deps.config.rcpt.subAddressing);
  let only: Found | undefined;
  for (const domain of domains) {
    const address = asAddress(`${name}@${domain}`);
    if (address === undefined) continue;
    const found = await resolveInAnySpelling(directory, address, { subAddressing, catchAll: false });
    if (found.kind !== "local") continue;
    const { accounts } = found;
    const same = only?.accounts.length === accounts.length && only.accounts.every((one) => accounts.includes(one));
    if (only !== undefined && !same) return "ambiguous";
    only ??= { directory, address: found.address, accounts };
  }
  return only;
}
