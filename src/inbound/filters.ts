/** The session's side of filters: what they are shown, and what becomes of their verdicts. */

import type {
  FilteredRecipient,
  FilteredSession,
  FilteredTransaction,
  FilterRun,
  Outgoing,
  Remark,
  Stage,
  Verdict,
} from "../filter/mod.ts";
import { LookupUnavailable } from "../expression/mod.ts";
import { type NewMessage, StoreUnavailable } from "../queue/mod.ts";
import type { Reply } from "../smtp/mod.ts";
import { resultsSoFar } from "./checks.ts";
import type { Fate, Session, Transaction } from "./session.ts";

/** Starts the filters of a session; nothing if none are configured. */
export function openFilters(session: Session): FilterRun | undefined {
  const chain = session.deps.filters;
  return chain?.open(
    viewOf(session),
    (filter, problem) =>
      session.deps.emit("smtp.filter-error", {
        session: session.id,
        filter: filter.id,
        kind: filter.kind,
        reason: problem,
      }),
  );
}

function viewOf(session: Session): FilteredSession {
  const { connection, deps } = session;
  return {
    id: session.id,
    listener: connection.listener,
    protocol: connection.protocol,
    remote: connection.remote,
    local: connection.local,
    hostname: deps.hostname,
    scope: session.scope,
    ...(deps.checks === undefined ? {} : { authResults: () => resultsSoFar(session) }),
    get tls() {
      return connection.tls;
    },
    get heloDomain() {
      return session.heloDomain;
    },
    get authenticatedAs() {
      return session.account?.name ?? "";
    },
    get authMechanism() {
      return session.authMechanism;
    },
  };
}

/** What filters leave of a stage: the transaction with their changes, or the reply that refuses the command. */
export type Filtered =
  | {
    readonly kind: "passed";
    readonly transaction: FilteredTransaction | undefined;
    /** Stage `data`: what filters send and is still to be queued. */
    readonly outgoing?: readonly Outgoing[];
  }
  | { readonly kind: "refused"; readonly reply: Reply };

/**
 * Asks the filters of a stage and keeps in mind that the message is to be dropped or held. Once it is to be dropped
 * nobody is asked any more: whatever the client says is answered as usual.
 *
 * @param fate where to note it: the transaction, or the session at `connect` and `ehlo`
 */
export async function filterStage(
  session: Session,
  run: FilterRun,
  stage: Stage,
  fate: Fate,
  transaction?: FilteredTransaction,
): Promise<Filtered> {
  if (!run.has(stage) || session.fate.discarded || fate.discarded) return { kind: "passed", transaction };
  const outcome = await run.judge(stage, transaction);
  const { verdict, outgoing } = outcome;
  if (outgoing !== undefined && (stage !== "data" || verdict.kind === "reply")) {
    await sendAlone(session, outgoing, verdict.kind !== "reply" || verdict.reply.code >= 500);
  }
  const pending = outgoing === undefined || stage !== "data" ? {} : { outgoing };
  switch (verdict.kind) {
    case "reply":
      tellRefusal(session, { verdict, filter: outcome.filter, stage });
      return { kind: "refused", reply: verdict.reply };
    case "discard":
      fate.discarded = true;
      return { kind: "passed", transaction, ...pending };
    case "quarantine":
      fate.held = true;
      break;
    case "accept":
      break;
  }
  return { kind: "passed", transaction: outcome.transaction, ...pending };
}

/** Tells filters of a command that nobody knows; gives what one of them wants answered, if any does. */
export async function remarkOnUnknown(session: Session, run: FilterRun, line: Uint8Array): Promise<Reply | undefined> {
  return remarked(session, await run.unknown(line), session.transaction?.fate, undefined);
}

/** Tells filters of a recipient that was refused; gives the reply, which is another one if a filter ends the session. */
export async function remarkOnRefused(
  session: Session,
  run: FilterRun,
  transaction: Transaction,
  recipient: FilteredRecipient,
  refusal: Reply,
): Promise<Reply> {
  if (!run.has("rcpt") || session.fate.discarded || transaction.fate.discarded) return refusal;
  const { sender, parameters, recipients } = transaction;
  const remark = await run.refused({ sender, parameters, recipients, recipient }, refusal);
  return remarked(session, remark, transaction.fate, "rcpt") ?? refusal;
}

function remarked(
  session: Session,
  { verdict, filter }: Remark,
  fate: Fate | undefined,
  stage: Stage | undefined,
): Reply | undefined {
  if (verdict.kind === "discard" && fate !== undefined) fate.discarded = true;
  if (verdict.kind !== "reply") return undefined;
  tellRefusal(session, { verdict, filter, stage });
  return verdict.reply;
}

function tellRefusal(
  session: Session,
  { verdict, filter, stage }: {
    readonly verdict: Extract<Verdict, { kind: "reply" }>;
    readonly filter: string;
    /** Absent for a command that is none of SMTP. */
    readonly stage: Stage | undefined;
  },
): void {
  const { reply, disconnect } = verdict;
  session.deps.emit("smtp.filter-refused", {
    session: session.id,
    remoteIp: session.connection.remote.ip,
    stage,
    filter,
    code: reply.code,
    reason: reply.text.join(" "),
  });
  if (disconnect === true || reply.code === 421) session.ending = "refused";
}

/** Queues what filters send about a command that brings no message itself. */
async function sendAlone(session: Session, outgoing: readonly Outgoing[], final: boolean): Promise<void> {
  for (const each of outgoing) {
    let queued = true;
    try {
      await enqueueAll(session, each.messages);
    } catch (error) {
      if (!(error instanceof StoreUnavailable || error instanceof LookupUnavailable)) throw error;
      queued = false;
      session.deps.emit("smtp.filter-error", { session: session.id, kind: "script", reason: error.message });
    }
    await each.settled({ queued, final });
  }
}

/**
 * Queues messages in one commit.
 *
 * @throws {StoreUnavailable | LookupUnavailable} (rejects) if they cannot be queued now
 */
export async function enqueueAll(session: Session, messages: readonly NewMessage[]): Promise<void> {
  const [first, ...others] = messages;
  if (first !== undefined) await session.deps.queue.enqueue(first, others);
}

/** Ends a message, and tells filters what came of what they sent. */
export async function settling(
  outgoing: readonly Outgoing[] | undefined,
  end: () => Promise<readonly Reply[]>,
): Promise<readonly Reply[]> {
  if (outgoing === undefined) return await end();
  let queued = false;
  try {
    const answers = await end();
    queued = answers.some(({ code }) => code < 400);
    return answers;
  } finally {
    for (const each of outgoing) await each.settled({ queued, final: queued });
  }
}

/** Whether filters want the message dropped. */
export function isDiscarded(session: Session, transaction: Transaction): boolean {
  return session.fate.discarded || transaction.fate.discarded;
}

/** Whether filters want the message held. */
export function isHeld(session: Session, transaction: Transaction): boolean {
  return session.fate.held || transaction.fate.held;
}
