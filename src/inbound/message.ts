/** A message that has arrived whole: checks, trace fields, and the hand-over to the queue. */

import { LookupUnavailable } from "../expression/mod.ts";
import {
  countFields,
  dateField,
  firstField,
  messageIdField,
  type ParsedHeader,
  parseHeader,
  receivedField,
  receivedProtocol,
  returnPathField,
} from "../message/mod.ts";
import { formatMessageId, type MessageId, type Source, type SpooledContent, StoreUnavailable } from "../queue/mod.ts";
import { type Reply, reply } from "../smtp/mod.ts";
import { type ContentIntake, storeFailure } from "./intake.ts";
import type { Session, Transaction } from "./session.ts";

/**
 * Ends a transaction whose content has been read: one reply for SMTP, one for each recipient for LMTP. `failure` refuses
 * the message whatever else holds.
 */
export async function accept(
  session: Session,
  transaction: Transaction,
  intake: ContentIntake,
  failure: Reply | undefined,
): Promise<readonly Reply[]> {
  session.transferred += intake.size;
  session.messages++;
  let answer: Reply;
  if (failure !== undefined && intake.failure === undefined) {
    intake.abort();
    answer = failure;
  } else {
    const content = await intake.finish();
    answer = "code" in content ? content : await queue(session, transaction, content);
  }
  if (answer.code >= 400) {
    session.deps.emit("smtp.message-rejected", {
      session: session.id,
      remoteIp: session.connection.remote.ip,
      from: transaction.sender,
      size: intake.size,
      code: answer.code,
      reason: answer.text.join(" "),
    });
  }
  const replies = session.lmtp ? transaction.recipients.map(() => answer) : [answer];
  transaction.chunks = undefined;
  session.resetTransaction();
  return replies;
}

async function queue(session: Session, transaction: Transaction, content: SpooledContent): Promise<Reply> {
  const { config, clock } = session.deps;
  try {
    const header = parseHeader(content.head);
    if (!header.complete && !content.complete) {
      content.discard();
      return reply(552, "5.3.4", "The header of the message is too big");
    }
    if (countFields(header, "received") > await session.evaluate(config.data.limits.receivedHeaders)) {
      content.discard();
      session.deps.emit("smtp.loop-detected", { session: session.id, from: transaction.sender });
      return reply(554, "5.4.6", "Too many Received fields, the message is looping");
    }
    const id = session.deps.queue.nextId();
    const fields = await traceFields(session, transaction, header, id);
    const parameters = transaction.parameters;
    const holdUntil = parameters.holdUntil ??
      (parameters.holdFor === undefined ? undefined : clock.now() + parameters.holdFor * 1000);
    await session.deps.queue.enqueue({
      id,
      envelope: { sender: transaction.sender, parameters },
      recipients: transaction.recipients,
      content: fields.length === 0 ? content : content.withHead(concat([...fields, content.head])),
      source: sourceOf(session),
      priority: parameters.mtPriority ?? 0,
      ...(holdUntil === undefined ? {} : { holdUntil }),
      receivedFromIp: session.connection.remote.ip,
      receivedViaPort: session.connection.local.port,
      authenticatedAs: session.account?.name ?? "",
      heloDomain: session.heloDomain,
    });
    return reply(250, "2.0.0", `Message queued with id ${formatMessageId(id)}`);
  } catch (error) {
    content.discard();
    if (error instanceof StoreUnavailable) return storeFailure(error);
    if (error instanceof LookupUnavailable) return reply(451, "4.3.0", "A lookup failed for now, try again later");
    throw error;
  }
}

function sourceOf(session: Session): Source {
  return session.account === undefined ? "unauthenticated" : "authenticated";
}

/** The fields to put on top, the topmost first. */
async function traceFields(
  session: Session,
  transaction: Transaction,
  header: ParsedHeader,
  id: MessageId,
): Promise<Uint8Array[]> {
  const { config, hostname, clock } = session.deps;
  const { connection } = session;
  const wanted = config.data.addHeaders;
  const fields: Uint8Array[] = [];
  if (await session.evaluate(wanted.returnPath)) fields.push(returnPathField(transaction.sender));
  if (await session.evaluate(wanted.received)) {
    const only = transaction.recipients.length === 1 ? transaction.recipients[0]?.address : undefined;
    fields.push(receivedField({
      helo: session.heloDomain,
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
      ...(connection.tls === undefined
        ? {}
        : { tls: { version: connection.tls.version, cipher: connection.tls.cipher, bits: connection.tls.cipherBits } }),
      date: clock.now(),
    }));
  }
  if (firstField(header, "message-id") === undefined && await session.evaluate(wanted.messageId)) {
    fields.push(messageIdField(formatMessageId(id), hostname));
  }
  if (firstField(header, "date") === undefined && await session.evaluate(wanted.date)) {
    fields.push(dateField(clock.now()));
  }
  return fields;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
