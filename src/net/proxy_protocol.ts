/**
 * PROXY protocol, versions 1 and 2, as published with HAProxy ("The PROXY protocol", 2020/03/05): the header with which a
 * load balancer tells whom a connection really comes from. The reader is pure: bytes in, verdict out.
 */

import { canonicalIp } from "./ip.ts";
import type { Endpoint } from "./connection.ts";

/** One type-length-value field of a version 2 header. */
export interface ProxyTlv {
  readonly type: number;
  readonly value: Uint8Array;
}

/** A complete header. */
export interface ProxyHeader {
  readonly version: 1 | 2;
  /**
   * Client and the address it connected to; `undefined` where the header speaks for the proxy itself (`LOCAL`,
   * a health check) or tells of no internet address (`UNKNOWN`, `AF_UNSPEC`, `AF_UNIX`): the socket's own addresses hold.
   */
  readonly addresses: { readonly source: Endpoint; readonly destination: Endpoint } | undefined;
  readonly tlvs: readonly ProxyTlv[];
}

/** What the bytes so far amount to. */
export type ProxyResult =
  /** All bytes fit a header, more are needed. */
  | { readonly kind: "incomplete" }
  /** No header can come of it. */
  | { readonly kind: "invalid"; readonly reason: string }
  /** A header of `length` octets; what follows belongs to the connection. */
  | { readonly kind: "header"; readonly header: ProxyHeader; readonly length: number };

/** Longest version 1 line, CRLF included (§2.1). */
const V1_MAX = 107;
/** Fixed part of a version 2 header (§2.2). */
const V2_FIXED = 16;
/** Most octets after the fixed part that are taken: addresses need at most 216, TLVs of real proxies a few hundred. */
const V2_MAX_REST = 4096;
/** Most TLVs taken. */
const V2_MAX_TLVS = 64;

/** No header is longer, so nothing beyond this many octets need be buffered. */
export const PROXY_HEADER_MAX = V2_FIXED + V2_MAX_REST;

const V1_START = ascii("PROXY ");
const V2_START = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const INCOMPLETE: ProxyResult = { kind: "incomplete" };

/** Reads the header at the start of `bytes`. Whatever is split off by the network gives `incomplete` until it is there. */
export function readProxyHeader(bytes: Uint8Array): ProxyResult {
  if (bytes.length === 0) return INCOMPLETE;
  if (bytes[0] === V1_START[0]) return readV1(bytes);
  if (bytes[0] === V2_START[0]) return readV2(bytes);
  return invalid("the connection does not begin with a PROXY header");
}

function readV1(bytes: Uint8Array): ProxyResult {
  if (!agrees(bytes, V1_START)) return invalid("the connection does not begin with a PROXY header");
  const end = bytes.subarray(0, V1_MAX).indexOf(0x0a);
  if (end < 0) return bytes.length >= V1_MAX ? invalid("the version 1 line is too long") : INCOMPLETE;
  if (bytes[end - 1] !== 0x0d) return invalid("the version 1 line does not end in CRLF");
  const line = String.fromCharCode(...bytes.subarray(0, end - 1));
  const header = (addresses: ProxyHeader["addresses"]): ProxyResult => ({
    kind: "header",
    header: { version: 1, addresses, tlvs: [] },
    length: end + 1,
  });
  const words = line.split(" ");
  // §2.1: after UNKNOWN the receiver ignores anything up to the CRLF.
  if (words[1] === "UNKNOWN") return header(undefined);
  const [, family, from, to, fromPort, toPort, ...more] = words;
  if (family !== "TCP4" && family !== "TCP6") return invalid("the version 1 line names no known family");
  const source = v1Endpoint(family, from, fromPort);
  const destination = v1Endpoint(family, to, toPort);
  if (source === undefined || destination === undefined || more.length > 0) {
    return invalid("the version 1 line does not hold two addresses and two ports");
  }
  return header({ source, destination });
}

