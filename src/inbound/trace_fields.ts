/** The fields that a session puts on top of a message. */

import { authenticationResultsField, type AuthResults, claimsToBe, receivedSpfField } from "../authentication/mod.ts";
import {
  dateField,
  fieldsNamed,
  firstField,
  messageIdField,
  type ParsedHeader,
  receivedField,
  receivedProtocol,
  returnPathField,
} from "../message/mod.ts";
import { formatMessageId, type MessageId, type SpooledContent } from "../queue/mod.ts";
import type { Session, Transaction } from "./session.ts";

/** A field to put on top of a message. */
export interface TraceField {
  /** In lower case. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The fields to put on top, the topmost first. */
export async function traceFields(
  session: Session,
  transaction: Transaction,
  header: ParsedHeader,
  id: MessageId,
): Promise<TraceField[]> {
  const { config, hostname, clock } = session.deps;
  const { connection } = session;
  const wanted = config.data.addHeaders;
  const fields: TraceField[] = [];
  const put = (name: string, bytes: Uint8Array) => fields.push({ name, bytes });
  if (await session.evaluate(wanted.returnPath)) put("return-path", returnPathField(transaction.sender));
  const known = session.authentication;
  if (known !== undefined) { for (const field of await checkFields(session, transaction, known)) fields.push(field); }
  if (await session.evaluate(wanted.received)) {
    const [first] = transaction.recipients;
    // RFC 5321 §4.4: the address of the RCPT command.
    const only = transaction.recipients.length === 1 ? first?.parameters.original ?? first?.address : undefined;
    put(
      "received",
      receivedField({
        helo: session.heloDomain,
        ...(known?.iprev?.result === "pass" ? { clientName: known.iprev.name } : {}),
        ip: connection.remote.ip,
        hostname: await session.evaluate(config.connect.hostname),
        with: receivedProtocol({
          protocol: session.lmtp ? "lmtp" : "smtp",
          esmtp: session.extended,
          tls: connection.tls !== undefined,
          auth: session.account !== undefined,
          utf8: transaction.parameters.smtputf8 === true,
        }),
        id: formatMessageId(id),
        ...(only === undefined ? {} : { rcpt: only }),
        ...(transaction.parameters.solicit === undefined ? {} : { solicit: transaction.parameters.solicit }),
        ...(connection.tls === undefined ? {} : {
          tls: { version: connection.tls.version, cipher: connection.tls.cipher, bits: connection.tls.cipherBits },
        }),
        ...(transaction.parameters.mtPriority === undefined ? {} : { priority: transaction.parameters.mtPriority }),
        date: clock.now(),
      }),
    );
  }
  if (firstField(header, "message-id") === undefined && await session.evaluate(wanted.messageId)) {
    put("message-id", messageIdField(formatMessageId(id), hostname));
  }
  if (firstField(header, "date") === undefined && await session.evaluate(wanted.date)) {
    put("date", dateField(clock.now()));
  }
  return fields;
}

/** What tells of the checks; above Received, as RFC 7208 §9.1 and RFC 8601 §2.1 have it. */
async function checkFields(session: Session, transaction: Transaction, known: AuthResults): Promise<TraceField[]> {
  const { config } = session.deps;
  const { receivedSpf, authResults } = config.data.addHeaders;
  const { ip } = session.connection.remote;
  const receiver = await session.evaluate(config.connect.hostname);
  const fields: TraceField[] = [];
  if (await session.evaluate(authResults)) {
    fields.push({ name: "authentication-results", bytes: authenticationResultsField(receiver, known, ip) });
  }
  const spf = known.spfMailFrom ?? known.spfEhlo;
  if (spf !== undefined && await session.evaluate(receivedSpf)) {
    const bytes = receivedSpfField(spf, {
      ip,
      helo: session.heloDomain,
      sender: transaction.sender,
      receiver,
    });
    fields.push({ name: "received-spf", bytes });
  }
  return fields;
}

/**
 * The message without results that others wrote in our name (RFC 8601 §5). Where none of ours are added nobody may
 * trust any, and what a content filter hands back keeps those of its first passage; so nothing is removed there.
 */
export async function withoutForgedResults(
  session: Session,
  content: SpooledContent,
  header: ParsedHeader,
): Promise<SpooledContent> {
  const given = fieldsNamed(header, "authentication-results");
  if (given.length === 0) return content;
  const { config, hostname } = session.deps;
  if (!await session.evaluate(config.data.addHeaders.authResults)) return content;
  const ours = [await session.evaluate(config.connect.hostname), hostname];
  const kept: Uint8Array[] = [];
  let at = 0;
  for (const field of given) {
    if (!claimsToBe(field, ours)) continue;
    kept.push(content.head.subarray(at, field.start));
    at = field.end;
  }
  return at === 0 ? content : content.withHead(concat([...kept, content.head.subarray(at)]));
}

/** Puts parts of a message together. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
