/** The forms in which bodies are hashed (RFC 6376 §3.4). Pure; never changes what it is given. */

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** How much may change on the way without breaking a signature. */
export type Canonicalization = "simple" | "relaxed";

/**
 * Takes a body in pieces of any size and hands on its canonical form. What the sink gets is valid until it returns.
 */
export interface BodyCanonicalizer {
  push(bytes: Uint8Array): void;
  /** The body is complete. */
  finish(): void;
}

/** Largest piece that a relaxed body is handed on in. */
const PIECE = 65_536;

const LINE_ENDS = new Uint8Array(1024);
for (let i = 0; i < LINE_ENDS.length; i += 2) {
  LINE_ENDS[i] = CR;
  LINE_ENDS[i + 1] = LF;
}
const LINE_END = LINE_ENDS.subarray(0, 2);
const BARE_CR = LINE_ENDS.subarray(0, 1);

/**
 * Makes a canonicalizer for one body. Memory is bounded however long the body, or the run of empty lines in it, is.
 *
 * Only CRLF ends a line; a lone CR or LF is an octet like any other.
 */
export function canonicalizeBody(kind: Canonicalization, sink: (bytes: Uint8Array) => void): BodyCanonicalizer {
  return kind === "simple" ? simpleBody(sink) : relaxedBody(sink);
}

/**
 * How many octets of a whole body are its canonical form; -1 if that has to be made. Most text is written as it is
 * signed, and can be hashed where it stands.
 */
export function canonicalLength(kind: Canonicalization, body: Uint8Array): number {
  let end = body.length;
  while (end >= 2 && body[end - 1] === LF && body[end - 2] === CR) end -= 2;
  if (end === 0 && kind === "relaxed") return 0;
  if (end === body.length || (kind === "relaxed" && !isRelaxed(body, end))) return -1;
  return end + 2;
}

/**
 * Whether no blank before `end` would go or change, as where each one is a space with a word behind it.
 *
 * Four octets are looked at in one step, without asking for each what it is: where words end cannot be foreseen, and a
 * processor that is wrong about one time in six takes three times as long.
 */
function isRelaxed(body: Uint8Array, end: number): boolean {
  const first = -body.byteOffset & 3;
  if (end < 8) return isRelaxedFrom(body, 0, end);
  if (!isRelaxedFrom(body, 0, first)) return false;
  const words = new Uint32Array(body.buffer, body.byteOffset + first, (end - first) >> 2);
  // Whether the octet before was a space.
  let carried = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    const low = word & 0x7f7f7f7f;
    // The highest bit of each octet that is a space; of each that is a space or less; of one at least if one is a tab.
    const spaces = ~(((low ^ 0x20202020) + 0x7f7f7f7f) | word) & HIGHEST;
    const blanks = ~((low + 0x5f5f5f5f) | word) & HIGHEST;
    const tabs = ((word ^ 0x09090909) - 0x01010101) & ~(word ^ 0x09090909) & HIGHEST;
    // The lowest octet of a number comes first in memory.
    if ((tabs | (((spaces << 8) | carried) & blanks)) !== 0) return false;
    carried = spaces >>> 24;
  }
  return isRelaxedFrom(body, first + words.length * 4 - 1, end);
}

const HIGHEST = 0x80808080;

function isRelaxedFrom(body: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    // Behind the last octet stands a line end.
    if (body[i] === TAB || (body[i] === SPACE && (body[i + 1] as number) <= SPACE)) return false;
  }
  return true;
}

// RFC 6376 §3.4.3: empty lines at the end count as one; a body without any line is one line end.
function simpleBody(sink: (bytes: Uint8Array) => void): BodyCanonicalizer {
  let lineEnds = 0;
  let cr = false;
  const release = () => {
    emitLineEnds(lineEnds, sink);
    if (cr) sink(BARE_CR);
    lineEnds = 0;
    cr = false;
  };
  return {
    push(bytes) {
      let end = bytes.length;
      if (end === 0) return;
      const endsInCr = bytes[end - 1] === CR;
      if (endsInCr) end--;
      let held = 0;
      while (end >= 2 && bytes[end - 1] === LF && bytes[end - 2] === CR) {
        end -= 2;
        held++;
      }
      if (cr && end === 1 && bytes[0] === LF) {
        // The line end was cut in two.
        lineEnds++;
        cr = false;
        end = 0;
      }
      if (end > 0 || cr) {
        release();
        if (end > 0) sink(bytes.subarray(0, end));
      }
      lineEnds += held;
      cr = endsInCr;
    },
    finish() {
      if (cr) release();
      sink(LINE_END);
    },
  };
}

// RFC 6376 §3.4.4: blanks at the end of lines go, runs of blanks become one, empty lines at the end go.
function relaxedBody(sink: (bytes: Uint8Array) => void): BodyCanonicalizer {
  let out = new Uint8Array(0);
  let lineEnds = 0;
  let blank = false;
  let cr = false;
  let empty = true;

  const piece = (bytes: Uint8Array) => {
    const target = out;
    const length = bytes.length;
    let at = 0;
    for (let i = 0; i < length; i++) {
      let octet = bytes[i] as number;
      if (cr) {
        if (octet === LF) {
          lineEnds++;
          blank = cr = false;
          continue;
        }
        at = release(at);
      }
      if (octet === SPACE || octet === TAB) blank = true;
      else if (octet === CR) cr = true;
      else {
        if (lineEnds > 0 || blank) at = release(at);
        target[at++] = octet;
        // What most text is made of, without looking at what is held back: words, with one blank or line end between.
        let next = i + 1;
        while (next < length) {
          octet = bytes[next] as number;
          if (octet > SPACE) {
            target[at++] = octet;
            next++;
          } else if (octet === SPACE && (bytes[next + 1] as number) > SPACE) {
            target[at++] = SPACE;
            next++;
          } else if (octet === CR && bytes[next + 1] === LF && (bytes[next + 2] as number) > SPACE) {
            target[at++] = CR;
            target[at++] = LF;
            next += 2;
          } else break;
        }
        i = next - 1;
      }
    }
    if (at === 0) return;
    empty = false;
    sink(target.subarray(0, at));
  };

  // Lines that are not the last: what was held back counts after all.
  const release = (from: number): number => {
    let at = from;
    if (lineEnds === 1) {
      out[at++] = CR;
      out[at++] = LF;
    } else if (lineEnds > 1) {
      if (at > 0) sink(out.subarray(0, at));
      at = 0;
      emitLineEnds(lineEnds, sink);
      empty = false;
    }
    if (blank) out[at++] = SPACE;
    if (cr) out[at++] = CR;
    lineEnds = 0;
    blank = cr = false;
    return at;
  };

  return {
    push(bytes) {
      // What is held back from before may add a line end, a blank and a CR.
      if (out.length < Math.min(bytes.length, PIECE) + 4) out = new Uint8Array(Math.min(bytes.length, PIECE) + 4);
      if (bytes.length <= PIECE) piece(bytes);
      else for (let at = 0; at < bytes.length; at += PIECE) piece(bytes.subarray(at, at + PIECE));
    },
    finish() {
      if (cr) {
        const at = release(0);
        empty = false;
        sink(out.subarray(0, at));
      }
      if (!empty) sink(LINE_END);
    },
  };
}

function emitLineEnds(count: number, sink: (bytes: Uint8Array) => void): void {
  for (let left = count * 2; left > 0; left -= LINE_ENDS.length) {
    sink(left < LINE_ENDS.length ? LINE_ENDS.subarray(0, left) : LINE_ENDS);
  }
}
