/** What aggregate reports of both kinds have in common when they are made. */

import { createHash } from "node:crypto";
import type { Resolver } from "../../dns/mod.ts";
import { formatDate } from "../../message/mod.ts";
import type { Store } from "../../store/mod.ts";
import type { Emit } from "../../telemetry/event.ts";
import type { ReportMail } from "../report_mail.ts";
import type { AggregateWords } from "../wording.ts";
import type { DueReport } from "./ledger.ts";

/** A mail, and the URIs that it serves. */
export interface AggregateMail {
  readonly mail: ReportMail;
  readonly uris: readonly string[];
}

/** What is brought somewhere by POST. */
export interface AggregatePost {
  readonly uri: string;
  readonly url: URL;
  readonly type: string;
  readonly body: Uint8Array;
}

/** What came of making a report. */
export type MadeReport =
  | {
    readonly kind: "made";
    readonly mails: readonly AggregateMail[];
    readonly posts: readonly AggregatePost[];
    /** Why some places have to wait; absent if none has to. */
    readonly later?: string;
  }
  /** Nobody gets it, now or later. */
  | { readonly kind: "nobody"; readonly reason: string }
  /** It cannot be made for now. */
  | { readonly kind: "later"; readonly reason: string };

/** Who reports, as `report.*` says for one domain. */
export interface Reporter {
  /** `report.submitter` */
  readonly submitter: string;
  readonly from: { readonly name: string; readonly address: string };
  readonly orgName: string;
  /** Absent if none is configured. */
  readonly contactInfo?: string;
  /** Octets of the largest report, as it is sent. */
  readonly maxSize: number;
  /** Ids of signatures. */
  readonly sign: readonly string[];
}

/** What reports are made with. */
export interface MakingWorld {
  readonly store: Store;
  readonly resolver: Pick<Resolver, "txt">;
  /** `report.domain` */
  readonly domain: string;
  /** Name and version of the program. */
  readonly generator: string;
  readonly emit: Emit;
}

/**
 * The id of a report: letters and digits, the same whenever and wherever it is made, so that whoever gets it twice can
 * tell (RFC 9990 §3.5.1).
 */
export function reportIdOf({ kind, domain, begins, ends }: DueReport, reporter: string): string {
  const text = [reporter, kind, domain, begins, ends].join(" ");
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/** Name of the attachment (RFC 9990 §3.5.2, RFC 8460 §5.1). */
export function fileName(sender: string, { domain, begins, ends }: DueReport, id: string, extension: string): string {
  const name = [sender, domain, lastSecond(begins) + 1, lastSecond(ends), id].join("!");
  return `${name.replace(/[^!-~]|["\\/]/g, "_")}.${extension}`;
}

/** The last second before a time, since the epoch: ends of reports belong to what they cover. */
export function lastSecond(time: number): number {
  return Math.floor(time / 1000) - 1;
}

/** What the text of a report says about it. */
export function aggregateWords({ domain, begins, ends }: DueReport, submitter: string, id: string): AggregateWords {
  return { domain, submitter, begin: formatDate(begins), end: formatDate(lastSecond(ends) * 1000), id };
}

/** Header fields, text and boundaries of a report mail take no more than this, in octets. */
const AROUND = 4096;

/** Octets that may be attached to a mail of `size` octets: Base64 makes lines of 78 out of 57. */
export function attachmentWithin(size: number): number {
  return Math.max(0, Math.floor((size - AROUND) / 78) * 57);
}

/** About how large a mail gets with so many octets attached. */
export function mailSize(attached: number): number {
  return AROUND + Math.ceil(attached / 57) * 78;
}
