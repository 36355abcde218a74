/** Proofs that something is not there: NSEC (RFC 4035 §5.4) and NSEC3 (RFC 5155 §8). */

import { createHash } from "node:crypto";
import { compareNames, compareOctets, isWithin, labelsOf, lastLabels, readName, toWire, wildcardOf } from "./name.ts";
import { joined, type RecordSet, TYPE } from "./record.ts";

/** What the records prove about a name and type. */
export type Denial =
  /** The name is there, the type is not; `delegation` if another zone begins there. */
  | { readonly kind: "no-data"; readonly delegation: boolean }
  | { readonly kind: "no-name" }
  /** There may be something that is not signed (opt-out), or the proof costs more than it is worth. */
  | { readonly kind: "unsigned" };

interface Range {
  readonly types: ReadonlySet<number>;
  /** Where the record stands: a name, or octets of a hash. */
  isAt(name: string): boolean;
  covers(name: string): boolean;
}

interface NsecRange extends Range {
  readonly owner: string;
  readonly next: string;
}

interface Nsec3Range extends Range {
  readonly optOut: boolean;
  readonly iterations: number;
}

// RFC 9276 §3.2: more make the answer count as unsigned. Zones that are well kept have none.
const MOST_ITERATIONS = 100;

/**
 * What record sets that are known to be signed by `zone` prove about a name and type.
 *
 * @returns `undefined` if they prove nothing
 */
export function denialOf(name: string, type: number, sets: readonly RecordSet[], zone: string): Denial | undefined {
  if (!isWithin(name, zone)) return undefined;
  const nsec = nsecRanges(sets, zone);
  const byName = nsecDenial(name, type, nsec);
  if (byName !== undefined) return byName;
  const nsec3 = nsec3Ranges(sets, zone);
  return nsec3 === "costly" ? { kind: "unsigned" } : nsec3Denial(name, type, nsec3, zone);
}

/**
 * Whether the records prove that nothing closer to `name` than a wildcard below its last `labels` labels is there
 * (RFC 4035 §5.3.4, RFC 5155 §8.8).
 *
 * @returns `unsigned` if something may be there that is not signed (RFC 5155 §9.2), or the proof costs more than it is
 * worth; `undefined` if they prove nothing
 */
export function wildcardProof(
  name: string,
  labels: number,
  sets: readonly RecordSet[],
  zone: string,
): "proven" | "unsigned" | undefined {
  const nextCloser = lastLabels(name, labels + 1);
  const nsec = nsecRanges(sets, zone);
  const proven = nsec.some((range) =>
    range.covers(nextCloser) && !isWithin(range.next, nextCloser) &&
    (!isWithin(nextCloser, range.owner) || speaksFor(range))
  );
  if (proven) return "proven";
  const nsec3 = nsec3Ranges(sets, zone);
  if (nsec3 === "costly") return "unsigned";
  const closer = nsec3.find((range) => range.covers(nextCloser));
  return closer === undefined ? undefined : closer.optOut ? "unsigned" : "proven";
}

/** RFC 6840 §4.1, §4.4: a record at a delegation or a DNAME says nothing about names below it. */
function speaksFor({ types }: Range): boolean {
  return !(types.has(TYPE.NS) && !types.has(TYPE.SOA)) && !types.has(TYPE.DNAME);
}

/** What a record at the very name says. */
function noDataAt(range: Range, name: string, type: number): Denial | undefined {
  const { types } = range;
  if (types.has(type) || types.has(TYPE.CNAME)) return undefined;
  const delegation = types.has(TYPE.NS) && !types.has(TYPE.SOA);
  if (type === TYPE.DS) {
    // RFC 4035 §5.2: the zone above has to say it, not the one that begins here.
    if (types.has(TYPE.SOA) && name !== "") return undefined;
  } else if (delegation) return undefined;
  return { kind: "no-data", delegation };
}

function nsecDenial(name: string, type: number, ranges: readonly NsecRange[]): Denial | undefined {
  const here = ranges.find((range) => range.isAt(name));
  if (here !== undefined) return noDataAt(here, name, type);
  const around = ranges.find((range) => range.covers(name) && (!isWithin(name, range.owner) || speaksFor(range)));
  if (around === undefined) return undefined;
  // A name with something below it is there, without records (an empty non-terminal).
  if (isWithin(around.next, name)) return { kind: "no-data", delegation: false };
  const encloser = longestShared(name, around.owner, around.next);
  const wildcard = wildcardOf(encloser);
  const source = ranges.find((range) => range.isAt(wildcard));
  if (source !== undefined) return noDataAt(source, wildcard, type);
  return ranges.some((range) => range.covers(wildcard)) ? { kind: "no-name" } : undefined;
}

function longestShared(name: string, ...others: readonly string[]): string {
  let shared = 0;
  const labels = labelsOf(name);
  for (const other of others) {
    const theirs = labelsOf(other);
    let count = 0;
    while (count < labels.length && count < theirs.length && labels.at(-1 - count) === theirs.at(-1 - count)) count++;
    shared = Math.max(shared, count);
  }
  return lastLabels(name, shared);
}

/** Only what stays within the zone: no zone can speak about the names of others. */
function nsecRanges(sets: readonly RecordSet[], zone: string): readonly NsecRange[] {
  return sets.filter(({ type }) => type === TYPE.NSEC).flatMap(readNsec)
    .filter(({ owner, next }) => isWithin(owner, zone) && isWithin(next, zone));
}

