/** Dynamic updates of DNS on the wire (RFC 2136), as far as one TXT record needs them. Pure. */

import { readName, toWire } from "../dns/mod.ts";

const TYPE = { soa: 6, txt: 16 } as const;
const CLASS = { in: 1, none: 254 } as const;

/** OPCODE 5 (RFC 2136 §1.3). */
const UPDATE_FLAGS = 5 << 11;

/** One change of a TXT record. */
export interface TxtChange {
  readonly kind: "add" | "remove";
  /** Canonical name: lower case, no final dot. */
  readonly name: string;
  readonly value: string;
  /** Seconds. */
  readonly ttl: number;
}

/** Encodes an update of `zone` that makes one change. */
export function encodeUpdate(id: number, zone: string, { kind, name, value, ttl }: TxtChange): Uint8Array {
  const octets = new TextEncoder().encode(value);
  if (octets.length > 255) throw new RangeError("a character string has at most 255 octets");
  const data = Uint8Array.of(octets.length, ...octets);
  // RFC 2136 §2.5.1: a record is added; §2.5.4: with class NONE and no TTL exactly this one is removed.
  const [klass, life] = kind === "add" ? [CLASS.in, ttl] : [CLASS.none, 0];
  return joined(
    header(id, UPDATE_FLAGS, [1, 0, 1, 0]),
    toWire(zone),
    uint16(TYPE.soa),
    uint16(CLASS.in),
    toWire(name),
    uint16(TYPE.txt),
    uint16(klass),
    uint32(life),
    uint16(data.length),
    data,
  );
}

/** Encodes the question for the SOA record of a name, whose answer tells the zone that holds the name. */
export function encodeSoaQuery(id: number, name: string): Uint8Array {
  return joined(header(id, 0, [1, 0, 0, 0]), toWire(name), uint16(TYPE.soa), uint16(CLASS.in));
}

/** A record as it stands in a message. */
export interface RawRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  readonly data: Uint8Array;
  /** Where the record begins. */
  readonly start: number;
}

/** A message taken apart. */
export interface RawMessage {
  readonly id: number;
  readonly isResponse: boolean;
  readonly opcode: number;
  readonly rcode: number;
  readonly truncated: boolean;
  readonly answers: readonly RawRecord[];
  readonly authorities: readonly RawRecord[];
  readonly additionals: readonly RawRecord[];
}

/** Most records of a message that are looked at. */
const MOST_RECORDS = 200;

/**
 * Takes a message apart.
 *
 * @throws {RangeError} if it is none
 */
export function readMessage(bytes: Uint8Array): RawMessage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2);
  let at = 12;
  for (let left = view.getUint16(4); left > 0; left--) at = readName(bytes, at).next + 4;
  let count = 0;
  const section = (size: number): RawRecord[] => {
    const records: RawRecord[] = [];
    for (let left = size; left > 0; left--) {
      if (++count > MOST_RECORDS) throw new RangeError("the message has too many records");
      const start = at;
      const { name, next } = readName(bytes, at);
      const length = view.getUint16(next + 8);
      at = next + 10 + length;
      if (at > bytes.length) throw new RangeError("a record ends too early");
      records.push({
        name,
        type: view.getUint16(next),
        class: view.getUint16(next + 2),
        ttl: view.getUint32(next + 4),
        data: bytes.subarray(next + 10, at),
        start,
      });
    }
    return records;
  };
  return {
    id: view.getUint16(0),
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0x0f,
    rcode: flags & 0x0f,
    truncated: (flags & 0x0200) !== 0,
    answers: section(view.getUint16(6)),
    authorities: section(view.getUint16(8)),
    additionals: section(view.getUint16(10)),
  };
}

/** The zone that an answer to {@link encodeSoaQuery} names; `undefined` if it names none. */
export function zoneOf({ answers, authorities }: RawMessage): string | undefined {
  return [...answers, ...authorities].find(({ type }) => type === TYPE.soa)?.name;
}

const RCODES: Readonly<Record<number, string>> = {
  1: "FORMERR",
  2: "SERVFAIL",
  3: "NXDOMAIN",
  4: "NOTIMP",
  5: "REFUSED",
  6: "YXDOMAIN",
  7: "YXRRSET",
  8: "NXRRSET",
  9: "NOTAUTH",
  10: "NOTZONE",
  16: "BADSIG",
  17: "BADKEY",
  18: "BADTIME",
  22: "BADTRUNC",
};

/** The name of a response code (RFC 2136 §2.2, RFC 8945 §3). */
export function rcodeName(code: number): string {
  return RCODES[code] ?? `code ${code}`;
}

function header(id: number, flags: number, counts: readonly number[]): Uint8Array {
  return joined(uint16(id), uint16(flags), ...counts.map(uint16));
}

/** An unsigned integer of 16 bits, in network order. */
export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8 & 0xff, value & 0xff);
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16 & 0xff, value >>> 8 & 0xff, value & 0xff);
}

/** Octets one after the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
