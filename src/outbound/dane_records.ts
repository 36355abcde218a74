/** TLSA records: which can be used for SMTP, and which of those count (RFC 6698, RFC 7671 §9, RFC 7672 §3.1). */

import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { TlsaRecord } from "../dns/mod.ts";
import { type Certificate, readCertificate } from "./dane_certificate.ts";

/** The certificate usages of SMTP (RFC 7218 gives the names). */
export const DANE_TA = 2;
export const DANE_EE = 3;

const FULL = 0;
const SHA2_256 = 1;
const SHA2_512 = 2;

/** Octets of association data by matching type. */
const DIGEST_SIZE: Readonly<Record<number, number>> = { [SHA2_256]: 32, [SHA2_512]: 64 };

/**
 * The records that say something to SMTP. PKIX-TA and PKIX-EE do not (RFC 7672 §3.1.3), nor do values that are not
 * known here, digests of a wrong length, and full data that is no certificate or key (RFC 6698 §4.1).
 */
export function usableRecords(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  return records.filter(({ usage, selector, matchingType, data }) => {
    if (usage !== DANE_TA && usage !== DANE_EE) return false;
    if (selector !== 0 && selector !== 1) return false;
    if (matchingType !== FULL) return data.length === DIGEST_SIZE[matchingType];
    return selector === 0 ? readCertificate(data) !== undefined : readPublicKey(data) !== undefined;
  });
}

/**
 * Digest agility (RFC 7671 §9): of each usage and selector only the records with the strongest digest count, and those
 * with full data. A server can so publish a new digest before all can read it, and nobody is held to the weaker one.
 */
export function strongestRecords(usable: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const strongest = new Map<number, number>();
  for (const { usage, selector, matchingType } of usable) {
    const kind = usage * 2 + selector;
    // SHA2-512 is the stronger one, and has the higher number.
    strongest.set(kind, Math.max(matchingType, strongest.get(kind) ?? FULL));
  }
  return usable.filter(({ usage, selector, matchingType }) =>
    matchingType === FULL || matchingType === strongest.get(usage * 2 + selector)
  );
}

/** Whether `certificate` is the one the record speaks of, or has its key. */
export function matches({ selector, matchingType, data }: TlsaRecord, certificate: Certificate): boolean {
  const selected = selector === 0 ? certificate.der : certificate.publicKey;
  switch (matchingType) {
    case FULL:
      return equal(data, selected);
    case SHA2_256:
      return equal(data, createHash("sha256").update(selected).digest());
    case SHA2_512:
      return equal(data, createHash("sha512").update(selected).digest());
    default:
      return false;
  }
}

/** The key in SubjectPublicKeyInfo form, or `undefined` if that is none. */
export function readPublicKey(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
