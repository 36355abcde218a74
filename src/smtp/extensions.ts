/** What a server offers in its reply to EHLO or LHLO (RFC 5321 §4.1.1.1). */

import type { Reply } from "./reply.ts";

/** The extensions of a peer. */
export interface PeerExtensions {
  /** The name the peer gave itself, `""` if none. */
  readonly name: string;
  /** SIZE (RFC 1870): most octets of a message, 0 for no limit; undefined if SIZE is not offered. */
  readonly size: number | undefined;
  readonly pipelining: boolean;
  readonly chunking: boolean;
  readonly binarymime: boolean;
  readonly eightBitMime: boolean;
  readonly smtputf8: boolean;
  readonly dsn: boolean;
  readonly starttls: boolean;
  readonly requiretls: boolean;
  /** SASL mechanisms in upper case. */
  readonly auth: readonly string[];
  readonly enhancedStatusCodes: boolean;
  readonly mtPriority: boolean;
  readonly deliverBy: boolean;
  /** DELIVERBY (RFC 2852 §3): the shortest time in seconds that the peer takes with mode R; 0 if it names none. */
  readonly deliverByMinimum: number;
  readonly futureRelease: boolean;
  readonly noSoliciting: boolean;
  /** LIMITS (RFC 9422). */
  readonly limits: PeerLimits;
}

/** LIMITS (RFC 9422 §3): per transaction and connection; undefined where the peer names none. */
export interface PeerLimits {
  readonly mailMax?: number;
  readonly rcptMax?: number;
  readonly rcptDomainMax?: number;
}

/** A peer without any extension, as after HELO. */
export const NO_EXTENSIONS: PeerExtensions = {
  name: "",
  size: undefined,
  pipelining: false,
  chunking: false,
  binarymime: false,
  eightBitMime: false,
  smtputf8: false,
  dsn: false,
  starttls: false,
  requiretls: false,
  auth: [],
  enhancedStatusCodes: false,
  mtPriority: false,
  deliverBy: false,
  deliverByMinimum: 0,
  futureRelease: false,
  noSoliciting: false,
  limits: {},
};

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads the positive reply to EHLO or LHLO. Lines that are not understood are passed over. */
export function parseEhlo(reply: Reply): PeerExtensions {
  const [greeting = "", ...lines] = reply.text;
  const peer: Writable<PeerExtensions> = { ...NO_EXTENSIONS, name: greeting.trim().split(/\s+/)[0] ?? "" };
  for (const line of lines) {
    // "AUTH=PLAIN LOGIN" is an older spelling that some servers send beside the one of RFC 4954.
    const [keyword = "", ...values] = line.trim().replace(/^AUTH=/i, "AUTH ").split(/\s+/);
    readExtension(peer, keyword.toUpperCase(), values);
  }
  // RFC 3030 §3: BINARYMIME needs CHUNKING.
  if (!peer.chunking) peer.binarymime = false;
  return peer;
}

function readExtension(peer: Writable<PeerExtensions>, keyword: string, values: readonly string[]): void {
  switch (keyword) {
    case "SIZE":
      peer.size = number(values[0]) ?? 0;
      break;
    case "PIPELINING":
      peer.pipelining = true;
      break;
    case "CHUNKING":
      peer.chunking = true;
      break;
    case "BINARYMIME":
      peer.binarymime = true;
      break;
    case "8BITMIME":
      peer.eightBitMime = true;
      break;
    case "SMTPUTF8":
      peer.smtputf8 = true;
      break;
    case "DSN":
      peer.dsn = true;
      break;
    case "STARTTLS":
      peer.starttls = true;
      break;
    case "REQUIRETLS":
      peer.requiretls = true;
      break;
    case "AUTH":
      peer.auth = [...new Set([...peer.auth, ...values.map((value) => value.toUpperCase())])];
      break;
    case "ENHANCEDSTATUSCODES":
      peer.enhancedStatusCodes = true;
      break;
    case "MT-PRIORITY":
      peer.mtPriority = true;
      break;
    case "DELIVERBY":
      peer.deliverBy = true;
      peer.deliverByMinimum = number(values[0]) ?? 0;
      break;
    case "FUTURERELEASE":
      peer.futureRelease = true;
      break;
    case "NO-SOLICITING":
      peer.noSoliciting = true;
      break;
    case "LIMITS":
      peer.limits = parseLimits(values);
      break;
  }
}

function parseLimits(values: readonly string[]): PeerLimits {
  const limits: Writable<PeerLimits> = {};
  for (const value of values) {
    const [name = "", text] = value.split("=");
    const limit = number(text);
    if (limit === undefined || limit === 0) continue;
    if (/^MAILMAX$/i.test(name)) limits.mailMax = limit;
    else if (/^RCPTMAX$/i.test(name)) limits.rcptMax = limit;
    else if (/^RCPTDOMAINMAX$/i.test(name)) limits.rcptDomainMax = limit;
  }
  return limits;
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,20}$/.test(text) ? Math.min(Number(text), Number.MAX_SAFE_INTEGER) : undefined;
}
