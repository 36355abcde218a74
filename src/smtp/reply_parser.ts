/** Replies as a client reads them (RFC 5321 §4.2), from servers that may be careless or hostile. */

import type { Reply } from "./reply.ts";

/** The peer sent something that is no SMTP. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

const LONGEST_LINE = 4096;
const MOST_LINES = 128;
const MOST_OCTETS = 64 * 1024;
const CR = 0x0d;
const LF = 0x0a;
const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Makes replies of bytes. Lines may end in CRLF or LF, and the text may be missing; everything else must be as the RFC
 * has it.
 */
export class ReplyParser {
  #buffer: Uint8Array = EMPTY;
  /** Lines of the reply that is being read, without code. */
  #lines: string[] = [];
  #code = 0;
  #octets = 0;

  /** Number of octets pushed and not yet used; more than 0 after a reply means that the peer runs ahead. */
  get unread(): number {
    return this.#buffer.length;
  }

  /** Adds what was read from the peer. @throws {ProtocolError} if more stands unread than any reply may have */
  push(bytes: Uint8Array): void {
    if (this.#buffer.length + bytes.length > 4 * MOST_OCTETS) throw new ProtocolError("the peer sends without end");
    const joined = new Uint8Array(this.#buffer.length + bytes.length);
    joined.set(this.#buffer);
    joined.set(bytes, this.#buffer.length);
    this.#buffer = joined;
  }

  /**
   * The next complete reply, or `undefined` until more is pushed. An enhanced status code that fits the reply's class
   * is split off into `enhanced`.
   *
   * @throws {ProtocolError} on what is no reply: no code, a line over 4096 octets, more than 128 lines or 64 KB, lines
   *   whose codes differ
   */
  next(): Reply | undefined {
    let start = 0;
    try {
      while (true) {
        const end = this.#buffer.indexOf(LF, start);
        const length = (end < 0 ? this.#buffer.length : end) - start;
        if (length > LONGEST_LINE) throw new ProtocolError(`reply line longer than ${LONGEST_LINE} octets`);
        if (end < 0) return undefined;
        const line = this.#buffer.subarray(start, end > start && this.#buffer[end - 1] === CR ? end - 1 : end);
        start = end + 1;
        if (this.#takeLine(line)) return this.#finish();
      }
    } finally {
      if (start > 0) this.#buffer = start === this.#buffer.length ? EMPTY : this.#buffer.subarray(start);
    }
  }

  /** Forgets everything, as after STARTTLS. */
  clear(): void {
    this.#buffer = EMPTY;
    this.#lines = [];
    this.#octets = 0;
  }

  // Adds one line to the reply; true if it is the last.
  #takeLine(line: Uint8Array): boolean {
    const [a = 0, b = 0, c = 0, separator = 0x20] = line;
    if (a < 0x31 || a > 0x35 || !isDigit(b) || !isDigit(c) || (separator !== 0x20 && separator !== 0x2d)) {
      throw new ProtocolError(`not an SMTP reply: ${quote(line)}`);
    }
    const code = (a - 0x30) * 100 + (b - 0x30) * 10 + (c - 0x30);
    if (this.#lines.length > 0 && code !== this.#code) {
      throw new ProtocolError(`reply code changes from ${this.#code} to ${code} within one reply`);
    }
    this.#code = code;
    this.#octets += line.length;
    if (this.#octets > MOST_OCTETS) throw new ProtocolError(`reply longer than ${MOST_OCTETS} octets`);
    if (this.#lines.length >= MOST_LINES) throw new ProtocolError(`reply of more than ${MOST_LINES} lines`);
    this.#lines.push(decoder.decode(line.subarray(4)));
    return separator === 0x20;
  }

  #finish(): Reply {
    const reply = splitEnhanced(this.#code, this.#lines);
    this.#lines = [];
    this.#octets = 0;
    return reply;
  }
}

const ENHANCED = /^([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)/;

// RFC 2034 §4: the same code stands before the text of each line, and its class is that of the reply code.
function splitEnhanced(code: number, lines: readonly string[]): Reply {
  const enhanced = ENHANCED.exec(lines[0] ?? "")?.[1];
  if (enhanced === undefined || enhanced[0] !== String(code)[0]) return { code, text: lines };
  const text = lines.map((line) => {
    const match = ENHANCED.exec(line);
    return match?.[1] === enhanced ? line.slice(match[0].length) : line;
  });
  return { code, enhanced, text };
}

function isDigit(octet: number): boolean {
  return octet >= 0x30 && octet <= 0x39;
}

function quote(line: Uint8Array): string {
  return JSON.stringify(decoder.decode(line.subarray(0, 80)));
}
