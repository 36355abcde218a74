/** Messages of DNS signed with a shared secret (RFC 8945). Pure. */

import { createHmac, timingSafeEqual } from "node:crypto";
import { readName, toWire } from "../dns/mod.ts";
import { joined, type RawRecord, rcodeName, readMessage, uint16 } from "./dns_update.ts";

/** Hash, name on the wire (RFC 8945 §6) and octets of the MAC by the name that the configuration has. */
const ALGORITHMS = {
  "hmac-md5": { hash: "md5", wire: "hmac-md5.sig-alg.reg.int", size: 16 },
  "hmac-sha1": { hash: "sha1", wire: "hmac-sha1", size: 20 },
  "hmac-sha224": { hash: "sha224", wire: "hmac-sha224", size: 28 },
  "hmac-sha256": { hash: "sha256", wire: "hmac-sha256", size: 32 },
  "hmac-sha256-128": { hash: "sha256", wire: "hmac-sha256", size: 16 },
  "hmac-sha384": { hash: "sha384", wire: "hmac-sha384", size: 48 },
  "hmac-sha384-192": { hash: "sha384", wire: "hmac-sha384", size: 24 },
  "hmac-sha512": { hash: "sha512", wire: "hmac-sha512", size: 64 },
  "hmac-sha512-256": { hash: "sha512", wire: "hmac-sha512", size: 32 },
} as const;

/** Names of the algorithms. */
export type TsigAlgorithm = keyof typeof ALGORITHMS;

/** A secret that a server knows too. */
export interface TsigKey {
  /** Its name, as the server has it. */
  readonly name: string;
  readonly secret: Uint8Array;
  readonly algorithm: TsigAlgorithm;
}

const TSIG = 250;
const ANY = 255;
const BADTIME = 18;

/** Seconds that clocks may differ (RFC 8945 §10 recommends this). */
const FUDGE = 300;

/** A signed message. */
export interface SignedMessage {
  readonly bytes: Uint8Array;
  /** Goes into the MAC of the response. */
  readonly mac: Uint8Array;
}

/**
 * Signs a message that has no additional records.
 *
 * @param now milliseconds since the epoch
 */
export function signMessage(message: Uint8Array, key: TsigKey, now: number): SignedMessage {
  const { wire, size } = ALGORITHMS[key.algorithm];
  const time = uint48(Math.floor(now / 1000));
  const name = toWire(key.name);
  const mac = macOf(key, message, variables(name, toWire(wire), time, uint16(FUDGE), 0, NONE)).subarray(0, size);
  const data = joined(
    toWire(wire),
    time,
    uint16(FUDGE),
    uint16(mac.length),
    mac,
    message.subarray(0, 2),
    uint16(0),
    uint16(0),
  );
  const record = joined(name, uint16(TSIG), uint16(ANY), new Uint8Array(4), uint16(data.length), data);
  const bytes = joined(message, record);
  bytes[11] = (bytes[11] ?? 0) + 1;
  return { bytes, mac };
}

/** What a response is worth. */
export type TsigVerdict =
  /** Signed with the same key; what it says is what the server said. */
  | { readonly kind: "good" }
  /** Not signed, or signed in a way that proves nothing. `server`: what the server says is wrong with the request. */
  | { readonly kind: "bad"; readonly reason: string; readonly server?: true };

const NONE = new Uint8Array(0);

/**
 * Checks the response to a signed request (RFC 8945 §5.4).
 *
 * @param request MAC of the request
 * @throws {RangeError} if the message cannot be read
 */
export function verifyResponse(message: Uint8Array, request: Uint8Array, key: TsigKey, now: number): TsigVerdict {
  const { additionals, rcode } = readMessage(message);
  const record = additionals.at(-1);
  if (record?.type !== TSIG) {
    return { kind: "bad", reason: rcode === 0 ? "the answer is not signed" : `${rcodeName(rcode)}, not signed` };
  }
  const { algorithm, time, fudge, mac, originalId, error, other } = readTsig(record);
  const { wire, size } = ALGORITHMS[key.algorithm];
  // RFC 8945 §5.3.2: who cannot check a signature answers without one.
  if (mac.length === 0) {
    return { kind: "bad", server: true, reason: `the server says ${rcodeName(error)}${hintFor(error, key)}` };
  }
  if (record.name !== key.name || algorithm !== wire) {
    return { kind: "bad", reason: "the answer is signed by another key" };
  }
  const unsigned = message.slice(0, record.start);
  unsigned.set(originalId, 0);
  const count = (unsigned[10] ?? 0) * 256 + (unsigned[11] ?? 0) - 1;
  unsigned.set(uint16(count), 10);
  const wanted = macOf(
    key,
    uint16(request.length),
    request,
    unsigned,
    variables(toWire(key.name), toWire(wire), time, fudge, error, other),
  ).subarray(0, size);
  // RFC 8945 §5.2.2.1: a shorter MAC than the key is for proves too little, a longer one is none of this algorithm.
  const isRight = mac.length === wanted.length && timingSafeEqual(mac, wanted);
  if (!isRight) return { kind: "bad", reason: "the signature of the answer is wrong" };
  const seconds = Math.floor(now / 1000);
  if (error === BADTIME) {
    const ahead = readUint(other) - seconds;
    return { kind: "bad", server: true, reason: `the clock of the server differs by ${ahead} s from ours (BADTIME)` };
  }
  if (Math.abs(readUint(time) - seconds) > Math.max(readUint(fudge), FUDGE)) {
    return { kind: "bad", reason: "the answer was signed at another time" };
  }
  if (error !== 0) return { kind: "bad", server: true, reason: `the server says ${rcodeName(error)}` };
  return { kind: "good" };
}

function hintFor(error: number, { name, algorithm }: TsigKey): string {
  if (error === 17) return `: it has no key '${name}' for ${algorithm}`;
  return error === 16 ? `: its key '${name}' has another secret` : "";
}

function readTsig({ data }: RawRecord) {
  const { name: algorithm, next } = readName(data, 0);
  const macSize = readUint(data.subarray(next + 8, next + 10));
  const mac = data.subarray(next + 10, next + 10 + macSize);
  const rest = data.subarray(next + 10 + macSize);
  if (mac.length !== macSize || rest.length < 6) throw new RangeError("the TSIG record ends too early");
  return {
    algorithm,
    time: data.subarray(next, next + 6),
    fudge: data.subarray(next + 6, next + 8),
    mac,
    originalId: rest.subarray(0, 2),
    error: readUint(rest.subarray(2, 4)),
    other: rest.subarray(6, 6 + readUint(rest.subarray(4, 6))),
  };
}

/** What is signed beside the message (RFC 8945 §4.3.3). */
function variables(
  name: Uint8Array,
  algorithm: Uint8Array,
  time: Uint8Array,
  fudge: Uint8Array,
  error: number,
  other: Uint8Array,
): Uint8Array {
  return joined(
    name,
    uint16(ANY),
    new Uint8Array(4),
    algorithm,
    time,
    fudge,
    uint16(error),
    uint16(other.length),
    other,
  );
}

function macOf(key: TsigKey, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac(ALGORITHMS[key.algorithm].hash, key.secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

function uint48(value: number): Uint8Array {
  return joined(
    uint16(Math.floor(value / 2 ** 32)),
    uint16(Math.floor(value / 2 ** 16) % 2 ** 16),
    uint16(value % 2 ** 16),
  );
}

function readUint(bytes: Uint8Array): number {
  return bytes.reduce((value, octet) => value * 256 + octet, 0);
}
