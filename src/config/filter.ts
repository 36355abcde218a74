/** The parts of the configuration that are about milters and hooks. */

import type { Setting } from "../expression/types.ts";

/** A stage of a session at which filters may be asked. */
export type FilterStage = "connect" | "ehlo" | "mail" | "rcpt" | "data";

/** `session.milter.<id>`. Times in milliseconds. */
export interface MilterConfig {
  readonly id: string;
  /** Asked at each stage. */
  readonly enable: Setting<boolean>;
  /** Name, address, or the absolute path of a Unix socket. */
  readonly hostname: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  readonly stages: ReadonlySet<FilterStage>;
  readonly tls: boolean;
  readonly allowInvalidCerts: boolean;
  readonly timeout: { readonly connect: number; readonly command: number; readonly data: number };
  readonly tempfailOnError: boolean;
  /** Octets. */
  readonly maxResponseSize: number;
  readonly version: number;
  readonly flags: {
    readonly actions: number;
    readonly protocol: number;
    /** Whether the file says what to offer. */
    readonly fixed: boolean;
  };
}

/** `session.hook.<id>`. */
export interface HookConfig {
  readonly id: string;
  /** Asked at each stage. */
  readonly enable: Setting<boolean>;
  readonly url: string;
  readonly stages: ReadonlySet<FilterStage>;
  /** Milliseconds. */
  readonly timeout: number;
  readonly allowInvalidCerts: boolean;
  /** Name and value. */
  readonly headers: readonly (readonly [string, string])[];
  /** HTTP Basic; undefined: none. */
  readonly auth: { readonly username: string; readonly secret: string } | undefined;
  readonly tempfailOnError: boolean;
  /** Octets. */
  readonly maxResponseSize: number;
}
