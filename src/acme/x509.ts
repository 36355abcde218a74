/**
 * Certificates and requests for them that this server makes itself. The library is loaded when there is something to
 * make: most processes order a certificate once in two months.
 */

import { createHash, createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { authorizationDigest, base64url, generateKey } from "./jws.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A certificate with its key, both PEM. */
export interface CertificateWithKey {
  readonly cert: string;
  readonly privateKey: string;
}

function load() {
  return import("@peculiar/x509");
}

async function importKeys(pem: string): Promise<CryptoKeyPair> {
  const secret = createPrivateKey(pem);
  const pkcs8 = new Uint8Array(secret.export({ type: "pkcs8", format: "der" }));
  const spki = new Uint8Array(createPublicKey(pem).export({ type: "spki", format: "der" }));
  return {
    privateKey: await crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, false, ["sign"]),
    publicKey: await crypto.subtle.importKey("spki", spki, ALGORITHM, true, ["verify"]),
  };
}

/**
 * Makes a request for a certificate (PKCS #10, RFC 2986) with the names as subjectAltName.
 *
 * @param privateKey key on P-256, PEM
 * @returns DER
 */
export async function certificateRequest(domains: readonly string[], privateKey: string): Promise<Uint8Array> {
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await load();
  const request = await Pkcs10CertificateRequestGenerator.create({
    // RFC 8555 §7.4: no common name is needed, and a long one could not be written.
    keys: await importKeys(privateKey),
    signingAlgorithm: ALGORITHM,
    extensions: [new SubjectAlternativeNameExtension(domains.map((value) => ({ type: "dns" as const, value })))],
  });
  return new Uint8Array(request.rawData);
}

/** Milliseconds that a certificate of our own making is valid, either way from now: clocks differ. */
const OWN_VALIDITY = 90 * 86_400_000;

/** Makes the certificate that serves until the first one of an authority arrives, with a key on P-256 (PEM). */
export async function selfSigned(
  domains: readonly string[],
  now: number,
  privateKey: string,
): Promise<CertificateWithKey> {
  return await makeOwn(domains, now, privateKey, []);
}

/** `id-pe-acmeIdentifier` (RFC 8737 §6.1). */
const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";

/** Makes the certificate that proves a name by `tls-alpn-01` (RFC 8737 §3). */
export async function challengeCertificate(
  domain: string,
  keyAuthorization: string,
  now: number,
): Promise<CertificateWithKey> {
  const { Extension } = await load();
  const digest = authorizationDigest(keyAuthorization);
  // An OCTET STRING of 32 octets, in DER.
  const value = Uint8Array.of(0x04, 0x20, ...digest);
  return await makeOwn([domain], now, generateKey(), [new Extension(ACME_IDENTIFIER, true, value)]);
}

async function makeOwn(
  domains: readonly string[],
  now: number,
  privateKey: string,
  extensions: readonly import("@peculiar/x509").Extension[],
): Promise<CertificateWithKey> {
  const { X509CertificateGenerator, SubjectAlternativeNameExtension, BasicConstraintsExtension } = await load();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // Positive and below 2^159 (RFC 5280 §4.1.2.2).
    serialNumber: `01${base16(crypto.getRandomValues(new Uint8Array(15)))}`,
    name: "CN=godwit temporary certificate",
    notBefore: new Date(now - OWN_VALIDITY),
    notAfter: new Date(now + OWN_VALIDITY),
    keys: await importKeys(privateKey),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new SubjectAlternativeNameExtension(domains.map((value) => ({ type: "dns" as const, value }))),
      ...extensions,
    ],
  });
  return { cert: `${certificate.toString("pem")}\n`, privateKey };
}

function base16(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** What has to be known of a certificate to renew it in time. */
export interface Validity {
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Certificates of a chain; longer ones would make every handshake large. */
const LONGEST_CHAIN = 16;

/**
 * Reads when a certificate is valid.
 *
 * @throws {Error} if it is not for these names, or not for this key, or what comes with it is no chain of certificates
 */
export function checkCertificate(
  { cert, privateKey }: CertificateWithKey,
  domains: readonly string[],
): Validity {
  const [pem, ...others] = cert.match(PEM) ?? [];
  if (pem === undefined) throw new Error("there is no certificate in PEM");
  // RFC 8555 §11.4: whatever else it holds, a key for example, is not to be put where files are read.
  if (cert.split("-----BEGIN").length - 1 !== others.length + 1) throw new Error("it holds more than certificates");
  if (others.length >= LONGEST_CHAIN) throw new Error(`the chain has more than ${LONGEST_CHAIN} certificates`);
  // One that clients cannot read would end their handshakes.
  for (const other of others) new X509Certificate(other);
  const leaf = new X509Certificate(pem);
  if (!leaf.checkPrivateKey(createPrivateKey(privateKey))) throw new Error("the certificate is for another key");
  const names = namesOf(leaf);
  const missing = domains.filter((domain) => !names.has(domain));
  if (missing.length > 0) throw new Error(`the certificate is not for ${missing.join(", ")}`);
  return { notBefore: Date.parse(leaf.validFrom), notAfter: Date.parse(leaf.validTo) };
}

function namesOf(leaf: X509Certificate): ReadonlySet<string> {
  return new Set(
    (leaf.subjectAltName ?? "").toLowerCase().split(", ").flatMap((name) => /^dns:(.+)$/.exec(name)?.[1] ?? []),
  );
}

/** Whether a certificate, which can be read, is for one of these names. */
export function isForOne({ cert }: CertificateWithKey, domains: readonly string[]): boolean {
  const names = namesOf(new X509Certificate(cert));
  return domains.some((domain) => names.has(domain));
}

/** What a certificate is called where an authority tells when to renew it (RFC 9773 §4.1); `undefined` if it has no such name. */
export async function renewalId(cert: string): Promise<string | undefined> {
  const { X509Certificate, AuthorityKeyIdentifierExtension } = await load();
  const [pem] = cert.match(PEM) ?? [];
  if (pem === undefined) return undefined;
  const leaf = new X509Certificate(pem);
  const keyId = leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId;
  if (keyId === undefined) return undefined;
  // The octets of the DER integer, its sign octet included.
  const serial = Uint8Array.fromHex(leaf.serialNumber.length % 2 === 0 ? leaf.serialNumber : `0${leaf.serialNumber}`);
  const signed = (serial[0] ?? 0) >= 0x80 ? Uint8Array.of(0, ...serial) : serial;
  return `${base64url(Uint8Array.fromHex(keyId))}.${base64url(signed)}`;
}

/** A short name for a text, the same on all nodes. */
export function digestOf(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 20);
}
