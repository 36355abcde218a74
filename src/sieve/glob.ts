/** `:matches` (RFC 5228 §2.7.1): `*` any characters, `?` one, `\` makes the next an ordinary one. */

/** A pattern, compiled. */
export interface Glob {
  /**
   * What the wildcards stand for, behind the whole value at index 0; each `*` takes as little as possible
   * (RFC 5229 §3.2). `undefined` if the value does not match.
   *
   * @param original the value before folding, of the same length: what is captured comes from it
   */
  match(folded: string, original: string): readonly string[] | undefined;
}

/** Between two `*`: ordinary characters, and `ONE` for `?`. */
type Segment = readonly (string | typeof ONE)[];
const ONE = 0;

/** @param fold applied to the ordinary characters */
export function compileGlob(pattern: string, fold: (text: string) => string): Glob {
  const segments = split(pattern, fold);
  const first = segments[0] ?? [];
  if (segments.length === 1) {
    return {
      match(folded, original) {
        const ends = matchAt(first, folded, 0);
        return ends?.at(-1) === folded.length ? [original, ...ones(first, ends, original)] : undefined;
      },
    };
  }
  const last = segments[segments.length - 1] ?? [];
  const middle = segments.slice(1, -1);
  return {
    match(folded, original) {
      const head = matchAt(first, folded, 0);
      if (head === undefined) return undefined;
      const captures = [original, ...ones(first, head, original)];
      let at = head.at(-1) ?? 0;
      for (const segment of middle) {
        const found = find(segment, folded, at);
        if (found === undefined) return undefined;
        captures.push(original.slice(at, found.start), ...ones(segment, found.ends, original));
        at = found.ends.at(-1) ?? found.start;
      }
      const tail = matchBefore(last, folded, at);
      if (tail === undefined) return undefined;
      captures.push(original.slice(at, tail[0]), ...ones(last, tail, original));
      return captures;
    },
  };
}

function split(pattern: string, fold: (text: string) => string): Segment[] {
  const segments: (string | typeof ONE)[][] = [[]];
  let literal = "";
  const flush = () => {
    if (literal !== "") segments[segments.length - 1]?.push(fold(literal));
    literal = "";
  };
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === "*") {
      flush();
      segments.push([]);
    } else if (char === "?") {
      flush();
      segments[segments.length - 1]?.push(ONE);
    } else {
      // RFC 5228 §2.7.1: a backslash at the end stands for itself.
      if (char === "\\" && i + 1 < pattern.length) i++;
      literal += pattern[i];
    }
  }
  flush();
  return segments;
}

/** Where each piece begins, and the end of the last; undefined if the segment does not stand at `start`. */
function matchAt(segment: Segment, text: string, start: number): number[] | undefined {
  const places = [start];
  let at = start;
  for (const piece of segment) {
    if (piece === ONE) {
      if (at >= text.length) return undefined;
      at += isPair(text, at) ? 2 : 1;
    } else {
      if (!text.startsWith(piece, at)) return undefined;
      at += piece.length;
    }
    places.push(at);
  }
  return places;
}

function find(segment: Segment, text: string, from: number): { start: number; ends: number[] } | undefined {
  const [piece] = segment;
  for (let start = from; start <= text.length; start++) {
    if (typeof piece === "string") {
      start = text.indexOf(piece, start);
      if (start < 0) return undefined;
    }
    const ends = matchAt(segment, text, start);
    if (ends !== undefined) return { start, ends };
  }
  return undefined;
}

/** The same as {@link matchAt} for a segment that ends with the text and begins at `least` or later. */
function matchBefore(segment: Segment, text: string, least: number): number[] | undefined {
  const places = [text.length];
  let at = text.length;
  for (let i = segment.length - 1; i >= 0; i--) {
    const piece = segment[i] ?? ONE;
    if (piece === ONE) {
      at -= at >= 2 && isPair(text, at - 2) ? 2 : 1;
    } else {
      at -= piece.length;
      if (at < 0 || !text.startsWith(piece, at)) return undefined;
    }
    places.unshift(at);
  }
  return at >= least ? places : undefined;
}

function ones(segment: Segment, places: readonly number[], original: string): string[] {
  const captures: string[] = [];
  segment.forEach((piece, index) => {
    if (piece === ONE) captures.push(original.slice(places[index], places[index + 1]));
  });
  return captures;
}

function isPair(text: string, at: number): boolean {
  const high = text.charCodeAt(at);
  const low = text.charCodeAt(at + 1);
  return high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000;
}
