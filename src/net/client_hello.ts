/**
 * Reads what a TLS client offers, before the handshake begins. The runtime takes no list of suites and follows the
 * client's order, so a listener with suites switched off has to know beforehand which suite would come of it. Pure.
 */

import { CIPHER_SUITES, permittedVersions, type TlsVersion, type VersionRange } from "./cipher_suites.ts";
import type { TlsSettings } from "../config/config.ts";

/** What a ClientHello offers. */
export interface ClientHello {
  /** Suite numbers in the client's order. */
  readonly suites: readonly number[];
  readonly versions: readonly TlsVersion[];
  /** Name asked for (RFC 6066 §3), as it was sent. */
  readonly serverName: string | undefined;
  /** Signatures that the client can check (RFC 8446 §4.2.3). */
  readonly signatures: readonly number[];
  /** Protocols offered by ALPN (RFC 7301). */
  readonly protocols: readonly string[];
  readonly sessionId: Uint8Array;
  /** The client's shares by group (RFC 8446 §4.2.8). */
  readonly shares: ReadonlyMap<number, Uint8Array>;
  /** The whole handshake message, without record headers. */
  readonly message: Uint8Array;
  /** What came behind the records of the message. */
  readonly rest: Uint8Array;
}

/** What the bytes so far amount to. */
export type ClientHelloResult =
  | { readonly kind: "incomplete" }
  | { readonly kind: "invalid"; readonly reason: string }
  | { readonly kind: "hello"; readonly hello: ClientHello };

/** Most octets looked at; a ClientHello with post-quantum key shares has about 2,000. */
export const CLIENT_HELLO_MAX = 16 * 1024;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const SIGNATURES = 13;
const PROTOCOLS = 16;
const SUPPORTED_VERSIONS = 43;
const KEY_SHARE = 51;

/** Reads the ClientHello at the start of `bytes`, which may be spread over several records (RFC 8446 §5.1). */
export function readClientHello(bytes: Uint8Array): ClientHelloResult {
  let message = new Uint8Array(0);
  let at = 0;
  for (;;) {
    if (message.length >= 4) {
      if (message[0] !== CLIENT_HELLO) return invalid("the first handshake message is no ClientHello");
      const length = 4 + uint(message, 1, 3);
      if (length > CLIENT_HELLO_MAX) return invalid("the ClientHello is too long");
      if (message.length >= length) {
        return readBody(new Reader(message.subarray(4, length)), message.subarray(0, length), bytes.subarray(at));
      }
    }
    if (at < bytes.length && bytes[at] !== HANDSHAKE_RECORD) return invalid("the first bytes are not TLS");
    if (bytes.length >= CLIENT_HELLO_MAX && at + 5 > bytes.length) return invalid("the ClientHello is too long");
    if (at + 5 > bytes.length) return { kind: "incomplete" };
    const length = uint(bytes, at + 3, 2);
    // An empty fragment would let this go on for ever (RFC 8446 §5.1 forbids it).
    if (length === 0) return invalid("an empty handshake record");
    const end = at + 5 + length;
    if (end > CLIENT_HELLO_MAX) return invalid("the ClientHello is too long");
    if (end > bytes.length) return { kind: "incomplete" };
    const joined = new Uint8Array(message.length + length);
    joined.set(message);
    joined.set(bytes.subarray(at + 5, end), message.length);
    message = joined;
    at = end;
  }
}

function readBody(body: Reader, message: Uint8Array, rest: Uint8Array): ClientHelloResult {
  // RFC 8446 §4.1.2: legacy version, random, session id, suites, compression methods, extensions.
  const legacy = body.uint(2);
  body.skip(32);
  const sessionId = body.vector(1).octets();
  const suites: number[] = [];
  for (const list = body.vector(2); list.left > 0;) suites.push(list.uint(2));
  body.vector(1);
  let versions: TlsVersion[] = legacy >= 0x0303 ? ["TLSv1.2"] : [];
  let serverName: string | undefined;
  const shares = new Map<number, Uint8Array>();
  const signatures: number[] = [];
  const protocols: string[] = [];
  if (body.left > 0) {
    for (const extensions = body.vector(2); extensions.left > 0;) {
      const type = extensions.uint(2);
      const data = extensions.vector(2);
      if (type === SUPPORTED_VERSIONS) versions = readVersions(data);
      else if (type === KEY_SHARE) readShares(data, shares);
      else if (type === SERVER_NAME) serverName = readServerName(data);
      else if (type === SIGNATURES) {
        for (const list = data.vector(2); list.left > 0;) signatures.push(list.uint(2));
      } else if (type === PROTOCOLS) {
        for (const list = data.vector(2); list.left > 0;) protocols.push(list.vector(1).text());
      }
      if (extensions.broken) break;
    }
  }
  if (body.broken) return invalid("the ClientHello is broken");
  return {
    kind: "hello",
    hello: { suites, versions, serverName, signatures, protocols, sessionId, shares, message, rest },
  };
}

