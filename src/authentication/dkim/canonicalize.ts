/** The forms in which header fields and bodies are hashed (RFC 6376 §3.4). Pure; never changes what it is given. */

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;

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

/**
 * The canonical form of one header field, with CRLF at its end.
 *
 * @param field from its name to its last line end; a line end that is missing is added
 */
export function canonicalizeField(kind: Canonicalization, field: Uint8Array): Uint8Array {
  const out = new Uint8Array(field.length + 2);
  return out.subarray(0, writeCanonicalField(kind, field, 0, field.length, out, 0));
}

/**
 * Writes the canonical form of the field that stands in `bytes` from `start` to `end`, as {@link canonicalizeField}
 * gives it, into `out` at `at`, which needs room for two octets more than the field has.
 *
 * @returns the place after it in `out`
 */
export function writeCanonicalField(
  kind: Canonicalization,
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  const stop = withoutLineEnd(bytes, start, end);
  let place: number;
  if (kind === "simple") {
    out.set(bytes.subarray(start, stop), at);
    place = at + stop - start;
  } else place = relaxField(bytes, start, stop, out, at);
  out[place++] = CR;
  out[place++] = LF;
  return place;
}

// RFC 6376 §3.4.2: the name in lower case, unfolded, runs of blanks as one, none around the colon and at the end.
function relaxField(bytes: Uint8Array, start: number, end: number, out: Uint8Array, from: number): number {
  let at = from;
  let i = start;
  for (; i < end && bytes[i] !== COLON; i++) {
    const octet = bytes[i] as number;
    if (!isBlank(octet)) out[at++] = octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
  }
  if (i < end) out[at++] = COLON;
  i++;
  while (i < end && isBlank(bytes[i] as number)) i++;
  let blank = false;
  for (; i < end; i++) {
    const octet = bytes[i] as number;
    if (octet <= SPACE && isBlank(octet)) {
      blank = true;
      continue;
    }
    if (blank) {
      out[at++] = SPACE;
      blank = false;
    }
    out[at++] = octet;
  }
  return at;
}

// A line end inside a field is a fold, and a blank follows it.
function isBlank(octet: number): boolean {
  return octet === SPACE || octet === TAB || octet === CR || octet === LF;
}

function withoutLineEnd(bytes: Uint8Array, start: number, stop: number): number {
  let end = stop;
  if (end > start && bytes[end - 1] === LF) end--;
  if (end > start && bytes[end - 1] === CR) end--;
  return end;
}

/**
 * A signature field as it is hashed itself: without the value of its tag `b=` and without its last line end
 * (RFC 6376 §3.7). Other tags that end in `b`, such as `bh=`, stay.
 */
export function withoutSignature(field: Uint8Array): Uint8Array {
  const end = withoutLineEnd(field, 0, field.length);
  let start = field.indexOf(COLON) + 1;
  while (start > 0 && start < end) {
    const semicolon = field.indexOf(SEMICOLON, start);
    const stop = semicolon < 0 || semicolon > end ? end : semicolon;
    const equals = signatureTag(field, start, stop);
    if (equals >= 0) {
      const out = new Uint8Array(equals + 1 + end - stop);
      out.set(field.subarray(0, equals + 1));
      out.set(field.subarray(stop, end), equals + 1);
      return out;
    }
    start = stop + 1;
  }
  return field.subarray(0, end);
}

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const SMALL_B = 0x62;

/** Where the `=` of the tag `b=` is that starts at `start`, -1 if another tag does. */
function signatureTag(field: Uint8Array, start: number, stop: number): number {
  let i = start;
  while (i < stop && isBlank(field[i] as number)) i++;
  if (field[i] !== SMALL_B) return -1;
  i++;
  while (i < stop && isBlank(field[i] as number)) i++;
  return i < stop && field[i] === EQUALS ? i : -1;
}
