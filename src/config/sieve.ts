/** The part of the configuration that is about Sieve scripts. */

import type { Setting } from "../expression/types.ts";
import type { CompiledScript, SieveLimits } from "../sieve/mod.ts";

/** A script of the administrator. */
export interface ScriptConfig {
  readonly id: string;
  readonly script: CompiledScript;
  /** Whether it looks at results of checks, which have to be waited for. */
  readonly readsResults: boolean;
  /** Whether it may send messages of its own. */
  readonly sends: boolean;
}

/** `sieve.trusted.*`, and the scripts that sessions run (`session.*.script`). */
export interface SieveConfig {
  /** By id. */
  readonly scripts: ReadonlyMap<string, ScriptConfig>;
  /** Which is run at each stage of a session; `false` for none. */
  readonly stages: Readonly<Record<"connect" | "ehlo" | "mail" | "rcpt" | "data", Setting<string | false>>>;
  /** For the messages that scripts send. */
  readonly fromName: Setting<string>;
  readonly fromAddress: Setting<string>;
  readonly returnPath: Setting<string>;
  /** Ids of signatures. */
  readonly sign: Setting<readonly string[]>;
  /** Right side of Message-ID. */
  readonly hostname: string;
  /** Received fields of a message that is sent on. */
  readonly receivedHeaders: number;
  readonly exec: {
    /** Absolute paths of programs that may be run; undefined: all. */
    readonly allow: readonly string[] | undefined;
    /** Milliseconds that a program may take. */
    readonly timeout: number;
  };
  /** For scripts of users (`queue.route.<id>.sieve`). */
  readonly user: {
    readonly limits: Partial<SieveLimits>;
    /** Octets of the longest script. */
    readonly scriptSize: number;
  };
}
