/** Reports as messages for the queue. */

import {
  dateField,
  eightBitClean,
  encodeHeaderText,
  foldField,
  memoryContent,
  messageIdField,
} from "../message/mod.ts";
import type { MessageId, NewMessage } from "../queue/types.ts";
import { formatPath } from "../smtp/mod.ts";
import { type BodyPart, bytesOf, joinBytes, mailbox, multipartBytes, randomToken } from "./body_part.ts";

/** A report, ready to be written. */
export interface ReportMail {
  readonly from: { readonly name: string; readonly address: string };
  /** Addresses; at least one. */
  readonly to: readonly string[];
  readonly subject: string;
  /** Further fields, as name and value, such as `["TLS-Required", "No"]`. */
  readonly fields?: readonly (readonly [name: string, value: string])[];
  /** Media type without boundary, such as `multipart/report; report-type=tlsrpt`. */
  readonly type: string;
  /** For readers that know nothing of MIME. */
  readonly preamble?: string;
  readonly parts: readonly BodyPart[];
  /** Left side of the Message-ID; by default something unique. */
  readonly messageId?: string;
}

/** What {@link reportMessage} needs beside the report. */
export interface ReportMessageOptions {
  readonly id: MessageId;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** `report.domain`: right side of the Message-ID. */
  readonly domain: string;
}

/**
 * The message of a report: from the null sender, so that nobody answers it, marked as made by a program (RFC 3834 §5),
 * and with the source `report`. It is not signed.
 */
export function reportMessage(mail: ReportMail, { id, now, random, domain }: ReportMessageOptions): NewMessage {
  const boundary = randomToken(random);
  const header = joinBytes([
    dateField(now),
    foldField("From", mailbox(mail.from)),
    foldField("To", mail.to.map((address) => formatPath(address)).join(", ")),
    foldField("Subject", encodeHeaderText(mail.subject)),
    messageIdField(mail.messageId ?? `${id.toString(36)}.${randomToken(random)}`, domain),
    foldField("Auto-Submitted", "auto-generated"),
    ...(mail.fields ?? []).map(([name, value]) => foldField(name, value)),
    foldField("MIME-Version", "1.0"),
    foldField("Content-Type", `${mail.type};\r\n boundary="${boundary}"`),
    bytesOf(mail.preamble === undefined ? "" : `\r\n${mail.preamble}\r\n`),
  ]);
  const body = multipartBytes(mail.parts, boundary);
  return {
    id,
    envelope: {
      sender: "",
      parameters: {
        ...(eightBitClean(body) ? {} : { body: "8bitmime" }),
        ...(eightBitClean(header) ? {} : { smtputf8: true }),
      },
    },
    recipients: mail.to.map((address) => ({
      address,
      parameters: { notify: { never: true, success: false, failure: false, delay: false } },
    })),
    content: memoryContent(joinBytes([header, body])),
    source: "report",
    priority: 0,
    receivedFromIp: "",
    receivedViaPort: 0,
    authenticatedAs: "",
    heloDomain: "",
  };
}
