/** The certificates of this server, chosen by the name a client asks for, exchanged while connections go on. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { CertificateConfig } from "../config/config.ts";
import type { VersionRange } from "./cipher_suites.ts";

/** One certificate ready for use. */
export interface ServerCertificate {
  readonly id: string;
  /** Names it is good for, lower case, from the certificate and the `subjects` setting; `*.` stands for one label. */
  readonly names: readonly string[];
  /** Kind of its key. */
  readonly key: "rsa" | "ec" | undefined;
  /** Curve of an elliptic key, such as `prime256v1`. */
  readonly curve: string | undefined;
  /** End of validity in milliseconds since the Unix epoch. */
  readonly expires: number;
  /** The TLS context for these versions; made once for each range. */
  context(versions: VersionRange): SecureContext;
}

/** Certificates that prove names to an authority by `tls-alpn-01` (RFC 8737). */
export interface ChallengeCertificates {
  /** Whether an authority may come. If not, nobody looks at what clients ask for before they shake hands. */
  expected(): boolean;
  /** The proof of a name, PEM; nothing if there is none at the moment. */
  certificate(serverName: string): Promise<{ readonly cert: string; readonly privateKey: string } | undefined>;
  /** Told when a proof was shown, with a reason if the client did not take it. */
  shown(serverName: string, failure: string | undefined): void;
}

/** Which certificate serves whom. */
export interface CertificateStore {
  /** Proofs of names, for those who ask for nothing else. */
  readonly proofs?: ChallengeCertificates | undefined;
  /** Number of certificates. */
  readonly size: number;
  /** All certificates, in the order of the configuration. */
  readonly certificates: readonly ServerCertificate[];
  /**
   * The certificate for a name sent by SNI: exact name first, then a wildcard of one label, then the default one. Of
   * several for one name it is one that the client can check: with an elliptic key, which is cheaper, before an RSA key.
   * A temporary one is chosen by name only where no other has it.
   *
   * @param serverName name asked for, `undefined` or `""` if none was
   * @param fallback id of the certificate to use as default here (`server.tls.certificate`)
   * @param canCheck whether the client can check a certificate; without it the first in the file does
   */
  select(
    serverName: string | undefined,
    fallback?: string,
    canCheck?: (certificate: ServerCertificate) => boolean,
  ): ServerCertificate | undefined;
  /** Whether some name has certificates with different kinds of keys, so that it matters what clients can check. */
  readonly hasKinds: boolean;
  /**
   * Exchanges all certificates for these. Handshakes from now on use them; connections stay as they are.
   *
   * @throws {CertificateError} if one cannot be used; the ones before then stay in force
   */
  replace(certificates: readonly CertificateConfig[]): void;
}

/** A certificate that cannot be used. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
  /** @param id id of the certificate */
  constructor(readonly id: string, readonly key: "cert" | "private-key", message: string) {
    super(message);
  }
}

/**
 * Makes a store.
 *
 * @param onUnknown hears of names that clients ask for and no certificate has
 * @throws {CertificateError} if a certificate cannot be used
 */
export function createCertificateStore(
  initial: readonly CertificateConfig[],
  proofs?: ChallengeCertificates,
  onUnknown?: (serverName: string) => void,
): CertificateStore {
  let index = buildIndex(initial);
  return {
    proofs,
    get size() {
      return index.all.length;
    },
    get certificates() {
      return index.all;
    },
    get hasKinds() {
      return index.hasKinds;
    },
    select(serverName, fallback, canCheck) {
      const named = namedBy(index, serverName);
      if (named === undefined && serverName !== undefined && serverName !== "") onUnknown?.(serverName);
      const found = named ?? siblings(index, fallback);
      if (found.length < 2 || canCheck === undefined) return found[0];
      const fitting = found.filter(canCheck);
      return fitting.find(({ key }) => key === "ec") ?? fitting[0] ?? found[0];
    },
    replace(certificates) {
      index = buildIndex(certificates);
    },
  };
}

interface Index {
  readonly all: readonly ServerCertificate[];
  /** One of each kind of key, in the order of the file. */
  readonly byName: ReadonlyMap<string, readonly ServerCertificate[]>;
  readonly hasKinds: boolean;
  readonly default: ServerCertificate | undefined;
}

