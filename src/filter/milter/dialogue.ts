/** One session as a milter is told it. */

import type { MilterConfig } from "../../config/config.ts";
import type { Emit } from "../../telemetry/event.ts";
import type { Reply } from "../../smtp/mod.ts";
import type { FilterAnswer, FilteredSession, FilteredTransaction, FilterInstance, Stage } from "../filter.ts";
import { namedRecipients } from "./changes.ts";
import type { MilterLink, Traffic } from "./link.ts";
import { type ClientName, macroPacket, type MacroSources } from "./macros.ts";
import { sendMessage } from "./message.ts";
import type { Holder, MilterPool } from "./pool.ts";
import { COMMAND, type MacroStage, packet, STEP } from "./protocol.ts";
import { connectPacket, heloPacket, mailPacket, rcptPacket, type Step, STEPS, unknownPacket } from "./steps.ts";
import { MilterTrouble } from "./trouble.ts";
import { type Decision, judgementOf, unavailable } from "./verdict.ts";

/** What dialogues of one filter share. */
export interface MilterEngine {
  readonly config: MilterConfig;
  readonly pool: MilterPool;
  readonly emit: Emit;
  /** Name and version of this program. */
  readonly version: string;
  /** Whether the filter wants to hear of recipients that were refused; undefined until it has said so. */
  wantsRefused: boolean | undefined;
}

/** First version of the protocol where filters hear of unknown commands and of DATA. */
const UNKNOWN_SINCE = 4;

/** What a command is about. */
type About = Pick<MacroSources, "transaction" | "recipient" | "refusal">;

const NOTHING: About = { transaction: undefined, recipient: "", refusal: undefined };

const ACCEPT: FilterAnswer = { verdict: { kind: "accept" } };
const QUIT = packet(COMMAND.quit);
const ABORT = packet(COMMAND.abort);

/**
 * Makes the dialogue of a session. A filter is told everything that a stage needs: who is asked at the end of the data
 * alone hears of connection, EHLO, sender and recipients then. In the same way a session that has lent its connection to
 * another one, or lost it, catches up.
 */
export function openDialogue(
  engine: MilterEngine,
  session: FilteredSession,
  connections: () => number,
): FilterInstance {
  return new Dialogue(engine, session, connections);
}

class Dialogue implements FilterInstance, Holder {
  readonly #engine: MilterEngine;
  readonly #session: FilteredSession;
  readonly #connections: () => number;
  readonly #onTraffic: Traffic;
  #link: MilterLink | undefined;
  #reused = false;
  #client: ClientName | undefined;

  /** What the filter knows. */
  #told = { connect: false, helo: "", mail: false, recipients: 0 };
  /** What was decided for the whole session, and that it was for the message. */
  #standing: FilterAnswer | undefined;
  #passed = false;
  /** The refusal of a MAIL that had been answered already: nobody may add recipients to it. */
  #denied: FilterAnswer | undefined;

