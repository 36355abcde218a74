/** What a session needs from the rest of the program. */

import type { Clock } from "../clock/mod.ts";
import type { SessionConfig } from "../config/config.ts";
import type { Directory } from "../directory/directory.ts";
import type { FunctionHost } from "../expression/types.ts";
import type { FilterChain } from "../filter/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { InboundLimits } from "../throttle/mod.ts";
import type { ContentWriter, MessageId, NewMessage } from "../queue/types.ts";

/** The part of the queue that a session uses. */
export interface Intake {
  nextId(): MessageId;
  contentWriter(): ContentWriter;
  /** Resolves once the message is durable; only then may 250 be answered (design §4, rule 1). */
  enqueue(message: NewMessage): Promise<void>;
}

/** Everything a session is given. Replaced as a whole by a reload; running sessions keep what they started with. */
export interface InboundDependencies {
  readonly config: SessionConfig;
  /** `server.hostname`: right side of Message-ID fields made here. */
  readonly hostname: string;
  /** Text after the host name in the greeting, by listener id, where the listener sets one. */
  readonly listenerGreetings: ReadonlyMap<string, string>;
  readonly directories: ReadonlyMap<string, Directory>;
  readonly functions: FunctionHost;
  /** Milters, scripts and hooks; absent if there are none, which costs sessions nothing. */
  readonly filters?: FilterChain;
  /** `[[queue.limiter.inbound]]`; absent: nothing is limited. */
  readonly limits?: InboundLimits;
  /** Whether an address is in `server.allowed-ip`; absent: every one counts as if it were. */
  readonly isTrusted?: (ip: string) => boolean;
  /**
   * Whether a login name had too many failures lately, and is refused whatever its password.
   *
   * @throws {LookupUnavailable} (rejects) if that cannot be found out
   */
  readonly loginRefused?: (account: string) => boolean | Promise<boolean>;
  readonly queue: Intake;
  readonly clock: Clock;
  readonly emit: Emit;
}
