/** The part of a delivery status notification that programs read (RFC 3464 §2, RFC 6533 §4). */

import { foldField, formatDate } from "../message/mod.ts";
import type { NoticeRecipient, QueuedMessage } from "../queue/types.ts";
import { asciiAddress, isAddressLiteral, isDomain, type MailParameters, needsSmtpUtf8 } from "../smtp/mod.ts";

/** What the part is made of. */
export interface DeliveryStatusOptions {
  readonly hostname: string;
  readonly message: QueuedMessage;
  readonly recipients: readonly NoticeRecipient[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The part is `message/global-delivery-status` and may hold UTF-8. */
  readonly international: boolean;
}

const LONGEST_DIAGNOSTIC = 2000;
const decoder = new TextDecoder();

/** The body of the part: per-message fields, then one group of fields for each recipient. */
export function deliveryStatus(options: DeliveryStatusOptions): string {
  const { hostname, message, recipients } = options;
  const { envid, by } = message.envelope.parameters;
  const hold = holdRequest(message.envelope.parameters);
  const groups = [
    lines([
      envid === undefined ? undefined : ["Original-Envelope-Id", asciiOnly(envid)],
      ["Reporting-MTA", `dns; ${hostname}`],
      ["Arrival-Date", formatDate(message.created)],
      // RFC 2852 §5, RFC 4865 §5.1.2
      by === undefined ? undefined : ["Deliver-By-Date", formatDate(message.created + by.seconds * 1000)],
      hold === undefined ? undefined : ["Future-Release-Request", hold],
    ]),
    ...recipients.map((recipient) => recipientFields(recipient, options)),
  ];
  return groups.join("\r\n");
}

/** The hold that the client asked for (RFC 4865 §5.1.2, orig-hold-param-value). */
function holdRequest({ holdFor, holdUntil }: MailParameters): string | undefined {
  if (holdFor !== undefined) return `for;${holdFor}`;
  return holdUntil === undefined ? undefined : `until;${new Date(holdUntil).toISOString().replace(".000Z", "Z")}`;
}

type Field = readonly [name: string, value: string];

function recipientFields(notice: NoticeRecipient, { now, international }: DeliveryStatusOptions): string {
  const { recipient, action, detail, willRetryUntil } = notice;
  const { orcpt } = recipient.parameters;
  return lines([
    orcpt === undefined ? undefined : ["Original-Recipient", typedAddress(orcpt.type, orcpt.address, international)],
    ["Final-Recipient", finalRecipient(recipient.address, international)],
    ["Action", action],
    ["Status", noticeStatus(notice)],
    isDomain(detail.host) || isAddressLiteral(detail.host) ? ["Remote-MTA", `dns; ${detail.host}`] : undefined,
    diagnosticCode(notice, international),
    notice.unattempted === true ? undefined : ["Last-Attempt-Date", formatDate(now)],
    willRetryUntil === undefined || action !== "delayed" ? undefined : ["Will-Retry-Until", formatDate(willRetryUntil)],
  ]);
}

/** The status code of a recipient (RFC 3463): the one of the attempt, or a general one of the action's class. */
export function noticeStatus({ action, detail }: NoticeRecipient): string {
  if (/^[245]\.[0-9]{1,3}\.[0-9]{1,3}$/.test(detail.enhanced)) return detail.enhanced;
  return action === "failed" ? "5.0.0" : action === "delayed" ? "4.0.0" : "2.0.0";
}

// RFC 6533 §3: an address outside ASCII has the type utf-8.
function finalRecipient(address: string, international: boolean): string {
  if (!needsSmtpUtf8(address)) return `rfc822; ${address}`;
  const ascii = international ? undefined : asciiAddress(address);
  return ascii === undefined ? typedAddress("utf-8", address, international) : `rfc822; ${ascii}`;
}

function typedAddress(type: string, address: string, international: boolean): string {
  return `${type}; ${international ? address : asciiOnly(address)}`;
}

function diagnosticCode({ action, detail }: NoticeRecipient, international: boolean): Field | undefined {
  if (action !== "failed" && action !== "delayed") return undefined;
  // RFC 3464 §2.3.6 and RFC 3461 §9.2: the type smtp is for the reply itself; what this side found has one of its own.
  const type = detail.reply === undefined ? "x-godwit" : "smtp";
  const words = (detail.reply ?? detail.text).replace(/\s+/g, " ").trim().slice(0, LONGEST_DIAGNOSTIC);
  return words === "" ? undefined : ["Diagnostic-Code", `${type}; ${international ? words : asciiOnly(words)}`];
}

function asciiOnly(text: string): string {
  return text.replace(/[^ -~]/g, "?");
}

function lines(fields: readonly (Field | undefined)[]): string {
  return fields.map((field) => field === undefined ? "" : decoder.decode(foldField(field[0], field[1]))).join("");
}
