/**
 * The XML of DMARC aggregate reports, piece by piece, so that memory does not grow with them.
 *
 * There are two formats. That of RFC 7489 (appendix C) is what everybody reads. That of RFC 9990 is for domains whose
 * policy is found as RFC 9989 has it; nothing in a record asks for one of them by name.
 */

import ipaddr from "ipaddr.js";
import type { StoredResult } from "../aggregate/ledger.ts";
import type { PublishedPolicy } from "./policy.ts";
import { decodeRow, type DmarcRow, type OverrideReason } from "./row.ts";

/** What a report says beside its rows. */
export interface FeedbackMetadata {
  readonly orgName: string;
  /** Address for questions. */
  readonly email: string;
  /** Further ways to reach the sender; absent if there are none. */
  readonly contactInfo?: string;
  readonly reportId: string;
  /** Milliseconds since the epoch, the end not included. */
  readonly begins: number;
  readonly ends: number;
  /** What is missing in the report, for people. */
  readonly errors: readonly string[];
  /** Name and version of the program. */
  readonly generator: string;
}

/** Rows in one piece of text. */
const ROWS_AT_ONCE = 100;

/** The text of a report. At least one row must come. */
export async function* feedbackXml(
  metadata: FeedbackMetadata,
  domain: string,
  policy: PublishedPolicy,
  pages: AsyncIterable<readonly StoredResult[]>,
): AsyncGenerator<string> {
  const newer = policy.discovery === "treewalk";
  yield head(metadata, domain, policy, newer);
  for await (const page of pages) {
    for (let from = 0; from < page.length; from += ROWS_AT_ONCE) {
      yield page.slice(from, from + ROWS_AT_ONCE)
        .map(({ result, count }) => record(decodeRow(result), count, newer)).join("");
    }
  }
  yield "</feedback>\n";
}

function head(metadata: FeedbackMetadata, domain: string, policy: PublishedPolicy, newer: boolean): string {
  const { contactInfo, errors } = metadata;
  return '<?xml version="1.0" encoding="UTF-8"?>\n' +
    `<feedback${newer ? ' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"' : ""}>\n` +
    "<version>1.0</version>\n" +
    "<report_metadata>\n" +
    element("org_name", metadata.orgName) +
    element("email", metadata.email) +
    (contactInfo === undefined ? "" : element("extra_contact_info", contactInfo)) +
    element("report_id", metadata.reportId) +
    "<date_range>\n" +
    element("begin", seconds(metadata.begins)) +
    // Both ends belong to the range, so that two reports in a row share no second.
    element("end", String(Number(seconds(metadata.ends)) - 1)) +
    "</date_range>\n" +
    (newer
      ? (errors.length === 0 ? "" : element("error", errors.join("; ")))
      : errors.map((error) => element("error", error)).join("")) +
    (newer ? element("generator", metadata.generator) : "") +
    "</report_metadata>\n" +
    policyPublished(domain, policy, newer);
}

function policyPublished(domain: string, policy: PublishedPolicy, newer: boolean): string {
  return "<policy_published>\n" +
    element("domain", domain) +
    element("adkim", policy.dkimAlignment.charAt(0)) +
    element("aspf", policy.spfAlignment.charAt(0)) +
    element("p", policy.policy) +
    element("sp", policy.subdomainPolicy) +
    (newer ? element("np", policy.nonexistentPolicy) : element("pct", String(policy.percent))) +
    element("fo", policy.failureOptions.join(":")) +
    (newer ? element("testing", policy.testing ? "y" : "n") + element("discovery_method", policy.discovery) : "") +
    "</policy_published>\n";
}

function record(row: DmarcRow, count: number, newer: boolean): string {
  const disposition = row.disposition === "pass" && !newer ? "none" : row.disposition;
  return "<record>\n<row>\n" +
    element("source_ip", fullAddress(row.ip)) +
    element("count", String(count)) +
    "<policy_evaluated>\n" +
    element("disposition", disposition) +
    element("dkim", row.dkimAligned ? "pass" : "fail") +
    element("spf", row.spfAligned ? "pass" : "fail") +
    row.reasons.map((reason) => reasonElement(reason, newer)).join("") +
    "</policy_evaluated>\n</row>\n" +
    "<identifiers>\n" +
    element("envelope_from", row.envelopeFrom) +
    element("header_from", row.headerFrom) +
    "</identifiers>\n" +
    authResults(row, newer) +
    "</record>\n";
}

function authResults({ dkim, spf, envelopeFrom }: DmarcRow, newer: boolean): string {
  // RFC 7489 wants a result of SPF, also where it was not checked.
  const [domain, result] = spf ?? [envelopeFrom, "none"];
  return "<auth_results>\n" +
    dkim.map(([domain, selector, result]) =>
      `<dkim>\n${element("domain", domain)}${element("selector", selector)}${element("result", result)}</dkim>\n`
    ).join("") +
    (spf === undefined && newer
      ? ""
      : `<spf>\n${element("domain", domain)}${element("scope", "mfrom")}${element("result", result)}</spf>\n`) +
    "</auth_results>\n";
}

const COMMENTS: Readonly<Record<OverrideReason, string>> = {
  sampled_out: "left out by pct",
  policy_test_mode: "the record says t=y",
  local_policy: "the result is told in the header of the message",
};

function reasonElement(reason: OverrideReason, newer: boolean): string {
  const missing = newer ? reason === "sampled_out" : reason === "policy_test_mode";
  return `<reason>\n${element("type", missing ? "other" : reason)}${element("comment", COMMENTS[reason])}</reason>\n`;
}

/** The schema of RFC 7489 knows IPv6 addresses in eight groups only. */
function fullAddress(ip: string): string {
  return ip.includes(":") && ipaddr.IPv6.isValid(ip) ? ipaddr.IPv6.parse(ip).toNormalizedString() : ip;
}

function seconds(time: number): string {
  return String(Math.floor(time / 1000));
}

function element(name: string, text: string): string {
  return `<${name}>${escapeXml(text)}</${name}>\n`;
}

const PLAIN = /^[ !#-%'-;=?-~]*$/;
const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text for an element. What XML 1.0 cannot hold at all (§2.2) becomes U+FFFD. */
export function escapeXml(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
