/** The macros that milters are told, by stage. */

import { addressDomain, addressLocal, type Reply } from "../../smtp/mod.ts";
import type { FilteredSession, FilteredTransaction } from "../filter.ts";
import { COMMAND, type MacroStage, textPacket } from "./protocol.ts";

/** What filters get without asking; the lists of Sendmail, which Postfix has too, and what the format adds. */
const USUAL: Readonly<Record<MacroStage, readonly string[]>> = {
  connect: [
    ...["j", "_", "v", "{daemon_name}", "{daemon_addr}", "{daemon_port}", "{client_addr}", "{client_name}"],
    ...["{client_port}", "{client_ptr}", "{client_connections}"],
  ],
  helo: ["{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"],
  mail: ["i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}", "{mail_mailer}"],
  rcpt: ["i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"],
  data: ["i"],
  endOfHeader: ["i"],
  endOfMessage: ["i"],
};

/** What macros are made of. */
export interface MacroSources {
  readonly session: FilteredSession;
  /** From MAIL on. */
  readonly transaction: FilteredTransaction | undefined;
  /** The recipient under question. */
  readonly recipient: string;
  /** Why this server has refused it already; undefined if it has not. */
  readonly refusal: Reply | undefined;
  readonly client: ClientName;
  /** Name and version of this program. */
  readonly version: string;
  /** How many connections the client has at the moment. */
  connections(): number;
}

/** How the client is called. */
export interface ClientName {
  /** The name that leads back to the address, `unknown` if there is none. */
  readonly name: string;
  /** The first name that the address has in DNS, `unknown` if there is none. */
  readonly ptr: string;
}

type Macro = (sources: MacroSources) => string | undefined;

const MACROS: Readonly<Record<string, Macro>> = {
  i: ({ transaction }) => transaction?.message?.id,
  j: ({ session }) => session.hostname,
  _: ({ session, client }) =>
    client.name === "unknown" ? `[${session.remote.ip}]` : `${client.name} [${session.remote.ip}]`,
  v: ({ version }) => version,
  auth_authen: ({ session }) => session.authenticatedAs,
  auth_author: ({ transaction }) => transaction?.parameters.auth,
  auth_type: ({ session }) => session.authMechanism.toUpperCase(),
  // Marked as in address literals, by Sendmail and Postfix.
  client_addr: ({ session: { remote: { ip } } }) => ip.includes(":") ? `IPv6:${ip}` : ip,
  client_connections: ({ connections }) => String(connections()),
  client_name: ({ client }) => client.name,
  client_port: ({ session }) => String(session.remote.port),
  client_ptr: ({ client }) => client.ptr,
  cert_issuer: ({ session }) => session.tls?.peerIssuer,
  cert_subject: ({ session }) => session.tls?.peerSubject,
  cipher_bits: ({ session }) => session.tls === undefined ? undefined : String(session.tls.cipherBits),
  cipher: ({ session }) => session.tls?.cipher,
  daemon_addr: ({ session }) => session.local.ip,
  daemon_name: ({ session }) => session.listener,
  daemon_port: ({ session }) => String(session.local.port),
  mail_addr: ({ transaction }) => transaction?.sender,
  mail_host: ({ transaction }) => transaction === undefined ? undefined : hostOf(transaction.sender),
  mail_mailer: () => "smtp",
  // Of a recipient that was refused these tell why, as Sendmail and Postfix have it.
  rcpt_addr: ({ recipient, refusal }) => refusal === undefined ? recipient : refusal.text[0],
  rcpt_host: ({ recipient, refusal }) => refusal === undefined ? hostOf(recipient) : refusal.enhanced,
  rcpt_mailer: ({ refusal }) => refusal === undefined ? "smtp" : "error",
  tls_version: ({ session }) => session.tls?.version,
};

/** Macros by the names that filters use: of one letter, or in braces; a lone letter may have braces too. */
const BY_NAME: ReadonlyMap<string, Macro> = new Map(
  Object.entries(MACROS).flatMap(([name, macro]): [string, Macro][] => [[name, macro], [`{${name}}`, macro]]),
);

function hostOf(address: string): string | undefined {
  return address === "" || addressLocal(address) === address ? undefined : addressDomain(address);
}

/**
 * The packet with the macros of a stage; macros without a value are left out.
 *
 * @param command what the macros are for
 * @param names what the filter wants, if it has said so
 */
export function macroPacket(
  command: number,
  stage: MacroStage,
  names: readonly string[] | undefined,
  sources: MacroSources,
): Uint8Array {
  const pairs: string[] = [];
  for (const name of names ?? USUAL[stage]) {
    const value = BY_NAME.get(name)?.(sources);
    if (value !== undefined && value !== "") pairs.push(name, value);
  }
  // Also without any: what was told for this stage of another message must not stay.
  return textPacket(COMMAND.macros, String.fromCharCode(command), pairs);
}
