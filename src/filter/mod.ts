/**
 * The filters behind one interface: at each stage of a session milters are asked first, then the script, then hooks.
 * Each may accept, refuse, drop or hold, and change envelope and message; the next one sees the changes. This much of the
 * room knows nothing of networks: a filter's own file reaches out.
 *
 * @module
 */

export {
  createFilterChain,
  type FilterChain,
  type FilterRun,
  type FilterTrouble,
  type Remark,
  type StageOutcome,
} from "./chain.ts";
export {
  type EditableContent,
  type Filter,
  FILTER_KINDS,
  type FilterAnswer,
  type FilteredMessage,
  type FilteredRecipient,
  type FilteredSession,
  type FilteredTransaction,
  type FilterInstance,
  type FilterKind,
  type Modification,
  type Outgoing,
  type OutgoingFate,
  type RetirableFilter,
  type Stage,
  type Verdict,
} from "./filter.ts";
export { type FilterMakers, loadFilterMakers, loadUserScripts } from "./load.ts";
export { createSeenMemory, purgeSeen, type SeenMemory } from "./sieve/memory.ts";
export type { Outbox, ScriptLists, SieveWorld } from "./sieve/world.ts";
export type { RunUserScript, UserDecision, UserOccasion, UserScriptWorld } from "./sieve/user_script.ts";
