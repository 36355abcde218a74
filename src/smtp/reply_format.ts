/** Replies as bytes on the wire (RFC 5321 §4.2). */

import type { Reply } from "./reply.ts";

/** How {@link formatReply} writes. */
export interface ReplyFormat {
  /** Put the enhanced status code before each line (RFC 2034); false for HELO clients and the greeting. */
  readonly enhanced: boolean;
  /** The client may be sent UTF-8 (RFC 6531 §3.7.4); otherwise other characters than ASCII become `?`. */
  readonly utf8?: boolean;
}

// RFC 5321 §4.5.3.1.5: 512 octets with code and CRLF.
const LONGEST_LINE = 510;

const SPACE = 0x20;
const HYPHEN = 0x2d;
const CR = 0x0d;
const LF = 0x0a;

const encoder = new TextEncoder();

/**
 * Writes a reply with as many lines as it needs. Text of any origin is safe: line breaks become blanks, other control
 * characters `?`, and a line that would be too long is wrapped.
 */
export function formatReply(reply: Reply, options: ReplyFormat): Uint8Array {
  // RFC 2034 §4: enhanced codes go with 2yz, 4yz and 5yz only.
  const withCode = options.enhanced && reply.enhanced !== undefined && reply.code >= 200 &&
    Math.floor(reply.code / 100) !== 3;
  const code = String(reply.code);
  const enhanced = withCode ? `${printable(reply.enhanced ?? "", false)} ` : "";
  const room = LONGEST_LINE - code.length - 1 - enhanced.length;
  const lines: string[] = [];
  for (const text of reply.text.length === 0 ? [""] : reply.text) {
    const line = printable(text, options.utf8 === true);
    // RFC 4954 §4: a challenge may be 12,288 octets long and cannot be wrapped.
    if (line.length * 3 <= room || reply.code === 334) lines.push(line);
    else wrap(line, room, lines);
  }
  return write(code, enhanced, lines);
}

function write(code: string, enhanced: string, lines: readonly string[]): Uint8Array {
  const last = lines.length - 1;
  let size = 0;
  for (const line of lines) size += code.length + 1 + enhanced.length + line.length + 2;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (let i = 0; i <= last; i++) {
    const line = lines[i] ?? "";
    at = writeAscii(bytes, at, code);
    bytes[at++] = i < last ? HYPHEN : SPACE;
    at = writeAscii(bytes, at, enhanced);
    const end = writeAscii(bytes, at, line);
    if (end < 0) return encoder.encode(text(code, enhanced, lines));
    at = end;
    // No blank at the end of a line without text, but RFC 4954 §4 wants one before an empty challenge.
    if (line === "" && i === last && code !== "334") { while (bytes[at - 1] === SPACE) at--; }
    bytes[at++] = CR;
    bytes[at++] = LF;
  }
  return at === size ? bytes : bytes.subarray(0, at);
}

function writeAscii(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return -1;
    bytes[at + i] = unit;
  }
  return at + text.length;
}

function text(code: string, enhanced: string, lines: readonly string[]): string {
  const last = lines.length - 1;
  return lines.map((line, i) => `${`${code}${i < last ? "-" : " "}${enhanced}${line}`.trimEnd()}\r\n`).join("");
}

function printable(text: string, utf8: boolean): string {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e) return clean(text, utf8);
  }
  return text;
}

function clean(text: string, utf8: boolean): string {
  let out = "";
  for (const char of text.replace(/[\r\n\t]+/g, " ")) {
    const point = char.codePointAt(0) ?? 0;
    const control = point < 0x20 || (point > 0x7e && point < 0xa0);
    out += control || (point > 0x7e && !utf8) ? "?" : char;
  }
  return out;
}

// Wraps at the last blank that fits, or in mid-word where there is none. `room` counts octets.
function wrap(line: string, room: number, lines: string[]): void {
  let start = 0;
  let blank = -1;
  let octets = 0;
  let index = 0;
  for (const char of line) {
    const size = encodedSize(char);
    if (octets + size > room) {
      const end = blank > start ? blank : index;
      lines.push(line.slice(start, end));
      start = blank > start ? blank + 1 : index;
      octets = encodedSize(line.slice(start, index));
      blank = -1;
    }
    if (char === " ") blank = index;
    octets += size;
    index += char.length;
  }
  lines.push(line.slice(start));
}

function encodedSize(text: string): number {
  let size = 0;
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0;
    size += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return size;
}
