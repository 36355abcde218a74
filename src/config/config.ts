/** The typed result of loading a configuration file. Every optional key has its default filled in. */

import type { CompileEnvironment } from "../expression/mod.ts";
import type { Setting } from "../expression/types.ts";
import type {
  AutoBanConfig,
  HttpLookupConfig,
  InboundLimiterConfig,
  OutboundLimiterConfig,
  QuotaConfig,
  Rate,
} from "./limits.ts";
import type { AcmeConfig } from "./acme.ts";
import type { DirectoryConfig } from "./directory.ts";
import type { HookConfig, MilterConfig } from "./filter.ts";
import type { SieveConfig } from "./sieve.ts";
import type { SigningConfig } from "./signing.ts";

export type * from "./acme.ts";
export type * from "./directory.ts";
export type * from "./filter.ts";
export type * from "./limits.ts";
export type * from "./sieve.ts";
export type * from "./signing.ts";

/** A network: address and prefix length. */
export interface Network {
  readonly address: string;
  readonly prefix: number;
}

/** Minute, hour and weekday (1 is Monday), local time; `undefined` is any. */
export interface Cron {
  readonly minute: number;
  readonly hour: number | undefined;
  readonly weekday: number | undefined;
}

export interface Bind {
  readonly ip: string;
  readonly port: number;
}

export interface TlsSettings {
  readonly enable: boolean;
  readonly implicit: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  readonly disableProtocols: readonly ("TLSv1.2" | "TLSv1.3")[];
  /** The `setting` names of `net/cipher_suites.ts`. */
  readonly disableCiphers: readonly string[];
  readonly ignoreClientOrder: boolean;
  /** Id of the default certificate (`server.tls.certificate`). */
  readonly certificate: string | undefined;
}

export interface SocketSettings {
  readonly reuseAddr: boolean;
  readonly reusePort: boolean;
  readonly backlog: number;
  readonly nodelay: boolean;
}

export interface ListenerConfig {
  readonly id: string;
  readonly bind: readonly Bind[];
  readonly protocol: "smtp" | "lmtp" | "http";
  readonly maxConnections: number;
  readonly greeting: string | undefined;
  readonly tls: TlsSettings;
  readonly socket: SocketSettings;
  readonly proxyTrustedNetworks: readonly Network[];
}

export interface ServerConfig {
  readonly hostname: string;
  readonly maxConnections: number;
  readonly threadPool: number;
  readonly listeners: readonly ListenerConfig[];
  readonly blockedIp: readonly Network[];
  readonly allowedIp: readonly Network[];
  readonly autoBan: AutoBanConfig;
}

export interface CertificateConfig {
  readonly id: string;
  /** PEM text. */
  readonly cert: string;
  readonly privateKey: string;
  readonly subjects: readonly string[];
  readonly default: boolean;
  /** Nobody vouches for it: it stands in until the one that was ordered arrives. */
  readonly temporary?: boolean;
  /** Absolute paths of the files that the texts are from. */
  readonly files?: { readonly cert: string | undefined; readonly privateKey: string | undefined };
}

/** How a check is carried out: not at all, for the record, or refusing what fails. */
export type Strictness = "relaxed" | "strict" | "disable";

