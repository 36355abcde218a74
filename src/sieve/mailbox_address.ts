/** Addresses that scripts name (RFC 5228 §2.4.2.3). */

import { headerAddress } from "./compose.ts";
import { type ListedAddress, parseAddressList } from "../message/mod.ts";
import type { Run } from "./run.ts";
import { isDomain, quoteLocalPart } from "../smtp/mod.ts";

/** An address that mail can be sent to. */
export interface Mailbox {
  /** `local@domain`, the local part quoted where it has to be, the domain in lower case. */
  readonly address: string;
  /** The name in front of it; `""` if there is none. */
  readonly name: string;
}

/** The one address in `text`, with or without a name; undefined if there is none, more, or one without a domain. */
export function parseMailbox(text: string): Mailbox | undefined {
  const list = parseAddressList(text);
  const [only] = list;
  return list.length === 1 && only !== undefined && !text.includes(",") ? mailboxOf(only) : undefined;
}

/** A list of addresses as a field shows it; undefined if `text` is none (RFC 5322 `mailbox-list`). */
export function mailboxList(text: string): string | undefined {
  const list = parseAddressList(text);
  if (list.length === 0 || list.some((address) => mailboxOf(address) === undefined)) return undefined;
  return list.map(headerAddress).join(", ");
}

/** The text, if all addresses in it are some that a script may write in the name of; undefined if not. */
export function allowedSenders(run: Run, text: string | undefined): string | undefined {
  const { maySendFrom } = run.host;
  if (text === undefined || maySendFrom === undefined) return text;
  return parseAddressList(text).every(({ local, domain }) => maySendFrom(`${local}@${domain}`)) ? text : undefined;
}

/** A listed address as one that mail can be sent to. */
export function mailboxOf(listed: ListedAddress): Mailbox | undefined {
  const { local, domain, name } = listed;
  // RFC 5228 §2.4.2.3 leaves local parts at ASCII.
  if (!listed.valid || local === "" || !/^[ -~]*$/.test(local)) return undefined;
  if (!domain.startsWith("[") && !isDomain(domain)) return undefined;
  return { address: `${quoteLocalPart(local)}@${domain.toLowerCase()}`, name };
}
