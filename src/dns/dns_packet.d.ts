/** The part of npm's `dns-packet` that this room uses; the package ships no types. */

import type { Buffer } from "node:buffer";

export interface Question {
  name: string;
  type: string;
  class?: string;
}

export interface WireRecord {
  name: string;
  /** `UNKNOWN_<number>` for types without a codec. */
  type: string;
  class?: string;
  /** Seconds; absent on OPT. */
  ttl?: number;
  /** Shape depends on the type. */
  data?: unknown;
  /** OPT only. */
  udpPayloadSize?: number;
  extendedRcode?: number;
  flags?: number;
  options?: { code: number; data: Buffer }[];
}

export interface Packet {
  id?: number;
  type?: "query" | "response";
  flags?: number;
  questions?: Question[];
  answers?: WireRecord[];
  authorities?: WireRecord[];
  additionals?: WireRecord[];
}

export interface DecodedPacket {
  id: number;
  type: "query" | "response";
  flags: number;
  questions: Question[];
  answers: WireRecord[];
  authorities: WireRecord[];
  additionals: WireRecord[];
}

export const RECURSION_DESIRED: number;
export const RECURSION_AVAILABLE: number;
export const AUTHENTIC_DATA: number;
export const CHECKING_DISABLED: number;
export const TRUNCATED_RESPONSE: number;
export const AUTHORITATIVE_ANSWER: number;
export const DNSSEC_OK: number;

/** @throws {Error} if a record's data does not fit its type */
export function encode(packet: Packet): Buffer;

/**
 * `bytes` is the number of octets the last message took; it can be more than there were.
 *
 * @throws {Error} if the bytes are not a DNS message
 */
export const decode: ((bytes: Buffer) => DecodedPacket) & { readonly bytes: number };
