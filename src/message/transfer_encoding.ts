/** Content in quoted-printable and Base64 (RFC 2045 §6.7, §6.8), encoded as it comes. */

const CR = 0x0d;
const LF = 0x0a;
const EQUALS = 0x3d;
const SPACE = 0x20;
const TAB = 0x09;
const DOT = 0x2e;
const CAPITAL_F = 0x46;

const HEX = new TextEncoder().encode("0123456789ABCDEF");
const BASE64 = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

/** Octets of an encoded line without its line end, the "=" of a soft line break not counted. */
const LINE = 75;
const FLUSH = 32 * 1024;

/** Encodes the content of one entity. */
export interface TransferEncoder {
  /**
   * A line, or a piece of one.
   *
   * @param end octets of the line end in it, 0 or 2
   * @param starts whether the line begins here
   */
  line(bytes: Uint8Array, end: number, starts: boolean): void;
  /** @param atBoundary whether the last line end belongs to a boundary that follows, and not to the content */
  finish(atBoundary: boolean): void;
}

/** Encodes lines as quoted-printable. What the sink gets is valid until it returns. */
export function quotedPrintableEncoder(sink: (bytes: Uint8Array) => void): TransferEncoder {
  const out = createBuffer(sink);
  let column = 0;
  // A blank is literal only if something follows it on its line.
  let blank: number | undefined;

  const room = (width: number) => {
    if (column + width <= LINE) return;
    out.put(EQUALS);
    out.put(CR);
    out.put(LF);
    column = 0;
  };
  const literal = (octet: number) => {
    room(1);
    out.put(octet);
    column++;
  };
  const encoded = (octet: number) => {
    room(3);
    out.put(EQUALS);
    out.put(HEX[octet >> 4] as number);
    out.put(HEX[octet & 15] as number);
    column += 3;
  };

  return {
    line(bytes, end, starts) {
      const stop = bytes.length - end;
      for (let i = 0; i < stop; i++) {
        const octet = bytes[i] as number;
        if (blank !== undefined) literal(blank);
        blank = undefined;
        if (octet === SPACE || octet === TAB) blank = octet;
        else if (octet < 0x21 || octet > 0x7e || octet === EQUALS) encoded(octet);
        // What some take for the end of the message or for the line of a mailbox file.
        else if (i === 0 && starts && (octet === DOT || (octet === CAPITAL_F && isFromLine(bytes)))) encoded(octet);
        else literal(octet);
      }
      if (end === 0) return;
      if (blank !== undefined) encoded(blank);
      blank = undefined;
      out.put(CR);
      out.put(LF);
      column = 0;
    },
    finish() {
      if (blank !== undefined) encoded(blank);
      blank = undefined;
      out.flush();
    },
  };
}

function isFromLine(bytes: Uint8Array): boolean {
  return bytes[1] === 0x72 && bytes[2] === 0x6f && bytes[3] === 0x6d && bytes[4] === SPACE;
}

/** Encodes lines as Base64, their line ends with them. What the sink gets is valid until it returns. */
export function base64Encoder(sink: (bytes: Uint8Array) => void): TransferEncoder {
  const out = createBuffer(sink);
  let word = 0;
  let held = 0;
  let column = 0;
  let lineEnd = false;

  const put = (octet: number) => {
    word = (word << 8) | octet;
    if (++held === 3) group();
  };
  const group = () => {
    for (const [place, shift] of [18, 12, 6, 0].entries()) {
      out.put(place <= held ? BASE64[(word >> shift) & 63] as number : EQUALS);
    }
    word = held = 0;
    column += 4;
    if (column === 76) newLine();
  };
  const newLine = () => {
    out.put(CR);
    out.put(LF);
    column = 0;
  };
  const release = () => {
    if (!lineEnd) return;
    lineEnd = false;
    put(CR);
    put(LF);
  };

  return {
    line(bytes, end) {
      release();
      for (let i = 0; i < bytes.length - end; i++) put(bytes[i] as number);
      lineEnd = end > 0;
    },
    finish(atBoundary) {
      if (!atBoundary) release();
      if (held > 0) {
        word <<= 8 * (3 - held);
        group();
      }
      if (column > 0) newLine();
      out.flush();
    },
  };
}

function createBuffer(sink: (bytes: Uint8Array) => void) {
  const buffer = new Uint8Array(FLUSH);
  let used = 0;
  const flush = () => {
    if (used > 0) sink(buffer.subarray(0, used));
    used = 0;
  };
  return {
    put(octet: number) {
      if (used === FLUSH) flush();
      buffer[used++] = octet;
    },
    flush,
  };
}

/** Whole content in `base64` or `quoted-printable`; as it is for any other encoding. */
export function encodeTransfer(bytes: Uint8Array, encoding: string): Uint8Array {
  if (encoding !== "base64" && encoding !== "quoted-printable") return bytes;
  const pieces: Uint8Array[] = [];
  const keep = (piece: Uint8Array) => void pieces.push(piece.slice());
  const encoder = encoding === "base64" ? base64Encoder(keep) : quotedPrintableEncoder(keep);
  let start = 0;
  for (let lf = bytes.indexOf(LF); lf >= 0; lf = bytes.indexOf(LF, lf + 1)) {
    if (lf === 0 || bytes[lf - 1] !== CR) continue;
    encoder.line(bytes.subarray(start, lf + 1), 2, true);
    start = lf + 1;
  }
  if (start < bytes.length) encoder.line(bytes.subarray(start), 0, true);
  encoder.finish(false);
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}