function readVersions(data: Reader): TlsVersion[] {
  const versions: TlsVersion[] = [];
  for (const list = data.vector(1); list.left > 0;) {
    const version = list.uint(2);
    if (version === 0x0303) versions.push("TLSv1.2");
    else if (version === 0x0304) versions.push("TLSv1.3");
  }
  return versions;
}

function readShares(data: Reader, shares: Map<number, Uint8Array>): void {
  for (const list = data.vector(2); list.left > 0;) {
    const group = list.uint(2);
    shares.set(group, list.vector(2).octets());
  }
}

function readServerName(data: Reader): string | undefined {
  for (const list = data.vector(2); list.left > 0;) {
    const type = list.uint(1);
    const name = list.vector(2);
    if (type === 0) return name.text();
  }
  return undefined;
}

/** Reads forward; past the end it gives zeros and is `broken`, as are the readers it was made from. */
class Reader {
  #at = 0;
  #broken = false;
  readonly #parent: Reader | undefined;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, parent?: Reader) {
    this.#bytes = bytes;
    this.#parent = parent;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  get broken(): boolean {
    return this.#broken;
  }

  uint(size: number): number {
    if (size > this.left) return this.fail();
    const value = uint(this.#bytes, this.#at, size);
    this.#at += size;
    return value;
  }

  skip(size: number): void {
    if (size > this.left) this.fail();
    else this.#at += size;
  }

  /** What follows a length of `size` octets. */
  vector(size: number): Reader {
    const length = this.uint(size);
    const inner = new Reader(this.#bytes.subarray(this.#at, this.#at + Math.min(length, this.left)), this);
    if (length > this.left) this.fail();
    else this.#at += length;
    return inner;
  }

  /** All that is left. */
  octets(): Uint8Array {
    const octets = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return octets;
  }

  /** All that is left, octet by octet. */
  text(): string {
    return String.fromCharCode(...this.octets());
  }

  fail(): number {
    this.#at = this.#bytes.length;
    this.#broken = true;
    this.#parent?.fail();
    return 0;
  }
}

function uint(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = at; i < at + size; i++) value = value * 256 + (bytes[i] ?? 0);
  return value;
}

function invalid(reason: string): ClientHelloResult {
  return { kind: "invalid", reason };
}

/**
 * The versions to offer so that the suite the runtime will pick, the client's first for that version, is one that the
 * settings permit; the newer version where both would do.
 *
 * @param key kind of the certificate's key
 * @returns `undefined` if every way ends in a suite that is switched off, or in none
 */
export function versionsFor(
  hello: ClientHello,
  settings: Pick<TlsSettings, "disableProtocols" | "disableCiphers">,
  key: "rsa" | "ec" | undefined,
): VersionRange | undefined {
  for (const version of ["TLSv1.3", "TLSv1.2"] as const) {
    const only = [version === "TLSv1.3" ? "TLSv1.2" as const : "TLSv1.3" as const, ...settings.disableProtocols];
    if (!hello.versions.includes(version)) continue;
    if (permittedVersions({ ...settings, disableProtocols: only }, key) === undefined) continue;
    const usable = CIPHER_SUITES.filter((suite) =>
      suite.version === version && (suite.key === undefined || suite.key === key)
    );
    const code = hello.suites.find((offered) => usable.some((suite) => suite.code === offered));
    const picked = usable.find((suite) => suite.code === code);
    if (picked !== undefined && !settings.disableCiphers.includes(picked.setting)) {
      return { minVersion: version, maxVersion: version };
    }
  }
  return undefined;
}

const ECDSA: Readonly<Record<string, number>> = { prime256v1: 0x0403, secp384r1: 0x0503, secp521r1: 0x0603 };
const RSA_PSS = [0x0804, 0x0805, 0x0806];
const RSA_PKCS1 = [0x0401, 0x0501, 0x0601];

/** A key that signs handshakes. */
export interface SigningKey {
  readonly key: "rsa" | "ec" | undefined;
  /** Curve of an elliptic key, as OpenSSL calls it. */
  readonly curve?: string | undefined;
}

/**
 * Whether a client can shake hands with a server that has this key: it checks such signatures, and offers for TLS 1.2 a
 * suite for them.
 */
export function canCheck(
  { suites, signatures, versions }: ClientHello,
  { key, curve }: SigningKey,
  { disableProtocols }: Pick<TlsSettings, "disableProtocols">,
): boolean {
  if (key === undefined) return true;
  const speaks = (version: TlsVersion) => versions.includes(version) && !disableProtocols.includes(version);
  const checks = (codes: readonly (number | undefined)[]) =>
    codes.some((code) => code !== undefined && signatures.includes(code));
  const current = key === "ec" ? [ECDSA[curve ?? ""]] : RSA_PSS;
  if (speaks("TLSv1.3") && checks(current)) return true;
  return speaks("TLSv1.2") && checks(key === "ec" ? current : [...RSA_PSS, ...RSA_PKCS1]) &&
    CIPHER_SUITES.some((suite) => suite.version === "TLSv1.2" && suite.key === key && suites.includes(suite.code));
}
