/** The world as a script of the administrator sees it from a session. */

import type { AuthResults } from "../../authentication/types.ts";
import { formatMessageId } from "../../queue/mod.ts";
import { DEFAULT_ADDRESS_BOOK, type SieveHost, type SieveMessage } from "../../sieve/mod.ts";
import type { FilteredSession, FilteredTransaction, Stage } from "../filter.ts";
import { environmentOf } from "./environment.ts";
import type { RunMemory } from "./memory.ts";
import type { RunProgram } from "./program.ts";
import { takeTurns } from "./turns.ts";
import type { SieveWorld } from "./world.ts";

/** What one run is about. */
export interface Occasion {
  readonly session: FilteredSession;
  readonly stage: Stage;
  readonly transaction: FilteredTransaction | undefined;
  readonly message: SieveMessage;
  readonly results: AuthResults;
  /** Id of the script. */
  readonly script: string;
  /** Who sends what the script sends: `"Name" <address>`; absent if it sends nothing. */
  readonly sender: string | undefined;
}

/** Makes the host of a run. */
export function createHost(
  world: SieveWorld,
  occasion: Occasion,
  memory: RunMemory,
  runProgram: RunProgram,
): SieveHost {
  const { functions, lists, clock, emit, config } = world;
  const { session, stage, script, sender } = occasion;
  const unknownList = (list: string) => {
    emit("sieve.list-not-found", { session: session.id, stage, script, list });
  };
  return {
    now: () => clock.now(),
    zoneOffset: (time) => -new Date(time).getTimezoneOffset(),
    environment: environmentOf({
      session,
      stage,
      transaction: occasion.transaction,
      header: occasion.message.header,
      results: occasion.results,
      now: () => clock.now(),
      version: world.version,
    }),
    inList(list, value) {
      if (lists.has(list)) return functions.keyExists(list, value);
      // RFC 6134 §2.5: this one there has to be; a server without users has nobody in it.
      if (list !== DEFAULT_ADDRESS_BOOK) unknownList(list);
      return false;
    },
    listExists: (list) => lists.has(list) || list === DEFAULT_ADDRESS_BOOK,
    listMembers: (list) => lists.members(list),
    seen: memory.seen,
    // Folders of local mailboxes are made when something is filed there.
    mailboxExists: () => true,
    addresses: sender === undefined ? [] : [sender],
    messageId: () => `${formatMessageId(world.outbox.nextId())}@${config.hostname}`,
    functions,
    execute: runProgram,
    pause: takeTurns(),
  };
}
