/** Configuration of what slows clients down or shuts them out, and of lists that are fetched. */

import type { Setting } from "../expression/types.ts";

/** Rate: `count` events per `period` milliseconds. */
export interface Rate {
  readonly count: number;
  readonly period: number;
}

/** Where an inbound limiter counts: connections, messages (at MAIL) or recipients (at RCPT). */
export type LimiterStage = "connection" | "message" | "recipient";

/** A variable that an inbound limiter can count by. */
export type InboundLimiterKey =
  | "remote_ip"
  | "listener"
  | "helo_domain"
  | "authenticated_as"
  | "sender"
  | "sender_domain"
  | "rcpt"
  | "rcpt_domain";

/** One `[[queue.limiter.inbound]]` that is switched on; it has a rate, a concurrency, or both. */
export interface InboundLimiterConfig {
  /** Key path, such as `queue.limiter.inbound[0]`. */
  readonly id: string;
  /** The first stage where every variable in `key` and `match` is known. */
  readonly stage: LimiterStage;
  readonly rate: Rate | undefined;
  readonly concurrency: number | undefined;
  /** One count for each combination of these. */
  readonly key: readonly InboundLimiterKey[];
  readonly match: Setting<boolean>;
}

/** A variable that an outbound limiter can count by. */
export type OutboundLimiterKey = QuotaKey | "mx" | "remote_ip" | "local_ip";

/** One `[[queue.limiter.outbound]]` that is switched on; it has a rate, a concurrency, or both. */
export interface OutboundLimiterConfig {
  /** Key path, such as `queue.limiter.outbound[0]`. */
  readonly id: string;
  readonly rate: Rate | undefined;
  readonly concurrency: number | undefined;
  /** One count for each combination of these. */
  readonly key: readonly OutboundLimiterKey[];
  readonly match: Setting<boolean>;
}

/** A variable that a quota can count by. */
export type QuotaKey = "sender" | "sender_domain" | "rcpt" | "rcpt_domain";

/** One `[[queue.quota]]` that is switched on; it has a number of messages, a size, or both. */
export interface QuotaConfig {
  /** Key path, such as `queue.quota[0]`. */
  readonly id: string;
  /** What is counted, whatever the limits and the place in the file. */
  readonly counts: string;
  readonly messages: number | undefined;
  /** Octets. */
  readonly size: number | undefined;
  /** One count for each combination of these. */
  readonly key: readonly QuotaKey[];
  readonly match: Setting<boolean>;
}

/** `server.auto-ban.*`; undefined: never for this reason. */
export interface AutoBanConfig {
  readonly auth: Rate | undefined;
  readonly abuse: Rate | undefined;
  readonly loiter: Rate | undefined;
  readonly scan: Rate | undefined;
  /** Globs over HTTP paths. */
  readonly scanPaths: readonly string[];
  /** How long a ban lasts, in milliseconds; undefined: until somebody removes it. */
  readonly expire: number | undefined;
}

/** `http-lookup.<id>`. Times are in milliseconds. */
export interface HttpLookupConfig {
  readonly id: string;
  readonly enable: boolean;
  readonly url: string;
  readonly format:
    | { readonly type: "list" }
    | {
      readonly type: "csv";
      /** One character. */
      readonly separator: string;
      readonly skipFirst: boolean;
      /** Columns from 0. Without a value column every value is `true`. */
      readonly keyColumn: number;
      readonly valueColumn: number | undefined;
    };
  readonly refresh: number;
  readonly retry: number;
  readonly timeout: number;
  readonly gzipped: boolean;
  readonly limits: {
    /** Octets, packed and unpacked. */
    readonly size: number;
    readonly entries: number;
    /** Octets; longer entries are skipped. */
    readonly entrySize: number;
  };
}
