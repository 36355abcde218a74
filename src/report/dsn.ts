/** Delivery status notifications (RFC 3461, RFC 3464, RFC 6522; RFC 6533 for international mail). */

import type { Clock } from "../clock/mod.ts";
import {
  dateField,
  eightBitClean,
  encodeHeaderText,
  foldField,
  memoryContent,
  messageIdField,
  parseHeader,
} from "../message/mod.ts";
import { formatMessageId } from "../queue/mod.ts";
import type { BuildNotice, MessageId, NewMessage, NoticeRecipient, QueuedMessage } from "../queue/types.ts";
import { formatPath, type MailParameters, needsSmtpUtf8 } from "../smtp/mod.ts";
import type { Emit, EventName } from "../telemetry/event.ts";
import { type BodyPart, bytesOf, joinBytes, mailbox, multipartBytes, randomToken, textPart } from "./body_part.ts";
import { deliveryStatus } from "./dsn_status.ts";
import { noticeSubject, noticeText } from "./dsn_text.ts";
import { NOTICE_WORDS as WORDS } from "./wording.ts";

/** What {@link createDsnBuilder} needs. */
export interface DsnOptions {
  /** Name of this server, for Reporting-MTA and the text. */
  readonly hostname: string;
  /** Domain of the Message-ID. */
  readonly reportDomain: string;
  /** Who the notification says it is from (`report.dsn.from-name`, `.from-address`). */
  readonly from: (
    message: QueuedMessage,
    recipients: readonly NoticeRecipient[],
  ) => { readonly name: string; readonly address: string };
  readonly clock: Clock;
  readonly emit: Emit;
  /** A number from 0 up to, not including, 1; for boundaries and ids. */
  readonly random: () => number;
  /** Largest message that is returned whole, in octets; by default 262144. Of larger ones the header is returned. */
  readonly largestReturned?: number;
}

/** A {@link BuildNotice} that answers at once. */
export type DsnBuilder = (...args: Parameters<BuildNotice>) => NewMessage | undefined;

/** Most octets of a header that are returned. */
const LARGEST_HEADER = 64 * 1024;

/**
 * Makes the function that builds notifications. One notification covers all the recipients it is given that asked for
 * it (RFC 3461 §4.1); there is none for the null sender (RFC 5321 §6.1). The function never throws.
 */
export function createDsnBuilder(options: DsnOptions): DsnBuilder {
  return (message, recipients, id) => {
    if (message.envelope.sender === "") {
      const failed = recipients.filter(({ action }) => action === "failed");
      tell(options.emit, "delivery.double-bounce", message, failed);
      return undefined;
    }
    const told = recipients.filter(wantsNotice);
    if (told.length === 0) return undefined;
    for (const [actions, event] of EVENTS_OF) {
      tell(options.emit, event, message, told.filter(({ action }) => actions.includes(action)));
    }
    return buildNotice(options, message, told, id);
  };
}

const EVENTS_OF: readonly (readonly [actions: readonly NoticeRecipient["action"][], event: EventName])[] = [
  [["failed"], "delivery.dsn-perm-fail"],
  [["delayed"], "delivery.dsn-temp-fail"],
  [["delivered", "relayed", "expanded"], "delivery.dsn-success"],
];

function tell(
  emit: Emit,
  event: EventName,
  { id, envelope }: QueuedMessage,
  recipients: readonly NoticeRecipient[],
): void {
  if (recipients.length === 0) return;
  const to = recipients.map(({ recipient }) => recipient.address);
  emit(event, { id: formatMessageId(id), from: envelope.sender, to });
}

// RFC 3461 §4.1: without NOTIFY failures are reported, and delays as this side sees fit; success only on request.
function wantsNotice({ action, unasked, recipient }: NoticeRecipient): boolean {
  const notify = recipient.parameters.notify;
  if (unasked === true) return notify?.never !== true;
  switch (action) {
    case "failed":
      return notify === undefined || (!notify.never && notify.failure);
    case "delayed":
      return notify === undefined || (!notify.never && notify.delay);
    default:
      return notify !== undefined && !notify.never && notify.success;
  }
}

