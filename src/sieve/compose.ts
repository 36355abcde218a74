/** Messages that scripts send: replies and notifications. */

import {
  decodeHeaderText,
  encodeHeaderText,
  encodeTransfer,
  foldField,
  formatDate,
  type ListedAddress,
  quotedPrintable,
} from "../message/mod.ts";

/** A message to be written. Values are text in UTF-16; they are encoded where a header needs it. */
export interface Composition {
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The text; lines end in CRLF or LF. */
  readonly text: string;
  /** Whether the text is a MIME entity with its own header (RFC 5230 §4.4). */
  readonly mime?: boolean;
}

const encoder = new TextEncoder();

/** The bytes of a message: header, empty line, body. */
export function composeMail({ fields, text, mime = false }: Composition): Uint8Array {
  const head = [...fields.map(([name, value]) => foldField(name, value)), foldField("MIME-Version", "1.0")];
  if (mime) return concat([...head, encoder.encode(crlfLines(text))]);
  const entity = textEntity(text);
  const end = entity.body.at(-1) === 0x0a ? [] : [CRLF];
  return concat([...head, ...entity.fields, CRLF, entity.body, ...end]);
}

/** A MIME entity: complete fields without the empty line behind them, and the encoded content. */
export interface Entity {
  readonly fields: readonly Uint8Array[];
  readonly body: Uint8Array;
}

const CRLF = encoder.encode("\r\n");

/** Text as `text/plain` (or another type of text) in UTF-8, or in Base64 if no line of it may be seen. */
export function textEntity(text: string, type = "text/plain", hidden = false): Entity {
  const lines = crlfLines(text);
  // Long lines and characters beyond ASCII have to be encoded; the rest reads better as it is.
  const plain = /^[\t\r\n -~]*$/.test(lines) && lines.split("\r\n").every((line) => line.length <= 998);
  const encoding = hidden ? "base64" : plain ? "7bit" : "quoted-printable";
  return {
    fields: [foldField("Content-Type", `${type}; charset=utf-8`), foldField("Content-Transfer-Encoding", encoding)],
    body: hidden
      ? encodeTransfer(encoder.encode(lines), "base64")
      : encoder.encode(plain ? lines : quotedPrintable(lines)),
  };
}

/** Text whose lines end in CRLF. */
export function crlfLines(text: string): string {
  return text.replace(/\r?\n/g, "\r\n");
}

/** One array of several. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Text for a header: encoded words that are in it already are read first, so that they are not encoded twice. */
export function headerText(text: string): string {
  return encodeHeaderText(decodeHeaderText(text.replace(/\s+/g, " ").trim()));
}

/** An address with its name, as a field shows it. */
export function headerAddress({ name, local, domain }: Pick<ListedAddress, "name" | "local" | "domain">): string {
  const address = `<${local}@${domain}>`;
  if (name === "") return address;
  const decoded = decodeHeaderText(name);
  const shown = /^[ -~]*$/.test(decoded) ? `"${decoded.replace(/["\\]/g, "\\$&")}"` : encodeHeaderText(decoded);
  return `${shown} ${address}`;
}

/** `Date` of a message sent at that time. */
export function dateText(time: number, offsetMinutes = 0): string {
  return formatDate(time, offsetMinutes);
}
