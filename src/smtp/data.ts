/** The content of DATA on its way in and out: dot-stuffing and the end of data (RFC 5321 §4.1.1.4, §4.5.2). */

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const LONE_CR = Uint8Array.of(CR);

// Where in a line the next octet stands.
const WITHIN = 0;
/** After a CR. */
const AFTER_CR = 1;
/** At the begin of a line, that is after CRLF or at the start of the data. */
const LINE_START = 2;
/** After a dot at the begin of a line; the dot is never content. */
const AFTER_DOT = 3;
/** After such a dot and a CR. */
const AFTER_DOT_CR = 4;

/**
 * Takes the content out of a DATA stream. Exactly `CRLF . CRLF` ends it, where the start of the data counts as after
 * a CRLF; a bare CR or LF does not make a line, so none of the spellings used for smuggling ends anything.
 */
export class DotDecoder {
  #state = LINE_START;
  #done = false;
  #bareNewline = false;

  /** True once the end of data was seen. */
  get done(): boolean {
    return this.#done;
  }

  /** Whether the content so far holds a CR without LF or a LF without CR. */
  get bareNewline(): boolean {
    return this.#bareNewline;
  }

  /**
   * Takes the next chunk of the stream.
   *
   * @param write called with the content, in order; slices are views into `chunk`
   * @returns the number of octets used: all, or up to the end of data. What follows are commands.
   */
  push(chunk: Uint8Array, write: (slice: Uint8Array) => void): number {
    if (this.#done) return 0;
    const length = chunk.length;
    let state = this.#state;
    let bare = false;
    // Content from here on has not been written.
    let from = 0;
    let i = 0;
    while (i < length) {
      if (state === WITHIN) {
        while (i < length && (chunk[i] as number) > CR) i++;
        if (i === length) break;
      }
      const octet = chunk[i++];
      switch (state) {
        case WITHIN:
          if (octet === CR) state = AFTER_CR;
          else if (octet === LF) bare = true;
          break;
        case AFTER_CR:
          if (octet === LF) {
            state = LINE_START;
          } else {
            bare = true;
            if (octet !== CR) state = WITHIN;
          }
          break;
        case LINE_START:
          if (octet === DOT) {
            if (i - 1 > from) write(chunk.subarray(from, i - 1));
            from = i;
            state = AFTER_DOT;
          } else if (octet === CR) {
            state = AFTER_CR;
          } else {
            if (octet === LF) bare = true;
            state = WITHIN;
          }
          break;
        case AFTER_DOT:
          if (octet === CR) {
            state = AFTER_DOT_CR;
          } else {
            if (octet === LF) bare = true;
            state = WITHIN;
          }
          break;
        default: // AFTER_DOT_CR
          if (octet === LF) {
            this.#done = true;
            this.#bareNewline ||= bare;
            return i;
          }
          // The CR was content after all; it may have stood in the chunk before.
          if (i === 1) write(LONE_CR);
          bare = true;
          state = octet === CR ? AFTER_CR : WITHIN;
      }
    }
    const to = state === AFTER_DOT_CR ? length - 1 : length;
    if (to > from) write(from === 0 && to === length ? chunk : chunk.subarray(from, to));
    this.#state = state;
    this.#bareNewline ||= bare;
    return length;
  }
}

/**
 * Prepares content for DATA: doubles a dot at the begin of a line. The content must have CRLF line ends; what holds a
 * bare CR or LF is not safe to send this way.
 */
export class DotEncoder {
  #before = CR;
  #last = LF;

  /** The next chunk as it goes on the wire: `chunk` itself where no dot was doubled. */
  encode(chunk: Uint8Array): Uint8Array {
    const length = chunk.length;
    if (length === 0) return chunk;
    let stuffed: number[] | undefined;
    for (let i = chunk.indexOf(DOT); i >= 0; i = chunk.indexOf(DOT, i + 1)) {
      const last = i > 0 ? chunk[i - 1] : this.#last;
      if (last !== LF) continue;
      const before = i > 1 ? chunk[i - 2] : i === 1 ? this.#last : this.#before;
      if (before === CR) (stuffed ??= []).push(i);
    }
    this.#before = length > 1 ? chunk[length - 2] as number : this.#last;
    this.#last = chunk[length - 1] as number;
    if (stuffed === undefined) return chunk;
    const out = new Uint8Array(length + stuffed.length);
    let from = 0;
    let to = 0;
    for (const at of stuffed) {
      out.set(chunk.subarray(from, at), to);
      to += at - from;
      out[to++] = DOT;
      from = at;
    }
    out.set(chunk.subarray(from), to);
    return out;
  }

  /** The end of data, with a CRLF before it if the content did not end in one. */
  finish(): Uint8Array {
    const atLineStart = this.#before === CR && this.#last === LF;
    return atLineStart ? Uint8Array.of(DOT, CR, LF) : Uint8Array.of(CR, LF, DOT, CR, LF);
  }
}
