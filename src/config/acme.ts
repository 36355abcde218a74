/** Certificates that are ordered from an authority (`acme.<id>`). */

/** Algorithms of TSIG (RFC 8945 §6), by the names of the format. */
export const TSIG_ALGORITHMS = [
  "hmac-md5",
  "hmac-sha1",
  "hmac-sha224",
  "hmac-sha256",
  "hmac-sha256-128",
  "hmac-sha384",
  "hmac-sha384-192",
  "hmac-sha512",
  "hmac-sha512-256",
] as const;

/** One certificate of an authority. Times are milliseconds. */
export interface AcmeConfig {
  readonly id: string;
  /** URL of the directory. */
  readonly directory: string;
  /** `mailto:` URLs. */
  readonly contacts: readonly string[];
  /** A-labels in lower case; `*.` in front stands for one label. */
  readonly domains: readonly string[];
  /** Absolute path of the folder for keys and certificates. */
  readonly cache: string;
  readonly renewBefore: number;
  readonly default: boolean;
  /** External account binding; the key in base64url. */
  readonly eab: { readonly kid: string; readonly hmacKey: string } | undefined;
  readonly challenge: AcmeChallengeConfig;
}

/** How names are proved. */
export type AcmeChallengeConfig =
  | { readonly kind: "http-01" }
  | { readonly kind: "tls-alpn-01" }
  | {
    readonly kind: "dns-01";
    readonly pollingInterval: number;
    readonly propagationTimeout: number;
    readonly ttl: number;
    /** Zone that holds the records; found out if not set. */
    readonly origin: string | undefined;
    readonly provider: DnsProviderConfig;
  };

/** Who changes the zone. */
export type DnsProviderConfig =
  | {
    readonly kind: "rfc2136-tsig";
    readonly host: string;
    readonly port: number;
    readonly protocol: "udp" | "tcp";
    /** Name of the key. */
    readonly key: string;
    /** Base64. */
    readonly secret: string;
    readonly algorithm: typeof TSIG_ALGORITHMS[number];
  }
  | {
    readonly kind: "cloudflare";
    readonly secret: string;
    readonly email: string | undefined;
    readonly timeout: number;
  };
