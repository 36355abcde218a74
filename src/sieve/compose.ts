/** Messages that scripts send: replies and notifications. */

import {
  decodeHeaderText,
  encodeHeaderText,
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
  const head = fields.map(([name, value]) => foldField(name, value));
  const lines = text.replace(/\r?\n/g, "\r\n");
  const rest: Uint8Array[] = [foldField("MIME-Version", "1.0")];
  if (mime) {
    rest.push(encoder.encode(lines));
  } else {
    // Long lines and characters beyond ASCII have to be encoded; the rest reads better as it is.
    const plain = /^[\t\r\n -~]*$/.test(lines) && lines.split("\r\n").every((line) => line.length <= 998);
    rest.push(
      foldField("Content-Type", "text/plain; charset=utf-8"),
      foldField("Content-Transfer-Encoding", plain ? "7bit" : "quoted-printable"),
      encoder.encode(`\r\n${plain ? lines : quotedPrintable(lines)}${lines.endsWith("\r\n") ? "" : "\r\n"}`),
    );
  }
  const parts = [...head, ...rest];
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
