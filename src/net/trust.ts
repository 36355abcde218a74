/** Whom outbound TLS trusts: the runtime's roots, those the environment adds, and the name on the certificate. */

import { X509Certificate } from "node:crypto";
import {
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  rootCertificates,
  type SecureContext,
} from "node:tls";
import { handshakeProves } from "./key_proof.ts";

/** Environment variables that name PEM files of further roots; they extend the roots, they do not replace them. */
export const TRUST_VARIABLES = ["DENO_CERT", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] as const;

/** Certificates by subject; reading the subject out of one is slow enough to do it once. */
type Roots = ReadonlyMap<string, readonly X509Certificate[]>;

/** Roots beyond the runtime's own, with the TLS context that trusts both. */
export interface Trust {
  /** Tells it from others. */
  readonly name: string;
  readonly context: SecureContext;
  readonly extra: Roots;
}

const PEM = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** Trusts made before, by the PEM text they add; there are as many as the configuration names, which is few. */
const made = new Map<string, Trust>();
const MOST_TRUSTS = 16;
let count = 0;

/** Trust in the runtime's roots, those of the environment, and `ca` (PEM). */
export function trustIn(ca: readonly string[] = []): Trust {
  const key = ca.join("\n");
  let trust = made.get(key);
  if (trust === undefined) {
    if (made.size >= MOST_TRUSTS) made.clear();
    trust = makeTrust(String(++count), [...environmentRoots(), ...ca]);
    made.set(key, trust);
  }
  return trust;
}

function environmentRoots(): string[] {
  const pems: string[] = [];
  for (const variable of TRUST_VARIABLES) {
    try {
      const path = Deno.env.get(variable);
      if (path !== undefined && path !== "") pems.push(Deno.readTextFileSync(path));
    } catch {
      // As the runtime itself does: a file that cannot be read adds no roots.
    }
  }
  return pems;
}

function makeTrust(name: string, pems: readonly string[]): Trust {
  const certificates: string[] = [];
  const extra: X509Certificate[] = [];
  // Each addition is parsed for each connection, so those that the runtime trusts anyway are left out: the variables
  // often name a whole bundle.
  const known = new Set(pems.length === 0 ? [] : rootCertificates.map(pemBody));
  for (const pem of pems.flatMap((text) => text.match(PEM) ?? [])) {
    if (known.has(pemBody(pem))) continue;
    known.add(pemBody(pem));
    try {
      extra.push(new X509Certificate(pem));
      certificates.push(pem);
    } catch {
      // Not a certificate that could ever verify anything.
    }
  }
  const context = createSecureContext();
  // Naming roots in `ca` replaces the runtime's and has to parse all of them for each connection. addCACert adds to
  // them. It is called even when nothing is to be added: contexts without an addition share one verifier in the runtime,
  // and with it session tickets that skip verification and the faults found on other connections.
  addRoots(context, certificates.length === 0 ? "\n" : certificates.join("\n"));
  return { name, context, extra: bySubject(extra) };
}

function pemBody(pem: string): string {
  return pem.replace(/-----[A-Z0-9 ]+-----|\s+/g, "");
}

function addRoots(context: SecureContext, pem: string): void {
  const native: unknown = context.context;
  if (typeof native === "object" && native !== null && "addCACert" in native) {
    const { addCACert } = native;
    if (typeof addCACert === "function") addCACert.call(native, pem);
  }
}

/**
 * Judges a chain that the runtime has found good, except for what it leaves to us: the name, and chains that end in an
 * added root.
 *
 * @param chain certificates as sent, the server's own first
 * @returns why it does not verify, `undefined` if it does
 */
export function verifyPeer(
  trust: Trust,
  chain: readonly X509Certificate[],
  peer: PeerCertificate,
  serverName: string,
  now: number,
): string | undefined {
  const [leaf] = chain;
  if (leaf === undefined) return "UNABLE_TO_GET_ISSUER_CERT_LOCALLY";
  // RFC 9525 §2: the common name says nothing, only subjectAltName does.
  if (leaf.subjectAltName === undefined || checkServerIdentity(serverName, peer) !== undefined) {
    return "ERR_TLS_CERT_ALTNAME_INVALID";
  }
  if (!handshakeProves(leaf.raw)) return "CERT_REJECTED";
  // For certificates its verifier cannot read (X.509 version 1, odd encodings) the runtime is content with matching
  // issuer names, without signatures, if they lead to an added root. The signatures are checked here.
  if (!chain.some((certificate) => trust.extra.has(certificate.issuer))) return undefined;
  if (leadsToRoot(leaf, chain, trust.extra, now, chain.length)) return undefined;
  bundledRoots ??= bySubject(rootCertificates.map((pem) => new X509Certificate(pem)));
  return leadsToRoot(leaf, chain, bundledRoots, now, chain.length) ? undefined : "UNABLE_TO_VERIFY_LEAF_SIGNATURE";
}

/** The runtime gives one name to all faults it knows no name for, dates among them. */
export function explainFault(fault: string, chain: readonly X509Certificate[], now: number): string {
  if (fault !== "UNABLE_TO_VERIFY_LEAF_SIGNATURE") return fault;
  if (chain.some((certificate) => Date.parse(certificate.validTo) < now)) return "CERT_HAS_EXPIRED";
  if (chain.some((certificate) => now < Date.parse(certificate.validFrom))) return "CERT_NOT_YET_VALID";
  return fault;
}

let bundledRoots: Roots | undefined;

function bySubject(certificates: readonly X509Certificate[]): Roots {
  return Map.groupBy(certificates, (certificate) => certificate.subject);
}

/** Whether signatures lead from `certificate` to one of `roots`, over at most `steps` certificates of `pool`. */
function leadsToRoot(
  certificate: X509Certificate,
  pool: readonly X509Certificate[],
  roots: Roots,
  now: number,
  steps: number,
): boolean {
  if (!isCurrent(certificate, now)) return false;
  if (roots.get(certificate.subject)?.some((root) => root.raw.equals(certificate.raw))) return true;
  if (roots.get(certificate.issuer)?.some((root) => isCurrent(root, now) && isIssuedBy(certificate, root))) return true;
  return steps > 0 && pool.some((issuer) =>
    issuer.ca && issuer !== certificate && isIssuedBy(certificate, issuer) &&
    leadsToRoot(issuer, pool, roots, now, steps - 1)
  );
}

function isCurrent(certificate: X509Certificate, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now <= Date.parse(certificate.validTo);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  if (certificate.issuer !== issuer.subject) return false;
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