export interface SessionConfig {
  readonly timeout: Setting<number>;
  readonly duration: Setting<number>;
  readonly transferLimit: Setting<number>;
  readonly connect: { readonly hostname: Setting<string>; readonly greeting: Setting<string> };
  readonly ehlo: { readonly require: Setting<boolean>; readonly rejectNonFqdn: Setting<boolean> };
  readonly extensions: {
    readonly pipelining: Setting<boolean>;
    readonly chunking: Setting<boolean>;
    readonly requiretls: Setting<boolean>;
    readonly noSoliciting: Setting<string | false>;
    readonly dsn: Setting<boolean>;
    readonly futureRelease: Setting<number | false>;
    readonly deliverBy: Setting<number | false>;
    readonly mtPriority: Setting<"mixer" | "stanag4406" | "nsep" | false>;
    readonly vrfy: Setting<boolean>;
    readonly expn: Setting<boolean>;
  };
  readonly auth: {
    /** Lower-case mechanism names; empty: no AUTH. */
    readonly mechanisms: Setting<readonly string[]>;
    readonly directory: Setting<string | false>;
    readonly require: Setting<boolean>;
    readonly mustMatchSender: Setting<boolean>;
    readonly allowPlainText: Setting<boolean>;
    readonly errors: { readonly total: Setting<number>; readonly wait: Setting<number> };
  };
  /** Checks of who sends (`auth.*`). */
  readonly checks: {
    readonly iprev: Setting<Strictness>;
    readonly spfEhlo: Setting<Strictness>;
    readonly spfMailFrom: Setting<Strictness>;
    readonly dkim: Setting<Strictness>;
    /** Whether DKIM signatures that prove little are left out of account. */
    readonly dkimStrict: boolean;
    readonly arc: Setting<Strictness>;
    readonly dmarc: Setting<Strictness>;
  };
  readonly mail: { readonly rewrite: Setting<string | false>; readonly isAllowed: Setting<boolean> };
  readonly rcpt: {
    readonly directory: Setting<string | false>;
    readonly relay: Setting<boolean>;
    readonly subAddressing: Setting<boolean | string>;
    readonly catchAll: Setting<boolean | string>;
    readonly rewrite: Setting<string | false>;
    readonly maxRecipients: Setting<number>;
    readonly errors: { readonly total: Setting<number>; readonly wait: Setting<number> };
  };
  readonly data: {
    readonly bareNewline: Setting<"refuse" | "normalize">;
    readonly limits: {
      readonly messages: Setting<number>;
      readonly size: Setting<number>;
      readonly receivedHeaders: Setting<number>;
    };
    readonly addHeaders: {
      readonly received: Setting<boolean>;
      readonly receivedSpf: Setting<boolean>;
      readonly authResults: Setting<boolean>;
      readonly messageId: Setting<boolean>;
      readonly date: Setting<boolean>;
      readonly returnPath: Setting<boolean>;
      readonly deliveredTo: boolean;
    };
  };
}

export interface ScheduleConfig {
  readonly id: string;
  readonly queueName: string;
  /** Milliseconds. */
  readonly retry: readonly number[];
  readonly notify: readonly number[];
  /** Milliseconds after acceptance; `undefined` with `maxAttempts`. */
  readonly expire: number | undefined;
  readonly maxAttempts: number | undefined;
}

export type IpLookup = "ipv4_only" | "ipv6_only" | "ipv4_then_ipv6" | "ipv6_then_ipv4";

export type RouteConfig =
  | {
    readonly id: string;
    readonly type: "local";
    readonly path: string;
    /** Path of the script of the recipient, with the same names to fill in; absent: nobody has one. */
    readonly sieve?: string;
  }
  | {
    readonly id: string;
    readonly type: "mx";
    readonly limits: { readonly mx: number; readonly multihomed: number };
    readonly ipLookup: IpLookup;
  }
  | {
    readonly id: string;
    readonly type: "relay";
    readonly address: string;
    readonly port: number;
    readonly protocol: "smtp" | "lmtp";
    readonly tls: { readonly implicit: boolean; readonly allowInvalidCerts: boolean };
    readonly auth: { readonly username: string; readonly secret: string } | undefined;
    readonly ipLookup: IpLookup;
  };

export interface ConnectionConfig {
  readonly id: string;
  readonly ehloHostname: string;
  readonly sourceIps: readonly string[];
  readonly pool: PoolConfig;
  /** Milliseconds each. */
  readonly timeout: {
    readonly connect: number;
    readonly greeting: number;
    readonly ehlo: number;
    readonly mailFrom: number;
    readonly rcptTo: number;
    readonly data: number;
  };
}

/** How long and how often connections to other servers are used. */
export interface PoolConfig {
  /** Milliseconds a connection may lie idle. */
  readonly maxIdle: number;
  /** Messages per connection. */
  readonly maxMessages: number;
  /** Idle connections in all. */
  readonly maxConnections: number;
}

export type TlsRequirement = "optional" | "require" | "disable";

export interface TlsPolicyConfig {
  readonly id: string;
  readonly dane: TlsRequirement;
  readonly mtaSts: TlsRequirement;
  readonly starttls: TlsRequirement;
  readonly allowInvalidCerts: boolean;
  readonly timeout: { readonly tls: number; readonly mtaSts: number };
}

