/**
 * One mail transaction: MAIL, RCPT and the message, in as few writes as the peer allows.
 *
 * With PIPELINING (RFC 2920) MAIL, all RCPT and DATA leave in one write, and the message with its final dot in another;
 * with CHUNKING (RFC 3030) as well, a small message leaves together with its commands.
 */

import type { QueuedMessage, QueuedRecipient } from "../queue/types.ts";
import { DotEncoder, formatMailCommand, formatRcptCommand, type RcptParameters, type Reply } from "../smtp/mod.ts";
import { isUnknownCommand } from "./caution.ts";
import { ConnectionLost, type Session, SMALL } from "./session.ts";
import { unsuitable } from "./suitability.ts";
import { failure, refusal, replyText, type Verdict } from "./verdict.ts";

/** Time limits in milliseconds, as in `queue.connection.<id>.timeout`. */
export interface TransactionTimeouts {
  readonly mailFrom: number;
  readonly rcptTo: number;
  readonly data: number;
}

/** What a transaction came to. */
export interface TransactionResult {
  /** One for each recipient, in order; `undefined` for those that the peer had no room for in this transaction. */
  readonly verdicts: readonly (Verdict | undefined)[];
  /** What to make of those if another transaction does not help. */
  readonly noRoom: Verdict | undefined;
  /** The session ended before it answered anything: what a kept connection does that has died meanwhile. */
  readonly dead: boolean;
}

// Commands that go out before their replies are read: enough to fill a round trip, and the replies (about 50 octets
// each) stay far below what sockets buffer, so neither side waits for the other to read (RFC 2920 §3.1).
const BATCH = 100;

const LONE_DOT = "." + "\r\n";

/**
 * Sends one message to `recipients` over `session`. After it the session can be used again unless it is closed.
 *
 * Never rejects for what the peer does: those are verdicts.
 *
 * @param options.now milliseconds since the epoch
 */
export async function transact(
  session: Session,
  message: QueuedMessage,
  recipients: readonly QueuedRecipient[],
  { timeouts, now }: { readonly timeouts: TransactionTimeouts; readonly now: number },
): Promise<TransactionResult> {
  const transaction = new Transaction(session, message, recipients, timeouts, now);
  try {
    await transaction.run();
  } catch (error) {
    if (!(error instanceof ConnectionLost)) {
      session.close();
      throw error;
    }
    transaction.giveUp(error);
  }
  const { verdicts, noRoom, answered } = transaction;
  return { verdicts, noRoom, dead: session.closed && !answered };
}

class Transaction {
  readonly verdicts: (Verdict | undefined)[];
  noRoom: Verdict | undefined;
  /** Whether the peer has said anything but goodbye. */
  answered = false;

  #session: Session;
  #message: QueuedMessage;
  #recipients: readonly QueuedRecipient[];
  #timeouts: TransactionTimeouts;
  #now: number;
  /** Recipients that were accepted and wait for the fate of the message. */
  #accepted: number[] = [];
  /** All of the message was sent, so that it may have arrived although no reply did. */
  #sent = false;

  constructor(
    session: Session,
    message: QueuedMessage,
    recipients: readonly QueuedRecipient[],
    timeouts: TransactionTimeouts,
    now: number,
  ) {
    this.#session = session;
    this.#message = message;
    this.#recipients = recipients;
    this.#timeouts = timeouts;
    this.#now = now;
    this.verdicts = new Array(recipients.length);
  }

