/** Record sets as they are signed: out of a message, with data in canonical form (RFC 4034 §6). */

import { compareOctets, readName, toWire } from "./name.ts";

/** The types that matter here, by number. */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  TLSA: 52,
} as const;

/** A signature (RFC 4034 §3.1). */
export interface Signature {
  readonly typeCovered: number;
  readonly algorithm: number;
  readonly labels: number;
  readonly originalTtl: number;
  /** Seconds since the epoch, modulo 2^32. */
  readonly expiration: number;
  readonly inception: number;
  readonly keyTag: number;
  readonly signer: string;
  /** All of the data up to the signature, as it is signed. */
  readonly header: Uint8Array;
  readonly signature: Uint8Array;
}

/** Records of one name and type. */
export interface RecordSet {
  readonly name: string;
  readonly type: number;
  /** Seconds, the least of all. */
  readonly ttl: number;
  /** Canonical, sorted, each once. */
  readonly data: readonly Uint8Array[];
  readonly signatures: readonly Signature[];
}

/** The sections of a response that are signed. */
export interface Sections {
  readonly answers: readonly RecordSet[];
  readonly authorities: readonly RecordSet[];
}

const INTERNET = 1;

/**
 * Reads the record sets of a response.
 *
 * @throws {RangeError} if it is malformed
 */
export function readSections(message: Uint8Array): Sections {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 12;
  for (let left = view.getUint16(4); left > 0; left--) at = readName(message, at).next + 4;
  const section = (count: number) => {
    const sets = new Map<string, { name: string; type: number; ttl: number; data: Uint8Array[] }>();
    const signatures: { readonly name: string; readonly signature: Signature }[] = [];
    for (; count > 0; count--) {
      const { name, next } = readName(message, at);
      const type = view.getUint16(next);
      const ttl = view.getUint32(next + 4);
      const start = next + 10;
      const end = start + view.getUint16(next + 8);
      if (end > message.length) throw new RangeError("a record ends too early");
      at = end;
      if (view.getUint16(next + 2) !== INTERNET) continue;
      if (type === TYPE.RRSIG) {
        signatures.push({ name, signature: readSignature(message, start, end) });
        continue;
      }
      const key = `${name} ${type}`;
      let set = sets.get(key);
      if (set === undefined) sets.set(key, set = { name, type, ttl, data: [] });
      set.ttl = Math.min(set.ttl, ttl);
      set.data.push(canonicalData(message, type, start, end));
    }
    return [...sets.values()].map(({ data, ...set }): RecordSet => ({
      ...set,
      data: sortedOnce(data),
      signatures: signatures.filter(({ name, signature }) => name === set.name && signature.typeCovered === set.type)
        .map(({ signature }) => signature),
    }));
  };
  const answers = section(view.getUint16(6));
  return { answers, authorities: section(view.getUint16(8)) };
}

/** RFC 4034 §6.3: sorted, and no record twice. */
export function sortedOnce(data: readonly Uint8Array[]): readonly Uint8Array[] {
  const sorted = [...data].sort(compareOctets);
  return sorted.filter((one, index) => index === 0 || compareOctets(one, sorted[index - 1] ?? []) !== 0);
}

function readSignature(message: Uint8Array, start: number, end: number): Signature {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const { name: signer, next } = readName(message, start + 18);
  if (next > end) throw new RangeError("a signature ends too early");
  return {
    typeCovered: view.getUint16(start),
    algorithm: view.getUint8(start + 2),
    labels: view.getUint8(start + 3),
    originalTtl: view.getUint32(start + 4),
    expiration: view.getUint32(start + 8),
    inception: view.getUint32(start + 12),
    keyTag: view.getUint16(start + 16),
    signer,
    header: joined(message.slice(start, start + 18), toWire(signer)),
    signature: message.slice(next, end),
  };
}

/** Octets before the names in the data of a type, and how many names there are (RFC 4034 §6.2, RFC 6840 §5.1). */
const NAMES_IN: Readonly<Record<number, readonly [number, number]>> = {
  [TYPE.NS]: [0, 1],
  [TYPE.CNAME]: [0, 1],
  [TYPE.SOA]: [0, 2],
  [TYPE.PTR]: [0, 1],
  [TYPE.MX]: [2, 1],
  [TYPE.SRV]: [6, 1],
  [TYPE.DNAME]: [0, 1],
};

function canonicalData(message: Uint8Array, type: number, start: number, end: number): Uint8Array {
  const [before, names] = NAMES_IN[type] ?? [0, 0];
  if (names === 0) return message.slice(start, end);
  const parts: Uint8Array[] = [message.slice(start, start + before)];
  let at = start + before;
  for (let left: number = names; left > 0; left--) {
    const { name, next } = readName(message, at);
    parts.push(toWire(name));
    at = next;
  }
  if (at > end) throw new RangeError("the data of a record ends too early");
  return joined(...parts, message.slice(at, end));
}

/** One after the other. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The set of a name and type. */
export function setOf(sets: readonly RecordSet[], name: string, type: number): RecordSet | undefined {
  return sets.find((set) => set.type === type && set.name === name);
}
