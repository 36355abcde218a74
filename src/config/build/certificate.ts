/** Builds `certificate.*`: reads the PEM texts and checks that key and certificate can be used (reference §4). */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { CertificateConfig } from "../config.ts";
import { reasonOf } from "../macro.ts";
import { absolutePath, type BuildContext } from "./context.ts";

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
  if (first !== undefined && defaults.length === 0 && !reader.isSet("server.tls.certificate")) {
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
  const secret = privateKey === undefined ? undefined : readKey(context, id, privateKey);
  if (leaf !== undefined && secret !== undefined && !leaf.checkPrivateKey(secret)) {
    reader.error(
      "certificate.<id>.private-key",
      [id],
      "this key does not belong to the certificate, which must be the first one in its file",
    );
  }
  return {
    id,
    cert: cert ?? "",
    privateKey: privateKey ?? "",
    subjects: reader.get("certificate.<id>.subjects", id),
    default: reader.get("certificate.<id>.default", id),
  };
}

type PemKey = "certificate.<id>.cert" | "certificate.<id>.private-key";

/** The PEM text, given as such or by the path of its file. */
function readPem(context: BuildContext, pattern: PemKey, id: string): string | undefined {
  const { reader } = context;
  const text = reader.get(pattern, id);
  if (text === "" || text.includes("-----BEGIN ")) return text === "" ? undefined : text;
  // Several lines are no path: something that was meant as PEM must not end up in a message.
  if (text.includes("\n")) {
    reader.error(pattern, [id], "expected PEM text or the path of a PEM file, found text of another kind");
    return undefined;
  }
  try {
    return context.readFile(absolutePath(context, text));
  } catch (error) {
    reader.error(pattern, [id], `cannot read the file ${reader.found(pattern, id)}: ${reasonOf(error)}`);
    return undefined;
  }
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

function readKey({ reader }: BuildContext, id: string, pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    const expected = "expected a private key in PEM, PKCS #8, #1 or SEC 1, not encrypted";
    reader.error("certificate.<id>.private-key", [id], `${expected}; the text could not be read as one`);
    return undefined;
  }
}
