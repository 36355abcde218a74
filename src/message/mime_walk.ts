/**
 * Reads a message of any size as the tree of its MIME entities (RFC 2046), line by line, in memory that does not grow with
 * it: what rewrites messages on their way needs each line once, in order. `mime.ts` is for those who have a message in
 * memory and want to get at single parts; see there why there are two.
 */

import { firstField, type ParsedHeader, parseHeader } from "./header.ts";
import { parseParameterized } from "./mime_header.ts";

const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;

/** Longest piece of a line that is handed on at once. No boundary is as long (RFC 2046 §5.1.1: 70). */
const LONGEST_PIECE = 8192;
/** Largest header of one entity; entities that exceed a limit are handed on as they are. */
const LARGEST_HEADER = 256 * 1024;
const MOST_ENTITIES = 10_000;
const DEEPEST = 50;

/** What is inside an entity: other entities, content, or content that must stay as it is. */
export type EntityKind = "container" | "leaf" | "opaque";

/** One entity: the message, a part, or a message in a part. */
export interface MimeEntity {
  /** Numbered in the order in which they begin, from 0. */
  readonly ordinal: number;
  readonly kind: EntityKind;
  /** `Content-Type` in lower case without parameters; `text/plain` if there is none. */
  readonly type: string;
  /** `Content-Transfer-Encoding` in lower case; `7bit` if there is none. */
  readonly encoding: string;
  /** The header, with the empty line at its end if there is one. */
  readonly head: Uint8Array;
  readonly header: ParsedHeader;
  /** Whether this is a message: the whole of it, or one inside, but not a part. */
  readonly isMessage: boolean;
}

/** Takes what is found, in order. What it is given is valid until it returns. */
export interface MimeVisitor {
  /** An entity begins. */
  entity(entity: MimeEntity): void;
  /**
   * A line of a leaf, or a piece of a long one.
   *
   * @param end octets of the line end in it, 0 or 2
   * @param starts whether the line begins here
   */
  content(line: Uint8Array, entity: MimeEntity, end: number, starts: boolean): void;
  /** What stays as it is: boundaries, what is around parts, opaque content. */
  other(line: Uint8Array, end: number): void;
  /**
   * The content of the leaf is complete.
   *
   * @param atBoundary whether a boundary ended it, to which the last line end then belongs (RFC 2046 §5.1.1)
   */
  leave(entity: MimeEntity, atBoundary: boolean): void;
}

/** Reads a message that comes in chunks. */
export interface MimeWalker {
  push(chunk: Uint8Array): void;
  finish(): void;
}

/** A multipart that is open. */
interface Multipart {
  readonly boundary: Uint8Array;
  /** Type of parts that name none. */
  readonly usualType: string;
}

/** Starts reading a message. Only CRLF ends a line. */
export function walkMime(visitor: MimeVisitor): MimeWalker {
  const open: Multipart[] = [];
  let ordinal = 0;
  /** Lines of the header being read; undefined in a body. */
  let head: Uint8Array[] | undefined = [];
  let headSize = 0;
  let leaf: MimeEntity | undefined;
  let depth = 0;
  /** Whether the header being read is that of a message. */
  let isMessage = true;

  const begin = () => {
    const bytes = concat(head ?? []);
    const tooMuch = headSize > LARGEST_HEADER || ordinal >= MOST_ENTITIES || depth >= DEEPEST;
    head = undefined;
    headSize = 0;
    const header = parseHeader(bytes);
    // RFC 2046 §5.1.5; and what is inside a message is a message like any other.
    const usualType = isMessage ? "text/plain" : open.at(-1)?.usualType ?? "text/plain";
    const { boundary, ...described } = describe(header, usualType);
    const kind = tooMuch ? "opaque" : described.kind;
    const entity: MimeEntity = { ...described, kind, ordinal: ordinal++, isMessage, head: bytes, header };
    isMessage = false;
    visitor.entity(entity);
    if (kind === "leaf") leaf = entity;
    if (kind !== "container") return;
    depth++;
    if (entity.type.startsWith("multipart/")) {
      open.push({ boundary, usualType: entity.type === "multipart/digest" ? "message/rfc822" : "text/plain" });
    } else {
      isMessage = true;
      head = [];
    }
  };

  const leave = (atBoundary: boolean) => {
    if (leaf !== undefined) visitor.leave(leaf, atBoundary);
    leaf = undefined;
  };

  /** Whether the line is a boundary of something that is open; what that ends is left. */
  const boundary = (line: Uint8Array, end: number): boolean => {
    if (line[0] !== DASH || line[1] !== DASH || open.length === 0) return false;
    for (let at = open.length - 1; at >= 0; at--) {
      const found = match(line, end, open[at]?.boundary ?? NOTHING);
      if (found === undefined) continue;
      // A part may be all header.
      while (head !== undefined) begin();
      leave(true);
      visitor.other(line, end);
      open.length = found === "last" ? at : at + 1;
      depth = Math.min(depth, open.length);
      if (found === "next") {
        isMessage = false;
        head = [];
      }
      return true;
    }
    return false;
  };

  const take = (line: Uint8Array, end: number, starts: boolean) => {
    if (starts && boundary(line, end)) return;
    if (head === undefined) {
      if (leaf === undefined) visitor.other(line, end);
      else visitor.content(line, leaf, end, starts);
      return;
    }
    head.push(line.slice());
    headSize += line.length;
    if ((starts && line.length === end && end > 0) || headSize > LARGEST_HEADER) begin();
  };

  const lines = cutLines(take);
  return {
    push: lines.push,
    finish() {
      lines.finish();
      while (head !== undefined) begin();
      leave(false);
    },
  };
}

