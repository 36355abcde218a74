/** Makes TLS reports (RFC 8460 §5). */

import { DnsError } from "../../dns/mod.ts";
import { addressDomain, asAddress, domainToAscii } from "../../smtp/mod.ts";
import { gzip } from "../aggregate/gzip.ts";
import { type DueReport, readResults, type StoredResult } from "../aggregate/ledger.ts";
import {
  aggregateWords,
  attachmentWithin,
  fileName,
  type MadeReport,
  type MakingWorld,
  type Reporter,
  reportIdOf,
} from "../aggregate/made.ts";
import { base64Body, textPart } from "../body_part.ts";
import { readDestination } from "../destination.ts";
import type { ReportMail } from "../report_mail.ts";
import { AGGREGATE_WORDS } from "../wording.ts";
import { tlsReport, type TlsReportMetadata } from "./json.ts";
import { readTlsReportRecord } from "./record.ts";
import type { PoliciesByKey } from "./recorder.ts";

const MEDIA_TYPE = "application/tlsrpt+gzip";

/**
 * Looks up who wants the report of one domain and period, and makes it: one mail for all addresses, and the same octets
 * for each place that takes them by HTTPS.
 *
 * @throws {StoreUnavailable} (rejects)
 */
export async function makeTlsReport(report: DueReport, reporter: Reporter, world: MakingWorld): Promise<MadeReport> {
  const { domain, handed } = report;
  const uris = await lookUp(domain, world);
  if (!Array.isArray(uris)) return uris;
  const places = uris.filter((uri) => !handed.includes(uri)).flatMap((uri) => readDestination(uri) ?? []);
  if (places.length === 0) return { kind: "nobody", reason: "the record of the domain names no place to bring it to" };
  // RFC 8460 §4.4 wants an address.
  const contact = asAddress(reporter.contactInfo ?? "") ?? reporter.from.address;
  const metadata = {
    orgName: reporter.orgName,
    contactInfo: contact,
    reportId: `${reportIdOf(report, world.domain)}@${world.domain}`,
    begins: report.begins,
    ends: report.ends,
  };
  const body = await bodyWithin(attachmentWithin(reporter.maxSize), report, metadata, world);
  if (body === undefined) return { kind: "nobody", reason: "it is larger than report.tls.aggregate.max-size" };
  const mailed = places.filter((place) => place.kind === "mailto");
  const to = [...new Set(mailed.map(({ address }) => address))];
  return {
    kind: "made",
    mails: mailed.length === 0
      ? []
      : [{ mail: mailOf(body, to, report, contact, reporter, world.domain), uris: mailed.map(({ uri }) => uri) }],
    posts: places.flatMap((place) =>
      place.kind === "https" ? [{ uri: place.uri, url: place.url, type: MEDIA_TYPE, body }] : []
    ),
  };
}

async function lookUp(
  domain: string,
  { resolver, emit }: MakingWorld,
): Promise<string[] | Exclude<MadeReport, { kind: "made" }>> {
  try {
    const uris = readTlsReportRecord((await resolver.txt(`_smtp._tls.${domain}`)).records);
    if (uris === undefined) {
      emit("tls-rpt.record-not-found", { domain });
      return { kind: "nobody", reason: "the domain does not ask for TLS reports" };
    }
    emit("tls-rpt.record-fetch", { domain, rua: uris });
    return [...uris];
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    emit("tls-rpt.record-fetch-error", { domain, reason: error.message });
    return { kind: "later", reason: `the TXT record of _smtp._tls.${domain} could not be looked up: ${error.reason}` };
  }
}

/** The report in gzip format, with as many details as there is room for; undefined if there is none for the sums. */
async function bodyWithin(
  most: number,
  report: DueReport,
  metadata: TlsReportMetadata,
  { store }: MakingWorld,
): Promise<Uint8Array | undefined> {
  const policies: PoliciesByKey = JSON.parse(report.about);
  // A report has some hundred results at most.
  const results: StoredResult[] = [];
  for await (const page of readResults(store, report.id)) results.push(...page);
  for (let details = results.length;; details = Math.floor(details / 2)) {
    const text = JSON.stringify(tlsReport(metadata, report.domain, policies, results, details));
    const gzipped = await gzip(inOnePiece(text), most);
    if (typeof gzipped !== "number") return gzipped;
    if (details === 0) return undefined;
  }
}

async function* inOnePiece(text: string): AsyncGenerator<string> {
  yield await Promise.resolve(text);
}

function mailOf(
  body: Uint8Array,
  to: readonly string[],
  report: DueReport,
  contact: string,
  { from, submitter }: Reporter,
  domain: string,
): ReportMail {
  const id = reportIdOf(report, domain);
  const contactDomain = addressDomain(contact);
  // RFC 8460 §5.3: it must be the domain of the address in the report.
  const sender = domainToAscii(contactDomain) ?? contactDomain;
  const lines = AGGREGATE_WORDS.tls(aggregateWords(report, submitter, `${id}@${domain}`));
  return {
    from,
    to,
    subject: `Report Domain: ${report.domain} Submitter: ${submitter} Report-ID: <${id}@${domain}>`,
    messageId: id,
    fields: [
      ["TLS-Report-Domain", report.domain],
      ["TLS-Report-Submitter", sender],
      // RFC 8460 §3: what is wrong with TLS must not keep the report of it back (RFC 8689 §3).
      ["TLS-Required", "No"],
    ],
    type: "multipart/report; report-type=tlsrpt",
    parts: [
      textPart(`${lines.join("\r\n")}\r\n`),
      {
        type: MEDIA_TYPE,
        filename: fileName(sender, report, id, "json.gz"),
        encoding: "base64",
        body: base64Body(body),
      },
    ],
  };
}
