/** The TXT record by which a domain asks for TLS reports (RFC 8460 §3). */

/** Reports go to this many places at most. */
const MOST_URIS = 10;

/**
 * The URIs in the record of a domain.
 *
 * @param texts TXT records of `_smtp._tls.<domain>`
 * @returns undefined if the domain asks for no reports: there is no record, or more than one
 */
export function readTlsReportRecord(texts: readonly string[]): readonly string[] | undefined {
  const records = texts.filter((text) => /^v=TLSRPTv1[ \t]*;/.test(text));
  const [record] = records;
  if (record === undefined || records.length > 1) return undefined;
  for (const field of record.split(";").slice(1)) {
    const [, value] = /^[ \t]*rua[ \t]*=(.*)$/.exec(field) ?? [];
    if (value !== undefined) return value.split(",", MOST_URIS).map((uri) => uri.trim()).filter((uri) => uri !== "");
  }
  return undefined;
}
