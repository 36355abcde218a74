/** The record types as lookups give them: how each is read off the wire, kept, and what it costs to keep. */

import { Buffer } from "node:buffer";
import ipaddr from "ipaddr.js";
import { nameFromWire } from "./name.ts";
import type { MxRecord, TlsaRecord } from "./resolver.ts";
import type { RecordType } from "./wire.ts";

/** One kind of lookup. */
export interface Kind<T> {
  readonly type: RecordType;
  /** Key of `cache.dns.<type>.size`; `other` for types without one. */
  readonly cache: "ipv4" | "ipv6" | "mx" | "txt" | "ptr" | "tlsa" | "other";
  /** The record, or `undefined` if its data is of no use. */
  read(data: unknown): T | undefined;
  /** Octets that keeping `record` takes, roughly. */
  cost(record: T): number;
  /** Order in which records are given. */
  compare?(a: T, b: T): number;
}

// Host names as they may appear in records; "_" and "/" (RFC 2317) are not for hosts but do appear.
const HOST_NAME = /^[a-z0-9_\-/]+(\.[a-z0-9_\-/]+)*$/;

function readName(data: unknown): string | undefined {
  if (typeof data !== "string") return undefined;
  const name = nameFromWire(data);
  return HOST_NAME.test(name) && name.length <= 253 ? name : undefined;
}

const costOfText = (text: string) => text.length + 24;

const NAME = { read: readName, cost: costOfText } as const;

const ADDRESS = {
  read: (data: unknown) => typeof data === "string" && ipaddr.isValid(data) ? ipaddr.parse(data).toString() : undefined,
  cost: costOfText,
} as const;

export const A: Kind<string> = { type: "A", cache: "ipv4", ...ADDRESS };
export const AAAA: Kind<string> = { type: "AAAA", cache: "ipv6", ...ADDRESS };
export const PTR: Kind<string> = { type: "PTR", cache: "ptr", ...NAME };
export const CNAME: Kind<string> = { type: "CNAME", cache: "other", ...NAME };
export const NS: Kind<string> = { type: "NS", cache: "other", ...NAME };

export const MX: Kind<MxRecord> = {
  type: "MX",
  cache: "mx",
  read(data) {
    const { preference, exchange } = data as { preference: number; exchange: string };
    // RFC 7505: the root as exchange says that the domain takes no mail.
    const name = exchange === "." || exchange === "" ? "" : readName(exchange);
    return name === undefined ? undefined : { preference, exchange: name };
  },
  cost: ({ exchange }) => exchange.length + 48,
  compare: (a, b) => a.preference - b.preference,
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const TXT: Kind<string> = {
  type: "TXT",
  cache: "txt",
  read(data) {
    // RFC 7208 §3.3: the strings of one record are joined without space.
    const bytes = Buffer.concat(data as Buffer[]);
    try {
      return utf8.decode(bytes);
    } catch {
      return bytes.toString("latin1");
    }
  },
  cost: (text) => text.length + 24,
};

export const TLSA: Kind<TlsaRecord> = {
  type: "TLSA",
  cache: "tlsa",
  read(data) {
    const { usage, selector, matchingType, certificate } = data as {
      usage: number;
      selector: number;
      matchingType: number;
      certificate: Uint8Array;
    };
    // A copy: the message's buffer must not live as long as the cache.
    return { usage, selector, matchingType, data: new Uint8Array(certificate) };
  },
  cost: ({ data }) => data.length + 120,
};
