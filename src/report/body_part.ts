/** Bodies of several parts, as notifications and reports have them (RFC 2046 §5.1, RFC 6522). */

import { eightBitClean, encodeHeaderText, quotedPrintable } from "../message/mod.ts";
import { formatPath, needsSmtpUtf8 } from "../smtp/mod.ts";

/** One body part. */
export interface BodyPart {
  /** Media type with its parameters. */
  readonly type: string;
  readonly description?: string;
  /** File name of an attachment, ASCII without `"`. */
  readonly filename?: string;
  /** What `body` is encoded in; by default 7bit or 8bit, as the body needs it. */
  readonly encoding?: string;
  readonly body: Uint8Array;
}

const encoder = new TextEncoder();

/** Octets of parts between `boundary` and its end. */
export function multipartBytes(parts: readonly BodyPart[], boundary: string): Uint8Array {
  return joinBytes([...parts.flatMap((part) => partBytes(part, boundary)), bytesOf(`\r\n--${boundary}--\r\n`)]);
}

function partBytes(part: BodyPart, boundary: string): readonly Uint8Array[] {
  const { type, description, filename, body, encoding = eightBitClean(body) ? "7bit" : "8bit" } = part;
  return [
    bytesOf(
      `\r\n--${boundary}\r\nContent-Type: ${type}\r\n` +
        (description === undefined ? "" : `Content-Description: ${description}\r\n`) +
        `Content-Transfer-Encoding: ${encoding}\r\n` +
        (filename === undefined ? "" : `Content-Disposition: attachment;\r\n filename="${filename}"\r\n`) +
        "\r\n",
    ),
    body,
  ];
}

/** What people read; lines end in CRLF. Control characters of strangers become `?`. */
export function textPart(text: string, description?: string): BodyPart {
  const clean = text.replace(/(?![\r\n])\p{Cc}/gu, "?");
  const about = description === undefined ? {} : { description };
  return needsSmtpUtf8(clean)
    ? {
      type: "text/plain; charset=utf-8",
      ...about,
      encoding: "quoted-printable",
      body: bytesOf(quotedPrintable(clean)),
    }
    : { type: "text/plain; charset=us-ascii", ...about, body: bytesOf(clean) };
}

/** Octets of an attachment in Base64, lines of 76 (RFC 2045 §6.8); several times as fast as a coder for any text. */
export function base64Body(bytes: Uint8Array): Uint8Array {
  return bytesOf(bytes.toBase64().replace(/.{1,76}/g, "$&\r\n"));
}

/** A mailbox for From (RFC 5322 §3.4): `name <address>`, or the address alone without a name. */
export function mailbox({ name, address }: { readonly name: string; readonly address: string }): string {
  const phrase = /^[A-Za-z0-9 ]+$/.test(name) ? name : quotedPhrase(name);
  return phrase === "" ? formatPath(address) : `${phrase} ${formatPath(address)}`;
}

function quotedPhrase(name: string): string {
  if (needsSmtpUtf8(name)) return encodeHeaderText(name);
  return name === "" ? "" : `"${name.replace(/\p{Cc}+/gu, " ").replace(/["\\]/g, "\\$&")}"`;
}

/** 24 characters of letters and digits, for boundaries and ids. `random` gives numbers in [0, 1). */
export function randomToken(random: () => number): string {
  let text = "";
  for (let i = 0; i < 4; i++) text += Math.floor(random() * 36 ** 6).toString(36).padStart(6, "0");
  return text;
}

/** `text` in UTF-8. */
export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

/** All bytes in a row. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
