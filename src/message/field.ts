/** Header fields as this program writes them. */

import { formatPath } from "../smtp/mod.ts";
import { formatDate } from "./date.ts";
import { isFieldName } from "./header.ts";

const encoder = new TextEncoder();

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

// RFC 5322 §2.1.1: lines should have 78 characters and must not have more than 998.
const WANTED = 78;
const LONGEST = 998;

// What most lines are made of, so that most lines are looked at only once.
const PLAIN = /^[\t -~]*$/;
const FOLD = /\r?\n(?=[ \t])/;

/**
 * A complete field, folded at blanks, with CRLF at its end. The value may hold line breaks followed by a blank, which
 * are kept as folds; any other line break becomes a blank, other control characters `?`.
 *
 * @throws {TypeError} if `name` cannot be the name of a field
 */
export function foldField(name: string, value: string): Uint8Array {
  if (!isFieldName(name)) throw new TypeError(`not the name of a header field: ${JSON.stringify(name)}`);
  const out: string[] = [];
  let first = true;
  for (const part of value.trimEnd().split(FOLD)) {
    const plain = PLAIN.test(part);
    const line = (plain ? part : cleanLine(part)).trimEnd();
    // A fold of blanks alone would be an empty line to many readers.
    if (first) foldLine(`${name}: ${line.trimStart()}`, plain, name.length + 2, out);
    else if (line !== "") foldLine(line, plain, 1, out);
    first = false;
  }
  return encoder.encode(out.join("\r\n") + "\r\n");
}

/**
 * A complete field whose value is written octet for octet, with what stands between colon and text. Line ends become
 * CRLF; a line that would not continue the field gets a tab, as Postfix and Sendmail do it.
 *
 * @throws {TypeError} if `name` cannot be the name of a field
 */
export function verbatimField(name: string, value: Uint8Array): Uint8Array {
  if (!isFieldName(name)) throw new TypeError(`not the name of a header field: ${JSON.stringify(name)}`);
  const out: number[] = [...encoder.encode(`${name}:`)];
  let end = value.length;
  while (end > 0 && (value[end - 1] === LF || value[end - 1] === CR)) end--;
  for (let at = 0; at < end; at++) {
    const octet = value[at] as number;
    if (octet === 0) continue;
    if (octet !== LF && octet !== CR) {
      out.push(octet);
      continue;
    }
    if (octet === CR && value[at + 1] === LF) at++;
    out.push(CR, LF);
    const next = value[at + 1];
    if (next !== SPACE && next !== TAB) out.push(TAB);
  }
  out.push(CR, LF);
  return Uint8Array.from(out);
}

/** `Date:` (RFC 5322 §3.6.1). `time` in milliseconds since the epoch. */
export function dateField(time: number, offsetMinutes = 0): Uint8Array {
  return foldField("Date", formatDate(time, offsetMinutes));
}

/** `Message-ID: <id@hostname>` (RFC 5322 §3.6.4). `id` must be unique at that host. */
export function messageIdField(id: string, hostname: string): Uint8Array {
  return foldField("Message-ID", `<${atoms(id)}@${atoms(hostname)}>`);
}

/** `Return-Path:` with the reverse-path of the envelope (RFC 5321 §4.4). */
export function returnPathField(sender: string): Uint8Array {
  return oneLine("Return-Path", formatPath(sender));
}

/** `Delivered-To:` with the recipient that a copy was delivered for (RFC 9228). */
export function deliveredToField(address: string): Uint8Array {
  return oneLine("Delivered-To", formatPath(address).slice(1, -1));
}

function oneLine(name: string, value: string): Uint8Array {
  return encoder.encode(`${name}: ${cleanLine(value)}\r\n`);
}

function cleanLine(line: string): string {
  if (PLAIN.test(line)) return line;
  return line.replace(/[\r\n]+/g, " ").replace(/\p{Cc}/gu, (char) => char === "\t" ? char : "?");
}

function atoms(text: string): string {
  return text.replace(/[^A-Za-z0-9.!#$%&'*+\-/=?^_`{|}~]/g, "_");
}

// Folds before blanks; a word that alone breaks the hard limit is cut, and the cut adds a blank.
function foldLine(line: string, plain: boolean, firstBlank: number, out: string[]): void {
  const exceeds = plain ? isLonger : takesMore;
  let rest = line;
  let least = firstBlank;
  while (exceeds(rest, WANTED)) {
    const blank = foldPlace(rest, least);
    if (blank >= 0 && !exceeds(rest.slice(0, blank), LONGEST)) {
      out.push(rest.slice(0, blank));
      rest = rest.slice(blank);
    } else if (exceeds(rest, LONGEST)) {
      const at = charsWithin(rest, LONGEST);
      out.push(rest.slice(0, at));
      rest = ` ${rest.slice(at)}`;
    } else {
      break;
    }
    least = 1;
  }
  out.push(rest);
}

// The last blank within the wanted length, else the first one after it; never one with only blanks before it.
function foldPlace(line: string, least: number): number {
  const first = Math.max(least, line.search(/[^ \t]/) + 1);
  const place = Math.max(line.lastIndexOf(" ", WANTED), line.lastIndexOf("\t", WANTED));
  if (place >= first) return place;
  for (let i = Math.max(first, WANTED + 1); i < line.length; i++) if (line[i] === " " || line[i] === "\t") return i;
  return -1;
}

function charsWithin(text: string, most: number): number {
  let used = 0;
  let at = 0;
  for (const char of text) {
    used += octets(char);
    if (used > most) break;
    at += char.length;
  }
  return at;
}

function isLonger(text: string, limit: number): boolean {
  return text.length > limit;
}

// Without encoding long text over and over.
function takesMore(text: string, limit: number): boolean {
  return text.length > limit || (text.length * 3 > limit && octets(text) > limit);
}

function octets(text: string): number {
  return PLAIN.test(text) ? text.length : encoder.encode(text).length;
}
