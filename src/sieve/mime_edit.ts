/** Changes to the parts of a message (RFC 5703 §5 and §6) that leave every other byte as it was. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { editHeader, encodeTransfer, firstField, foldField, type MimePart, parseHeader } from "../message/mod.ts";
import { concat, type Entity } from "./compose.ts";

const encoder = new TextEncoder();
const CRLF = encoder.encode("\r\n");

/** The bytes of the whole message with others in the place of a part, its header included. */
export function withPart(part: MimePart, bytes: Uint8Array): Uint8Array {
  const changed = concat([part.bytes.subarray(0, part.start), bytes, part.bytes.subarray(part.end)]);
  let holder = part.parent;
  while (holder !== undefined && holder.bytes === part.bytes) holder = holder.parent;
  if (holder === undefined) return changed;
  // The part stands in a message that was encoded as a whole.
  const encoding = firstField(holder.header, "content-transfer-encoding")?.value().toLowerCase() ?? "";
  const head = holder.bytes.subarray(holder.start, holder.contentStart);
  return withPart(holder, concat([head, encodeTransfer(changed, encoding)]));
}

/** A part of a multipart, as bytes. */
export function entityBytes({ fields, body }: Entity): Uint8Array {
  return concat([...fields, CRLF, body]);
}

/** Reads an entity as a script writes it: MIME fields, an empty line, content. */
export function parseEntity(text: string): Entity {
  const bytes = encoder.encode(text);
  const header = parseHeader(bytes);
  return {
    fields: header.fields.map(({ start, end }) => wholeLine(bytes.subarray(start, end))),
    body: bytes.subarray(header.bodyOffset),
  };
}

function wholeLine(field: Uint8Array): Uint8Array {
  return field.at(-1) === 0x0a ? field : concat([field, CRLF]);
}

/** Whether a line of `bytes` would be taken for a boundary of what is around the part. */
export function hidesBoundary(part: MimePart, bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let around = part.parent; around !== undefined; around = around.parent) {
    const boundary = around.contentType.parameters.get("boundary");
    if (boundary === undefined) continue;
    const line = `--${boundary}`;
    if (text.indexOf(line) === 0 || text.indexOf(`\n${line}`) >= 0) return true;
  }
  return false;
}

/** What else changes when a whole message gets new content. */
export interface MessageChange {
  /** Values for the fields, encoded where they have to be. What was there before moves to `Original-…`. */
  readonly subject?: string;
  readonly from?: string;
}

/** A message, or one inside a part, with other content under its own header: only the MIME fields change. */
export function withContent(bytes: Uint8Array, entity: Entity, change: MessageChange = {}): Uint8Array {
  const header = parseHeader(bytes);
  const editor = editHeader(bytes.subarray(0, header.end), header);
  for (const { lower } of header.fields) {
    if (lower.startsWith("content-") || lower === "mime-version") editor.deleteAll(lower);
  }
  const renew = (name: "Subject" | "From", value: string | undefined) => {
    if (value === undefined) return;
    const lower = name.toLowerCase();
    const earlier = header.fields.filter((field) => field.lower === lower);
    editor.deleteAll(name);
    editor.append(foldField(name, value));
    for (const field of earlier) {
      const rest = bytes.subarray(field.start + field.name.length, field.end);
      editor.append(wholeLine(concat([encoder.encode(`Original-${name}`), rest])));
    }
  };
  renew("Subject", change.subject);
  renew("From", change.from);
  editor.append(foldField("MIME-Version", "1.0"));
  for (const field of entity.fields) if (isMimeField(field)) editor.append(field);
  return concat([wholeLine(editor.result()), CRLF, entity.body]);
}

function isMimeField(field: Uint8Array): boolean {
  return parseHeader(field).fields.some(({ lower }) => lower.startsWith("content-"));
}

/** The same part with another type and encoding of its content; its other fields stay. */
export function withType(part: MimePart, entity: Entity): Uint8Array {
  const bytes = part.bytes.subarray(part.start, part.end);
  const editor = editHeader(bytes.subarray(0, part.header.end), part.header);
  for (const name of ["content-type", "content-transfer-encoding"]) editor.deleteAll(name);
  for (const field of entity.fields) editor.append(field);
  return concat([wholeLine(editor.result()), CRLF, entity.body]);
}

/**
 * A new message that holds another one: a text, and the message as `message/rfc822` (RFC 5703 §6).
 *
 * @param fields complete fields of the new header, without those of MIME
 */
export function enclosing(message: Uint8Array, fields: readonly Uint8Array[], text: Entity): Uint8Array {
  const boundary = freeBoundary([message, text.body]);
  // RFC 2045 §6.2: what holds 8-bit content says so, too.
  const eight = message.some((octet) => octet > 0x7f) ? [foldField("Content-Transfer-Encoding", "8bit")] : [];
  const line = (end: string) => encoder.encode(`\r\n--${boundary}${end}\r\n`);
  return concat([
    ...fields,
    foldField("MIME-Version", "1.0"),
    foldField("Content-Type", `multipart/mixed; boundary="${boundary}"`),
    ...eight,
    line(""),
    entityBytes(text),
    line(""),
    foldField("Content-Type", "message/rfc822"),
    ...eight,
    CRLF,
    message,
    line("--"),
  ]);
}

/** A boundary that does not occur in what it will stand around. */
export function freeBoundary(contents: readonly Uint8Array[]): string {
  const [first = new Uint8Array(0)] = contents;
  const digest = createHash("sha256").update(first.subarray(0, 65_536)).digest("hex").slice(0, 24);
  const buffers = contents.map(({ buffer, byteOffset, length }) => Buffer.from(buffer, byteOffset, length));
  for (let n = 0;; n++) {
    const boundary = `=_${digest}_${n}`;
    if (!buffers.some((each) => each.includes(boundary))) return boundary;
  }
}
