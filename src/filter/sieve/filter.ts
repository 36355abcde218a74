/** The scripts of the administrator as a filter (`session.*.script`). */

import type { AuthResults } from "../../authentication/types.ts";
import type { ScriptConfig } from "../../config/config.ts";
import { LookupUnavailable } from "../../expression/mod.ts";
import { StoreUnavailable } from "../../queue/mod.ts";
import {
  type Envelope,
  messageOfContent,
  type Outcome,
  runScript,
  type SieveMessage,
  sieveMessage,
} from "../../sieve/mod.ts";
import { reply } from "../../smtp/mod.ts";
import type {
  Filter,
  FilterAnswer,
  FilteredSession,
  FilteredTransaction,
  Modification,
  Outgoing,
  Stage,
  Verdict,
} from "../filter.ts";
import { type BodyRoom, createBodyRoom, type Leave } from "./body_room.ts";
import { conclude, messageChanges } from "./conclusion.ts";
import { envelopeChanges, envelopeOf } from "./envelope.ts";
import { createHost } from "./host.ts";
import { runMemory, type Sighting } from "./memory.ts";
import { noteSent, outgoingMessages, type Sending, type Sent } from "./outgoing.ts";
import { createProgramRunner, type RunProgram } from "./program.ts";
import { refusalOf } from "./refusal.ts";
import type { SieveWorld } from "./world.ts";

const STAGES: readonly Stage[] = ["connect", "ehlo", "mail", "rcpt", "data"];

const ACCEPT: FilterAnswer = { verdict: { kind: "accept" } };
/** A source that cannot be reached is never the sender's fault. */
const LATER: FilterAnswer = {
  verdict: { kind: "reply", reply: reply(451, "4.3.0", "A lookup failed for now, try again later") },
};

/** What runs share. */
interface Engine {
  readonly world: SieveWorld;
  readonly room: BodyRoom;
  readonly runProgram: RunProgram;
}

/** Makes the filter; nothing if no stage ever runs a script. */
export function createSieveFilter(world: SieveWorld): Filter | undefined {
  const { config, functions, emit, clock } = world;
  const nowhere = { variables: {}, functions };
  const stages = STAGES.filter((stage) => {
    const choice = config.stages[stage];
    return !(choice.isConstant && choice.evaluate(nowhere) === false);
  });
  if (stages.length === 0) return undefined;
  const engine: Engine = {
    world,
    room: createBodyRoom(),
    runProgram: createProgramRunner({
      ...config.exec,
      clock,
      trouble: (program, reason) => emit("sieve.exec-error", { program, reason }),
    }),
  };
  return {
    id: "sieve",
    kind: "script",
    stages: new Set(stages),
    open: (session) => ({ judge: (stage, transaction) => judge(engine, session, stage, transaction) }),
  };
}

async function judge(
  engine: Engine,
  session: FilteredSession,
  stage: Stage,
  transaction: FilteredTransaction | undefined,
): Promise<FilterAnswer> {
  const { config, emit } = engine.world;
  const about = { session: session.id, stage };
  try {
    const chosen = config.stages[stage].evaluate(session.scope);
    const id = chosen instanceof Promise ? await chosen : chosen;
    const script = id === false ? undefined : config.scripts.get(id);
    if (script === undefined) return ACCEPT;
    return await run(engine, session, stage, transaction, script);
  } catch (error) {
    if (error instanceof LookupUnavailable || error instanceof StoreUnavailable) {
      emit("eval.lookup-unavailable", { ...about, reason: error.message });
      return LATER;
    }
    // A fault of this program must not stop mail that the script may have had no word about.
    emit("sieve.unexpected-error", { ...about, reason: error instanceof Error ? error.message : String(error) });
    return ACCEPT;
  }
}

async function run(
  engine: Engine,
  session: FilteredSession,
  stage: Stage,
  transaction: FilteredTransaction | undefined,
  { id, script, readsResults, sends }: ScriptConfig,
): Promise<FilterAnswer> {
  const { world } = engine;
  const { clock, emit, memory } = world;
  const { message, leave } = messageOf(transaction, engine.room);
  try {
    const remembered = runMemory(memory, clock, "trusted");
    const results = readsResults ? await session.authResults?.() ?? NO_RESULTS : NO_RESULTS;
    const sender = sends ? await senderOf(world, session) : undefined;
    const occasion = { session, stage, transaction, message, results, script: id, sender };
    const host = createHost(world, occasion, remembered, engine.runProgram);
    const envelope = envelopeOf(transaction, session.authenticatedAs, clock.now());
    const running = runScript(script, { message, envelope, host });
    const outcome = running instanceof Promise ? await running : running;
    if (outcome.error !== undefined) {
      const { error } = outcome;
      const at = {
        ...(error.at === undefined ? {} : { line: error.at.line, column: error.at.column }),
        ...(error.script === undefined ? {} : { included: error.script }),
      };
      emit("sieve.runtime-error", { session: session.id, stage, script: id, ...at, reason: error.message });
      return ACCEPT;
    }
    const sending: Sending = {
      world,
      scope: session.scope,
      owner: () => world.config.fromAddress.evaluate(session.scope),
      about: { session: session.id, stage, script: id },
      envelope: transaction && {
        sender: transaction.sender,
        parameters: transaction.parameters,
        recipients: transaction.recipients.map(({ address }) => address),
      },
      arrived: transaction?.message,
      original: message,
    };
    return await answer(engine, sending, transaction, { stage, outcome, envelope, sightings: remembered.sightings });
  } finally {
    leave();
  }
}

