/** Reports of single messages that failed authentication (RFC 6591), in the Abuse Reporting Format (RFC 5965). */

import {
  authenticationResults,
  type AuthResults,
  type DkimFault,
  type DkimResult,
  type SpfResult,
} from "../../authentication/mod.ts";
import { foldField, formatDate, parseHeader } from "../../message/mod.ts";
import { formatPath } from "../../smtp/mod.ts";
import { type BodyPart, joinBytes, textPart } from "../body_part.ts";
import type { ReportMail } from "../report_mail.ts";
import { FAILURE_WORDS as WORDS } from "../wording.ts";
import type { FailureCase } from "./case.ts";
import type { Redaction } from "./redact.ts";

/** A message that failed, and what became of it. */
export interface FailedMessage {
  /** Address of the client. */
  readonly ip: string;
  /** Return path, `""` for the null sender. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** `ENVID`, if there was one. */
  readonly envelopeId: string | undefined;
  /** The header; absent if the client never came to send one. May be followed by the body. */
  readonly head: Uint8Array | undefined;
  /** Milliseconds since the epoch. */
  readonly arrived: number;
  readonly fate: MessageFate;
}

/**
 * What became of a message: refused for good; taken for its recipients; or taken, and then neither delivered nor on its
 * way, because a filter had it dropped or held.
 */
export type MessageFate = "refused" | "accepted" | "withheld";

/** RFC 6591 §3.2.2 */
const DELIVERY_RESULTS: Readonly<Record<MessageFate, string>> = {
  refused: "reject",
  accepted: "delivered",
  withheld: "other",
};

/** Who reports. */
export interface FailureReporter {
  /** Name of this server. */
  readonly hostname: string;
  /** Such as `godwit/1.0`. */
  readonly userAgent: string;
  readonly from: { readonly name: string; readonly address: string };
  readonly subject: string;
}

/** Octets of the header that are told at most; cut between fields. */
const LARGEST_HEADER = 64 * 1024;

/** Writes the report of one failure to `to`. */
export function failureReport(
  failed: FailedMessage,
  found: FailureCase,
  to: readonly string[],
  { hostname, userAgent, from, subject }: FailureReporter,
  redaction: Redaction | undefined,
): ReportMail {
  const hidden = (text: string) => redaction?.text(text) ?? text;
  const header = reportedHeader(failed);
  const parts: BodyPart[] = [
    textPart(humanText(failed, found, hostname)),
    { type: "message/feedback-report", body: feedback(failed, found, { hostname, userAgent, hidden }) },
    { type: "text/rfc822-headers", body: redaction?.header(header) ?? header },
  ];
  return { from, to, subject, type: "multipart/report; report-type=feedback-report", parts };
}

/** The header block alone, with as many fields as there is room for. */
export function reportedHeader({ head }: Pick<FailedMessage, "head">): Uint8Array {
  if (head === undefined) return new Uint8Array();
  const { fields, end } = parseHeader(head);
  if (end <= LARGEST_HEADER) return head.subarray(0, end);
  const last = fields.findLast((field) => field.end <= LARGEST_HEADER);
  return head.subarray(0, last?.end ?? 0);
}

interface Words {
  readonly hostname: string;
  readonly userAgent: string;
  hidden(text: string): string;
}

function feedback(failed: FailedMessage, found: FailureCase, { hostname, userAgent, hidden }: Words): Uint8Array {
  const { failure, domain } = found;
  const fields: [name: string, value: string][] = [
    ["Feedback-Type", "auth-failure"],
    ["User-Agent", userAgent],
    ["Version", "1"],
    ["Auth-Failure", authFailure(found)],
    ["Authentication-Results", hidden(authenticationResults(hostname, resultsOf(found), failed.ip))],
    ["Reported-Domain", domain],
    ["Source-IP", failed.ip],
    ["Original-Mail-From", hidden(formatPath(failed.sender))],
    ["Arrival-Date", formatDate(failed.arrived)],
    ["Reporting-MTA", `dns; ${hostname}`],
    ["Delivery-Result", DELIVERY_RESULTS[failed.fate]],
  ];
  if (failed.envelopeId !== undefined) fields.push(["Original-Envelope-Id", hidden(failed.envelopeId)]);
  if (failure.type === "dkim") fields.push(...dkimFields(failure.dkim));
  if (failure.type === "spf") fields.push(...spfFields(failure.spf));
  if (failure.type === "dmarc") {
    const { dkimAligned, spfAligned } = failure.dmarc;
    const aligned = [...(dkimAligned ? ["dkim"] : []), ...(spfAligned ? ["spf"] : [])];
    fields.push(["Identity-Alignment", aligned.join(", ") || "none"]);
    if (failure.dkim !== undefined) fields.push(...dkimFields(failure.dkim));
    if (failure.spf !== undefined) fields.push(...spfFields(failure.spf));
  }
  return joinBytes(fields.map(([name, value]) => foldField(name, sevenBit(value))));
}

/** RFC 5965 §7.1: the part is in 7 bits. What has no form in ASCII is written as RFC 6533 §3 does it in addresses. */
function sevenBit(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, (char) => `\\x{${char.codePointAt(0)?.toString(16).toUpperCase()}}`);
}

/** RFC 6591 §3.3, RFC 7489 §7.3.1 */
function authFailure({ failure }: FailureCase): string {
  if (failure.type !== "dkim") return failure.type;
  const { fault, reason } = failure.dkim;
  const type = fault === "body" ? "bodyhash" : fault === "revoked" ? "revoked" : "signature";
  return reason === undefined || isSaid(fault) ? type : `${type} (${reason.replace(/[()\\]/g, "\\$&")})`;
}

/** Whether the type of failure says it all. */
function isSaid(fault: DkimFault | undefined): boolean {
  return fault === "body" || fault === "revoked" || fault === "signature";
}

/** RFC 6591 §3.1: the result of one method only. */
function resultsOf({ failure }: FailureCase): AuthResults {
  switch (failure.type) {
    case "dkim":
      return { dkim: [failure.dkim] };
    case "dmarc":
      return { dmarc: failure.dmarc };
    case "spf":
      return failure.spf.identity === "helo" ? { spfEhlo: failure.spf } : { spfMailFrom: failure.spf };
  }
}

function dkimFields({ domain, auid, selector }: DkimResult): [string, string][] {
  if (domain === "") return [];
  return [["DKIM-Domain", domain], ["DKIM-Identity", auid], ["DKIM-Selector", selector]];
}

function spfFields({ records = [] }: SpfResult): [string, string][] {
  return records.map(({ domain, text }) => ["SPF-DNS", `txt : ${domain} : "${text.replace(/["\\]/g, "\\$&")}"`]);
}

function humanText({ ip, arrived, fate }: FailedMessage, { failure, domain }: FailureCase, hostname: string): string {
  const what = failure.type === "dmarc"
    ? WORDS.dmarc(domain)
    : failure.type === "spf"
    ? WORDS.spf(failure.spf.domain)
    : WORDS.dkim(failure.dkim.domain);
  const lines = [
    WORDS.greeting(hostname),
    "",
    WORDS.message(ip, formatDate(arrived)),
    what,
    WORDS.fate[fate],
    "",
    WORDS.why(domain),
    WORDS.details,
  ];
  return `${lines.join("\r\n")}\r\n`;
}
