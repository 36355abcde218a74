/** A message that has arrived whole: checks, trace fields, and the hand-over to the queue. */

import { LookupUnavailable } from "../expression/mod.ts";
import type { EditableContent, FilteredTransaction, Outgoing } from "../filter/mod.ts";
import {
  countFields,
  editHeader,
  fieldsNamed,
  firstField,
  type HeaderField,
  MOST_FIELDS,
  type ParsedHeader,
  parseHeader,
} from "../message/mod.ts";
import {
  formatMessageId,
  type MessageId,
  type NewMessage,
  parseMessageId,
  type QuotaRefusal,
  type Source,
  type SpooledContent,
  StoreUnavailable,
} from "../queue/mod.ts";
import { type Reply, reply } from "../smtp/mod.ts";
import type { EventName } from "../telemetry/event.ts";
import { checkMessage } from "./checks.ts";
import { tellExpanded } from "./expansion.ts";
import { reportFailures } from "./failure_reports.ts";
import { enqueueAll, filterStage, isDiscarded, isHeld, settling } from "./filters.ts";
import { BARE_NEWLINE, type ContentIntake, storeFailure } from "./intake.ts";
import { holdEnd, levelOf, solicitationKeywords, soliciting } from "./mail_parameters.ts";
import { partition, QUOTA_FULL } from "./quota.ts";
import { examineReports } from "./reports.ts";
import { type Session, setRecipients, type Transaction } from "./session.ts";
import { signMessage } from "./signing.ts";
import { concat, type TraceField, traceFields, withoutForgedResults } from "./trace_fields.ts";

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
  let answers: readonly Reply[];
  let head: Uint8Array | undefined;
  if (failure !== undefined && intake.failure === undefined) {
    intake.abort();
    answers = [failure];
  } else {
    const content = await intake.finish();
    answers = "code" in content ? [content] : await queue(session, transaction, content);
    if (!("code" in content)) head = content.head;
  }
  const refusal = answers.find(({ code }) => code >= 400);
  const { failureReporting } = session.deps;
  if (failureReporting !== undefined && session.authentication !== undefined) {
    const { sender, addresses: recipients, parameters: { envid: envelopeId } } = transaction;
    // In LMTP one recipient may be refused and another served.
    const failed = answers.every(({ code }) => code >= 400) ? refusal : undefined;
    const isWithheld = isDiscarded(session, transaction) || isHeld(session, transaction);
    const about = {
      results: session.authentication,
      sender,
      recipients,
      envelopeId,
      head,
      refusal: failed,
      isWithheld,
    };
    await reportFailures(session, failureReporting, about);
  }
  if (refusal !== undefined) {
    session.deps.emit(rejection(refusal, intake), {
      session: session.id,
      remoteIp: session.connection.remote.ip,
      from: transaction.sender,
      size: intake.size,
      code: refusal.code,
      reason: refusal.text.join(" "),
    });
  }
  // RFC 2033 §4.2: one reply for each RCPT that was accepted, in LMTP.
  const replies = session.lmtp ? transaction.accepted.flatMap((_, index) => answers[index] ?? answers) : answers;
  transaction.chunks = undefined;
  session.resetTransaction();
  return replies;
}

/** Gives one reply for all recipients, or one for each RCPT. */
async function queue(session: Session, transaction: Transaction, arrived: SpooledContent): Promise<readonly Reply[]> {
  const started = withHeader(arrived);
  let content = started;
  try {
    const id = session.deps.queue.nextId();
    if (isDiscarded(session, transaction)) return [discard(session, transaction, content, id)];
    let header = parseHeader(content.head);
    let refusal = await inspect(session, transaction, content, header);
    if (refusal === undefined && session.deps.checks !== undefined) {
      refusal = await checkMessage(session, transaction, { id, content, header }, session.deps.checks);
    }
    // Also where nothing is checked: what claims our name then is forged all the more.
    if (refusal === undefined && firstField(header, "authentication-results") !== undefined) {
      content = await withoutForgedResults(session, content, header);
      if (content !== started) header = parseHeader(content.head);
    }
    if (refusal !== undefined) {
      content.discard();
      return [refusal];
    }
    if (session.filters?.has("data") !== true) {
      const answers = await enqueue(session, transaction, { content, header, id });
      if (isDone(transaction, answers)) content.discard();
      return answers;
    }
    const fields = await traceFields(session, transaction, header, id);
    const filtered = await filterStage(session, session.filters, "data", transaction.fate, {
      sender: transaction.sender,
      parameters: transaction.parameters,
      recipients: transaction.recipients,
      message: { id: formatMessageId(id), content, serverFields: fields.map(({ bytes }) => bytes) },
    });
    if (filtered.kind === "refused") {
      content.discard();
      return [filtered.reply];
    }
    const { transaction: changed, outgoing } = filtered;
    const filteredArrival = { id, content, changed, outgoing };
    return await settling(outgoing, () => endFiltered(session, transaction, filteredArrival));
  } catch (error) {
    content.discard();
    if (error instanceof StoreUnavailable) return [storeFailure(error)];
    if (error instanceof LookupUnavailable) return [reply(451, "4.3.0", "A lookup failed for now, try again later")];
    throw error;
  }
}

