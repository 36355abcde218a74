/**
 * The tree of parts in a message (RFC 2045, RFC 2046). Read lazily: a part finds its children when they are asked for,
 * and decodes its content only then. Offsets count in the bytes of the whole message, so that whoever changes one part
 * can leave every other byte as it is.
 *
 * `mime_walk.ts` reads parts too, and is another reader on purpose: it never holds more than a line, and has to see every
 * line to do so. Here the message is in memory, whoever asks goes to one part, and what is not asked for is not read.
 * Neither can be built on the other without giving that up.
 */

import { firstField, type ParsedHeader, parseHeader } from "./header.ts";
import { type ParameterizedValue, parseParameterized } from "./mime_header.ts";
import { decodeText, decodeTransfer } from "./mime_content.ts";

/** How much of a message is told apart. */
export interface MimeLimits {
  readonly parts: number;
  readonly depth: number;
}

/** A part. */
export interface MimePart {
  /** The bytes that the offsets count in: the message, or a decoded message inside it. */
  readonly bytes: Uint8Array;
  /** Where the header of the part begins. */
  readonly start: number;
  /** Where its content begins. */
  readonly contentStart: number;
  /** Where its content ends: before the line break that belongs to the next boundary. */
  readonly end: number;
  /** Offsets in the header count from `start`. */
  readonly header: ParsedHeader;
  /**
   * Type and parameters; `text/plain` if none is given, `message/rfc822` in a digest (RFC 2046 §5.1.5), and
   * `application/octet-stream` in an encoding that is not known (RFC 2045 §6.4). What is no type stays as it is.
   */
  readonly contentType: ParameterizedValue;
  readonly depth: number;
  readonly parent: MimePart | undefined;
  /** Of a multipart: where the text before the first boundary ends, and where that behind the last one begins. */
  readonly preambleEnd: number;
  readonly epilogueStart: number;
  /** The parts of a multipart, the message in a `message/rfc822`; empty for others, and below the limits. */
  readonly children: readonly MimePart[];
  /** Content with its transfer encoding undone. */
  content(): Uint8Array;
  /** Content as text in UTF-16, its charset decoded. */
  text(): string;
}

/** What the limits did to a message; changes while parts are read. */
export interface MimeTree {
  readonly root: MimePart;
  /** Whether there was more than the limits allow. */
  readonly cut: boolean;
}

const LF = 0x0a;
const CR = 0x0d;
const DASH = 0x2d;
const DEFAULT_TYPE: ParameterizedValue = { value: "text/plain", parameters: new Map() };
const DIGEST_TYPE: ParameterizedValue = { value: "message/rfc822", parameters: new Map() };
const ENCODINGS: ReadonlySet<string> = new Set(["", "7bit", "8bit", "binary", "quoted-printable", "base64"]);

/** The tree of a whole message. Never throws. */
export function parseMime(bytes: Uint8Array, limits: MimeLimits): MimeTree {
  const state = { left: limits.parts - 1, depth: limits.depth, cut: false };
  return {
    root: newPart(bytes, 0, bytes.length, 0, undefined, state),
    get cut() {
      return state.cut;
    },
  };
}

/** A part and everything below it, in the order of the message. */
export function* allParts(part: MimePart): Generator<MimePart> {
  const waiting: MimePart[] = [part];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    yield next;
    for (let i = next.children.length - 1; i >= 0; i--) waiting.push(next.children[i] as MimePart);
  }
}

interface Budget {
  left: number;
  readonly depth: number;
  cut: boolean;
}

function newPart(
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
  parent: MimePart | undefined,
  budget: Budget,
): MimePart {
  const header = parseHeader(bytes.subarray(start, end));
  const contentStart = start + header.bodyOffset;
  let type: ParameterizedValue | undefined;
  let inside: Inside | undefined;
  let content: Uint8Array | undefined;
  const part: MimePart = {
    bytes,
    start,
    contentStart,
    end,
    header,
    depth,
    parent,
    get contentType() {
      return type ??= typeOf(part);
    },
    get children() {
      return (inside ??= insideOf(part, budget)).children;
    },
    get preambleEnd() {
      return (inside ??= insideOf(part, budget)).preambleEnd;
    },
    get epilogueStart() {
      return (inside ??= insideOf(part, budget)).epilogueStart;
    },
    content: () => content ??= decodeTransfer(bytes.subarray(contentStart, end), encodingOf(part)),
    text: () => decodeText(part.content(), part.contentType.parameters.get("charset")),
  };
  return part;
}