export interface QueueConfig {
  /** All that decides on schedules, as text: equal texts plan alike. Absent if that is not known. */
  readonly scheduling?: string;
  readonly strategy: {
    readonly route: Setting<string>;
    readonly schedule: Setting<string>;
    readonly connection: Setting<string>;
    readonly tls: Setting<string>;
  };
  /** By id, built-in definitions included. */
  readonly virtual: ReadonlyMap<string, { readonly id: string; readonly threadsPerNode: number }>;
  readonly schedule: ReadonlyMap<string, ScheduleConfig>;
  readonly route: ReadonlyMap<string, RouteConfig>;
  readonly connection: ReadonlyMap<string, ConnectionConfig>;
  readonly tls: ReadonlyMap<string, TlsPolicyConfig>;
  /** EHLO names by source address. */
  readonly sourceIp: ReadonlyMap<string, { readonly ehloHostname: string | undefined }>;
  /** `[[queue.limiter.outbound]]` that are switched on. */
  readonly outboundLimiters: readonly OutboundLimiterConfig[];
  /** `[[queue.quota]]` that are switched on. */
  readonly quotas: readonly QuotaConfig[];
}

/** The MTA-STS policy served for local domains. */
export interface MtaStsConfig {
  readonly mode: "enforce" | "testing" | "none";
  /** Milliseconds. */
  readonly maxAge: number;
  /** Names of hosts, some with `*.` in front; `undefined`: those of the certificates. */
  readonly mx: readonly string[] | undefined;
}

export interface ReportConfig {
  readonly domain: string;
  readonly submitter: Setting<string>;
  readonly dsn: {
    readonly fromName: Setting<string>;
    readonly fromAddress: Setting<string>;
    /** Ids of signatures. */
    readonly sign: Setting<readonly string[]>;
  };
  readonly dkim: FailureReportConfig;
  readonly spf: FailureReportConfig;
  readonly dmarc: FailureReportConfig;
  /** Whether recipients are kept out of reports of failures. */
  readonly redact: boolean;
  /** Key of the hash that stands for them; absent: one for as long as the program runs. */
  readonly redactKey: string | undefined;
  readonly dmarcAggregate: AggregateReportConfig;
  readonly tlsAggregate: AggregateReportConfig;
  readonly analysis: ReportAnalysisConfig;
}

/** What is done with the reports of others. */
export interface ReportAnalysisConfig {
  /** Globs of addresses whose mail is examined. */
  readonly addresses: readonly string[];
  /** Whether reports are delivered as well. */
  readonly forward: boolean;
  /** How long they are kept, milliseconds; false: not at all. */
  readonly store: number | false;
}

/** Reports of single messages that failed, of one kind; settings are of the context `data`. */
export interface FailureReportConfig {
  readonly fromName: Setting<string>;
  readonly fromAddress: Setting<string>;
  readonly subject: Setting<string>;
  /** Most reports to an address; false: none. */
  readonly send: Setting<Rate | false>;
  /** Ids of signatures. */
  readonly sign: Setting<readonly string[]>;
}

/** Aggregate reports of one kind; settings are of the context `report`. */
export interface AggregateReportConfig {
  readonly fromName: Setting<string>;
  readonly fromAddress: Setting<string>;
  readonly orgName: Setting<string>;
  readonly contactInfo: Setting<string | false>;
  readonly send: Setting<"hourly" | "daily" | "weekly" | "never">;
  /** Octets of the largest report, as it is sent. */
  readonly maxSize: Setting<number>;
  /** Ids of signatures. */
  readonly sign: Setting<readonly string[]>;
}

export interface ResolverConfig {
  /** Servers in order; empty: the system's (`/etc/resolv.conf`). */
  readonly servers: readonly { readonly protocol: "udp" | "tcp" | "tls"; readonly ip: string; readonly port: number }[];
  readonly preserveIntermediates: boolean;
  readonly concurrency: number;
  readonly timeout: number;
  readonly attempts: number;
  readonly tryTcpOnError: boolean;
  readonly edns: boolean;
  /** Who says whether an answer is secure: the servers, by the AD bit, or this program. */
  readonly dnssec: "trust" | "validate";
  /** DS and DNSKEY records that are believed, in master file format; empty: the keys of the root. */
  readonly trustAnchors: readonly string[];
  /** Where keys that have come after those are kept (RFC 5011), an absolute path; `undefined`: they are not followed. */
  readonly anchorFile?: string | undefined;
  /** Cache sizes in octets by type (`txt`, `mx`, `ipv4`, `ipv6`, `ptr`, `tlsa`, `mta-sts`, `rbl`). */
  readonly cacheSizes: Readonly<Record<string, number>>;
}

