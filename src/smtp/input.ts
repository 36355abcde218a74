/** What has been read from a connection and not been used yet. */

const SMALLEST = 1024;
const KEPT = 64 * 1024;
const CR = 0x0d;
const LF = 0x0a;
const EMPTY = new Uint8Array(0);

/**
 * The input of one connection: bytes are appended at one end and taken line by line or in chunks at the other. Only
 * CRLF ends a line (RFC 5321 §2.3.8); a lone CR or LF stays in it.
 *
 * The caller bounds the memory: it appends one read at a time and takes everything that can be taken in between.
 */
export class InputBuffer {
  #bytes: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;
  /** Where the search for the next LF goes on. */
  #searched = 0;
  /** An over-long line is being dropped. */
  #dropping = false;

  /** Number of unread bytes. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Copies `bytes` to the end. Views handed out before are no longer valid. */
  append(bytes: Uint8Array): void {
    if (this.#bytes.length - this.#end < bytes.length) this.#makeRoom(bytes.length);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * Takes the next line, without its CRLF.
   *
   * @param limit most octets of a line, CRLF not counted
   * @returns the line (a view, valid until the next `append`), `undefined` while it is incomplete, or once
   *   `"too-long"`; the rest of such a line is dropped without being kept, however long it is
   */
  readLine(limit: number): Uint8Array | "too-long" | undefined {
    const bytes = this.#bytes;
    for (let i = Math.max(this.#searched, this.#start); i < this.#end; i++) {
      if (bytes[i] !== LF || i === this.#start || bytes[i - 1] !== CR) continue;
      const start = this.#start;
      const end = i - 1;
      const dropped = this.#dropping;
      this.#dropping = false;
      this.consume(i + 1 - start);
      if (dropped) return this.readLine(limit);
      return end - start > limit ? "too-long" : bytes.subarray(start, end);
    }
    this.#searched = this.#end;
    if (this.#dropping) {
      this.#dropUnfinished();
      return undefined;
    }
    // A CR at the end may belong to the line's CRLF.
    const octets = this.length - (this.length > 0 && bytes[this.#end - 1] === CR ? 1 : 0);
    if (octets <= limit) return undefined;
    this.#dropping = true;
    this.#dropUnfinished();
    return "too-long";
  }

  /** All unread bytes; valid until the next `append`. */
  view(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  /** Marks the first `count` unread bytes as used. */
  consume(count: number): void {
    this.#start = Math.min(this.#start + count, this.#end);
    this.#searched = this.#start;
    if (this.#start === this.#end) this.#start = this.#end = this.#searched = 0;
  }

  /** Forgets everything, as after STARTTLS (RFC 3207 §4.2). */
  clear(): void {
    this.#start = this.#end = this.#searched = 0;
    this.#dropping = false;
    if (this.#bytes.length > KEPT) this.#bytes = EMPTY;
  }

  #dropUnfinished(): void {
    const keep = this.length > 0 && this.#bytes[this.#end - 1] === CR ? 1 : 0;
    this.consume(this.length - keep);
  }

  #makeRoom(count: number): void {
    const used = this.length;
    const needed = used + count;
    // A buffer that grew for a burst is let go once a small one is enough again.
    const oversized = this.#bytes.length > KEPT && needed <= KEPT / 4;
    if (needed <= this.#bytes.length && !oversized) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
    } else {
      let capacity = SMALLEST;
      while (capacity < needed) capacity *= 2;
      const grown = new Uint8Array(capacity);
      grown.set(this.view());
      this.#bytes = grown;
    }
    this.#searched -= this.#start;
    this.#start = 0;
    this.#end = used;
  }
}
