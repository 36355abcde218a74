/** Asking the filters of a session in their fixed order. */

import { type Reply, reply } from "../smtp/mod.ts";
import {
  type Filter,
  FILTER_KINDS,
  type FilterAnswer,
  type FilteredSession,
  type FilteredTransaction,
  type FilterInstance,
  type Outgoing,
  type Stage,
  type Verdict,
} from "./filter.ts";
import { modify } from "./modify.ts";

/** What all filters together say at a stage. */
export interface StageOutcome {
  readonly verdict: Verdict;
  /** The transaction as the last filter left it; undefined before stage `mail`. */
  readonly transaction: FilteredTransaction | undefined;
  /** The filter that refused or discarded, `""` if none did. */
  readonly filter: string;
  /** What filters send; if one of them refused, what that one sends. Absent if nothing. */
  readonly outgoing?: readonly Outgoing[];
}

/** What a filter says about something that is refused anyway. */
export interface Remark {
  readonly verdict: Verdict;
  /** As in {@link StageOutcome}. */
  readonly filter: string;
}

/** Told of what goes wrong in a filter: an exception, or a modification that makes no sense. */
export type FilterTrouble = (filter: Filter, problem: string) => void;

/** The filters of a configuration, in order. */
export interface FilterChain {
  /** Whether any filter wants this stage. */
  has(stage: Stage): boolean;
  /** Starts a session. No filter is opened before it is asked. */
  open(session: FilteredSession, trouble: FilterTrouble): FilterRun;
}

/** The filters of one session. */
export interface FilterRun {
  /** As {@link FilterChain.has}; then there is nothing to ask. */
  has(stage: Stage): boolean;
  /** Asks the filters of a stage one after the other; each sees what those before it changed. Never rejects. */
  judge(stage: Stage, transaction?: FilteredTransaction): Promise<StageOutcome>;
  /**
   * Tells of a command that is none of SMTP, without its line end. Filters hear of it that have been asked in this
   * session before. The first reply of one is for the client. Never rejects.
   */
  unknown(line: Uint8Array): Promise<Remark>;
  /** Tells of a recipient (`recipient` of the transaction) that was refused, at stage `rcpt`. Never rejects. */
  refused(transaction: FilteredTransaction, refusal: Reply): Promise<Remark>;
  /** The transaction is over. */
  reset(): void;
  /** The session is over. Called once. */
  close(): void;
}

/**
 * Puts filters in order: milters, then scripts, then hooks, those of one kind as they come.
 *
 * @returns nothing if there are no filters, so that sessions without any need not ask
 */
export function createFilterChain(filters: readonly Filter[]): FilterChain | undefined {
  if (filters.length === 0) return undefined;
  const ordered = FILTER_KINDS.flatMap((kind) => filters.filter((filter) => filter.kind === kind));
  const wanted = new Set(ordered.flatMap((filter) => [...filter.stages]));
  const clients = new Map<string, number>();
  return {
    has: (stage) => wanted.has(stage),
    open: (session, trouble) => openRun({ filters: ordered, wanted, clients }, session, trouble),
  };
}

const ACCEPT: Verdict = { kind: "accept" };
const NOTHING_SAID: Remark = { verdict: ACCEPT, filter: "" };
const QUARANTINE: Verdict = { kind: "quarantine" };
/** When a filter fails by an exception, which costs the transaction and nothing else. */
const FAILED: Verdict = { kind: "reply", reply: reply(451, "4.3.0", "A filter failed for now, try again later") };

/** What the sessions of a chain share. */
interface Shared {
  readonly filters: readonly Filter[];
  readonly wanted: ReadonlySet<Stage>;
  /** Sessions by client address. */
  readonly clients: Map<string, number>;
}

function openRun(
  { filters, wanted, clients }: Shared,
  session: FilteredSession,
  trouble: FilterTrouble,
): FilterRun {
  const open = new Map<Filter, FilterInstance>();
  const { ip } = session.remote;
  const connections = () => clients.get(ip) ?? 0;
  clients.set(ip, connections() + 1);

  const instanceOf = (filter: Filter): FilterInstance => {
    let instance = open.get(filter);
    if (instance === undefined) open.set(filter, instance = filter.open(session, connections));
    return instance;
  };

  const failed = (filter: Filter, error: unknown) =>
    trouble(filter, error instanceof Error ? error.message : String(error));

  const ask = async (filter: Filter, stage: Stage, transaction: FilteredTransaction | undefined) => {
    try {
      if (filter.enabled !== undefined && !await filter.enabled(session)) return undefined;
      return await instanceOf(filter).judge(stage, transaction);
    } catch (error) {
      failed(filter, error);
      return { verdict: FAILED };
    }
  };

  const tell = async (
    filter: Filter,
    how: (instance: FilterInstance) => Promise<FilterAnswer> | undefined,
  ): Promise<Verdict> => {
    try {
      if (filter.enabled !== undefined && !await filter.enabled(session)) return ACCEPT;
      return (await how(instanceOf(filter)))?.verdict ?? ACCEPT;
    } catch (error) {
      // What it was about is refused without a filter, too.
      failed(filter, error);
      return ACCEPT;
    }
  };

  return {
    has: (stage) => wanted.has(stage),
    async judge(stage, given) {
      let transaction = given;
      let held = false;
      const outgoing: Outgoing[] = [];
      const sent = () => outgoing.length === 0 ? {} : { outgoing };
      /** What was to go with a command that is refused does not go: the client may come with it again. */
      const drop = async () => {
        for (const each of outgoing.splice(0)) await each.settled({ queued: false, final: false });
      };
      for (const filter of filters) {
        if (!filter.stages.has(stage)) continue;
        const answer = await ask(filter, stage, transaction);
        if (answer === undefined) continue;
        const { verdict, modifications } = answer;
        if (verdict.kind === "reply") await drop();
        if (answer.outgoing !== undefined) outgoing.push(answer.outgoing);
        // RFC 5321 §3.3: what is refused now stays refused, whatever another filter would say.
        if (verdict.kind === "reply" || verdict.kind === "discard") {
          return { verdict, transaction, filter: filter.id, ...sent() };
        }
        if (verdict.kind === "quarantine") held = true;
        if (transaction !== undefined && modifications !== undefined && modifications.length > 0) {
          const modified = modify(transaction, modifications);
          transaction = modified.transaction;
          for (const problem of modified.problems) trouble(filter, problem);
        }
      }
      return { verdict: held ? QUARANTINE : ACCEPT, transaction, filter: "", ...sent() };
    },
    async unknown(line) {
      for (const filter of filters) {
        if (!open.has(filter)) continue;
        const verdict = await tell(filter, (instance) => instance.unknown?.(line));
        if (verdict.kind === "reply" || verdict.kind === "discard") return { verdict, filter: filter.id };
      }
      return NOTHING_SAID;
    },
    async refused(transaction, refusal) {
      for (const filter of filters) {
        if (!filter.stages.has("rcpt")) continue;
        const verdict = await tell(filter, (instance) => instance.refused?.(transaction, refusal));
        if (verdict.kind === "discard" || (verdict.kind === "reply" && verdict.disconnect === true)) {
          return { verdict, filter: filter.id };
        }
      }
      return NOTHING_SAID;
    },
    reset() {
      for (const instance of open.values()) instance.reset?.();
    },
    close() {
      for (const instance of open.values()) instance.close?.();
      open.clear();
      const others = connections() - 1;
      if (others > 0) clients.set(ip, others);
      else clients.delete(ip);
    },
  };
}
