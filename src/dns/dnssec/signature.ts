/** Whether a record set is signed by a key of its zone (RFC 4035 §5.3). */

import { isSignedWith, type ZoneKey } from "./key.ts";
import { isWithin, labelsOf, lastLabels, toWire, wildcardOf } from "./name.ts";
import { joined, type RecordSet, type Signature } from "./record.ts";

/** A record set that is signed. */
export interface Signed {
  readonly signature: Signature;
  /** Labels of the name that the signature covers, if a wildcard stands for the rest. */
  readonly wildcardLabels: number | undefined;
  /** Seconds that the set may be kept. */
  readonly ttl: number;
}

/** Counts how often a signature was checked, so that no answer can keep the processor busy for long. */
export interface Effort {
  left: number;
}

// Signatures and keys of one set that are tried; more than that only attacks have.
const MOST_SIGNATURES = 8;
const MOST_KEYS = 4;

/**
 * Looks for a signature of the set that one of `keys` has made.
 *
 * @param now seconds since the epoch
 * @returns why there is none, in words, or what was found
 */
export function checkSignatures(
  set: RecordSet,
  zone: string,
  keys: readonly ZoneKey[],
  now: number,
  effort: Effort,
): Signed | string {
  if (!isWithin(set.name, zone)) return `${zone || "."} cannot sign ${set.name || "."}`;
  let why = `no signature of ${zone || "."}`;
  for (const signature of set.signatures.slice(0, MOST_SIGNATURES)) {
    if (signature.signer !== zone) continue;
    // The asterisk of a wildcard does not count (RFC 4034 §3.1.3).
    const labels = labelsOf(set.name).filter((label, index) => index > 0 || label !== "*").length;
    if (signature.labels > labels) continue;
    // RFC 4034 §3.1.5: serial number arithmetic.
    if (since(signature.inception, now) < 0) {
      why = "the signature is not valid yet";
      continue;
    }
    const left = since(now, signature.expiration);
    if (left < 0) {
      why = "the signature has expired";
      continue;
    }
    const fitting = keys.filter(({ tag, algorithm }) => tag === signature.keyTag && algorithm === signature.algorithm);
    if (fitting.length === 0) why = `no key ${signature.keyTag} of ${zone || "."}`;
    for (const key of fitting.slice(0, MOST_KEYS)) {
      if (effort.left-- <= 0) return "there are too many signatures to check";
      if (!isSignedWith(key, signedOctets(set, signature, labels), signature.signature)) {
        why = "the signature does not fit";
        continue;
      }
      return {
        signature,
        wildcardLabels: signature.labels < labels ? signature.labels : undefined,
        ttl: Math.min(set.ttl, signature.originalTtl, left),
      };
    }
  }
  return why;
}

/** Seconds from `a` to `b`, both modulo 2^32. */
function since(a: number, b: number): number {
  return (b - a) | 0;
}

/** RFC 4034 §3.1.8.1. */
function signedOctets(set: RecordSet, signature: Signature, labels: number): Uint8Array {
  const owner = signature.labels < labels ? wildcardOf(lastLabels(set.name, signature.labels)) : set.name;
  const name = toWire(owner);
  const parts: Uint8Array[] = [signature.header];
  for (const data of set.data) {
    const fixed = new DataView(new ArrayBuffer(10));
    fixed.setUint16(0, set.type);
    fixed.setUint16(2, 1);
    fixed.setUint32(4, signature.originalTtl);
    fixed.setUint16(8, data.length);
    parts.push(name, new Uint8Array(fixed.buffer), data);
  }
  return joined(...parts);
}
