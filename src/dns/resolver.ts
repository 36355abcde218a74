/** The interface every room asks DNS through; the real resolver and a test's zone both implement it. */

/** What DNSSEC says of an answer. `insecure` also when nobody validated. */
export type Security = "secure" | "insecure" | "bogus" | "indeterminate";

/** Records of one type, after following CNAMEs. An empty `records` with `exists` true is NODATA. */
export interface Answer<T> {
  readonly records: readonly T[];
  /** False for NXDOMAIN. */
  readonly exists: boolean;
  readonly security: Security;
  /** The canonical name reached after CNAMEs, lower case without final dot. */
  readonly name: string;
  /** Milliseconds since the epoch up to which it may be kept; absent if it may not be. */
  readonly until?: number;
}

/** One MX record; `exchange` in lower case without final dot, `""` is the null MX (RFC 7505). */
export interface MxRecord {
  readonly preference: number;
  readonly exchange: string;
}

/** One TLSA record (RFC 6698). */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly data: Uint8Array;
}

/** The lookup failed for now: timeout, SERVFAIL, unreachable servers, bogus. Never means "does not exist". */
export class DnsError extends Error {
  override readonly name = "DnsError";
  constructor(
    message: string,
    readonly reason: "timeout" | "servfail" | "refused" | "bogus" | "network" | "malformed",
  ) {
    super(message);
  }
}

/**
 * Asks DNS. Names are plain text with or without final dot; U-labels are sent as A-labels.
 *
 * Every method rejects with {@link DnsError} when there is no usable answer; "no such name" is an answer.
 */
export interface Resolver {
  a(name: string): Promise<Answer<string>>;
  aaaa(name: string): Promise<Answer<string>>;
  mx(name: string): Promise<Answer<MxRecord>>;
  /** Each TXT record joined to one string (bytes as Latin-1 code points when not UTF-8). */
  txt(name: string): Promise<Answer<string>>;
  /** Reverse names of an IP address; of anything else the PTR records of that name, such as `7.2.0.192.in-addr.arpa`. */
  ptr(ip: string): Promise<Answer<string>>;
  tlsa(name: string): Promise<Answer<TlsaRecord>>;
  cname(name: string): Promise<Answer<string>>;
  ns(name: string): Promise<Answer<string>>;
}
