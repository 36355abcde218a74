/**
 * Mail addresses as the program holds them: `local@domain`, the domain in lower case, the local part quoted only
 * where RFC 5321 §4.1.2 needs it; `""` is the null sender.
 */

import { domainToAscii } from "./domain.ts";

// RFC 5321 §4.1.2 Dot-string; RFC 6531 §3.3 lets every non-ASCII character in.
const DOT_STRING =
  /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\uffff]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\uffff]+)*$/;
const QUOTED_STRING = /^"(?:[ !#-[\]-~\u00a0-\uffff]|\\[ -~])*"$/;
const NOT_ASCII = /[^\0-\x7f]/;

/** Whether `text` needs SMTPUTF8 (RFC 6531) to travel: it holds a character outside ASCII. */
export function needsSmtpUtf8(text: string): boolean {
  return NOT_ASCII.test(text);
}

/** Whether a local part needs no quoting. */
export function isDotString(local: string): boolean {
  return DOT_STRING.test(local);
}

/** Whether a local part is a well-formed quoted string. */
export function isQuotedString(local: string): boolean {
  return QUOTED_STRING.test(local);
}

/** The local part as a path needs it: as it is, or as a quoted string. Control characters become `?`. */
export function quoteLocalPart(local: string): string {
  if (DOT_STRING.test(local) || QUOTED_STRING.test(local)) return local;
  const printable = Array.from(local, (char) => char < " " || (char >= "\x7f" && char < "\xa0") ? "?" : char).join("");
  return `"${printable.replace(/["\\]/g, "\\$&")}"`;
}

/** The content of a quoted local part; other local parts are returned as they are. */
export function unquoteLocalPart(local: string): string {
  return QUOTED_STRING.test(local) ? local.slice(1, -1).replace(/\\(.)/g, "$1") : local;
}

/**
 * Splits an address at the `@` between local part and domain. An address without one (`postmaster`) has the domain
 * `""`, the null sender has neither.
 */
export function splitAddress(address: string): { readonly local: string; readonly domain: string } {
  const at = separator(address);
  return at < 0 ? { local: address, domain: "" } : { local: address.slice(0, at), domain: address.slice(at + 1) };
}

/** The domain of an address, `""` if it has none. */
export function addressDomain(address: string): string {
  const at = separator(address);
  return at < 0 ? "" : address.slice(at + 1);
}

/** The local part of an address, quoted if it is quoted there. */
export function addressLocal(address: string): string {
  const at = separator(address);
  return at < 0 ? address : address.slice(0, at);
}

/** The address as a path with angle brackets, quoting the local part where needed: `<"a b"@example.org>`. */
export function formatPath(address: string): string {
  if (address === "") return "<>";
  const { local, domain } = splitAddress(address);
  return domain === "" ? `<${quoteLocalPart(local)}>` : `<${quoteLocalPart(local)}@${domain}>`;
}

/**
 * The same address in ASCII for a server without SMTPUTF8: the domain with A-labels. `undefined` if the local part is
 * not ASCII, for which there is no other spelling, or if the domain has no ASCII form.
 */
export function asciiAddress(address: string): string | undefined {
  if (!NOT_ASCII.test(address)) return address;
  const { local, domain } = splitAddress(address);
  if (NOT_ASCII.test(local)) return undefined;
  const ascii = domainToAscii(domain);
  return ascii === undefined ? undefined : `${local}@${ascii}`;
}

function separator(address: string): number {
  // The content of an address literal may hold an "@", but neither it nor any domain holds a "[".
  return address.endsWith("]") ? address.lastIndexOf("@[") : address.lastIndexOf("@");
}