function v1Endpoint(family: "TCP4" | "TCP6", address = "", port = ""): Endpoint | undefined {
  if (address.includes(":") !== (family === "TCP6") || !/^[0-9a-fA-F:.]+$/.test(address)) return undefined;
  // §2.1: ports are decimal, 0 to 65535, without leading zeroes.
  if (!/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 0xffff) return undefined;
  const ip = canonicalIp(address);
  return ip === undefined ? undefined : { ip, port: Number(port) };
}

function readV2(bytes: Uint8Array): ProxyResult {
  if (!agrees(bytes, V2_START)) return invalid("the connection does not begin with a PROXY header");
  const command = bytes[12];
  if (command === undefined) return INCOMPLETE;
  if (command >> 4 !== 2) return invalid(`the binary header has version ${command >> 4}, not 2`);
  // §2.2: 0 is LOCAL, 1 is PROXY; "receivers must drop connections presenting unexpected values".
  const local = (command & 0x0f) === 0;
  if (!local && (command & 0x0f) !== 1) return invalid(`the binary header has the unknown command ${command & 0x0f}`);
  if (bytes.length < V2_FIXED) return INCOMPLETE;
  const rest = byte(bytes, 14) << 8 | byte(bytes, 15);
  if (rest > V2_MAX_REST) return invalid(`the binary header claims ${rest} octets, more than ${V2_MAX_REST}`);
  if (bytes.length < V2_FIXED + rest) return INCOMPLETE;
  const body = bytes.subarray(V2_FIXED, V2_FIXED + rest);
  const length = V2_FIXED + rest;
  // §2.2: for LOCAL the receiver "must discard the protocol block including the family".
  if (local) return { kind: "header", header: { version: 2, addresses: undefined, tlvs: [] }, length };

  const family = byte(bytes, 13) >> 4;
  const transport = byte(bytes, 13) & 0x0f;
  if (family > 3 || transport > 2) return invalid("the binary header has an unknown address family or transport");
  const size = [0, 12, 36, 216][family] ?? 0;
  if (rest < size) return invalid(`the binary header holds ${rest} octets, its addresses need ${size}`);
  const tlvs = readTlvs(body.subarray(size));
  if (typeof tlvs === "string") return invalid(tlvs);
  return { kind: "header", header: { version: 2, addresses: v2Addresses(family, transport, body), tlvs }, length };
}

function v2Addresses(family: number, transport: number, body: Uint8Array): ProxyHeader["addresses"] {
  // Only a stream over IPv4 (0x11) or IPv6 (0x21) can be what was accepted here; all else is as UNSPEC (§2.2).
  if (transport !== 1 || (family !== 1 && family !== 2)) return undefined;
  const width = family === 1 ? 4 : 16;
  const endpoint = (at: number, port: number): Endpoint => ({
    ip: binaryIp(body.subarray(at, at + width)),
    port: byte(body, port) << 8 | byte(body, port + 1),
  });
  return { source: endpoint(0, 2 * width), destination: endpoint(width, 2 * width + 2) };
}

function binaryIp(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((byte(octets, i) << 8 | byte(octets, i + 1)).toString(16));
  return canonicalIp(groups.join(":")) ?? "";
}

function readTlvs(bytes: Uint8Array): ProxyTlv[] | string {
  const tlvs: ProxyTlv[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (tlvs.length === V2_MAX_TLVS) return `the binary header holds more than ${V2_MAX_TLVS} fields`;
    const start = at + 3;
    const end = start + (byte(bytes, at + 1) << 8 | byte(bytes, at + 2));
    if (start > bytes.length || end > bytes.length) return "a field of the binary header reaches past its end";
    tlvs.push({ type: byte(bytes, at), value: bytes.slice(start, end) });
    at = end;
  }
  return tlvs;
}

/** Whether `bytes` and `start` are equal as far as both go. */
function agrees(bytes: Uint8Array, start: Uint8Array): boolean {
  const length = Math.min(bytes.length, start.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== start[i]) return false;
  return true;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function invalid(reason: string): ProxyResult {
  return { kind: "invalid", reason };
}