  constructor(engine: MilterEngine, session: FilteredSession, connections: () => number) {
    this.#engine = engine;
    this.#session = session;
    this.#connections = connections;
    const { emit, config } = engine;
    this.#onTraffic = (event, letters, size) => {
      emit(event, { session: session.id, filter: config.id, commands: letters, size });
    };
  }

  async judge(stage: Stage, transaction: FilteredTransaction | undefined): Promise<FilterAnswer> {
    if (this.#standing !== undefined) return this.#standing;
    if (this.#denied !== undefined) return this.#denied;
    if (this.#passed) return ACCEPT;
    this.#engine.pool.need(this);
    try {
      return await this.#tryTwice((fresh) => this.#run(stage, transaction, fresh));
    } catch (error) {
      this.#troubled(stage, error);
      return this.#failed(stage);
    } finally {
      if (this.#link !== undefined && !this.#told.mail) this.#engine.pool.spare(this);
    }
  }

  async unknown(line: Uint8Array): Promise<FilterAnswer> {
    const link = this.#link;
    // It is answered 500 anyway: not worth a connection, nor a failure.
    if (this.#isDone || link === undefined || link.closed || link.version < UNKNOWN_SINCE) return ACCEPT;
    // Between RCPT and a header without DATA it puts libmilter out of step: that ignores the header, and answers nothing.
    if (this.#told.mail && (link.steps & STEP.noData) !== 0) return ACCEPT;
    return await this.#aside("ehlo", async () => {
      const end = await this.#tell(link, STEPS.unknown, "ehlo", () => unknownPacket(line), NOTHING);
      return end === undefined ? ACCEPT : this.#told.mail ? this.#pass(end) : end;
    });
  }

  async refused(transaction: FilteredTransaction, refusal: Reply): Promise<FilterAnswer> {
    const { recipient } = transaction;
    if (this.#isDone || recipient === undefined || this.#engine.wantsRefused === false) return ACCEPT;
    const { address, parameters } = recipient;
    return await this.#aside("rcpt", () =>
      this.#tryTwice(async (fresh) => {
        const link = await this.#connected(fresh);
        if ((link.steps & STEP.rejectedRcpt) === 0) return ACCEPT;
        const early = await this.#tellSender(link, "rcpt", transaction);
        if (early !== undefined) return early;
        const about = { transaction, recipient: address, refusal };
        const end = await this.#tell(link, STEPS.rcpt, "rcpt", () => rcptPacket(address, parameters), about);
        return end === undefined ? ACCEPT : this.#pass(end);
      }));
  }

  /** Whether the filter hears nothing more, of the session or of the message. */
  get #isDone(): boolean {
    return this.#standing !== undefined || this.#denied !== undefined || this.#passed;
  }

  reset(): void {
    this.#passed = false;
    this.#denied = undefined;
    if (this.#told.mail) this.#link?.put(ABORT);
    this.#told.mail = false;
    this.#told.recipients = 0;
    if (this.#link !== undefined) this.#engine.pool.spare(this);
  }

  close(): void {
    const { pool } = this.#engine;
    pool.need(this);
    if (this.#link === undefined) return;
    if (this.#told.mail) {
      // In the middle of something that nobody waits for any more.
      this.#link.leave(QUIT);
      pool.giveBack(this.#link);
      this.#forget();
    } else {
      this.giveBack();
    }
  }

  giveBack(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#forget();
    this.#engine.pool.giveBack(link);
  }

  /** Asks about something that is refused anyway: a failure is only told. */
  async #aside(stage: Stage, ask: () => Promise<FilterAnswer>): Promise<FilterAnswer> {
    const { pool } = this.#engine;
    pool.need(this);
    try {
      return await ask();
    } catch (error) {
      this.#troubled(stage, error);
      return ACCEPT;
    } finally {
      if (this.#link !== undefined && !this.#told.mail) pool.spare(this);
    }
  }

  /**
   * A kept connection may have ended meanwhile, which is seen only when it is used: then a new one is tried, on which the
   * filter hears again what it knew.
   */
  async #tryTwice(run: (fresh: boolean) => Promise<FilterAnswer>): Promise<FilterAnswer> {
    const held = this.#link !== undefined && !this.#link.closed;
    if (this.#link !== undefined) this.#link.answered = false;
    try {
      return await run(false);
    } catch (error) {
      const stale = error instanceof MilterTrouble && error.event === "milter.disconnected" &&
        (held || this.#reused) && this.#link?.answered === false;
      if (!stale) throw error;
      this.#drop();
    }
    return await run(true);
  }

  async #run(stage: Stage, transaction: FilteredTransaction | undefined, fresh: boolean): Promise<FilterAnswer> {
    const link = await this.#connected(fresh);
    if (stage === "connect" || stage === "ehlo" || transaction === undefined) {
      return await this.#tellClient(link, stage) ?? ACCEPT;
    }
    const end = await this.#tellSender(link, stage, transaction);
    if (end !== undefined) return end;
    return stage === "mail" ? ACCEPT : await this.#tellRest(link, stage, transaction);
  }

  /** Tells of connection and EHLO; gives the answer if it is a decision. */
  async #tellClient(link: MilterLink, stage: Stage): Promise<FilterAnswer | undefined> {
    if (!this.#told.connect) {
      this.#told.connect = true;
      const client = await this.#clientName();
      const tell = () => connectPacket(this.#session, client.name);
      const end = await this.#tell(link, STEPS.connect, stage, tell, NOTHING);
      if (end !== undefined) return this.#stand(end);
    }
    const helo = this.#session.heloDomain;
    if (stage === "connect" || helo === "" || (stage !== "ehlo" && this.#told.helo === helo)) return undefined;
    this.#told.helo = helo;
    const end = await this.#tell(link, STEPS.helo, stage, () => heloPacket(helo), NOTHING);
    return end === undefined ? undefined : this.#stand(end);
  }

  /** Tells of the client and MAIL, as far as they are not known; gives the answer if it is a decision. */
  async #tellSender(
    link: MilterLink,
    stage: Stage,
    transaction: FilteredTransaction,
  ): Promise<FilterAnswer | undefined> {
    const standing = await this.#tellClient(link, stage);
    if (standing !== undefined || this.#told.mail) return standing;
    this.#told.mail = true;
    const { sender, parameters } = transaction;
    const end = await this.#tell(link, STEPS.mail, stage, () => mailPacket(sender, parameters), {
      transaction,
      recipient: "",
      refusal: undefined,
    });
    if (end?.verdict.kind === "reply" && stage !== "mail") this.#denied = end;
    return end === undefined ? undefined : this.#pass(end);
  }

  /** Tells of recipients and message. */
  async #tellRest(link: MilterLink, stage: Stage, transaction: FilteredTransaction): Promise<FilterAnswer> {
    const { recipients, recipient } = transaction;
    const missed = this.#told.recipients === 0 ? namedRecipients(recipients) : [];
    for (const { address, parameters } of recipient === undefined ? missed : [...missed, recipient]) {
      this.#told.recipients++;
      const tell = () => rcptPacket(address, parameters);
      const end = await this.#tell(link, STEPS.rcpt, stage, tell, {
        transaction,
        recipient: address,
        refusal: undefined,
      });
      if (end !== undefined) return this.#pass(end);
    }
    const { message } = transaction;
    if (stage === "rcpt" || message === undefined) return ACCEPT;
    const about = { transaction, recipient: "", refusal: undefined };
    const outcome = await sendMessage(link, transaction, message, (command, macros) => {
      return this.#macros(link, command, macros, about);
    });
    // The filter has heard all of it: there is nothing to be called off.
    if (outcome.complete) {
      this.#told.mail = false;
      this.#told.recipients = 0;
    }
    const { changes, decision } = outcome;
    if (changes === undefined) return this.#pass(this.#concluded(decision, stage));
    for (const reason of changes.problems) {
      this.#engine.emit("smtp.filter-error", { ...this.#fields(stage), kind: "milter", reason });
    }
    this.#passed = true;
    const { modifications, quarantine } = changes;
    if (decision !== undefined || modifications.length > 0 || quarantine !== undefined) {
      this.#engine.emit("milter.action-accept", {
        ...this.#fields(stage),
        id: message.id,
        ...(modifications.length === 0 ? {} : { changes: modifications.map(({ kind }) => kind) }),
        ...(quarantine === undefined ? {} : { quarantine }),
      });
    }
    return { verdict: { kind: quarantine === undefined ? "accept" : "quarantine" }, modifications };
  }

  /** Tells one command; gives the answer if it is a decision. */
  async #tell(
    link: MilterLink,
    step: Step,
    stage: Stage,
    make: () => Uint8Array,
    about: About,
  ): Promise<FilterAnswer | undefined> {
    link.begin();
    if (step.macros !== undefined) link.put(this.#macros(link, step.command, step.macros, about));
    if ((link.steps & step.unwanted) !== 0) return undefined;
    link.put(make());
    if ((link.steps & step.silent) !== 0) return undefined;
    while (true) {
      const answer = await link.answer();
      if (answer.kind === "continue" || answer.kind === "skip") return undefined;
      if (answer.kind !== "change") return this.#concluded(answer, stage);
      if (answer.change.kind !== "quarantine") {
        throw link.fail(
          "milter.unexpected-response",
          `it asks for a change (${answer.change.kind}) before the end of the message`,
        );
      }
    }
  }

  #macros(link: MilterLink, command: number, stage: MacroStage, about: About): Uint8Array {
    const sources: MacroSources = {
      session: this.#session,
      transaction: about.transaction,
      recipient: about.recipient,
      refusal: about.refusal,
      client: this.#client ?? { name: "unknown", ptr: "unknown" },
      version: this.#engine.version,
      connections: this.#connections,
    };
    return macroPacket(command, stage, link.symbols.get(stage), sources);
  }

  #concluded(decision: Decision | undefined, stage: Stage): FilterAnswer {
    if (decision === undefined) return ACCEPT;
    const { verdict, event } = judgementOf(decision, stage);
    this.#engine.emit(event, {
      ...this.#fields(stage),
      ...(verdict.kind === "reply" ? { code: verdict.reply.code, reason: verdict.reply.text.join(" ") } : {}),
    });
    return { verdict };
  }

  /** A decision about connection or EHLO is one about the session. */
  #stand(answer: FilterAnswer): FilterAnswer {
    this.#standing = answer;
    this.giveBack();
    return answer;
  }

  /**
   * After a decision about the message the filter hears nothing more of it; after a refusal, or a word about something
   * that is refused anyway, it may be asked again.
   */
  #pass(answer: FilterAnswer): FilterAnswer {
    if (answer.verdict.kind !== "reply") this.#passed = true;
    return answer;
  }

  #failed(stage: Stage): FilterAnswer {
    if (this.#engine.config.tempfailOnError) return { verdict: unavailable(stage) };
    this.#passed = stage !== "connect" && stage !== "ehlo";
    return ACCEPT;
  }

  /** Gives up the link and tells why; any other error than trouble with a filter is thrown. */
  #troubled(stage: Stage, error: unknown): void {
    this.#drop();
    if (!(error instanceof MilterTrouble)) throw error;
    this.#engine.emit(error.event, { ...this.#fields(stage), reason: error.message });
  }

  async #connected(fresh: boolean): Promise<MilterLink> {
    if (this.#link !== undefined && !this.#link.closed) return this.#link;
    this.#drop();
    const { link, reused } = await this.#engine.pool.take(fresh);
    link.answered = false;
    this.#engine.wantsRefused = (link.steps & STEP.rejectedRcpt) !== 0;
    link.onTraffic = this.#onTraffic;
    this.#link = link;
    this.#reused = reused;
    return link;
  }

  async #clientName(): Promise<ClientName> {
    if (this.#client !== undefined) return this.#client;
    const iprev = (await this.#session.authResults?.())?.iprev;
    const ptr = iprev === undefined || iprev.name === "" ? "unknown" : iprev.name;
    return this.#client = { name: iprev?.result === "pass" ? ptr : "unknown", ptr };
  }

  /** Closes the link, if there is one. */
  #drop(): void {
    const link = this.#link;
    this.#forget();
    if (link === undefined) return;
    link.close();
    this.#engine.pool.giveBack(link);
  }

  #forget(): void {
    this.#link = undefined;
    this.#told = { connect: false, helo: "", mail: false, recipients: 0 };
  }

  #fields(stage: Stage) {
    return { session: this.#session.id, filter: this.#engine.config.id, stage };
  }
}
