/** What scripts of the administrator are run with. */

import type { Clock } from "../../clock/mod.ts";
import type { SieveConfig } from "../../config/config.ts";
import type { FunctionHost } from "../../expression/mod.ts";
import type { ContentWriter, MessageId, NewMessage } from "../../queue/types.ts";
import type { Emit } from "../../telemetry/event.ts";
import type { SeenMemory } from "./memory.ts";

/** Lists that scripts may name (`:list`, RFC 6134). */
export interface ScriptLists {
  has(name: string): boolean;
  /** Addresses in a list whose entries are known as a whole; undefined for others. */
  members(name: string): readonly string[] | undefined;
}

/** Where messages that scripts send come from. */
export interface Outbox {
  nextId(): MessageId;
  contentWriter(): ContentWriter;
}

/** Everything that the filter is given. */
export interface SieveWorld {
  readonly config: SieveConfig;
  readonly functions: FunctionHost;
  readonly lists: ScriptLists;
  readonly memory: SeenMemory;
  readonly outbox: Outbox;
  /** Signs a message of this server; absent if there are no signatures. */
  readonly sign?: (message: NewMessage, signatures: readonly string[]) => Promise<NewMessage>;
  /** Of this program, for scripts that ask. */
  readonly version: string;
  readonly clock: Clock;
  readonly emit: Emit;
}
