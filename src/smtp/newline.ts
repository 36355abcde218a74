/** Bare CR and LF in content: finding them, and turning them into CRLF. */

const CR = 0x0d;
const LF = 0x0a;
const CRLF = Uint8Array.of(CR, LF);

/** Looks for a CR without LF or a LF without CR in content that comes in chunks, as with BDAT. */
export class BareNewlineScanner {
  #afterCr = false;
  #bareNewline = false;

  /** Whether one was found. A CR at the very end of what was pushed is still open, see {@link finish}. */
  get bareNewline(): boolean {
    return this.#bareNewline;
  }

  /** Looks at the next chunk. */
  push(chunk: Uint8Array): void {
    if (this.#bareNewline) return;
    const length = chunk.length;
    let afterCr = this.#afterCr;
    let i = 0;
    while (i < length) {
      if (!afterCr) {
        while (i < length && (chunk[i] as number) > CR) i++;
        if (i === length) break;
      }
      const octet = chunk[i++];
      if ((octet === LF) !== afterCr) {
        this.#bareNewline = true;
        return;
      }
      afterCr = octet === CR;
    }
    this.#afterCr = afterCr;
  }

  /** Says that the content has ended: a CR at its end is bare. Returns {@link bareNewline}. */
  finish(): boolean {
    if (this.#afterCr) this.#bareNewline = true;
    return this.#bareNewline;
  }
}

/** Turns each bare CR and bare LF into CRLF, in content that comes in chunks. */
export class NewlineNormalizer {
  #afterCr = false;

  /** Takes a chunk and calls `write` with what comes of it; slices are views into `chunk` where nothing changes. */
  push(chunk: Uint8Array, write: (slice: Uint8Array) => void): void {
    const length = chunk.length;
    let from = 0;
    let i = 0;
    // A CR at the end of the chunk before is not written yet.
    if (this.#afterCr && length > 0) {
      this.#afterCr = false;
      write(CRLF);
      if (chunk[0] === LF) from = i = 1;
    }
    while (i < length) {
      while (i < length && (chunk[i] as number) > CR) i++;
      if (i === length) break;
      const octet = chunk[i];
      if (octet === CR && chunk[i + 1] === LF) {
        i += 2;
        continue;
      }
      if (octet === CR || octet === LF) {
        if (i > from) write(chunk.subarray(from, i));
        from = i + 1;
        if (octet === CR && from === length) {
          this.#afterCr = true;
          return;
        }
        write(CRLF);
      }
      i++;
    }
    if (length > from) write(from === 0 ? chunk : chunk.subarray(from));
  }

  /** Says that the content has ended. */
  finish(write: (slice: Uint8Array) => void): void {
    if (this.#afterCr) write(CRLF);
    this.#afterCr = false;
  }
}
