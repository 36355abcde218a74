/** Reports of failed authentication as Exim writes them: in words, without the part that RFC 6591 wants. */

import { parseHeader } from "../../message/mod.ts";
import { dateOf, originalOf } from "./fields.ts";
import type { FeedbackReport } from "./incoming.ts";
import { domainName, ipAddress, word } from "./value.ts";
import { FormatError } from "./xml.ts";

const BEGINNING = /^\s*A message claiming to be from you has failed the published DMARC\s+policy for your domain/;

/** Whether a text begins as these reports do. */
export function isEximFailure(start: string): boolean {
  return BEGINNING.test(start);
}

/**
 * Reads the text of such a report; the header of the message stands at its end.
 *
 * @param sender domain of who sent the report
 * @throws {FormatError} if it names no domain
 */
export function readEximFailure(bytes: Uint8Array, sender: string): FeedbackReport {
  const text = new TextDecoder("latin1").decode(bytes);
  const rule = /^-{6}[^\n]*\n\s*/m.exec(text);
  const words = rule === null ? text : text.slice(0, rule.index);
  const value = (name: string) =>
    new RegExp(`^[ \\t]*${name}:[ \\t]*([^\\r\\n]{0,200})`, "im").exec(words)?.[1]?.trim() ?? "";
  const domain = domainName(value("Sender Domain"));
  if (domain === "") throw new FormatError("it does not name its Sender Domain");
  const source = value("Sender IP Address");
  const aligned = ["SPF", "DKIM"].filter((method) => word(value(`${method} Alignment`)) === "yes");
  return {
    kind: "auth-failure",
    reporter: sender,
    problems: ["the report is in words, without a message/feedback-report"],
    feedbackType: "auth-failure",
    arrived: dateOf(value("Received date")),
    incidents: 1,
    source: source === "" ? "" : ipAddress(source),
    domains: [domain],
    uris: [],
    envelopeFrom: "",
    envelopeTo: [],
    envelopeId: "",
    authenticationResults: [],
    authFailure: "dmarc",
    // The policy, and what was done.
    deliveryResult: word(value("DMARC Results").split(",").at(-1) ?? ""),
    identityAlignment: aligned.length === 0 ? "none" : aligned.join(", ").toLowerCase(),
    dkimDomain: "",
    dkimSelector: "",
    spfDns: "",
    original: originalOf(rule === null ? undefined : parseHeader(bytes.subarray(rule.index + rule[0].length))),
  };
}