const NOTHING = new Uint8Array(0);

/** Cuts chunks into lines; long lines come in pieces. */
function cutLines(take: (line: Uint8Array, end: number, starts: boolean) => void): MimeWalker {
  let rest = NOTHING;
  let starts = true;
  const emit = (line: Uint8Array, end: number) => {
    take(line, end, starts);
    starts = end > 0;
  };
  return {
    push(chunk) {
      const bytes = rest.length === 0 ? chunk : concat([rest, chunk]);
      let from = 0;
      let search = from;
      while (true) {
        const lf = bytes.indexOf(LF, search);
        if (lf < 0) break;
        search = lf + 1;
        if (lf === from || bytes[lf - 1] !== CR) continue;
        for (; lf + 1 - from > LONGEST_PIECE; from += LONGEST_PIECE - 1) {
          emit(bytes.subarray(from, from + LONGEST_PIECE - 1), 0);
        }
        emit(bytes.subarray(from, lf + 1), 2);
        from = lf + 1;
      }
      // A CR at the end may be half of a line end, and is kept back.
      for (; bytes.length - from > LONGEST_PIECE; from += LONGEST_PIECE - 1) {
        emit(bytes.subarray(from, from + LONGEST_PIECE - 1), 0);
      }
      rest = bytes.slice(from);
    },
    finish() {
      if (rest.length > 0) emit(rest, 0);
      rest = NOTHING;
    },
  };
}

/** Encodings that are none. */
const PLAIN = ["7bit", "8bit", "binary"];

/** What an entity is, by its header. */
function describe(
  header: ParsedHeader,
  usualType: string,
): Pick<MimeEntity, "kind" | "type" | "encoding"> & { readonly boundary: Uint8Array } {
  const valueOf = (name: string) => parseParameterized(firstField(header, name)?.value() ?? "");
  const { value, parameters } = valueOf("content-type");
  const type = value || usualType;
  const encoding = valueOf("content-transfer-encoding").value || "7bit";
  const boundary = encoder.encode(type.startsWith("multipart/") ? parameters.get("boundary")?.trimEnd() ?? "" : "");
  const what = { type, encoding, boundary };
  if (!PLAIN.includes(encoding)) return { kind: "opaque", ...what };
  // RFC 1847 §2.1: what is signed must not change; RFC 2046 §5.2.2 and §5.2.3: these are 7bit by definition.
  if (/^(?:multipart\/(?:signed|encrypted)|message\/(?:partial|external-body))$/.test(type)) {
    return { kind: "opaque", ...what };
  }
  if (type.startsWith("multipart/")) return { kind: boundary.length === 0 ? "opaque" : "container", ...what };
  return { kind: type === "message/rfc822" ? "container" : "leaf", ...what };
}

const encoder = new TextEncoder();

/** Whether a line is this boundary, and whether it is the last one. Blanks may follow it. */
function match(line: Uint8Array, end: number, boundary: Uint8Array): "next" | "last" | undefined {
  if (boundary.length === 0 || line.length - end < boundary.length + 2) return undefined;
  for (let i = 0; i < boundary.length; i++) if (line[i + 2] !== boundary[i]) return undefined;
  let at = boundary.length + 2;
  const last = line[at] === DASH && line[at + 1] === DASH;
  if (last) at += 2;
  for (; at < line.length - end; at++) if (line[at] !== 0x20 && line[at] !== 0x09) return undefined;
  return last ? "last" : "next";
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
