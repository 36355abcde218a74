/** Documents of a mail: DMARC reports in XML, TLS reports in JSON, known by how they begin and not by what they are called. */

import { createHash } from "node:crypto";
import { documentDecoder } from "./charset.ts";
import { type DmarcReader, dmarcReader, NoReport } from "./dmarc.ts";
import type { ReportHints } from "./hints.ts";
import type { IncomingReport, ReadReport, Unreadable } from "./incoming.ts";
import { LARGEST_JSON, MOST_FILES } from "./limits.ts";
import { readTlsReport } from "./tls.ts";
import type { DocumentSink } from "./unpack.ts";
import { FormatError } from "./xml.ts";

/** Collects what documents turn out to be. */
export interface Collector {
  report(report: ReadReport): void;
  unreadable(unreadable: Unreadable): void;
  /** XML or something else that makes no claim to be a report. */
  other(name: string, reason: string): void;
}

/** What a document is, as far as it has been read. */
type Reading =
  | { readonly kind: "unknown" }
  | { readonly kind: "dmarc"; readonly reader: DmarcReader }
  | { readonly kind: "tls"; readonly pieces: string[]; size: number }
  | { readonly kind: "done" };

/** Makes the sinks of documents. */
export function documentReader(
  collector: Collector,
  mail: Omit<ReportHints, "fileName">,
): (name: string) => DocumentSink {
  let documents = 0;
  return (name) => {
    const hints: ReportHints = { ...mail, fileName: name };
    const decoder = documentDecoder();
    const hash = createHash("sha256");
    let reading: Reading = { kind: "unknown" };
    if (++documents > MOST_FILES) reading = { kind: "done" };

    const failed = (kind: Unreadable["kind"], error: unknown) => {
      reading = { kind: "done" };
      if (error instanceof NoReport) collector.other(name, error.message);
      else if (error instanceof FormatError) collector.unreadable({ kind, reason: named(name, error.message) });
      else throw error;
    };
    const guarded = (kind: Unreadable["kind"], action: () => void) => {
      try {
        action();
      } catch (error) {
        failed(kind, error);
      }
    };
    const begin = (text: string): Reading => {
      if (text[0] === "<") return { kind: "dmarc", reader: dmarcReader(hints) };
      if (text[0] === "{" || text[0] === "[") return { kind: "tls", pieces: [], size: 0 };
      collector.other(name, "it is neither XML nor JSON");
      return { kind: "done" };
    };
    const take = (text: string) => {
      if (text === "") return;
      if (reading.kind === "unknown") reading = begin(text);
      if (reading.kind === "dmarc") {
        const { reader } = reading;
        guarded("dmarc", () => reader.write(text));
      } else if (reading.kind === "tls") {
        reading.size += text.length;
        reading.pieces.push(text);
        if (reading.size > LARGEST_JSON) {
          failed("tls", new FormatError(`it is larger than ${LARGEST_JSON} characters`));
        }
      }
    };
    const found = (report: IncomingReport) => collector.report({ report, digest: hash.digest("hex") });
    return {
      write(bytes) {
        if (reading.kind === "done") return;
        hash.update(bytes);
        take(decoder.write(bytes));
      },
      end() {
        if (reading.kind === "done") return;
        take(decoder.end());
        const last = reading as Reading;
        if (last.kind === "dmarc") guarded("dmarc", () => found(last.reader.end()));
        else if (last.kind === "tls") guarded("tls", () => found(readTlsReport(last.pieces.join(""), hints)));
        else if (last.kind === "unknown") collector.other(name, "it is empty");
        reading = { kind: "done" };
      },
    };
  };
}

/** A reason with the file that it is about. */
export function named(name: string, reason: string): string {
  return name === "" ? reason : `${name}: ${reason}`;
}