const LINE_END = Uint8Array.of(0x0d, 0x0a);

/**
 * The message, with an empty header if its first line begins with a blank. Such a line would go on with the last field
 * that is put on top, whatever that says; it is text, as are all lines behind it.
 */
function withHeader(content: SpooledContent): SpooledContent {
  const [first] = content.head;
  return first === 0x20 || first === 0x09 ? content.withHead(concat([LINE_END, content.head])) : content;
}

/** What filters have left of a message. */
interface FilteredArrival {
  readonly id: MessageId;
  /** As it was before them. */
  readonly content: SpooledContent;
  readonly changed: FilteredTransaction | undefined;
  readonly outgoing: readonly Outgoing[] | undefined;
}

async function endFiltered(
  session: Session,
  transaction: Transaction,
  { id, content, changed, outgoing }: FilteredArrival,
): Promise<readonly Reply[]> {
  if (changed !== undefined) {
    transaction.sender = changed.sender;
    transaction.parameters = changed.parameters;
    if (changed.recipients !== transaction.recipients) setRecipients(transaction, changed.recipients);
  }
  const others = outgoing?.flatMap(({ messages }) => messages) ?? [];
  // A message that filters have left without recipients goes nowhere.
  if (isDiscarded(session, transaction) || transaction.recipients.length === 0) {
    await enqueueAll(session, others);
    return [discard(session, transaction, content, id)];
  }
  const final = changed?.message?.content ?? content;
  const header = parseHeader(final.head);
  const above = changed?.message?.above ?? 0;
  const answers = await enqueue(session, transaction, { content: final, header, id, others, above });
  // A filter has put another body in the place of the one that was spilled; or a quota leaves no room.
  if ((final.complete && !content.complete) || isDone(transaction, answers)) content.discard();
  return answers;
}

/** Whether nobody gets the message: it was refused, or was a report whose recipients need no copy. */
function isDone(transaction: Transaction, answers: readonly Reply[]): boolean {
  return transaction.recipients.length === 0 || answers.every(({ code }) => code >= 400);
}

function accepted(id: MessageId): Reply {
  return reply(250, "2.0.0", `Message queued with id ${formatMessageId(id)}`);
}

/** Drops the message; the client hears what it would hear of any other. */
function discard(session: Session, transaction: Transaction, content: SpooledContent, id: MessageId): Reply {
  content.discard();
  session.deps.emit("smtp.message-discarded", {
    session: session.id,
    id: formatMessageId(id),
    from: transaction.sender,
    to: transaction.addresses,
  });
  return accepted(id);
}

function rejection(refusal: Reply, intake: ContentIntake): EventName {
  if (refusal === BARE_NEWLINE) return "smtp.bare-newline";
  return intake.size > intake.options.sizeLimit ? "smtp.message-too-large" : "smtp.message-rejected";
}

/** What keeps a message from being taken, whoever it is for. */
async function inspect(
  session: Session,
  transaction: Transaction,
  content: SpooledContent,
  header: ParsedHeader,
): Promise<Reply | undefined> {
  const { config, hostname, emit } = session.deps;
  if (!header.complete && !content.complete) return reply(552, "5.3.4", "The header of the message is too big");
  // What is not listed would be checked by nobody, and shown to the reader all the same.
  if (header.fields.length >= MOST_FIELDS) return reply(552, "5.3.4", "The header of the message has too many fields");
  const received = fieldsNamed(header, "received");
  const loop = received.length > await session.evaluate(config.data.limits.receivedHeaders)
    ? "Too many Received fields, the message is looping"
    : received.length >= OWN_ROUNDS &&
        ownRounds(received, [await session.evaluate(config.connect.hostname), hostname]) >= OWN_ROUNDS
    ? "This server has handled the message too often, it is looping"
    : undefined;
  if (loop !== undefined) {
    emit("smtp.loop-detected", { session: session.id, from: transaction.sender, received: received.length });
    return reply(554, "5.4.6", loop);
  }
  const solicitation = firstField(header, "solicitation")?.value();
  return solicitation === undefined ? undefined : await inspectSolicitation(session, transaction, solicitation);
}

/** RFC 3865 §2.5, 2.7: the class of a soliciting message may be told in its header alone; the next server hears of it. */
async function inspectSolicitation(
  session: Session,
  transaction: Transaction,
  value: string,
): Promise<Reply | undefined> {
  const refusal = await soliciting(session, value);
  const keywords = transaction.parameters.solicit === undefined ? solicitationKeywords(value) : undefined;
  if (keywords !== undefined && await session.evaluate(session.deps.config.extensions.noSoliciting) !== false) {
    transaction.parameters = { ...transaction.parameters, solicit: keywords };
  }
  return refusal;
}

/**
 * Times a message may have passed here already. A content filter that hands mail back and a list that keeps trace fields
 * make two or three; a loop between two servers that both count to fifty would go on for far longer.
 */
const OWN_ROUNDS = 5;

const BY_AND_ID = /\bby\s+(\S+)\s+with\s+\S+\s+id\s+([0-9A-Za-z]+)/i;