function typeOf(part: MimePart): ParameterizedValue {
  const field = firstField(part.header, "content-type");
  if (field === undefined) return part.parent?.contentType.value === "multipart/digest" ? DIGEST_TYPE : DEFAULT_TYPE;
  const type = parseParameterized(field.value());
  if (type.value === "") return { ...DEFAULT_TYPE, parameters: type.parameters };
  if (type.value.startsWith("multipart/") || ENCODINGS.has(transferEncoding(part))) return type;
  return { value: "application/octet-stream", parameters: type.parameters };
}

function transferEncoding(part: MimePart): string {
  return parseParameterized(firstField(part.header, "content-transfer-encoding")?.value() ?? "").value;
}

/** The transfer encoding in lower case. Multiparts have none that counts (RFC 2045 §6.4). */
function encodingOf(part: MimePart): string {
  return part.contentType.value.startsWith("multipart/") ? "" : transferEncoding(part);
}

interface Inside {
  readonly children: readonly MimePart[];
  readonly preambleEnd: number;
  readonly epilogueStart: number;
}

function insideOf(part: MimePart, budget: Budget): Inside {
  const { value, parameters } = part.contentType;
  const nothing: Inside = { children: [], preambleEnd: part.end, epilogueStart: part.end };
  const multipart = value.startsWith("multipart/");
  if (!multipart && value !== "message/rfc822" && value !== "message/global") return nothing;
  if (part.depth >= budget.depth) {
    budget.cut = true;
    return nothing;
  }
  if (!multipart) {
    if (!take(budget)) return nothing;
    const encoding = encodingOf(part);
    if (encoding !== "base64" && encoding !== "quoted-printable") {
      const child = newPart(part.bytes, part.contentStart, part.end, part.depth + 1, part, budget);
      return { ...nothing, children: [child] };
    }
    const inner = part.content();
    return { ...nothing, children: [newPart(inner, 0, inner.length, part.depth + 1, part, budget)] };
  }
  const boundary = parameters.get("boundary");
  if (boundary === undefined || boundary === "") return nothing;
  const children: MimePart[] = [];
  let preambleEnd: number | undefined;
  let open: number | undefined;
  const add = (end: number) => {
    if (open !== undefined && take(budget)) {
      children.push(newPart(part.bytes, open, Math.max(open, end), part.depth + 1, part, budget));
    }
  };
  for (const line of boundaryLines(part, boundary)) {
    const end = lineEndBefore(part.bytes, line.start);
    preambleEnd ??= Math.max(part.contentStart, end);
    add(end);
    open = line.end;
    if (line.closing) return { children, preambleEnd, epilogueStart: line.end };
    if (budget.cut) break;
  }
  // The closing boundary is missing: the last part goes on to the end.
  add(part.end);
  return { children, preambleEnd: preambleEnd ?? part.end, epilogueStart: part.end };
}

function take(budget: Budget): boolean {
  if (budget.left <= 0) {
    budget.cut = true;
    return false;
  }
  budget.left--;
  return true;
}

interface BoundaryLine {
  readonly start: number;
  readonly end: number;
  readonly closing: boolean;
}

/** The lines between the parts of a multipart (RFC 2046 §5.1.1). */
function* boundaryLines(part: MimePart, boundary: string): Generator<BoundaryLine> {
  const { bytes, end } = part;
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  for (let at = part.contentStart; at < end;) {
    const lf = bytes.indexOf(LF, at);
    const next = lf < 0 || lf >= end ? end : lf + 1;
    if (bytes[at] === DASH && startsWith(bytes, at, next, delimiter)) {
      const rest = at + delimiter.length;
      const closing = bytes[rest] === DASH && bytes[rest + 1] === DASH && rest + 1 < next;
      if (closing || onlyBlanks(bytes, rest, next)) yield { start: at, end: next, closing };
      if (closing) return;
    }
    at = next;
  }
}

function startsWith(bytes: Uint8Array, at: number, end: number, wanted: Uint8Array): boolean {
  if (at + wanted.length > end) return false;
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

function onlyBlanks(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const octet = bytes[i];
    if (octet !== 0x20 && octet !== 0x09 && octet !== CR && octet !== LF) return false;
  }
  return true;
}

/** RFC 2046 §5.1.1: the line break before a boundary belongs to the boundary. */
function lineEndBefore(bytes: Uint8Array, at: number): number {
  if (bytes[at - 1] !== LF) return at;
  return bytes[at - 2] === CR ? at - 2 : at - 1;
}