export type StoreConfig =
  | {
    readonly id: string;
    readonly type: "libsql";
    /** `file:` URLs are absolute by now. */
    readonly url: string;
    readonly authToken: string | undefined;
    readonly timeout: number;
    readonly allowInvalidCerts: boolean;
    readonly maxConnections: number;
    readonly queries: Readonly<Record<string, string>>;
    /** When expired rows are deleted. */
    readonly purgeFrequency: Cron;
  }
  | { readonly id: string; readonly type: "memory"; readonly values: readonly string[] };

export interface TracerConfig {
  readonly id: string;
  readonly type: "console" | "stdout" | "log";
  readonly level: "error" | "warn" | "info" | "debug" | "trace" | "disable";
  readonly enable: boolean;
  readonly ansi: boolean;
  readonly multiline: boolean;
  /** For `log`. */
  readonly path: string;
  readonly prefix: string;
  readonly rotate: "minutely" | "hourly" | "daily" | "never";
  readonly lossy: boolean;
}

export interface HttpConfig {
  readonly authToken: string | undefined;
  readonly fallbackAdmin: { readonly user: string; readonly secret: string } | undefined;
  readonly url: Setting<string>;
  readonly allowedEndpoint: Setting<number>;
  readonly headers: readonly string[];
  readonly useXForwarded: boolean;
  readonly hsts: boolean;
  readonly permissiveCors: boolean;
  readonly rateLimit: { readonly anonymous: Rate; readonly account: Rate };
  readonly prometheus: {
    readonly enable: boolean;
    readonly auth: { readonly username: string; readonly secret: string } | undefined;
  };
}

/** A whole configuration. */
export interface Config {
  /** Absolute path of the file, `""` for the built-in configuration of `dev`. */
  readonly file: string;
  readonly server: ServerConfig;
  readonly certificates: readonly CertificateConfig[];
  /** Certificates that are ordered; they are used beside the others. */
  readonly acme: readonly AcmeConfig[];
  readonly session: SessionConfig;
  readonly mtaSts: MtaStsConfig;
  readonly signing: SigningConfig;
  readonly sieve: SieveConfig;
  /** In the order of the file. */
  readonly milters: readonly MilterConfig[];
  readonly hooks: readonly HookConfig[];
  readonly queue: QueueConfig;
  readonly inboundLimiters: readonly InboundLimiterConfig[];
  readonly report: ReportConfig;
  readonly resolver: ResolverConfig;
  readonly stores: ReadonlyMap<string, StoreConfig>;
  /** Store and directory ids; `directory` undefined if there is none. */
  readonly storage: { readonly data: string; readonly lookup: string; readonly directory: string | undefined };
  /** Lists of `lookup.<name>`: entries (globs allowed) and their values, in file order. */
  readonly lookups: ReadonlyMap<string, ReadonlyMap<string, string | number | boolean>>;
  readonly httpLookups: ReadonlyMap<string, HttpLookupConfig>;
  readonly directories: ReadonlyMap<string, DirectoryConfig>;
  readonly cluster: { readonly nodeId: string; readonly lease: number };
  readonly tracers: readonly TracerConfig[];
  /** Levels of single events (`tracing.level`). */
  readonly eventLevels: ReadonlyMap<string, string>;
  readonly disabledMetricEvents: readonly string[];
  readonly http: HttpConfig;
  /** What expressions may name, for those that are given by hand. */
  readonly environment: CompileEnvironment;
  /** Where the file sets a key, or an item of its list (from 0); `undefined` if it does not. */
  readonly place: (key: string, item?: number) => KeyPlace | undefined;
}

/** Where the file sets a key. */
export interface KeyPlace {
  /** Line in the file, from 1. */
  readonly line: number;
  /** Some of it came from the environment or another file, and must not be printed. */
  readonly secret: boolean;
}

/** One problem or warning found while loading. */
export interface ConfigProblem {
  readonly severity: "error" | "warning";
  /** Set for a warning about how something is written, whatever it says. */
  readonly spelling?: true;
  /** Key path, such as `session.rcpt.relay`; `""` for the file as a whole. */
  readonly key: string;
  /** Line in the file, from 1; 0 if unknown. */
  readonly line: number;
  /** What is wrong, what was found, what would be right: one sentence or two, without final newline. */
  readonly message: string;
}

/** Outcome of loading: a configuration if there is no error; warnings in any case. */
export interface LoadResult {
  readonly config: Config | undefined;
  readonly problems: readonly ConfigProblem[];
}
