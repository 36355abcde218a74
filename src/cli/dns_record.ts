/** DNS records as people publish them. */

import type { Output } from "./output.ts";

/** A record to publish. */
export interface DnsRecord {
  /** Without final dot. */
  readonly name: string;
  readonly type: "MX" | "TXT" | "CNAME" | "TLSA";
  /** Of TXT records the whole text; of others the fields as a zone file has them. */
  readonly value: string;
  /** What it is for, in a few words. */
  readonly purpose: string;
}

/** Longest string inside a TXT record (RFC 1035 §3.3). */
const LONGEST_STRING = 255;

/** The strings that the text of a TXT record is cut into. The text is ASCII. */
export function txtStrings(text: string): readonly string[] {
  return text.match(new RegExp(`.{1,${LONGEST_STRING}}`, "gs")) ?? [""];
}

/** A record as a line of a zone file (RFC 1035 §5.1). */
export function zoneLine({ name, type, value }: DnsRecord): string {
  if (type !== "TXT") return `${name}. IN ${type} ${value}`;
  const strings = txtStrings(value).map((part) => `"${part.replace(/["\\]/g, "\\$&")}"`);
  return `${name}. IN TXT ${strings.length === 1 ? strings[0] : `( ${strings.join(" ")} )`}`;
}

/** Prints records: as a piece of a zone file in which comments say what is what, or as JSON. */
export function printRecords(records: readonly DnsRecord[], json: boolean, output: Output): void {
  if (json) {
    const entries = records.map((record) => ({
      ...record,
      ...(record.type === "TXT" ? { strings: txtStrings(record.value) } : {}),
    }));
    output.print(JSON.stringify(entries));
    return;
  }
  for (const record of records) {
    output.print(`; ${record.purpose}`);
    output.print(zoneLine(record));
  }
}
