/** Certificates made while the tests run, so that none expires in the tree. */

import * as x509 from "@peculiar/x509";
import type { CertificateConfig } from "../../src/config/config.ts";

/** A certificate with its key. */
export interface TestCertificate {
  /** PEM; with an issuer the whole chain, without the root. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  readonly der: Uint8Array;
  /** For signing others. */
  readonly signer: { readonly certificate: x509.X509Certificate; readonly keys: CryptoKeyPair; readonly chain: string };
}

/** What the certificate says. */
export interface TestCertificateOptions {
  /** DNS names or addresses; the first is the common name too. */
  readonly names: readonly string[];
  readonly key?: "rsa" | "ec";
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Who signs; nobody: self-signed. */
  readonly issuer?: TestCertificate;
  /** A certificate that may sign others. */
  readonly authority?: boolean;
}

const ALGORITHMS = {
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    publicExponent: Uint8Array.of(1, 0, 1),
    modulusLength: 2048,
  },
  ec: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
} as const;

const DAY = 86_400_000;
let serial = 1;

/** Makes a certificate; ECDSA P-256 unless told otherwise, valid from yesterday for a month. */
export async function makeCertificate(options: TestCertificateOptions): Promise<TestCertificate> {
  const { names, issuer } = options;
  const algorithm = ALGORITHMS[options.key ?? "ec"];
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const subject = `CN=${names[0] ?? "godwit test"}`;
  const issuerKeys = issuer?.signer.keys ?? keys;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: (serial++).toString(16).padStart(4, "0"),
    subject,
    issuer: issuer?.signer.certificate.subject ?? subject,
    notBefore: options.notBefore ?? new Date(Date.now() - DAY),
    notAfter: options.notAfter ?? new Date(Date.now() + 30 * DAY),
    publicKey: keys.publicKey,
    signingKey: issuerKeys.privateKey,
    signingAlgorithm: {
      ...issuerKeys.privateKey.algorithm,
      hash: "SHA-256",
    } as EcdsaParams,
    extensions: [
      new x509.BasicConstraintsExtension(options.authority === true, undefined, true),
      ...names.length === 0 ? [] : [
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: /^[\d.]+$|:/.test(value) ? "ip" as const : "dns" as const, value })),
        ),
      ],
    ],
  });
  const own = certificate.toString("pem") + "\n";
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const chain = own + (issuer === undefined || isRoot(issuer) ? "" : issuer.signer.chain);
  return {
    cert: chain,
    privateKey: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") + "\n",
    der: new Uint8Array(certificate.rawData),
    signer: { certificate, keys, chain },
  };
}

function isRoot({ signer: { certificate } }: TestCertificate): boolean {
  return certificate.subject === certificate.issuer;
}

/** A certificate as the configuration has it. */
export function certificateConfig(
  id: string,
  certificate: TestCertificate,
  more: Partial<CertificateConfig> = {},
): CertificateConfig {
  const { cert, privateKey } = certificate;
  return { id, cert, privateKey, subjects: [], default: false, ...more };
}
