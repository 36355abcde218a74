/**
 * What DANE has to know of a certificate. `node:crypto` gives no exact octets of the public key and no extensions, and
 * TLSA records are digests of exact octets (RFC 6698 §1.1), so the outer structure is read here.
 */

import { X509Certificate } from "node:crypto";

/** A certificate as DANE sees it. */
export interface Certificate {
  readonly der: Uint8Array;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly x509: X509Certificate;
  /** Names as text, one attribute a line. */
  readonly subject: string;
  readonly issuer: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** DNS names of subjectAltName, lower case. */
  readonly dnsNames: readonly string[];
  /** Common name, the last of the subject, lower case. */
  readonly commonName: string | undefined;
  /** Whether it may sign certificates: basicConstraints says so, and keyUsage does not object. */
  readonly isAuthority: boolean;
  /** Certificates of authorities that may follow below it. */
  readonly pathLength: number;
  /** Whether it may be a server's, as far as extendedKeyUsage says. */
  readonly isForServers: boolean;
  /** A critical extension that nobody here understands (RFC 5280 §4.2: then the certificate is refused). */
  readonly unknownCritical: string | undefined;
}

/** Something in DER. */
interface Element {
  readonly tag: number;
  /** Where the element, its content, and what follows it begin. */
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
// [2] of GeneralName
const DNS_NAME = 0x82;

/**
 * Reads a certificate.
 *
 * @returns `undefined` if it is none
 */
export function readCertificate(der: Uint8Array): Certificate | undefined {
  try {
    const x509 = new X509Certificate(der);
    const outer = elementAt(der, 0, der.length, SEQUENCE);
    if (outer.end !== der.length) return undefined;
    const body = elementAt(der, outer.content, outer.end, SEQUENCE);
    // RFC 5280 §4.1: version, serial, algorithm, issuer, validity, subject, key, ..., extensions
    const parts = elementsIn(der, body);
    const offset = parts[0]?.tag === VERSION ? 1 : 0;
    const key = parts[offset + 5];
    if (key === undefined || key.tag !== SEQUENCE) return undefined;
    const extensions = parts.find(({ tag }) => tag === EXTENSIONS);
    return {
      der,
      publicKey: der.subarray(key.start, key.end),
      x509,
      // The runtime reads these only now, and throws if it cannot.
      subject: x509.subject,
      issuer: x509.issuer,
      notBefore: Date.parse(x509.validFrom),
      notAfter: Date.parse(x509.validTo),
      commonName: /(?:^|\n)CN=([^\n]*)$/.exec(x509.subject)?.[1]?.toLowerCase(),
      ...readExtensions(der, extensions),
    };
  } catch {
    return undefined;
  }
}

type Extensions = Pick<
  Certificate,
  "dnsNames" | "isAuthority" | "pathLength" | "isForServers" | "unknownCritical"
>;

/** id-ce, which the extensions of RFC 5280 §4.2.1 have in common. */
const ID_CE = "551d";
/** id-ce numbers that need no action here: key identifiers, policies, where to find revocation lists. */
const HARMLESS: readonly string[] = ["0e", "23", "1f", "20", "2e", "12"].map((number) => ID_CE + number);
const SERVER_AUTH = "2b06010505070301";
const ANY_USAGE = "551d2500";

function readExtensions(der: Uint8Array, wrapped: Element | undefined): Extensions {
  let dnsNames: readonly string[] = [];
  let constrained = false;
  let signs = true;
  let pathLength = Infinity;
  let isForServers = true;
  let unknownCritical: string | undefined;
  const list = wrapped === undefined ? [] : elementsIn(der, elementAt(der, wrapped.content, wrapped.end, SEQUENCE));
  for (const extension of list) {
    const [id, ...rest] = elementsIn(der, extension);
    const value = rest.at(-1);
    if (id?.tag !== OBJECT_IDENTIFIER || value === undefined) throw new RangeError("not an extension");
    const name = hex(der.subarray(id.content, id.end));
    const critical = rest[0]?.tag === BOOLEAN && der[rest[0].content] !== 0;
    const read = () => elementAt(der, value.content, value.end);
    if (name === `${ID_CE}11`) {
      dnsNames = elementsIn(der, read()).filter(({ tag }) => tag === DNS_NAME)
        .map(({ content, end }) => latin1(der.subarray(content, end)).toLowerCase());
    } else if (name === `${ID_CE}13`) {
      const [flag, length] = elementsIn(der, read());
      constrained = flag?.tag === BOOLEAN && der[flag.content] !== 0;
      if (length?.tag === INTEGER) pathLength = Number.parseInt(hex(der.subarray(length.content, length.end)), 16);
    } else if (name === `${ID_CE}0f`) {
      // A bit string: the number of unused bits, then keyCertSign as the sixth bit (RFC 5280 §4.2.1.3).
      const bits = read();
      signs = ((der[bits.content + 1] ?? 0) & 0x04) !== 0;
    } else if (name === `${ID_CE}25`) {
      const usages = elementsIn(der, read()).map(({ content, end }) => hex(der.subarray(content, end)));
      isForServers = usages.includes(SERVER_AUTH) || usages.includes(ANY_USAGE);
    } else if (critical && !HARMLESS.includes(name)) {
      unknownCritical = name;
    }
  }
  return { dnsNames, isAuthority: constrained && signs, pathLength, isForServers, unknownCritical };
}

function elementAt(bytes: Uint8Array, start: number, limit: number, wanted?: number): Element {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined || start + 2 > limit) throw new RangeError("DER ends too early");
  let content = start + 2;
  let length = first;
  if (first > 0x7f) {
    const octets = first & 0x7f;
    if (octets === 0 || octets > 4) throw new RangeError("not a length of DER");
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + (bytes[content + i] ?? 0);
    content += octets;
  }
  const end = content + length;
  if (end > limit) throw new RangeError("DER ends too early");
  if (wanted !== undefined && tag !== wanted) throw new RangeError(`tag ${tag} where ${wanted} belongs`);
  return { tag, start, content, end };
}

function elementsIn(bytes: Uint8Array, { content, end }: Element): Element[] {
  const elements: Element[] = [];
  for (let at = content; at < end;) {
    const element = elementAt(bytes, at, end);
    elements.push(element);
    at = element.end;
  }
  return elements;
}

function hex(bytes: Uint8Array): string {
  return bytes.toHex();
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
