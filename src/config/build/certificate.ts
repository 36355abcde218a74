/** Builds `certificate.*`: reads the PEM texts and checks that key and certificate can be used. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import type { CertificateConfig } from "../config.ts";
import type { BuildContext } from "./context.ts";
import { fileOf, readPem, readPrivateKey } from "./pem.ts";

export function buildCertificates(context: BuildContext): readonly CertificateConfig[] {
  const { reader } = context;
  const certificates = reader.names("certificate").map((id) => buildCertificate(context, id));
  const defaults = certificates.filter((certificate) => certificate.default);
  for (const { id } of defaults.slice(1)) {
    reader.error(
      "certificate.<id>.default",
      [id],
      `only one certificate can be the default, and '${defaults[0]?.id}' is it already`,
    );
  }
  const [first] = certificates;
  const isMarked = defaults.length > 0 || reader.names("acme").some((id) => reader.get("acme.<id>.default", id));
  if (first !== undefined && !isMarked && !reader.isSet("server.tls.certificate")) {
    reader.warning(
      "certificate.<id>.default",
      [first.id],
      `no certificate is marked as default; clients that send no server name get '${first.id}'`,
    );
  }
  return certificates;
}

function buildCertificate(context: BuildContext, id: string): CertificateConfig {
  const { reader } = context;
  const cert = readPem(context, "certificate.<id>.cert", id);
  const privateKey = readPem(context, "certificate.<id>.private-key", id);
  const leaf = cert === undefined ? undefined : readLeaf(context, id, cert);
  const secret = privateKey === undefined
    ? undefined
    : readPrivateKey(context, "certificate.<id>.private-key", id, privateKey);
  if (leaf !== undefined && secret !== undefined && !leaf.checkPrivateKey(secret)) {
    reader.error(
      "certificate.<id>.private-key",
      [id],
      "this key does not belong to the certificate, which must be the first one in its file",
    );
  }
  const files = {
    cert: fileOf(context, "certificate.<id>.cert", id),
    privateKey: fileOf(context, "certificate.<id>.private-key", id),
  };
  return {
    id,
    cert: cert ?? "",
    privateKey: privateKey ?? "",
    subjects: reader.get("certificate.<id>.subjects", id),
    default: reader.get("certificate.<id>.default", id),
    ...(files.cert === undefined && files.privateKey === undefined ? {} : { files }),
  };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function readLeaf({ reader }: BuildContext, id: string, pem: string): X509Certificate | undefined {
  try {
    const [leaf] = [...pem.matchAll(CERTIFICATE)].map(([one]) => new X509Certificate(one));
    if (leaf !== undefined) return leaf;
  } catch {
    // Reported below: the reasons of the library are of no help and may quote the text.
  }
  const expected = "expected a certificate in PEM, or a chain of them that begins with the server's own";
  reader.error("certificate.<id>.cert", [id], `${expected}; the text could not be read as one`);
  return undefined;
}

/** Kind of a certificate's key as names of suites have it; `undefined` if it is another one or could not be read. */
export function keyKindOf({ privateKey }: CertificateConfig): "RSA" | "ECDSA" | undefined {
  try {
    const kind = createPrivateKey(privateKey).asymmetricKeyType;
    return kind === "rsa" ? "RSA" : kind === "ec" ? "ECDSA" : undefined;
  } catch {
    return undefined;
  }
}
