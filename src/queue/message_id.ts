/** Ids: 43 bits of time in quarter milliseconds since 2025, 10 bits of node slot. */

import type { Clock } from "../clock/mod.ts";
import type { MessageId } from "./types.ts";

const EPOCH = Date.UTC(2025, 0, 1);
const TICKS_PER_MILLISECOND = 4;

/** Number of node slots; the last one belongs to commands that work on the database beside the nodes. */
export const SLOTS = 1024;
/** The slot of commands from outside. */
export const COMMAND_SLOT = SLOTS - 1;

/** Makes ids of one slot, each greater than the one before even if the clock steps back. */
export interface IdSource {
  next(): MessageId;
}

/** An {@link IdSource} that goes on after `last`. */
export function createIdSource(clock: Clock, slot: number, last: MessageId = 0): IdSource {
  let tick = Math.floor(last / SLOTS);
  return {
    next() {
      tick = Math.max(tick + 1, Math.floor((clock.now() - EPOCH) * TICKS_PER_MILLISECOND));
      return tick * SLOTS + slot;
    },
  };
}

/** The smallest id that a message accepted at `time` (milliseconds since the epoch) can have. */
export function firstIdAt(time: number): MessageId {
  return Math.max(0, Math.floor((time - EPOCH) * TICKS_PER_MILLISECOND)) * SLOTS;
}

// Crockford's base 32: no i, l, o, u, so that an id survives being read aloud.
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH = 11;
const PAIRS = Array.from({ length: 1024 }, (_, bits) => DIGITS.charAt(bits >> 5) + DIGITS.charAt(bits & 31));

function digit(bits: number): string {
  return DIGITS.charAt(bits & 31);
}

function pair(bits: number): string {
  return PAIRS[bits & 1023] ?? "";
}

/** An id as people see it: eleven characters of Crockford base 32, lower case; they sort like the ids. */
export function formatMessageId(id: MessageId): string {
  // Two halves that bit operations can handle: 30 bits make six digits, 25 bits the other five.
  const low = id % 2 ** 30;
  const high = (id - low) / 2 ** 30;
  return digit(high >>> 20) + pair(high >>> 10) + pair(high) + pair(low >>> 20) + pair(low >>> 10) + pair(low);
}

/** The id in `text`, upper or lower case, with `i`, `l` read as 1 and `o` as 0; undefined if it is none. */
export function parseMessageId(text: string): MessageId | undefined {
  if (text.length !== LENGTH) return undefined;
  let id = 0;
  for (const character of text.toLowerCase().replace(/[il]/g, "1").replace(/o/g, "0")) {
    const digit = DIGITS.indexOf(character);
    if (digit < 0) return undefined;
    id = id * 32 + digit;
  }
  return id > 0 && Number.isSafeInteger(id) ? id : undefined;
}
