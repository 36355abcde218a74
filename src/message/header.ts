/** The header of a message as it stands (RFC 5322 §2.2), read without changing a byte. */

import { decodeHeaderText } from "./encoded_word.ts";

const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;

/** Most fields that are told apart; what follows them counts as header but is not listed. */
export const MOST_FIELDS = 10_000;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** One header field. */
export interface HeaderField {
  /** Name as written. */
  readonly name: string;
  /** Name in lower case. */
  readonly lower: string;
  /** Offset of its first octet. */
  readonly start: number;
  /** Offset after its last line end. */
  readonly end: number;
  /** The unfolded value without blanks around it, read as UTF-8; encoded words stay as they are. */
  value(): string;
  /** {@link value} with the encoded words of RFC 2047 decoded. */
  text(): string;
}

/** A header; offsets count in the bytes it was read from. */
export interface ParsedHeader {
  readonly fields: readonly HeaderField[];
  /** Where the empty line stands that ends the header, or the number of bytes if there is none. */
  readonly end: number;
  /** Where the body starts: after the empty line, or the number of bytes if there is none. */
  readonly bodyOffset: number;
  /** Whether the empty line was found. */
  readonly complete: boolean;
}

/**
 * Reads the header at the start of `bytes`. Lines that belong to no field (no colon, a name with other characters than
 * RFC 5322 allows, an mbox `From ` line) are passed over. A lone LF is taken for a line end here, as most readers do.
 * Never throws.
 */
export function parseHeader(bytes: Uint8Array): ParsedHeader {
  const fields: HeaderField[] = [];
  let open: { name: string; start: number; value: number } | undefined;
  const close = (end: number) => {
    if (open !== undefined && fields.length < MOST_FIELDS) fields.push(headerField(bytes, open, end));
    open = undefined;
  };
  let start = 0;
  while (start < bytes.length) {
    const lf = bytes.indexOf(LF, start);
    const end = lf < 0 ? bytes.length : lf + 1;
    const first = bytes[start];
    if (first === LF || (first === CR && bytes[start + 1] === LF)) {
      close(start);
      return { fields, end: start, bodyOffset: end, complete: true };
    }
    if (first !== SPACE && first !== TAB) {
      close(start);
      open = fieldStart(bytes, start, end);
    }
    start = end;
  }
  close(bytes.length);
  return { fields, end: bytes.length, bodyOffset: bytes.length, complete: false };
}

/** Number of fields with this name (any case). */
export function countFields(header: ParsedHeader, name: string): number {
  const lower = name.toLowerCase();
  let count = 0;
  for (const field of header.fields) if (field.lower === lower) count++;
  return count;
}

/** The first field with this name (any case). */
export function firstField(header: ParsedHeader, name: string): HeaderField | undefined {
  const lower = name.toLowerCase();
  return header.fields.find((field) => field.lower === lower);
}

/** All fields with this name (any case), in order. */
export function fieldsNamed(header: ParsedHeader, name: string): readonly HeaderField[] {
  const lower = name.toLowerCase();
  return header.fields.filter((field) => field.lower === lower);
}

/** Whether `name` can be the name of a field: printable ASCII without colon (RFC 5322 §2.2). */
export function isFieldName(name: string): boolean {
  return /^[!-9;-~]+$/.test(name);
}

function fieldStart(
  bytes: Uint8Array,
  start: number,
  end: number,
): { name: string; start: number; value: number } | undefined {
  let name = "";
  let i = start;
  for (; i < end; i++) {
    const octet = bytes[i] as number;
    if (octet <= SPACE || octet > 0x7e || octet === COLON) break;
    name += String.fromCharCode(octet);
  }
  // RFC 5322 §4.5: blanks before the colon are obsolete, not wrong.
  while (i < end && (bytes[i] === SPACE || bytes[i] === TAB)) i++;
  return name !== "" && bytes[i] === COLON && i < end ? { name, start, value: i + 1 } : undefined;
}

function headerField(
  bytes: Uint8Array,
  open: { readonly name: string; readonly start: number; readonly value: number },
  end: number,
): HeaderField {
  let value: string | undefined;
  let text: string | undefined;
  const read = () => value ??= unfold(decoder.decode(bytes.subarray(open.value, end)));
  return {
    name: open.name,
    lower: open.name.toLowerCase(),
    start: open.start,
    end,
    value: read,
    text: () => text ??= decodeHeaderText(read()),
  };
}

// RFC 5322 §2.2.3: unfolding takes the line ends out and leaves the blanks.
function unfold(text: string): string {
  const line = text.replace(/\r?\n/g, "");
  let start = 0;
  let end = line.length;
  // Not by a pattern: one that looks for blanks at the end tries every run of them, which takes square time.
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}
