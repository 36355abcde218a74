/** Complaints and reports of failed authentication: ARF (RFC 5965, RFC 6591). */

import type { ParsedHeader } from "../../message/mod.ts";
import type { FeedbackReport } from "./incoming.ts";
import { bareAddress, dateOf, fieldGroups, originalOf, typed } from "./fields.ts";
import { clip, count, createProblems, domainName, ipAddress, word } from "./value.ts";
import { FormatError } from "./xml.ts";

/**
 * Reads the second part of a feedback report.
 *
 * @param original header of the message that it is about
 * @param sender domain of who sent the report
 * @throws {FormatError} if it is none
 */
export function readFeedback(bytes: Uint8Array, original: ParsedHeader | undefined, sender: string): FeedbackReport {
  const [fields] = fieldGroups(bytes, 1);
  const feedbackType = bareWord(fields?.first("feedback-type") ?? "");
  if (fields === undefined || feedbackType === "") throw new FormatError("it has no Feedback-Type");
  const problems = createProblems();
  for (const name of ["User-Agent", "Version"]) {
    if (fields.first(name.toLowerCase()) === "") problems.note(`${name} is missing`);
  }
  const about = originalOf(original);
  const incidents = fields.first("incidents");
  const counted = incidents === "" ? 1 : count(incidents.replace(/\(.*$/, ""));
  if (counted === undefined) problems.note("Incidents is no number");
  const arrival = fields.first("arrival-date") || fields.first("received-date");
  const arrived = dateOf(arrival);
  if (arrival !== "" && arrived === undefined) problems.note("Arrival-Date is no date");
  const source = fields.first("source-ip").replace(/\(.*$/, "");
  const named = fields.all("reported-domain").map(domainName).filter((domain) => domain !== "");
  const fallback = domainName(fields.first("dkim-domain")) || domainIn(about.from) ||
    domainIn(bareAddress(fields.first("original-mail-from")));
  const envelopeTo = fields.all("original-rcpt-to").map(bareAddress);
  return {
    kind: feedbackType === "auth-failure" ? "auth-failure" : "abuse",
    reporter: typed(fields.first("reporting-mta")) || sender,
    problems: problems.list,
    feedbackType,
    arrived,
    incidents: counted ?? 1,
    source: source === "" ? "" : ipAddress(source),
    domains: named.length > 0 || fallback === "" ? [...new Set(named)] : [fallback],
    uris: fields.all("reported-uri"),
    envelopeFrom: bareAddress(fields.first("original-mail-from")),
    envelopeTo,
    envelopeId: fields.first("original-envelope-id"),
    authenticationResults: fields.all("authentication-results"),
    authFailure: bareWord(fields.first("auth-failure")),
    deliveryResult: bareWord(fields.first("delivery-result")),
    identityAlignment: clip(fields.first("identity-alignment")),
    dkimDomain: domainName(fields.first("dkim-domain")),
    dkimSelector: clip(fields.first("dkim-selector"), 255),
    // RFC 6591 §3.2.6: one field for each record that was read.
    spfDns: clip(fields.all("spf-dns").join("; ")),
    original: about,
  };
}

function domainIn(text: string): string {
  return domainName(/@([^\s<>@",;]+)>?[^@]*$/.exec(text)?.[1] ?? "");
}

/** A word, the comment behind it taken off. */
function bareWord(text: string): string {
  return word(text.replace(/\(.*$/, ""));
}