function readNsec({ name: owner, data: [data] }: RecordSet): NsecRange[] {
  if (data === undefined) return [];
  let next: string;
  let types: ReadonlySet<number>;
  try {
    const read = readName(data, 0);
    next = read.name;
    types = readTypes(data.subarray(read.next));
  } catch {
    return [];
  }
  return [{
    owner,
    next,
    types,
    isAt: (name) => name === owner,
    covers(name) {
      if (compareNames(owner, name) >= 0) return false;
      // The last record of a zone leads back to its beginning.
      return compareNames(owner, next) < 0 ? compareNames(name, next) < 0 : isWithin(name, next);
    },
  }];
}

function nsec3Denial(name: string, type: number, ranges: readonly Nsec3Range[], zone: string): Denial | undefined {
  const here = ranges.find((range) => range.isAt(name));
  if (here !== undefined) return noDataAt(here, name, type);
  // RFC 5155 §8.3: the closest name that exists, and the next one towards `name`, which does not.
  const zoneLabels = labelsOf(zone).length;
  for (let count = labelsOf(name).length - 1; count >= zoneLabels; count--) {
    const encloser = lastLabels(name, count);
    const there = ranges.find((range) => range.isAt(encloser));
    if (there === undefined) continue;
    const closer = ranges.find((range) => range.covers(lastLabels(name, count + 1)));
    if (closer === undefined || !speaksFor(there)) return undefined;
    if (type === TYPE.DS && closer.optOut) return { kind: "unsigned" };
    const wildcard = wildcardOf(encloser);
    const source = ranges.find((range) => range.isAt(wildcard));
    const isDenied = ranges.some((range) => range.covers(wildcard));
    const denial = source !== undefined
      ? noDataAt(source, wildcard, type)
      : isDenied
      ? { kind: "no-name" as const }
      : undefined;
    // RFC 5155 §9.2.
    return denial !== undefined && closer.optOut ? { kind: "unsigned" } : denial;
  }
  return undefined;
}

function nsec3Ranges(sets: readonly RecordSet[], zone: string): readonly Nsec3Range[] | "costly" {
  const ranges: Nsec3Range[] = [];
  const hashes = new Map<string, Uint8Array>();
  for (const { type, name, data: [data] } of sets) {
    if (type !== TYPE.NSEC3 || data === undefined) continue;
    const owner = fromBase32(labelsOf(name)[0] ?? "");
    const [algorithm, flags = 0, high = 0, low = 0, saltSize = 0] = data;
    const iterations = high * 256 + low;
    const salt = data.subarray(5, 5 + saltSize);
    const size = data[5 + saltSize] ?? 0;
    const next = data.subarray(6 + saltSize, 6 + saltSize + size);
    // RFC 5155 §8.1, §8.2: unknown hashes and flags are passed over.
    if (algorithm !== 1 || flags > 1 || owner?.length !== 20 || next.length !== 20) continue;
    if (name !== (zone === "" ? labelsOf(name)[0] : `${labelsOf(name)[0]}.${zone}`)) continue;
    if (iterations > MOST_ITERATIONS) return "costly";
    const hashOf = (asked: string) => {
      const key = `${iterations} ${salt.toHex()} ${asked}`;
      let hash = hashes.get(key);
      if (hash === undefined) hashes.set(key, hash = nsec3Hash(asked, salt, iterations));
      return hash;
    };
    let types: ReadonlySet<number>;
    try {
      types = readTypes(data.subarray(6 + saltSize + size));
    } catch {
      continue;
    }
    ranges.push({
      types,
      optOut: (flags & 1) !== 0,
      iterations,
      isAt: (asked) => compareOctets(hashOf(asked), owner) === 0,
      covers(asked) {
        const hash = hashOf(asked);
        const after = compareOctets(owner, hash) < 0;
        const before = compareOctets(hash, next) < 0;
        // The last record leads back to the first.
        return compareOctets(owner, next) < 0 ? after && before : after || before;
      },
    });
  }
  return ranges;
}

/** RFC 5155 §5. */
export function nsec3Hash(name: string, salt: Uint8Array, iterations: number): Uint8Array {
  let hash: Uint8Array = createHash("sha1").update(joined(toWire(name), salt)).digest();
  for (let i = 0; i < iterations; i++) hash = createHash("sha1").update(joined(hash, salt)).digest();
  return hash;
}

/** The type bit maps of RFC 4034 §4.1.2. @throws {RangeError} if they are cut short */
function readTypes(octets: Uint8Array): ReadonlySet<number> {
  const types = new Set<number>();
  for (let at = 0; at < octets.length;) {
    const window = octets[at] ?? 0;
    const size = octets[at + 1] ?? 0;
    if (size < 1 || size > 32 || at + 2 + size > octets.length) throw new RangeError("not a map of types");
    for (let i = 0; i < size * 8; i++) {
      if (((octets[at + 2 + (i >> 3)] ?? 0) & (0x80 >> (i & 7))) !== 0) types.add(window * 256 + i);
    }
    at += 2 + size;
  }
  return types;
}

const BASE32 = "0123456789abcdefghijklmnopqrstuv";

/** RFC 4648 §7, without padding. */
function fromBase32(text: string): Uint8Array | undefined {
  const octets = new Uint8Array(Math.floor(text.length * 5 / 8));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const character of text) {
    const value = BASE32.indexOf(character);
    if (value < 0) return undefined;
    held = (held << 5 | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      octets[at++] = (held >> bits) & 0xff;
    }
  }
  return octets;
}
