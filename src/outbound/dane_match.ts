/** Whether the certificates of a server agree with its TLSA records (RFC 7671 §5, RFC 7672 §3.2). */

import type { KeyObject } from "node:crypto";
import type { TlsaRecord } from "../dns/mod.ts";
import { handshakeProves } from "../net/mod.ts";
import { type Certificate, readCertificate } from "./dane_certificate.ts";
import { DANE_EE, DANE_TA, matches, readPublicKey } from "./dane_records.ts";
import type { TlsFault } from "./tls_policy.ts";

/**
 * Holds the certificates that a server sent against its records.
 *
 * - DANE-EE: the server's own certificate is the one of the record. Names and dates of it say nothing (RFC 7672 §3.1.1).
 * - DANE-TA: signatures lead to the certificate or key of the record, dates and roles are right, and the server's own
 *   certificate bears one of `names` (§3.1.2, §3.2.3).
 *
 * @param sent DER, the server's own certificate first
 * @param records usable, and the strongest only
 * @param names reference identifiers, lower case
 * @param now milliseconds since the epoch
 * @returns what is wrong, or `undefined` if one record agrees
 */
export function daneFault(
  sent: readonly Uint8Array[],
  records: readonly TlsaRecord[],
  names: readonly string[],
  now: number,
): TlsFault | undefined {
  const [first, ...others] = sent;
  if (first === undefined) return { type: "validation-failure", text: "the server showed no certificate" };
  const own = readCertificate(first);
  if (own === undefined) return { type: "validation-failure", text: "the certificate cannot be read" };
  if (!handshakeProves(first)) {
    const text = "nothing shows that the server has the key of its certificate, which is not X.509 version 3 in DER";
    return { type: "validation-failure", text };
  }
  if (records.some((record) => record.usage === DANE_EE && matches(record, own))) return undefined;

  const anchors = records.filter(({ usage }) => usage === DANE_TA);
  if (anchors.length === 0) {
    return { type: "validation-failure", text: "the certificate agrees with none of the TLSA records" };
  }
  const pool = others.map(readCertificate).filter((certificate) => certificate !== undefined);
  const keys: KeyObject[] = [];
  for (const { selector, matchingType, data } of anchors) {
    // RFC 7671 §5.2.2: full data can stand for an anchor that the server does not send.
    if (matchingType !== 0) continue;
    if (selector === 1) {
      const key = readPublicKey(data);
      if (key !== undefined) keys.push(key);
    } else {
      const anchor = readCertificate(data);
      if (anchor !== undefined) pool.push(anchor);
    }
  }
  // Of two certificates for one authority, the one that is valid now is tried first.
  pool.sort((a, b) => Number(isCurrent(b, now)) - Number(isCurrent(a, now)));
  const path = pathToAnchor(own, pool, anchors, keys);
  if (path === undefined) {
    const text = "the certificate agrees with none of the TLSA records, nor do signatures lead to one that does";
    return { type: "validation-failure", text };
  }
  return pathFault(path, now) ?? nameFault(own, names);
}

/** Certificates from the server's own to the anchor, or to the one that an anchor's key has signed. */
function pathToAnchor(
  own: Certificate,
  pool: readonly Certificate[],
  anchors: readonly TlsaRecord[],
  keys: readonly KeyObject[],
): readonly Certificate[] | undefined {
  // Each certificate is entered once, however they sign each other: the server chooses what it sends.
  const left = new Set(pool);
  const from = (path: readonly Certificate[], last: Certificate): readonly Certificate[] | undefined => {
    if (path.length > 1 && anchors.some((anchor) => matches(anchor, last))) return path;
    if (keys.some((key) => isSignedBy(last, key))) return path;
    for (const issuer of left) {
      if (last.issuer !== issuer.subject || !issuer.isAuthority) continue;
      if (!isSignedBy(last, issuer)) continue;
      left.delete(issuer);
      const whole = from([...path, issuer], issuer);
      if (whole !== undefined) return whole;
    }
    return undefined;
  };
  return from([own], own);
}

function isSignedBy({ x509 }: Certificate, by: Certificate | KeyObject): boolean {
  try {
    return x509.verify("x509" in by ? by.x509.publicKey : by);
  } catch {
    return false;
  }
}

function isCurrent({ notBefore, notAfter }: Certificate, now: number): boolean {
  return notBefore <= now && now <= notAfter;
}

/** RFC 5280 §6.1, as far as it applies between a server and an anchor that is pinned. */
function pathFault(path: readonly Certificate[], now: number): TlsFault | undefined {
  for (const [depth, certificate] of path.entries()) {
    const { notBefore, notAfter, subject, unknownCritical, pathLength, isForServers } = certificate;
    const who = `the certificate of ${subject.replaceAll("\n", ", ")}`;
    if (!(now <= notAfter)) return { type: "certificate-expired", text: `${who} has expired` };
    if (!(notBefore <= now)) return { type: "certificate-expired", text: `${who} is not valid yet` };
    if (unknownCritical !== undefined) {
      return { type: "validation-failure", text: `${who} has a critical extension that is not understood` };
    }
    if (depth > 0 && depth - 1 > pathLength) {
      return { type: "validation-failure", text: `${who} does not allow so many certificates below it` };
    }
    if (!isForServers) return { type: "validation-failure", text: `${who} is not for TLS servers` };
  }
  return undefined;
}

/** RFC 7672 §3.2.3: DNS names of subjectAltName; the common name counts where there are none. */
function nameFault({ dnsNames, commonName }: Certificate, names: readonly string[]): TlsFault | undefined {
  const presented = dnsNames.length > 0 ? dnsNames : commonName === undefined ? [] : [commonName];
  if (presented.some((pattern) => names.some((name) => matchesName(pattern, name)))) return undefined;
  const text = `the certificate is for ${presented.join(", ") || "no name"}, not for ${names.join(" or ")}`;
  return { type: "certificate-host-mismatch", text };
}

/** RFC 9525 §6.3: a wildcard stands for the whole of the first label, and for nothing else. */
function matchesName(pattern: string, name: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === name;
  const rest = pattern.slice(1);
  const dot = name.indexOf(".");
  return dot > 0 && name.slice(dot) === rest && rest.indexOf(".", 1) > 0;
}