const NO_RESULTS: AuthResults = {};
const NO_MESSAGE = sieveMessage(new Uint8Array(0));
const NOTHING: Leave = () => {};

/** The message of a stage; a body that lives elsewhere waits for its place in memory. */
function messageOf(
  transaction: FilteredTransaction | undefined,
  room: BodyRoom,
): { readonly message: SieveMessage; readonly leave: Leave } {
  const content = transaction?.message?.content;
  if (content === undefined) return { message: NO_MESSAGE, leave: NOTHING };
  const message = messageOfContent(content);
  if (content.complete) return { message, leave: NOTHING };
  let place: Promise<Leave> | undefined;
  return {
    message: {
      ...message,
      body: async () => {
        await (place ??= room.enter(content.size));
        return await message.body();
      },
    },
    leave: () => void place?.then((leave) => leave()),
  };
}

async function senderOf({ config }: SieveWorld, session: FilteredSession): Promise<string> {
  const name = await config.fromName.evaluate(session.scope);
  const address = await config.fromAddress.evaluate(session.scope);
  return name === "" ? address : `"${name.replace(/["\\]/g, "\\$&")}" <${address}>`;
}

/** The outcome of a script that ended well. */
interface Ending {
  readonly stage: Stage;
  readonly outcome: Outcome;
  /** The envelope before the script. */
  readonly envelope: Envelope;
  readonly sightings: readonly Sighting[];
}

async function answer(
  { world }: Engine,
  sending: Sending,
  transaction: FilteredTransaction | undefined,
  { stage, outcome, envelope, sightings }: Ending,
): Promise<FilterAnswer> {
  const { about } = sending;
  const conclusion = conclude(outcome, stage);
  const { modifications: changes, without } = envelopeChanges(
    transaction,
    envelope,
    outcome.envelope,
    world.clock.now(),
  );
  for (const action of [...conclusion.unsupported, ...without.map((name) => `envelope.${name}`)]) {
    world.emit("sieve.not-supported", { ...about, action });
  }
  const sent = conclusion.sending.length === 0 ? NONE_SENT : await outgoingMessages(sending, conclusion.sending);
  for (const to of sent.looping) world.emit("sieve.redirect-loop", { ...about, to });
  const outgoing = outgoingOf(world, sending, sent, sightings);
  if (conclusion.refusal !== undefined) {
    const refusal = refusalOf(conclusion.refusal);
    world.emit("sieve.action-reject", { ...about, code: refusal.code, reason: refusal.text.join(" ") });
    return { verdict: { kind: "reply", reply: refusal }, ...outgoing };
  }
  // What could not be sent on is not lost for it.
  if (!conclusion.kept && (conclusion.discarded || sent.looping.length === 0)) {
    world.emit("sieve.action-discard", about);
    return { verdict: DISCARD, ...outgoing };
  }
  const edits = transaction?.message === undefined
    ? []
    : await messageChanges(transaction, sending.original, outcome.message);
  const filing: readonly Modification[] = conclusion.copies.length === 0
    ? []
    : [{ kind: "file", copies: conclusion.copies }];
  const modifications = [...changes, ...filing, ...edits];
  if (edits.length > 0) world.emit("sieve.action-accept-replace", about);
  else world.emit("sieve.action-accept", about);
  return { verdict: ACCEPT.verdict, modifications, ...outgoing };
}

const DISCARD: Verdict = { kind: "discard" };
const NONE_SENT: Sent = { messages: [], looping: [], discard() {} };

function outgoingOf(
  { memory, emit }: SieveWorld,
  sending: Sending,
  sent: Sent,
  sightings: readonly Sighting[],
): { readonly outgoing?: Outgoing } {
  if (sent.messages.length === 0 && sightings.length === 0) return {};
  const outgoing: Outgoing = {
    messages: sent.messages,
    async settled({ queued, final }) {
      if (queued) noteSent(sending, sent.messages);
      else sent.discard();
      // What a client may send again has not been seen yet: it would be taken for a duplicate, and lost.
      if (!final || sightings.length === 0) return;
      try {
        await memory.remember(sightings);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        emit("sieve.unexpected-error", { ...sending.about, reason });
      }
    },
  };
  return { outgoing };
}
