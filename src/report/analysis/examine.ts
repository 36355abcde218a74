/** Looks for reports in a mail. */

import { createHash } from "node:crypto";
import {
  allParts,
  firstField,
  type MimePart,
  parseAddressList,
  type ParsedHeader,
  parseHeader,
  parseMime,
  parseParameterized,
} from "../../message/mod.ts";
import { readDeliveryStatus } from "./delivery_status.ts";
import { type Collector, documentReader, named } from "./documents.ts";
import { isEximFailure, readEximFailure } from "./exim_failure.ts";
import { readFeedback } from "./feedback.ts";
import type { Findings, ReadReport, Unreadable } from "./incoming.ts";
import { LARGEST_FIELDS, MIME_LIMITS, MOST_VALUES, TURN } from "./limits.ts";
import { contentPieces, contentStart } from "./part_content.ts";
import { archiveKind, type Budget, createBudget, type DocumentSink, unpacker, UnpackError } from "./unpack.ts";
import { clip, domainName } from "./value.ts";
import { FormatError } from "./xml.ts";

/** How {@link findReports} works. */
export interface FindOptions {
  /** Lets others have their turn; called every few milliseconds of work. */
  readonly pause: () => Promise<void>;
}

/**
 * Finds the reports in a mail. Content types, file names and encodings are taken for hints: what a part begins with
 * decides. Never throws for what is in the mail; memory stays bounded whatever is packed into it.
 */
export async function findReports(mail: Uint8Array, { pause }: FindOptions): Promise<Findings> {
  const { root } = parseMime(mail, MIME_LIMITS);
  const sender = senderOf(root.header);
  const reports: ReadReport[] = [];
  const unreadable: Unreadable[] = [];
  let other: string | undefined;
  const collector: Collector = {
    report: (report) => void reports.push(report),
    unreadable: (one) =>
      void (unreadable.length < MOST_VALUES && unreadable.push({ ...one, reason: clip(one.reason) })),
    other: (name, reason) => void (other ??= named(name, reason)),
  };
  const parts = [...allParts(root)].filter(({ contentType }) => !contentType.value.startsWith("multipart/"));

  const about = parts.find((part) => typedAs(part) !== undefined) ?? parts.find((part) => beginsAs(part) !== undefined);
  if (about !== undefined) {
    readAbout(about, parts, { mail, root, sender, collector });
  } else {
    const open = documentReader(collector, { sender, domain: domainAbout(root.header) });
    const budget = createBudget();
    for (const part of parts) {
      if (part.children.length > 0) continue;
      await readPart(part, { open, budget, collector, pause });
    }
  }
  if (reports.length === 0 && unreadable.length === 0) {
    unreadable.push({ kind: "message", reason: clip(other ?? "it holds no report") });
  }
  return { reports, unreadable };
}

/** Domain that a mail says its report is about (RFC 8460 §5.3, RFC 7489 §7.2.1.1). */
function domainAbout(header: ParsedHeader): string {
  const named = firstField(header, "tls-report-domain")?.value() ??
    /\breport[ _-]domain:\s*(\S+)/i.exec(firstField(header, "subject")?.text() ?? "")?.[1];
  return domainName(named ?? "");
}

/** Domain of the author. */
function senderOf(header: ParsedHeader): string {
  const [author] = parseAddressList(firstField(header, "from")?.value() ?? "");
  return domainName(author?.domain ?? "");
}

const FEEDBACK = /^feedback-type[ \t]*:/im;
const DELIVERY_STATUS = /^(?:final|original)-recipient[ \t]*:/im;
/** How both kinds of fields begin, so that prose that only mentions them is not taken for them. */
const FIELDS = /^\s*(?:[\w-]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n|\r?\n)*){1,3}/;

type MachineReadable = "feedback" | "delivery-status" | "exim";

/** Which machine-readable part of a multipart/report this is by its type. */
function typedAs({ contentType: { value } }: MimePart): MachineReadable | undefined {
  if (value === "message/feedback-report") return "feedback";
  return value === "message/delivery-status" || value === "message/global-delivery-status"
    ? "delivery-status"
    : undefined;
}

