/** Content of a MIME part piece by piece, so that a large attachment is never decoded at one go. */

import { decodeTransfer, firstField, type MimePart, parseParameterized } from "../../message/mod.ts";

const LF = 0x0a;
const EQUALS = 0x3d;
/** Octets that are decoded at once. */
const PIECE = 32 * 1024;

/** The first octets of the decoded content, `most` at most. */
export function contentStart(part: MimePart, most: number): Uint8Array {
  // No encoding takes more than three characters for an octet, and line ends.
  const raw = part.bytes.subarray(part.contentStart, Math.min(part.end, part.contentStart + most * 4));
  return decodeTransfer(raw, encodingOf(part)).subarray(0, most);
}

/** The decoded content in pieces. Base64 whose header says nothing of it is known by how archives begin in it. */
export function* contentPieces(part: MimePart): Generator<Uint8Array> {
  const raw = part.bytes.subarray(part.contentStart, part.end);
  const encoding = encodingOf(part);
  const isHidden = encoding !== "base64" && /^(?:H4sI|UEsDB)/.test(String.fromCharCode(...raw.subarray(0, 5)));
  const cut = isHidden || encoding === "base64" ? base64Cut : encoding === "quoted-printable" ? lineCut : undefined;
  for (let at = 0; at < raw.length;) {
    const slice = raw.subarray(at, at + PIECE);
    const end = cut === undefined || at + PIECE >= raw.length ? slice.length : cut(slice);
    yield decodeTransfer(slice.subarray(0, end), isHidden ? "base64" : encoding);
    // Padding ends the data (RFC 2045 §6.8).
    if (cut === base64Cut && slice.subarray(0, end).includes(EQUALS)) return;
    at += end;
  }
}

function encodingOf(part: MimePart): string {
  return parseParameterized(firstField(part.header, "content-transfer-encoding")?.value() ?? "").value;
}

/** Where whole groups of four characters end. */
function base64Cut(slice: Uint8Array): number {
  let characters = 0;
  for (const octet of slice) if (isBase64(octet)) characters++;
  let end = slice.length;
  for (let extra = characters % 4; extra > 0; end--) if (isBase64(slice[end - 1] as number)) extra--;
  // Without a whole group there is nothing to decode, and nothing to wait for.
  return end === 0 ? slice.length : end;
}

function isBase64(octet: number): boolean {
  return (octet >= 0x61 && octet <= 0x7a) || (octet >= 0x41 && octet <= 0x5a) || (octet >= 0x30 && octet <= 0x39) ||
    octet === 0x2b || octet === 0x2f;
}

/** Where the last whole line ends. */
function lineCut(slice: Uint8Array): number {
  const lf = slice.lastIndexOf(LF);
  return lf < 0 ? slice.length : lf + 1;
}
