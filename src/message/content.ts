/** The bytes of a message between rooms. */

/**
 * A message's bytes, CRLF line endings as received, no dot-stuffing. The head (at least the whole header block) is in
 * memory; the rest may live in the store and is read chunk by chunk.
 */
export interface Content {
  /** Total octets. */
  readonly size: number;
  /** The first part; holds the whole header block, and for small messages everything. */
  readonly head: Uint8Array;
  /** Whether `head` is everything. */
  readonly complete: boolean;
  /**
   * All bytes in order, `head` first. May be called several times, also at the same time. A chunk may be used until the
   * next one is asked for: its memory is then given back, so who wants to keep it makes a copy.
   */
  chunks(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}
