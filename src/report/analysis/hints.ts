/** What can be known of a report from around it. */

import { clip, domainName, time } from "./value.ts";

/** What is known of a report from outside. */
export interface ReportHints {
  /** `receiver!domain!begin!end!id.xml` (RFC 7489 §7.2.1.1), if it is such a name. */
  readonly fileName: string;
  /** Domain of the author of the mail. */
  readonly sender: string;
  /** Domain that the header of the mail says the report is about; `""` if it does not. */
  readonly domain: string;
}

/** What the name of a file says. */
export interface NamedReport {
  readonly receiver: string;
  readonly domain: string;
  readonly begin: number | undefined;
  readonly end: number | undefined;
  readonly id: string;
}

/** RFC 7489 §7.2.1.1, RFC 8460 §5.1: the name of the file says who reports on what. */
export function fromFileName(name: string): NamedReport | undefined {
  const match = /([^/\\!]+)!([^/\\!]+)!(\d{9,13})!(\d{9,13})(?:!([^/\\!]+?))?(?:\.xml|\.json|\.gz|\.zip)*$/i.exec(name);
  if (match === null) return undefined;
  const [, receiver = "", domain = "", begin = "", end = "", id = ""] = match;
  return {
    receiver: clip(receiver, 255),
    domain: domainName(domain),
    begin: time(begin),
    end: time(end),
    id: clip(id, 255),
  };
}
