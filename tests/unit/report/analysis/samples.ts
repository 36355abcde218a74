/** Reports as large senders write them, by format and habits: made here, with invented domains and numbers. */

import { gzipSync, zipSync } from "fflate";

const encoder = new TextEncoder();

/** A row of an aggregate report; what is left out is not written. */
export interface Row {
  ip?: string;
  count?: number | string;
  disposition?: string;
  dkim?: string;
  spf?: string;
  /** Inside `policy_evaluated`. */
  reason?: string;
  from?: string;
  /** Inside `identifiers`. */
  identifiers?: string;
  auth?: string;
}

/** XML of one record, fields in the order of RFC 7489 appendix C. */
export function record({ ip, count, disposition, dkim, spf, reason, from, identifiers, auth }: Row): string {
  const field = (name: string, value: string | number | undefined) =>
    value === undefined ? "" : `<${name}>${value}</${name}>`;
  const evaluated = field("disposition", disposition) + field("dkim", dkim) + field("spf", spf) + (reason ?? "");
  return `<record><row>${field("source_ip", ip)}${field("count", count)}${
    evaluated === "" ? "" : `<policy_evaluated>${evaluated}</policy_evaluated>`
  }</row><identifiers>${field("header_from", from)}${identifiers ?? ""}</identifiers>${
    auth === undefined ? "" : `<auth_results>${auth}</auth_results>`
  }</record>`;
}

/** Metadata as most write it. */
export const METADATA = "<report_metadata><org_name>big.example</org_name><email>noreply@big.example</email>" +
  "<report_id>1234567890</report_id><date_range><begin>1764028800</begin><end>1764115199</end></date_range>" +
  "</report_metadata>";

/** Policy as most write it. */
export const POLICY = "<policy_published><domain>example.org</domain><adkim>r</adkim><aspf>r</aspf><p>quarantine</p>" +
  "<sp>none</sp><pct>100</pct></policy_published>";

/** A whole report. */
export function feedback(
  records: readonly Row[],
  parts: { metadata?: string; policy?: string; attributes?: string } = {},
) {
  const { metadata = METADATA, policy = POLICY, attributes = "" } = parts;
  return `<?xml version="1.0" encoding="UTF-8" ?>\n<feedback${attributes}>\n${metadata}\n${policy}\n${
    records.map(record).join("\n")
  }\n</feedback>\n`;
}

/** A mail part: header and content. */
export interface Part {
  readonly type: string;
  readonly name?: string;
  readonly content: string | Uint8Array;
  /** Transfer encoding that is written and named; `named` overrides the name. */
  readonly encoding?: "base64" | "7bit";
  readonly named?: string;
}

/** Octets of a part with its header. */
export function part({ type, name, content, encoding, named }: Part): string {
  const base64 = (encoding ?? (typeof content === "string" ? "7bit" : "base64")) === "base64";
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  const body = base64 ? bytes.toBase64().replace(/.{76}/g, "$&\r\n") : new TextDecoder("latin1").decode(bytes);
  const cte = named ?? (base64 ? "base64" : "7bit");
  return `Content-Type: ${type}${name === undefined ? "" : `; name="${name}"`}\r\n` +
    (cte === "" ? "" : `Content-Transfer-Encoding: ${cte}\r\n`) +
    (name === undefined ? "" : `Content-Disposition: attachment; filename="${name}"\r\n`) +
    `\r\n${body}\r\n`;
}

/** A mail of several parts; of one if there is only one. */
export function mail(parts: readonly Part[], type = "multipart/mixed", header = ""): Uint8Array {
  const top = `From: "Reports" <noreply@big.example>\r\nTo: dmarc-in@example.org\r\nSubject: Report\r\n${header}` +
    "MIME-Version: 1.0\r\n";
  const [only, ...more] = parts.map(part);
  if (only !== undefined && more.length === 0) return latin1(top + only);
  return latin1(
    `${top}Content-Type: ${type}; boundary="=_b"\r\n\r\nThis is MIME.\r\n` +
      parts.map((one) => `--=_b\r\n${part(one)}`).join("") + "--=_b--\r\n",
  );
}

/** Octets of text whose characters are octets. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

export function gzip(content: string | Uint8Array): Uint8Array {
  return gzipSync(typeof content === "string" ? encoder.encode(content) : content);
}

export function zip(files: Readonly<Record<string, string | Uint8Array>>): Uint8Array {
  return zipSync(
    Object.fromEntries(
      Object.entries(files).map(([name, content]) => [
        name,
        typeof content === "string" ? encoder.encode(content) : content,
      ]),
    ),
  );
}

/** UTF-16 with or without its mark. */
export function utf16(text: string, order: "le" | "be", mark: boolean): Uint8Array {
  const bytes: number[] = [];
  for (const unit of (mark ? "\uFEFF" : "") + text) {
    const code = unit.charCodeAt(0);
    bytes.push(...(order === "le" ? [code & 255, code >> 8] : [code >> 8, code & 255]));
  }
  return Uint8Array.from(bytes);
}

/** A TLS report with one policy of each kind. */
export const TLS_REPORT = {
  "organization-name": "Big Mail",
  "date-range": { "start-datetime": "2025-11-25T00:00:00Z", "end-datetime": "2025-11-25T23:59:59Z" },
  "contact-info": "smtp-tls@big.example",
  "report-id": "2025-11-25T00:00:00Z_example.org",
  policies: [{
    policy: {
      "policy-type": "sts",
      "policy-string": ["version: STSv1", "mode: testing", "mx: *.example.org", "max_age: 86400"],
      "policy-domain": "example.org",
      "mx-host": ["*.example.org"],
    },
    summary: { "total-successful-session-count": 5326, "total-failure-session-count": 303 },
    "failure-details": [{
      "result-type": "certificate-expired",
      "sending-mta-ip": "2001:db8:abcd:12::1",
      "receiving-mx-hostname": "mx1.example.org",
      "failed-session-count": 100,
    }, {
      "result-type": "starttls-not-supported",
      "sending-mta-ip": "192.0.2.10",
      "receiving-mx-hostname": "mx2.example.org",
      "receiving-ip": "203.0.113.56",
      "failed-session-count": 200,
      "additional-information": "https://reports.big.example/why",
    }, {
      "result-type": "validation-failure",
      "sending-mta-ip": "198.51.100.62",
      "receiving-ip": "203.0.113.58",
      "receiving-mx-hostname": "mx1.example.org",
      "failed-session-count": 3,
      "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
    }],
  }],
};
