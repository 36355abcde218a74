/** Certificates of kinds that authorities do not issue any more, made from usual ones and signed anew by their own key. */

import type { TestCertificate } from "./certificates.ts";

/** X.509 version 1: no version, no extensions. */
export const versionOne = (certificate: TestCertificate) =>
  resigned(certificate, (parts) => parts.filter(({ tag }) => tag !== 0xa0 && tag !== 0xa3).map(({ bytes }) => bytes));

/** With an issuerUniqueID, which RFC 5280 §4.1.2.8 advises against and hardly any verifier can read. */
export const withUniqueId = (certificate: TestCertificate) =>
  resigned(certificate, (parts) => {
    const bytes = parts.map((part) => part.bytes);
    return [...bytes.slice(0, -1), element(0x81, [Uint8Array.of(0, 1, 2, 3)]), ...bytes.slice(-1)];
  });

interface Part {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly bytes: Uint8Array;
}

async function resigned(
  { der, privateKey, signer }: TestCertificate,
  change: (parts: readonly Part[]) => readonly Uint8Array[],
): Promise<TestCertificate> {
  const [body, algorithm] = partsIn(partsIn(der)[0]?.content ?? der);
  if (body === undefined || algorithm === undefined) throw new TypeError("not a certificate");
  const changed = element(0x30, change(partsIn(body.content)));
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, signer.keys.privateKey, changed);
  const made = element(0x30, [changed, algorithm.bytes, element(0x03, [Uint8Array.of(0), rawToDer(signature)])]);
  const cert = `-----BEGIN CERTIFICATE-----\n${made.toBase64().replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
  return { cert, privateKey, der: made, signer };
}

function partsIn(bytes: Uint8Array): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at + 1] ?? 0;
    const octets = first > 0x80 ? first & 0x7f : 0;
    let length = first;
    if (octets > 0) length = bytes.subarray(at + 2, at + 2 + octets).reduce((sum, octet) => sum * 256 + octet, 0);
    const start = at + 2 + octets;
    const end = start + length;
    parts.push({ tag: bytes[at] ?? 0, content: bytes.subarray(start, end), bytes: bytes.subarray(at, end) });
    at = end;
  }
  return parts;
}

function element(tag: number, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  const made = new Uint8Array(1 + head.length + length);
  made.set([tag, ...head]);
  let at = 1 + head.length;
  for (const part of parts) {
    made.set(part, at);
    at += part.length;
  }
  return made;
}

/** WebCrypto gives the two numbers side by side, X.509 wants a sequence of integers (RFC 3279 §2.2.3). */
function rawToDer(signature: ArrayBuffer): Uint8Array {
  const raw = new Uint8Array(signature);
  const integer = (from: number) => {
    const octets = raw.subarray(from, from + raw.length / 2);
    const first = octets.findIndex((octet) => octet !== 0);
    const plain = octets.subarray(Math.max(0, first));
    return element(0x02, (plain[0] ?? 0) > 0x7f ? [Uint8Array.of(0), plain] : [plain]);
  };
  return element(0x30, [integer(0), integer(raw.length / 2)]);
}