/** Received fields that this server has written: they name it, with an id such as only this program gives. */
function ownRounds(received: readonly HeaderField[], hostnames: readonly string[]): number {
  const own = hostnames.map((name) => name.toLowerCase());
  return received.filter((field) => {
    const [, by = "", id = ""] = BY_AND_ID.exec(field.value()) ?? [];
    return own.includes(by.toLowerCase()) && parseMessageId(id) !== undefined;
  }).length;
}

/** A message to be queued, without the fields of this server. */
interface Departure {
  readonly id: MessageId;
  readonly content: EditableContent;
  /** That of `content`. */
  readonly header: ParsedHeader;
  /** What is queued with it. */
  readonly others?: readonly NewMessage[];
  /** Fields at the top of the header that filters have put above those of this server. */
  readonly above?: number;
}

async function enqueue(
  session: Session,
  transaction: Transaction,
  { id, content, header, others = [], above = 0 }: Departure,
): Promise<readonly Reply[]> {
  if (session.deps.analysis !== undefined) {
    const busy = await examineReports(session, transaction, session.deps.analysis, { id, content });
    if (busy !== undefined) return [busy];
    if (transaction.recipients.length === 0) {
      await enqueueAll(session, others);
      return [accepted(id)];
    }
  }
  const { parameters } = transaction;
  const fields = await traceFields(session, transaction, header, id);
  const holdUntil = holdEnd(parameters, session.deps.clock.now());
  // RFC 5321 §4.4: only the Return-Path of the last server counts.
  const head = fields.some(({ name }) => name === "return-path") && countFields(header, "return-path") > 0
    ? withoutField(content.head, header, "return-path")
    : content.head;
  const [top] = fields;
  const whole = fields.length === 0 ? content : content.withHead(concat(withFields(fields, head, above)));
  const { signing } = session.deps;
  const signed = signing === undefined ? undefined : await signMessage(session, signing, {
    id,
    content: whole,
    parameters,
    above: top?.name === "return-path" ? top.bytes.length : 0,
  });
  const message: NewMessage = {
    id,
    envelope: { sender: transaction.sender, parameters: signed?.parameters ?? parameters },
    recipients: transaction.recipients,
    content: signed?.content ?? whole,
    source: sourceOf(session),
    priority: parameters.mtPriority === undefined ? 0 : await levelOf(session, parameters),
    ...(holdUntil === undefined ? {} : { holdUntil }),
    ...(isHeld(session, transaction) ? { held: true } : {}),
    receivedFromIp: session.connection.remote.ip,
    receivedViaPort: session.connection.local.port,
    authenticatedAs: session.account?.name ?? "",
    heloDomain: session.heloDomain,
  };
  try {
    const answers = await handOver(session, transaction, message, others);
    if (answers.every(({ code }) => code >= 400)) signed?.discard();
    return answers;
  } catch (error) {
    signed?.discard();
    throw error;
  }
}

/** RFC 5321 §4.4: Return-Path is the first line of all, whatever filters have put above the Received field. */
function withFields(fields: readonly TraceField[], head: Uint8Array, above: number): readonly Uint8Array[] {
  const ours = fields.map(({ bytes }) => bytes);
  if (above === 0) return [...ours, head];
  const end = parseHeader(head).fields[above - 1]?.end ?? 0;
  const first = fields[0]?.name === "return-path" ? 1 : 0;
  return [...ours.slice(0, first), head.subarray(0, end), ...ours.slice(first), head.subarray(end)];
}

async function handOver(
  session: Session,
  transaction: Transaction,
  message: NewMessage,
  others: readonly NewMessage[],
): Promise<readonly Reply[]> {
  const refusal = await session.deps.queue.enqueue(message, others);
  if (refusal === undefined) {
    if (transaction.expanded !== undefined) await tellExpanded(session, transaction.expanded, message);
    return [accepted(message.id)];
  }
  return session.lmtp ? await enqueueOthers(session, transaction, message, refusal, others) : [QUOTA_FULL];
}

/** In LMTP those recipients get the message for whom there is room (RFC 2033 §4.2). */
async function enqueueOthers(
  session: Session,
  transaction: Transaction,
  message: NewMessage,
  refusal: QuotaRefusal,
  companions: readonly NewMessage[],
): Promise<readonly Reply[]> {
  const { full, others } = partition(transaction.accepted, message.recipients, refusal);
  if (others.length === 0) return [QUOTA_FULL];
  const again = await session.deps.queue.enqueue({ ...message, recipients: others }, companions);
  // What filled up meanwhile is the client's to try again.
  if (again !== undefined) return [QUOTA_FULL];
  return transaction.accepted.map((_, index) => full.has(index) ? QUOTA_FULL : accepted(message.id));
}

function withoutField(head: Uint8Array, header: ParsedHeader, name: string): Uint8Array {
  const editor = editHeader(head, header);
  editor.deleteAll(name);
  return editor.result();
}

function sourceOf(session: Session): Source {
  if (session.account !== undefined) return "authenticated";
  return session.authentication?.dmarc?.result === "pass" ? "dmarc_pass" : "unauthenticated";
}