function buildNotice(
  options: DsnOptions,
  message: QueuedMessage,
  recipients: readonly NoticeRecipient[],
  id: MessageId,
): NewMessage {
  const now = options.clock.now();
  const { sender, parameters } = message.envelope;
  const international = parameters.smtputf8 === true || needsSmtpUtf8(sender) ||
    recipients.some(({ recipient }) =>
      needsSmtpUtf8(recipient.address) || needsSmtpUtf8(recipient.parameters.orcpt?.address ?? "")
    );
  const text = noticeText({ hostname: options.hostname, message, recipients, now });
  const status = deliveryStatus({ hostname: options.hostname, message, recipients, now, international });
  const parts: readonly BodyPart[] = [
    textPart(text, WORDS.parts.text),
    {
      type: international ? "message/global-delivery-status" : "message/delivery-status",
      description: WORDS.parts.status,
      body: bytesOf(status),
    },
    returnedPart(message, recipients, international, options.largestReturned ?? 256 * 1024),
  ];
  const boundary = randomToken(options.random);
  const header = noticeHeader(options, message, recipients, id, now, boundary);
  const content = joinBytes([header, multipartBytes(parts, boundary)]);
  return {
    id,
    envelope: { sender: "", parameters: noticeParameters(parameters, header, content) },
    // RFC 3461 §6.1: a notification asks for none itself.
    recipients: [{
      address: sender,
      parameters: { notify: { never: true, success: false, failure: false, delay: false } },
    }],
    content: memoryContent(content),
    source: "dsn",
    // RFC 6710: a notification is as urgent as what it is about.
    priority: message.priority,
    receivedFromIp: "",
    receivedViaPort: 0,
    authenticatedAs: "",
    heloDomain: "",
  };
}

function noticeHeader(
  options: DsnOptions,
  message: QueuedMessage,
  recipients: readonly NoticeRecipient[],
  id: MessageId,
  now: number,
  boundary: string,
): Uint8Array {
  return joinBytes([
    dateField(now),
    foldField("From", mailbox(options.from(message, recipients))),
    foldField("To", formatPath(message.envelope.sender)),
    foldField("Subject", encodeHeaderText(noticeSubject(recipients))),
    messageIdField(`${id.toString(36)}.${randomToken(options.random)}`, options.reportDomain),
    ...inReplyTo(message),
    // RFC 3834 §5.2; the sender's own vacation responder must not answer this.
    foldField("Auto-Submitted", "auto-replied"),
    foldField("MIME-Version", "1.0"),
    foldField("Content-Type", `multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"`),
    bytesOf(`\r\n${WORDS.preamble}\r\n`),
  ]);
}

function inReplyTo(message: QueuedMessage): readonly Uint8Array[] {
  const original = parseHeader(returnedHeader(message)).fields.find((field) => field.lower === "message-id");
  const match = /<[!-;=?-~]{1,250}>/.exec(original?.value() ?? "");
  return match === null ? [] : [foldField("In-Reply-To", match[0]), foldField("References", match[0])];
}

function noticeParameters(original: MailParameters, header: Uint8Array, content: Uint8Array): MailParameters {
  const clean = eightBitClean(content);
  return {
    ...(clean ? {} : { body: "8bitmime" }),
    ...(eightBitClean(header) ? {} : { smtputf8: true }),
    // RFC 8689 §5: what had to be protected on its way out is to be protected on its way back.
    ...(original.requiretls === true ? { requiretls: true } : {}),
    ...(original.mtPriority !== undefined ? { mtPriority: original.mtPriority } : {}),
  };
}

/** The message or its header, as RET asks (RFC 3461 §4.3). */
function returnedPart(
  message: QueuedMessage,
  recipients: readonly NoticeRecipient[],
  international: boolean,
  largest: number,
): BodyPart {
  const { ret, body, requiretls } = message.envelope.parameters;
  const { content } = message;
  // RFC 3461 §4.3 returns whole messages for failures only; RFC 8689 §5 never those that require TLS; and a message
  // with BINARYMIME cannot be put into one without it.
  const whole = ret === "full" && recipients.some(({ action }) => action === "failed") && requiretls !== true &&
    body !== "binarymime" && content.complete && content.size <= largest;
  if (whole) {
    return {
      type: international ? "message/global" : "message/rfc822",
      description: WORDS.parts.message,
      body: content.head,
    };
  }
  return {
    type: international ? "message/global-headers" : "text/rfc822-headers",
    description: WORDS.parts.header,
    body: returnedHeader(message),
  };
}

function returnedHeader(message: QueuedMessage): Uint8Array {
  const { head } = message.content;
  const { end, fields } = parseHeader(head.subarray(0, LARGEST_HEADER + 1));
  if (end <= LARGEST_HEADER) return head.subarray(0, end);
  // Ends between two fields, as it would in a message.
  const last = fields.findLast((field) => field.end <= LARGEST_HEADER);
  return head.subarray(0, last?.end ?? 0);
}
