/** A message as scripts see it: a header to read and edit, and a body that is fetched only if it is asked for. */

import { type Content, type ParsedHeader, parseHeader } from "../message/mod.ts";

/** Immutable: an edit makes a new one, so that actions taken before keep what they had. */
export interface SieveMessage {
  /** The header with the empty line behind it. */
  readonly head: Uint8Array;
  readonly header: ParsedHeader;
  /** Octets of header and body. */
  readonly size: number;
  /** Everything after the empty line. */
  body(): Uint8Array | Promise<Uint8Array>;
}

/** A message of header and body bytes, which are not copied. */
export function sieveMessage(bytes: Uint8Array): SieveMessage {
  const header = parseHeader(bytes);
  const body = bytes.subarray(header.bodyOffset);
  return { head: bytes.subarray(0, header.bodyOffset), header, size: bytes.length, body: () => body };
}

/** A message whose body may live elsewhere; it is read once, when a script asks for it. */
export function messageOfContent(content: Content): SieveMessage {
  if (content.complete) return sieveMessage(content.head);
  const header = parseHeader(content.head);
  let body: Promise<Uint8Array> | undefined;
  return {
    head: content.head.subarray(0, header.bodyOffset),
    header,
    size: content.size,
    body: () => body ??= readFrom(content, header.bodyOffset),
  };
}

async function readFrom(content: Content, offset: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(content.size);
  let at = 0;
  for await (const chunk of content.chunks()) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes.subarray(offset);
}

/** The same message under another header (with its empty line). */
export function withHead(message: SieveMessage, head: Uint8Array): SieveMessage {
  return {
    head,
    header: parseHeader(head),
    size: message.size - message.head.length + head.length,
    body: message.body,
  };
}

/** The whole message. */
export function messageBytes(message: SieveMessage): Uint8Array | Promise<Uint8Array> {
  const body = message.body();
  return body instanceof Uint8Array ? joined(message.head, body) : body.then((bytes) => joined(message.head, bytes));
}

function joined(head: Uint8Array, body: Uint8Array): Uint8Array {
  // Parts of one array, as `sieveMessage` makes them, are still beside each other.
  if (head.buffer === body.buffer && head.byteOffset + head.length === body.byteOffset) {
    return new Uint8Array(head.buffer, head.byteOffset, head.length + body.length);
  }
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}
