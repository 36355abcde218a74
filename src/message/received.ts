/** The trace field that each server adds (RFC 5321 §4.4). */

import {
  asciiAddress,
  formatAddressLiteral,
  formatPath,
  isAddressLiteral,
  isDomain,
  needsSmtpUtf8,
} from "../smtp/mod.ts";
import { formatDate } from "./date.ts";

/** What decides the `with` keyword of a Received field. */
export interface ReceivedProtocol {
  readonly protocol: "smtp" | "lmtp";
  /** The client said EHLO; of no meaning for LMTP. */
  readonly esmtp: boolean;
  readonly tls: boolean;
  /** The client was authenticated (RFC 4954). */
  readonly auth: boolean;
  /** MAIL had SMTPUTF8. */
  readonly utf8: boolean;
}

/** The `with` keyword: `ESMTPSA`, `LMTPS`, `UTF8SMTPS`, ... (RFC 3848, RFC 6531 §4.3). */
export function receivedProtocol({ protocol, esmtp, tls, auth, utf8 }: ReceivedProtocol): string {
  const suffix = `${tls ? "S" : ""}${auth ? "A" : ""}`;
  if (utf8) return `UTF8${protocol === "lmtp" ? "LMTP" : "SMTP"}${suffix}`;
  if (protocol === "lmtp") return `LMTP${suffix}`;
  // RFC 3848 §1 has no keyword for TLS or AUTH without EHLO; either needs it.
  return esmtp || suffix !== "" ? `ESMTP${suffix}` : "SMTP";
}

/** What goes into a Received field. Everything may be untrusted. */
export interface ReceivedOptions {
  /** What the client called itself in EHLO, `""` if it did not. */
  readonly helo: string;
  /** Verified reverse name of the client, if it has one. */
  readonly clientName?: string;
  /** Address of the client; `""` for a message made here, which leaves out `from`. */
  readonly ip: string;
  /** Name of this server. */
  readonly hostname: string;
  /** See {@link receivedProtocol}. */
  readonly with: string;
  readonly id: string;
  /** The recipient; give it only if there is one, so that no recipient learns of another (RFC 5321 §7.2). */
  readonly rcpt?: string;
  readonly tls?: { readonly version: string; readonly cipher: string; readonly bits: number };
  /** Solicitation classes of the transaction (RFC 3865 §2.6), if it had any. */
  readonly solicit?: string;
  /** MT-PRIORITY of the transaction, if it had one (RFC 6710 §4.3). */
  readonly priority?: number;
  /** Login name to show, if it is to be shown. */
  readonly authenticatedAs?: string;
  /** Milliseconds since the epoch. */
  readonly date: number;
  readonly offsetMinutes?: number;
}

const encoder = new TextEncoder();

/** A complete `Received:` field with CRLF at its end, folded. Text that does not fit the grammar goes into comments. */
export function receivedField(options: ReceivedOptions): Uint8Array {
  const lines: string[] = [];
  if (options.ip !== "") lines.push(fromClause(options));
  lines.push(`by ${domainOr(options.hostname, "localhost")} with ${atom(options.with)} id ${atom(options.id)}`);
  if (options.solicit !== undefined) lines.push(`(SOLICIT=${comment(options.solicit)})`);
  if (options.tls !== undefined) {
    const { version, cipher, bits } = options.tls;
    lines.push(`(${comment(version)} cipher ${comment(cipher)}${bits > 0 ? ` bits ${Math.trunc(bits)}` : ""})`);
  }
  if (options.authenticatedAs !== undefined) lines.push(`(authenticated as ${comment(options.authenticatedAs)})`);
  const recipient = forClause(options);
  if (recipient !== undefined) lines.push(recipient);
  // RFC 6710 §4.3: an additional clause (RFC 5321 §4.4) behind all others.
  if (options.priority !== undefined) lines.push(`priority ${Math.trunc(options.priority)}`);
  const last = lines.length - 1;
  lines[last] = `${lines[last]};`;
  lines.push(formatDate(options.date, options.offsetMinutes));
  return encoder.encode(`Received: ${lines.join("\r\n\t")}\r\n`);
}

// RFC 5321 §4.4 Extended-Domain: the name the client gave, then in parentheses what this server knows of it.
function fromClause({ helo, clientName, ip }: ReceivedOptions): string {
  const literal = formatAddressLiteral(ip);
  const known = clientName !== undefined && isPlainDomain(clientName) ? `${clientName} ${literal}` : literal;
  if (isAddressLiteral(helo) || isPlainDomain(helo)) return `from ${helo} (${known})`;
  const said = helo === "" ? "" : ` (helo ${comment(helo)})`;
  return `from ${literal} (${known})${said}`;
}

function forClause({ rcpt, with: protocol }: ReceivedOptions): string | undefined {
  if (rcpt === undefined || rcpt === "") return undefined;
  // What can be ASCII is: a field of ours must not be what keeps a message from servers without SMTPUTF8.
  const address = asciiAddress(rcpt) ?? rcpt;
  // RFC 6531 §3.7.3: an international address may stand here only in an international message.
  if (needsSmtpUtf8(address) && !protocol.startsWith("UTF8")) return undefined;
  return `for ${formatPath(address)}`;
}

function isPlainDomain(name: string): boolean {
  return !needsSmtpUtf8(name) && isDomain(name);
}

function domainOr(name: string, otherwise: string): string {
  return isPlainDomain(name) || isAddressLiteral(name) ? name : otherwise;
}

function atom(text: string): string {
  return text.replace(/[^A-Za-z0-9.\-_+/=]/g, "_") || "unknown";
}

// Keeps to characters that cannot end or nest the comment.
function comment(text: string): string {
  return text.slice(0, 255).replace(/[^ !-'*-[\]-~]/g, "?");
}