  async run(): Promise<void> {
    // The dialogue of an attempt begins with its connection, or with the transaction on one that is used again.
    if (this.#session.transactions > 0) this.#session.dialogue.again();
    const unfit = unsuitable(this.#session, this.#message, this.#recipients, this.#now);
    // Most messages suit every peer, and then nothing is looked at twice.
    if (unfit !== undefined) {
      if (unfit instanceof Promise) {
        const verdict = await unfit;
        if (verdict !== undefined) this.verdicts.fill(verdict);
      } else {
        for (const [index, verdict] of unfit.entries()) if (verdict !== undefined) this.verdicts[index] = verdict;
      }
      if (!this.verdicts.includes(undefined)) return;
    }
    this.#session.transactions++;
    if (this.#session.peer.pipelining) await this.#pipelined();
    else await this.#stepwise();
  }

  /** Fills in what the loss of the connection leaves without an answer. */
  giveUp(lost: ConnectionLost): void {
    // Once all was sent another host might deliver a second copy at once; a later attempt here is the lesser evil.
    const silent = lost.failure.detail.status === 0;
    // It answered the first command and never the rest, which it may have thrown away.
    const { timedOut, peer } = this.#session;
    if (timedOut && peer.pipelining && this.answered && !this.#sent) this.#session.boasts = true;
    const verdict = this.#sent && silent ? { ...lost.failure, elsewhere: false } : lost.failure;
    for (let i = 0; i < this.verdicts.length; i++) this.verdicts[i] ??= verdict;
  }

  async #pipelined(): Promise<void> {
    const session = this.#session;
    const open = this.#unanswered();
    // Nothing is sent that would count if the peer did not end the transaction before.
    const small = this.#isSmall() && !session.dirty;
    this.#putReset();
    session.put(this.#mailLine());
    for (let from = 0; from < open.length; from += BATCH) {
      const batch = open.slice(from, from + BATCH);
      for (const index of batch) session.put(this.#rcptLine(index));
      const last = from + BATCH >= open.length;
      const withBody = last && session.peer.chunking && small;
      if (withBody) this.#putBdat();
      else if (last && !session.peer.chunking) session.put("DATA\r\n");
      await session.flush(this.#timeouts.mailFrom);
      if (from === 0 && !await this.#readMail()) {
        // RCPT and DATA went out already and are answered, too.
        await this.#drain(batch.length);
        if (withBody || (last && !session.peer.chunking)) await this.#finishRefused(withBody);
        return;
      }
      // From here on the peer may have taken the message before it says so.
      if (withBody) this.#sent = true;
      for (const index of batch) await this.#readRcpt(index);
      if (!last) continue;
      if (this.#accepted.length === 0) {
        if (withBody || !session.peer.chunking) await this.#finishRefused(withBody);
        else session.dirty = true;
      } else if (withBody) {
        session.limit(this.#timeouts.data);
        await this.#readFinal("BDAT");
      } else if (session.peer.chunking) {
        await this.#sendBdat();
      } else {
        await this.#sendData();
      }
    }
  }

  async #stepwise(): Promise<void> {
    const session = this.#session;
    if (session.dirty) {
      this.#putReset();
      await session.flush(this.#timeouts.mailFrom);
      await this.#readReset();
    }
    session.put(this.#mailLine());
    await session.flush(this.#timeouts.mailFrom);
    if (!await this.#readMail()) return;
    for (const index of this.#unanswered()) {
      session.put(this.#rcptLine(index));
      await session.flush(this.#timeouts.rcptTo);
      await this.#readRcpt(index);
    }
    if (this.#accepted.length === 0) {
      session.dirty = true;
    } else if (session.peer.chunking) {
      await this.#sendBdat();
    } else {
      session.put("DATA\r\n");
      await session.flush(this.#timeouts.data);
      await this.#sendData();
    }
  }

  /** A transaction left open is ended in the same write that begins the next. */
  #putReset(): void {
    if (this.#session.dirty) this.#session.put("RSET\r\n");
  }

  async #readReset(): Promise<void> {
    if (!this.#session.dirty) return;
    const reply = await this.#reply("RSET", this.#timeouts.mailFrom);
    if (reply.code !== 250) {
      // It says nothing of this message, which may go over another connection.
      this.answered = false;
      const { failure } = this.#refuseAll("RSET", reply);
      throw new ConnectionLost({ ...failure, kind: "deferred" });
    }
    this.#session.dirty = false;
  }

  #mailLine(): string {
    const { envelope: { sender, parameters }, content, created } = this.#message;
    const { by } = parameters;
    // RFC 2852 §4: the time that the message has spent here is taken off.
    const left = by === undefined
      ? parameters
      : { ...parameters, by: { ...by, seconds: by.seconds - Math.floor((this.#now - created) / 1000) } };
    return `${formatMailCommand(sender, left, this.#session.peer, content.size)}\r\n`;
  }

  #rcptLine(index: number): string {
    const { address, parameters } = this.#recipients[index] as QueuedRecipient;
    return `${formatRcptCommand(address, this.#withDelay(parameters), this.#session.peer)}\r\n`;
  }

  /** RFC 2852 §4.1.4.2: a peer that knows nothing of the deadline is asked to report delays instead. */
  #withDelay(parameters: RcptParameters): RcptParameters {
    const { notify } = parameters;
    if (!this.#isNotifyUnknownTo || notify?.never === true) return parameters;
    return { ...parameters, notify: { never: false, success: false, failure: true, ...notify, delay: true } };
  }

  /** Whether the sender wants to hear when the deadline passes, and the peer will not see to it. */
  get #isNotifyUnknownTo(): boolean {
    const { protocol, peer } = this.#session;
    return this.#message.envelope.parameters.by?.mode === "notify" && protocol === "smtp" && !peer.deliverBy;
  }

  /** Whether the sender hears that the message was relayed, asked for or not (RFC 2852 §4.1.4). */
  get #tellsRelayed(): boolean {
    const { envelope: { parameters: { by } }, created } = this.#message;
    if (by === undefined || this.#session.protocol !== "smtp") return false;
    return by.trace || (this.#isNotifyUnknownTo && this.#now < created + by.seconds * 1000);
  }

  /** Reads the reply to MAIL; false if the sender was refused, which is then the verdict for all. */
  async #readMail(): Promise<boolean> {
    await this.#readReset();
    const reply = await this.#reply("MAIL FROM", this.#timeouts.mailFrom);
    if (reply.code === 250) return true;
    const verdict = refusal(this.#session, "MAIL FROM", reply, reply.code < 500);
    for (const index of this.#unanswered()) this.verdicts[index] = verdict;
    return false;
  }

  async #readRcpt(index: number): Promise<void> {
    const reply = await this.#reply("RCPT TO", this.#timeouts.rcptTo);
    if (reply.code >= 250 && reply.code <= 252) {
      this.#accepted.push(index);
      return;
    }
    const refused = refusal(this.#session, "RCPT TO", reply, reply.code < 500);
    // RFC 5321 §4.5.3.1.10: when there is room for no more in this transaction, the rest goes in another one.
    if (this.#accepted.length > 0 && isTooMany(reply)) this.noRoom = { ...refused, kind: "deferred" };
    else this.verdicts[index] = refused;
  }

  /** Sends the message after DATA, whose reply is read first, and reads the final reply. */
  async #sendData(): Promise<void> {
    const session = this.#session;
    const { data } = this.#timeouts;
    const go = await this.#reply("DATA", data);
    if (go.code !== 354) {
      session.dirty = true;
      this.#refuseAccepted("DATA", go, go.code < 500);
      // A peer that answers DATA like a finished transaction is out of step.
      if (go.code < 400) session.close();
      return;
    }
    session.limit(data);
    const dots = new DotEncoder();
    const { content } = this.#message;
    session.dialogue.said(content.size);
    if (this.#isSmall()) {
      session.putBytes(dots.encode(content.head));
      session.putBytes(dots.finish());
      this.#sent = true;
      await session.flush();
    } else {
      if (!await this.#stream((chunk) => dots.encode(chunk))) return;
      this.#sent = true;
      await session.write(dots.finish());
    }
    await this.#readFinal("end of data");
  }

  /** Sends the message as one chunk and reads the final reply. */
  async #sendBdat(): Promise<void> {
    const session = this.#session;
    session.limit(this.#timeouts.data);
    if (this.#isSmall()) {
      this.#putBdat();
      this.#sent = true;
      await session.flush();
    } else {
      session.put(`BDAT ${this.#message.content.size} LAST\r\n`);
      await session.flush();
      if (!await this.#stream((chunk) => chunk)) return;
      this.#sent = true;
    }
    await this.#readFinal("BDAT");
  }

  #putBdat(): void {
    const { content } = this.#message;
    this.#session.put(`BDAT ${content.size} LAST\r\n`);
    this.#session.putBytes(content.head);
  }

  /**
   * Writes the content chunk by chunk. False if it could not be read here: then the connection is closed, because
   * there is no other way to leave a message unfinished.
   */
  async #stream(encode: (chunk: Uint8Array) => Uint8Array): Promise<boolean> {
    let sent = 0;
    try {
      for await (const chunk of this.#message.content.chunks()) {
        sent += chunk.length;
        // A peer that hangs up in mid-message may have said why; its reply is read next.
        if (!await this.#session.write(encode(chunk))) return true;
      }
      if (sent !== this.#message.content.size) throw new Error(`${sent} octets instead of the announced size`);
      return true;
    } catch (error) {
      this.#session.close();
      const why = error instanceof Error ? error.message : String(error);
      this.#settleAccepted(failure("deferred", "io", "4.3.0", `the message cannot be read: ${why}`));
      return false;
    }
  }

  /** Reads what becomes of the message: one reply, or with LMTP one for each accepted recipient (RFC 2033 §4.2). */
  async #readFinal(command: string): Promise<void> {
    const session = this.#session;
    if (session.protocol === "lmtp") {
      for (const index of this.#accepted) {
        this.verdicts[index] = this.#finalVerdict(command, await this.#reply(command));
      }
    } else {
      this.#settleAccepted(this.#finalVerdict(command, await this.#reply(command)));
    }
    // Content in the peer's hands that it did not take leaves nothing open after DATA, but a failed BDAT may.
    session.dirty = command === "BDAT" && this.#accepted.some((index) => this.verdicts[index]?.kind !== "delivered");
  }

  #finalVerdict(command: string, reply: Reply): Verdict {
    const session = this.#session;
    if (reply.code !== 250) {
      const refused = refusal(session, command, reply, false);
      if (command === "BDAT" && isUnknownCommand(reply)) {
        session.boasts = true;
        return { ...refused, kind: "deferred" };
      }
      // Only 250 is defined here; a peer that says anything else below 400 is out of step.
      if (reply.code < 400) session.close();
      return refused;
    }
    return {
      kind: "delivered",
      host: session.host,
      status: reply.code,
      enhanced: reply.enhanced ?? "2.0.0",
      text: `${session.label} said: ${replyText(reply)}`,
      dsnRelayed: session.peer.dsn,
      ...(this.#tellsRelayed ? { tellRelayed: true } : {}),
    };
  }

  /**
   * Ends a transaction whose message went out, or was about to, although no recipient is left.
   *
   * @param withBody the message was sent by BDAT; otherwise DATA was
   */
  async #finishRefused(withBody: boolean): Promise<void> {
    const session = this.#session;
    const { data } = this.#timeouts;
    session.dirty = true;
    if (session.closed) return;
    try {
      const reply = await this.#reply(withBody ? "BDAT" : "DATA", data);
      if (withBody || reply.code !== 354) return;
      // RFC 2920 §3.1: the server waits for a message all the same; an empty one must not be taken for the real one,
      // and no recipient is there to get it.
      session.put(LONE_DOT);
      await session.flush();
      await this.#reply("end of data", data);
    } catch (error) {
      // Every recipient has its answer; only the connection is lost.
      if (!(error instanceof ConnectionLost)) throw error;
    }
  }

  /** Reads replies whose content does not matter any more. */
  async #drain(count: number): Promise<void> {
    try {
      for (let i = 0; i < count && !this.#session.closed; i++) await this.#reply("RCPT TO", this.#timeouts.rcptTo);
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
  }

  /** The next reply. 421 can come at any time and means that the peer closes (RFC 5321 §3.8). */
  async #reply(command: string, timeout?: number): Promise<Reply> {
    const session = this.#session;
    const reply = session.poll(command) ?? await session.reply(command, timeout);
    if (reply.code === 421) throw this.#refuseAll(command, reply);
    this.answered = true;
    return reply;
  }

  #refuseAll(command: string, reply: Reply): ConnectionLost {
    this.#session.close();
    return new ConnectionLost(refusal(this.#session, command, reply, true));
  }

  #refuseAccepted(command: string, reply: Reply, elsewhere: boolean): void {
    this.#settleAccepted(refusal(this.#session, command, reply, elsewhere));
  }

  #settleAccepted(verdict: Verdict): void {
    for (const index of this.#accepted) this.verdicts[index] = verdict;
  }

  #unanswered(): number[] {
    const open: number[] = [];
    for (let i = 0; i < this.verdicts.length; i++) if (this.verdicts[i] === undefined) open.push(i);
    return open;
  }

  #isSmall(): boolean {
    const { content } = this.#message;
    return content.complete && content.size <= SMALL;
  }
}

// RFC 5321 §4.5.3.1.10: 452 is the code for "too many recipients", 552 that of older servers; with another detail code
// than 5.3 they mean something else.
function isTooMany(reply: Reply): boolean {
  if (reply.code !== 452 && reply.code !== 552) return false;
  return reply.enhanced === undefined ? reply.code === 452 : reply.enhanced.endsWith(".5.3");
}
