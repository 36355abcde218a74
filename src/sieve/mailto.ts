/** `mailto:` URIs (RFC 6068), as notifications use them (RFC 5436 §2). */

import { isFieldName, type ListedAddress, parseAddressList } from "../message/mod.ts";
import { mailboxOf } from "./mailbox_address.ts";

/** What a URI asks for. */
export interface MailtoUri {
  readonly to: readonly ListedAddress[];
  readonly cc: readonly ListedAddress[];
  readonly subject: string | undefined;
  readonly body: string | undefined;
  /** Other fields that may be set, in order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

const MOST_RECIPIENTS = 100;
// RFC 6068 §2: what stands in a URI as it is.
const ADDRESSES = /^(?:[A-Za-z0-9\-._~!$'()*+,:@]|%[0-9A-Fa-f]{2})*$/;
const HEADER = /^(?:[A-Za-z0-9\-._~!$'()*+,;:@/?]|%[0-9A-Fa-f]{2})*$/;

/** RFC 5436 §2.3 and §2.7: what a script must not choose. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "auto-submitted",
  "received",
  "date",
  "message-id",
  "from",
  "sender",
  "return-path",
  "bcc",
  "mime-version",
  "content-type",
  "content-transfer-encoding",
]);

/** The URI, or what is wrong with it. */
export function parseMailto(uri: string): MailtoUri | { readonly problem: string } {
  const [, path = "", query] = /^mailto:([^?]*)(?:\?([^]*))?$/i.exec(uri) ?? [];
  if (!/^mailto:/i.test(uri)) return { problem: "it is no mailto: URI" };
  if (!ADDRESSES.test(path)) return { problem: "its addresses hold a character that must be encoded" };
  const to: string[] = [decoded(path)];
  const cc: string[] = [];
  const fields: (readonly [string, string])[] = [];
  let subject: string | undefined;
  let body: string | undefined;
  for (const pair of query === undefined || query === "" ? [] : query.split("&")) {
    const equals = pair.indexOf("=");
    if (equals < 0) return { problem: `'${pair.slice(0, 80)}' is no header: '=' is missing` };
    const [written, content] = [pair.slice(0, equals), pair.slice(equals + 1)];
    if (!HEADER.test(written) || !HEADER.test(content)) {
      return { problem: "its headers hold a character that must be encoded" };
    }
    const [name, value] = [decoded(written).toLowerCase(), decoded(content)];
    if (!isFieldName(name)) return { problem: `'${name.slice(0, 80)}' is not the name of a header field` };
    if (name === "to") to.push(value);
    else if (name === "cc") cc.push(value);
    else if (name === "subject") subject ??= value;
    else if (name === "body") body ??= value;
    else if (!OWN_FIELDS.has(name)) fields.push([decoded(written), value]);
  }
  const lists = { to: to.flatMap(parseAddressList), cc: cc.flatMap(parseAddressList) };
  const all = [...lists.to, ...lists.cc];
  const wrong = all.find((address) => mailboxOf(address) === undefined);
  if (wrong !== undefined) return { problem: `'${wrong.source.slice(0, 80)}' is not an address` };
  if (all.length === 0) return { problem: "it names no recipient" };
  if (all.length > MOST_RECIPIENTS) return { problem: `it names more than ${MOST_RECIPIENTS} recipients` };
  return { ...lists, subject, body, fields };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Octets that are no UTF-8.
    return text.replace(/%[0-9A-Fa-f]{2}/g, "\ufffd");
  }
}