function buildIndex(configs: readonly CertificateConfig[]): Index {
  const all = configs.map(loadCertificate);
  const byName = new Map<string, readonly ServerCertificate[]>();
  const enter = (certificate: ServerCertificate, names: readonly string[]) => {
    for (const name of names) {
      const others = byName.get(name) ?? [];
      // The first of several of one kind wins, so the order in the file decides.
      if (!others.some(({ key }) => key === certificate.key)) byName.set(name, [...others, certificate]);
    }
  };
  const standIns = new Set(all.filter((_, index) => configs[index]?.temporary === true));
  for (const certificate of all) if (!standIns.has(certificate)) enter(certificate, certificate.names);
  // What stands in for another serves only names that no certificate is for.
  for (const certificate of standIns) {
    enter(certificate, certificate.names.filter((name) => namedBy({ byName }, name) === undefined));
  }
  const hasKinds = byName.values().some((certificates) => certificates.length > 1);
  const marked = configs.findIndex((config) => config.default);
  return { all, byName, hasKinds, default: all[Math.max(0, marked)] };
}

function namedBy(
  { byName }: Pick<Index, "byName">,
  serverName: string | undefined,
): readonly ServerCertificate[] | undefined {
  if (serverName === undefined || serverName === "") return undefined;
  const name = plainName(serverName);
  return byName.get(name) ?? byName.get(`*${name.slice(name.indexOf("."))}`);
}

/** The default certificate, and behind it those of other kinds for its first name. */
function siblings(index: Index, fallback: string | undefined): readonly ServerCertificate[] {
  const usual = index.all.find((certificate) => certificate.id === fallback) ?? index.default;
  if (usual === undefined) return [];
  const [name = ""] = usual.names;
  return [usual, ...(index.byName.get(name) ?? []).filter(({ key }) => key !== usual.key)];
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Reads a certificate and its key.
 *
 * @throws {CertificateError} if either is not PEM of the right kind, or they do not belong together
 */
export function loadCertificate(config: CertificateConfig): ServerCertificate {
  const { id, cert, privateKey } = config;
  const leaf = attempt(() => new X509Certificate(cert));
  if (leaf === undefined) {
    throw new CertificateError(id, "cert", "not a certificate; expected PEM text with BEGIN CERTIFICATE");
  }
  // One that clients cannot read would end their handshakes.
  const others = cert.match(CERTIFICATES)?.slice(1) ?? [];
  const broken = others.findIndex((pem) => attempt(() => new X509Certificate(pem)) === undefined);
  if (broken !== -1) {
    throw new CertificateError(id, "cert", `certificate ${broken + 2} of the chain cannot be read; expected PEM text`);
  }
  const secret = attempt(() => createPrivateKey(privateKey));
  if (secret === undefined) {
    throw new CertificateError(id, "private-key", "not an unencrypted private key; expected PEM text, PKCS #8 or #1");
  }
  if (attempt(() => leaf.checkPrivateKey(secret)) !== true) {
    throw new CertificateError(
      id,
      "private-key",
      "does not belong to the certificate, which must come first in its file",
    );
  }
  const kind = secret.asymmetricKeyType;
  const contexts = new Map<string, SecureContext>();
  return {
    id,
    names: [...new Set([...namesOf(leaf), ...config.subjects.map(plainName)])],
    key: kind === "rsa" || kind === "ec" ? kind : undefined,
    curve: secret.asymmetricKeyDetails?.namedCurve,
    expires: Date.parse(leaf.validTo),
    context({ minVersion, maxVersion }) {
      const range = `${minVersion} ${maxVersion}`;
      const known = contexts.get(range);
      if (known !== undefined) return known;
      const made = createSecureContext({ cert, key: privateKey, minVersion, maxVersion });
      contexts.set(range, made);
      return made;
    },
  };
}

/** DNS names of a certificate; the common name counts only where there are none (RFC 6125 §6.4.4). */
function namesOf(certificate: X509Certificate): string[] {
  const alternative = (certificate.subjectAltName ?? "").split(", ")
    .filter((entry) => entry.startsWith("DNS:"))
    .map((entry) => plainName(entry.slice("DNS:".length)));
  if (alternative.length > 0) return alternative;
  const common = certificate.subject?.split("\n").find((line) => line.startsWith("CN="));
  return common === undefined ? [] : [plainName(common.slice("CN=".length))];
}

function plainName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
