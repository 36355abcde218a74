/** Reads a message for people: decoded header fields, its text, its HTML, and what else it holds. Never throws. */

import { decodeHeaderText, firstField, type HeaderField, type ParsedHeader, parseHeader } from "../message/mod.ts";

/** Bounds: nesting of parts, number of parts, characters of a decoded text. */
const DEEPEST = 10;
const MOST_PARTS = 200;
const LONGEST_TEXT = 1024 * 1024;
const MOST_FIELDS = 200;

/** A message for people. All text in it is untrusted. */
export interface MailView {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly date: string;
  /** All header fields in order, decoded. */
  readonly fields: readonly { readonly name: string; readonly value: string }[];
  /** First `text/plain` part, or null. */
  readonly text: string | null;
  /** First `text/html` part, or null. */
  readonly html: string | null;
  /** Other parts. */
  readonly attachments: readonly { readonly name: string; readonly type: string; readonly size: number }[];
  /** Octets. */
  readonly size: number;
}

/** The three fields of a list, decoded; `""` for one that is missing. */
export function summarizeMail(head: Uint8Array): { from: string; to: string; subject: string } {
  const header = parseHeader(head);
  return { from: textOf(header, "from"), to: textOf(header, "to"), subject: textOf(header, "subject") };
}

/** Reads a whole message. */
export function readMail(bytes: Uint8Array): MailView {
  const header = parseHeader(bytes);
  const found: Found = { text: null, html: null, attachments: [], parts: 0 };
  readPart(bytes, header, 0, "text/plain", found);
  return {
    from: textOf(header, "from"),
    to: textOf(header, "to"),
    subject: textOf(header, "subject"),
    date: textOf(header, "date"),
    fields: header.fields.slice(0, MOST_FIELDS).map((field) => ({ name: field.name, value: field.text() })),
    text: found.text,
    html: found.html,
    attachments: found.attachments,
    size: bytes.length,
  };
}

interface Found {
  text: string | null;
  html: string | null;
  readonly attachments: { name: string; type: string; size: number }[];
  parts: number;
}

function textOf(header: ParsedHeader, name: string): string {
  return firstField(header, name)?.text() ?? "";
}

function readPart(bytes: Uint8Array, header: ParsedHeader, depth: number, defaultType: string, found: Found): void {
  if (++found.parts > MOST_PARTS) return;
  const contentType = parameterized(firstField(header, "content-type"), defaultType);
  const disposition = parameterized(firstField(header, "content-disposition"), "");
  const body = bytes.subarray(header.bodyOffset);
  const boundary = contentType.parameters.get("boundary");
  if (contentType.value.startsWith("multipart/") && boundary !== undefined && depth < DEEPEST) {
    // RFC 2046 §5.1.5: in a digest, a part without a type is a message.
    const inner = contentType.value === "multipart/digest" ? "message/rfc822" : "text/plain";
    for (const part of splitParts(body, boundary)) readPart(part, parseHeader(part), depth + 1, inner, found);
    return;
  }
  const content = decodeTransfer(body, firstField(header, "content-transfer-encoding")?.value().toLowerCase() ?? "");
  if (disposition.value !== "attachment") {
    const charset = contentType.parameters.get("charset") ?? "utf-8";
    if (contentType.value === "text/plain" && found.text === null) {
      found.text = decodeCharset(content, charset);
      return;
    }
    if (contentType.value === "text/html" && found.html === null) {
      found.html = decodeCharset(content, charset);
      return;
    }
  }
  const name = disposition.parameters.get("filename") ?? contentType.parameters.get("name") ?? "";
  found.attachments.push({ name: decodeHeaderText(name), type: contentType.value, size: content.length });
}

/** Value and parameters of a field such as `text/plain; charset="utf-8"` (RFC 2045 §5.1, RFC 2231 §4). */
function parameterized(field: HeaderField | undefined, otherwise: string): {
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
} {
  const text = field?.value() ?? otherwise;
  const value = /^[^;\s]*/.exec(text)?.[0].toLowerCase() || otherwise;
  const parameters = new Map<string, string>();
  for (const match of text.matchAll(/;\s*([^\s=;]{1,60})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/g)) {
    const [, name = "", quoted, bare = ""] = match;
    const given = quoted === undefined ? bare : quoted.replace(/\\(.)/g, "$1");
    if (!name.endsWith("*")) parameters.set(name.toLowerCase(), given);
    else parameters.set(name.slice(0, -1).toLowerCase(), decodeExtended(given));
  }
  return { value, parameters };
}

/** RFC 2231 §4: `utf-8''na%C3%AFve.txt`. */
function decodeExtended(text: string): string {
  const match = /^([^']*)'[^']*'(.*)$/.exec(text);
  if (match === null) return text;
  const octets = (match[2] ?? "").replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return decodeCharset(Uint8Array.from(octets, (character) => character.charCodeAt(0) & 0xff), match[1] || "utf-8");
}

/** The parts between the delimiter lines of a multipart body (RFC 2046 §5.1.1). */
function* splitParts(body: Uint8Array, boundary: string): Generator<Uint8Array> {
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  let start: number | undefined;
  for (let at = 0; at < body.length;) {
    const lf = body.indexOf(0x0a, at);
    const end = lf < 0 ? body.length : lf + 1;
    if (startsWith(body, at, delimiter)) {
      if (start !== undefined) yield body.subarray(start, withoutLineEnd(body, start, at));
      start = end;
      const after = at + delimiter.length;
      if (body[after] === 0x2d && body[after + 1] === 0x2d) return;
    }
    at = end;
  }
  // A message that was cut off: show what is there.
  if (start !== undefined && start < body.length) yield body.subarray(start);
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  if (at + prefix.length > bytes.length) return false;
  return prefix.every((octet, i) => bytes[at + i] === octet);
}

/** The line end before a delimiter belongs to the delimiter. */
function withoutLineEnd(bytes: Uint8Array, start: number, end: number): number {
  if (end > start && bytes[end - 1] === 0x0a) end--;
  if (end > start && bytes[end - 1] === 0x0d) end--;
  return end;
}

function decodeTransfer(body: Uint8Array, encoding: string): Uint8Array {
  if (encoding === "base64") {
    const clean = latin1(body).replace(/[^A-Za-z0-9+/]/g, "");
    // A last group of one character holds no whole octet.
    const usable = clean.length % 4 === 1 ? clean.slice(0, -1) : clean;
    return Uint8Array.fromBase64(usable);
  }
  return encoding === "quoted-printable" ? decodeQuotedPrintable(body) : body;
}

/** RFC 2045 §6.7; what is not well-formed stays as it is. */
function decodeQuotedPrintable(body: Uint8Array): Uint8Array {
  const out = new Uint8Array(body.length);
  let length = 0;
  for (let i = 0; i < body.length; i++) {
    const octet = body[i] as number;
    if (octet === 0x3d) {
      if (body[i + 1] === 0x0a) {
        i += 1;
        continue;
      }
      if (body[i + 1] === 0x0d && body[i + 2] === 0x0a) {
        i += 2;
        continue;
      }
      const hex = String.fromCharCode(body[i + 1] ?? 0, body[i + 2] ?? 0);
      if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
        out[length++] = parseInt(hex, 16);
        i += 2;
        continue;
      }
    }
    out[length++] = octet;
  }
  return out.subarray(0, length);
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function decodeCharset(bytes: Uint8Array, charset: string): string {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(charset);
  } catch {
    decoder = new TextDecoder("utf-8");
  }
  return decoder.decode(bytes).slice(0, LONGEST_TEXT);
}
