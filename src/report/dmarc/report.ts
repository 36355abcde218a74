/** Makes DMARC aggregate reports (RFC 7489 §7.2, RFC 9990). */

import {
  type AggregateMail,
  aggregateWords,
  attachmentWithin,
  fileName,
  type MadeReport,
  mailSize,
  type MakingWorld,
  type Reporter,
  reportIdOf,
} from "../aggregate/made.ts";
import { gzip } from "../aggregate/gzip.ts";
import { type DueReport, leastCount, overflowOf, readResults, type StoredResult } from "../aggregate/ledger.ts";
import { base64Body, textPart } from "../body_part.ts";
import { findDestinations, type ReportDestination } from "../destination.ts";
import { AGGREGATE_WORDS } from "../wording.ts";
import { feedbackXml } from "./feedback_xml.ts";
import { decodePolicy, type PublishedPolicy } from "./policy.ts";

type MailDestination = Extract<ReportDestination, { kind: "mailto" }>;

/**
 * Makes the report of one domain and period: a mail for all who take it whole, and smaller ones, with the most frequent
 * records, for those that do not.
 *
 * @throws {StoreUnavailable} (rejects)
 */
export async function makeDmarcReport(report: DueReport, reporter: Reporter, world: MakingWorld): Promise<MadeReport> {
  const { domain, handed } = report;
  const policy = decodePolicy(report.about);
  const found = await findDestinations(policy.aggregateReports, { domain, tag: "rua", resolver: world.resolver });
  for (const uri of found.unauthorized) {
    world.emit("outgoing-report.unauthorized-reporting-address", { domain, uri });
  }
  const waiting = found.unknown.length === 0
    ? undefined
    : `DNS could not say for now whether ${found.unknown.join(", ")} may get reports`;
  const places = found.destinations.filter((place) => place.kind === "mailto")
    .filter(({ uri }) => !handed.includes(uri));
  if (places.length === 0) {
    if (waiting !== undefined) return { kind: "later", reason: waiting };
    const reason = found.unauthorized.length > 0 ? "no place has agreed to get it" : "no place can be mailed to";
    return { kind: "nobody", reason };
  }
  const mails = await mailsFor(report, policy, places, reporter, world);
  if (mails.length === 0 && waiting === undefined) return { kind: "nobody", reason: "it is larger than anybody takes" };
  return { kind: "made", mails, posts: [], ...(waiting === undefined ? {} : { later: waiting }) };
}

async function mailsFor(
  report: DueReport,
  policy: PublishedPolicy,
  places: readonly MailDestination[],
  reporter: Reporter,
  world: MakingWorld,
): Promise<readonly AggregateMail[]> {
  const limitOf = ({ limit = Infinity }: MailDestination) => Math.min(limit, reporter.maxSize);
  const mails: AggregateMail[] = [];
  let last: Feedback | undefined;
  const limits = new Set(places.map(limitOf).toSorted((a, b) => b - a));
  for (const limit of limits) {
    if (last === undefined || mailSize(last.gzipped.length) > limit) {
      last = await feedbackWithin(attachmentWithin(limit), report, policy, reporter, world);
      if (last === undefined) break;
      mails.push({ mail: mailOf(last, [], report, reporter, world.domain, mails.length), uris: [] });
    }
    const here = places.filter((place) => limitOf(place) === limit);
    const { mail, uris } = mails[mails.length - 1] as AggregateMail;
    mails[mails.length - 1] = {
      mail: { ...mail, to: [...mail.to, ...here.map(({ address }) => address)] },
      uris: [...uris, ...here.map(({ uri }) => uri)],
    };
  }
  return mails;
}

interface Feedback {
  readonly gzipped: Uint8Array;
  readonly records: number;
}

/** The report with as many records as there is room for; undefined if not even one fits. */
async function feedbackWithin(
  most: number,
  report: DueReport,
  policy: PublishedPolicy,
  reporter: Reporter,
  world: MakingWorld,
): Promise<Feedback | undefined> {
  const { store } = world;
  const overflow = await overflowOf(store, report.id);
  const all = report.results - (overflow > 0 ? 1 : 0);
  const errors = overflow === 0 ? [] : [AGGREGATE_WORDS.tooManyKinds(overflow)];
  let records = all;
  while (records > 0) {
    let written = 0;
    const pages = async function* () {
      for await (const page of resultsFor(report, records, all, world)) {
        written += page.length;
        yield page;
      }
    };
    const left = records === all ? [] : [AGGREGATE_WORDS.cut(all - records, all)];
    const metadata = {
      orgName: reporter.orgName,
      email: reporter.from.address,
      ...(reporter.contactInfo === undefined ? {} : { contactInfo: reporter.contactInfo }),
      reportId: reportIdOf(report, world.domain),
      begins: report.begins,
      ends: report.ends,
      errors: [...errors, ...left],
      generator: world.generator,
    };
    const gzipped = await gzip(feedbackXml(metadata, report.domain, policy, pages()), most);
    if (typeof gzipped !== "number") return written === 0 ? undefined : { gzipped, records: written };
    // What was written until it was too much says about how many there may be.
    records = Math.floor(Math.min(written, records) * Math.min(0.9, most / gzipped));
  }
  return undefined;
}

/** The most frequent results; all of them if there are no more. */
async function* resultsFor(
  { id }: DueReport,
  most: number,
  all: number,
  { store }: MakingWorld,
): AsyncGenerator<readonly StoredResult[]> {
  let left = most;
  const least = most < all ? await leastCount(store, id, most) : 1;
  for await (const page of readResults(store, id, least)) {
    yield page.slice(0, left);
    left -= page.length;
    if (left <= 0) return;
  }
}

function mailOf(
  { gzipped, records }: Feedback,
  to: readonly string[],
  report: DueReport,
  { from, submitter }: Reporter,
  domain: string,
  copy: number,
): AggregateMail["mail"] {
  const id = reportIdOf(report, domain);
  const lines = AGGREGATE_WORDS.dmarc(aggregateWords(report, submitter, id), records);
  return {
    from,
    to,
    // RFC 7489 §7.2.1.1
    subject: `Report Domain: ${report.domain} Submitter: ${submitter} Report-ID: <${id}>`,
    messageId: copy === 0 ? id : `${id}.${copy}`,
    type: "multipart/mixed",
    parts: [
      textPart(`${lines.join("\r\n")}\r\n`),
      {
        type: "application/gzip",
        filename: fileName(submitter, report, id, "xml.gz"),
        encoding: "base64",
        body: base64Body(gzipped),
      },
    ],
  };
}
