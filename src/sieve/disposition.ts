/** What tells a sender that a script has refused a message that was accepted before (RFC 5429 §2.2.1, RFC 8098). */

import type { OutgoingMail } from "./actions.ts";
import { concat, crlfLines, dateText, headerText, textEntity } from "./compose.ts";
import { firstField, foldField, type ParsedHeader } from "../message/mod.ts";
import { entityBytes, freeBoundary } from "./mime_edit.ts";

/** A refusal. Addresses without angle brackets. */
export interface Rejection {
  /** In the words of the script. */
  readonly reason: string;
  /** The return path of the message. */
  readonly sender: string;
  readonly recipient: string;
  /** ORCPT as its sender gave it: type, semicolon, address. */
  readonly originalRecipient: string | undefined;
  readonly header: ParsedHeader;
  /** What is returned: the whole message, or its header. */
  readonly returned: Uint8Array;
  readonly whole: boolean;
  /** Milliseconds since the epoch, and minutes east of Greenwich. */
  readonly now: number;
  readonly zoneOffset: number;
  /** `id@host` for Message-ID. */
  readonly messageId: string;
  /** Name of this server. */
  readonly hostname: string;
}

const INTRODUCTION = "Your message was refused by the recipient's mail filtering program.\r\n" +
  "The reason given is as follows:\r\n\r\n";

const encoder = new TextEncoder();
const CRLF = encoder.encode("\r\n");

/** The notification: a failure MDN that goes out with the null return path. */
export function rejectionNotice(rejection: Rejection): OutgoingMail {
  const { header, returned, whole, recipient, sender } = rejection;
  const text = textEntity(INTRODUCTION + crlfLines(rejection.reason));
  const boundary = freeBoundary([returned, text.body]);
  const eight = returned.some((octet) => octet > 0x7f) ? [foldField("Content-Transfer-Encoding", "8bit")] : [];
  const line = (end: string) => encoder.encode(`\r\n--${boundary}${end}\r\n`);
  const id = firstField(header, "message-id")?.value().match(/<[^<>\s]+>/)?.[0];
  const subject = firstField(header, "subject")?.text().trim() ?? "";
  return {
    from: "",
    to: [sender],
    bytes: concat([
      foldField("Date", dateText(rejection.now, rejection.zoneOffset)),
      foldField("From", `<${recipient}>`),
      foldField("To", `<${sender}>`),
      foldField("Subject", headerText(`Rejected: ${subject || "your message"}`)),
      foldField("Message-ID", `<${rejection.messageId}>`),
      ...(id === undefined ? [] : [foldField("In-Reply-To", id), foldField("References", id)]),
      // RFC 3834 §5.1.
      foldField("Auto-Submitted", "auto-replied (rejected)"),
      foldField("MIME-Version", "1.0"),
      foldField("Content-Type", `multipart/report; report-type=disposition-notification; boundary="${boundary}"`),
      ...eight,
      line(""),
      entityBytes(text),
      line(""),
      foldField("Content-Type", "message/disposition-notification"),
      CRLF,
      ...notificationFields(rejection, id),
      line(""),
      foldField("Content-Type", whole ? "message/rfc822" : "text/rfc822-headers"),
      ...eight,
      CRLF,
      returned,
      line("--"),
    ]),
  };
}

/** RFC 8098 §3.1; RFC 5429 §2.2.1 says what the disposition is. */
function notificationFields(rejection: Rejection, id: string | undefined): readonly Uint8Array[] {
  const { hostname, originalRecipient, recipient } = rejection;
  return [
    foldField("Reporting-UA", `${hostname}; godwit`),
    ...(originalRecipient === undefined ? [] : [foldField("Original-Recipient", originalRecipient)]),
    foldField("Final-Recipient", `rfc822; ${recipient}`),
    ...(id === undefined ? [] : [foldField("Original-Message-ID", id)]),
    foldField("Disposition", "automatic-action/MDN-sent-automatically; deleted"),
  ];
}