/** Which one this is by its fields, whatever it is called. */
function beginsAs(part: MimePart): MachineReadable | undefined {
  const { value } = part.contentType;
  if (part.parent === undefined || !/^(?:text\/plain|application\/octet-stream|message\/.*)$/.test(value)) {
    return undefined;
  }
  if (value === "message/rfc822" || value === "message/global") return undefined;
  const start = new TextDecoder("latin1").decode(contentStart(part, 1000));
  if (isEximFailure(start)) return "exim";
  if (!FIELDS.test(start)) return undefined;
  if (FEEDBACK.test(start)) return "feedback";
  return DELIVERY_STATUS.test(start) && /^reporting-mta[ \t]*:/im.test(start) ? "delivery-status" : undefined;
}

interface Surroundings {
  readonly mail: Uint8Array;
  readonly root: MimePart;
  readonly sender: string;
  readonly collector: Collector;
}

/** Reads a report about a message, which follows it, or its header alone. */
function readAbout(part: MimePart, parts: readonly MimePart[], { mail, root, sender, collector }: Surroundings): void {
  const original = parts.slice(parts.indexOf(part) + 1).find(({ contentType }) =>
    /^(?:message\/(?:rfc822|global)|(?:text|message)\/rfc822-headers?|message\/global-headers)$/.test(contentType.value)
  );
  const header = original === undefined ? undefined : original.children[0]?.header ??
    parseHeader(contentStart(original, LARGEST_FIELDS));
  const fields = contentStart(part, LARGEST_FIELDS);
  const readers = {
    feedback: () => readFeedback(fields, header, sender),
    "delivery-status": () => readDeliveryStatus(fields, header, sender),
    exim: () => readEximFailure(fields, sender),
  };
  try {
    const report = readers[typedAs(part) ?? beginsAs(part) ?? "feedback"]();
    // The part itself may well be the same in reports about different messages.
    const digest = createHash("sha256").update(mail.subarray(root.contentStart)).digest("hex");
    collector.report({ report, digest });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    collector.unreadable({ kind: "feedback", reason: error.message });
  }
}

interface PartReading {
  readonly open: ReturnType<typeof documentReader>;
  readonly budget: Budget;
  readonly collector: Collector;
  readonly pause: () => Promise<void>;
}

/** Reads a part that may hold documents. */
async function readPart(part: MimePart, { open, budget, collector, pause }: PartReading): Promise<void> {
  const name = fileName(part);
  let sink: DocumentSink | undefined;
  let since = 0;
  try {
    for (const piece of contentPieces(part)) {
      // Words for people are no document, and neither is their HTML version.
      if (sink === undefined && archiveKind(piece) === undefined && !seemsDocument(piece)) return;
      sink ??= unpacker(open, budget, name);
      for (let at = 0; at < piece.length; at += SLICE) {
        const before = budget.unpacked;
        const slice = piece.subarray(at, at + SLICE);
        sink.write(slice);
        since += slice.length + budget.unpacked - before;
        if (since < TURN) continue;
        since = 0;
        await pause();
      }
    }
    sink?.end();
  } catch (error) {
    if (!(error instanceof UnpackError)) throw error;
    collector.unreadable({ kind: "archive", reason: named(name, error.message) });
  }
}

/** Octets of a part that are fed before anybody looks whose turn it is. */
const SLICE = 2 * 1024;

function fileName(part: MimePart): string {
  const disposition = parseParameterized(firstField(part.header, "content-disposition")?.value() ?? "");
  return clip(disposition.parameters.get("filename") ?? part.contentType.parameters.get("name") ?? "", 255);
}

/** Whether bytes begin like XML or JSON in some charset. */
function seemsDocument(bytes: Uint8Array): boolean {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 400)).replace(/^[\s\0\xef\xbb\xbf\xfe\xff]+/, "");
  return /^[<{[]/.test(start) && !/^<(?:!doctype html|html|head|body|div|p|br|meta|table)\b/i.test(start);
}
