/** The suites that TLS 1.2 and 1.3 have here, and what of them a listener still permits. */

import type { TlsSettings } from "../config/config.ts";

/** Version of TLS as settings and node name it. */
export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** One suite of the runtime. */
export interface CipherSuite {
  /** Number in the IANA registry. */
  readonly code: number;
  /** IANA name, such as `TLS_AES_256_GCM_SHA384`. */
  readonly name: string;
  /** Name in `server.tls.disable-ciphers`. */
  readonly setting: string;
  readonly version: TlsVersion;
  /** Kind of key the certificate must have; `undefined`: any. */
  readonly key: "rsa" | "ec" | undefined;
  readonly bits: number;
}

const suite13 = (code: number, rest: string, bits: number): CipherSuite => ({
  code,
  name: `TLS_${rest}`,
  setting: `TLS13_${rest}`,
  version: "TLSv1.3",
  key: undefined,
  bits,
});

const suite12 = (code: number, key: "rsa" | "ec", rest: string, bits: number): CipherSuite => {
  const name = `TLS_ECDHE_${key === "rsa" ? "RSA" : "ECDSA"}_WITH_${rest}`;
  return { code, name, setting: name, version: "TLSv1.2", key, bits };
};

/** All suites there are (IANA "TLS Cipher Suites"; RFC 8446 §B.4, RFC 5289, RFC 7905). */
export const CIPHER_SUITES: readonly CipherSuite[] = [
  suite13(0x1302, "AES_256_GCM_SHA384", 256),
  suite13(0x1301, "AES_128_GCM_SHA256", 128),
  suite13(0x1303, "CHACHA20_POLY1305_SHA256", 256),
  suite12(0xc02c, "ec", "AES_256_GCM_SHA384", 256),
  suite12(0xc02b, "ec", "AES_128_GCM_SHA256", 128),
  suite12(0xcca9, "ec", "CHACHA20_POLY1305_SHA256", 256),
  suite12(0xc030, "rsa", "AES_256_GCM_SHA384", 256),
  suite12(0xc02f, "rsa", "AES_128_GCM_SHA256", 128),
  suite12(0xcca8, "rsa", "CHACHA20_POLY1305_SHA256", 256),
];

/** Names that `server.tls.disable-ciphers` takes. */
export const CIPHER_SETTINGS: readonly string[] = CIPHER_SUITES.map((suite) => suite.setting);

/** Key bits of the suite with this IANA name, 0 if unknown. */
export function cipherBits(name: string): number {
  return CIPHER_SUITES.find((suite) => suite.name === name)?.bits ?? 0;
}

/** Range of versions in node's terms. */
export interface VersionRange {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
}

/**
 * The versions that `settings` leave for a certificate of this kind: not switched off, and with a suite left.
 *
 * @returns `undefined` if nothing is left
 */
export function permittedVersions(
  settings: Pick<TlsSettings, "disableProtocols" | "disableCiphers">,
  key: string | undefined,
): VersionRange | undefined {
  const usable = (version: TlsVersion) =>
    !settings.disableProtocols.includes(version) &&
    CIPHER_SUITES.some((suite) =>
      suite.version === version && (suite.key === undefined || key === undefined || suite.key === key) &&
      !settings.disableCiphers.includes(suite.setting)
    );
  const old = usable("TLSv1.2");
  const current = usable("TLSv1.3");
  if (!old && !current) return undefined;
  return { minVersion: old ? "TLSv1.2" : "TLSv1.3", maxVersion: current ? "TLSv1.3" : "TLSv1.2" };
}
