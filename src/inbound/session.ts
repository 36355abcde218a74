/** The state of one SMTP or LMTP session, and the small operations that several stages share. */

import type { AuthResults, IprevResult, SpfResult } from "../authentication/mod.ts";
import type { Timer } from "../clock/mod.ts";
import type { Scope, Setting, Value } from "../expression/mod.ts";
import type { Account } from "../directory/mod.ts";
import type { ServerConnection } from "../net/mod.ts";
import type { Release } from "../throttle/mod.ts";
import type { FilterRun } from "../filter/mod.ts";
import type { NewRecipient } from "../queue/mod.ts";
import { emitEvaluationErrors, type EventName } from "../telemetry/event.ts";
import { formatReply, InputBuffer, type MailParameters, type Offered, type Reply, reply } from "../smtp/mod.ts";
import type { InboundDependencies } from "./dependencies.ts";
import type { ContentIntake } from "./intake.ts";
import { tapReply } from "./tap.ts";

/** Octets read at once while commands are awaited; small, because ten thousand idle sessions each hold one. */
const COMMAND_READ = 2048;

/** Octets read at once while content arrives. */
const DATA_READ = 65536;

/** Replies are written at the latest when this many octets are waiting. */
const OUTPUT_LIMIT = 16384;

const NOTHING = new Uint8Array(0);

/** A mail transaction: from an accepted MAIL to the end of its data, or RSET. */
export interface Transaction {
  sender: string;
  parameters: MailParameters;
  readonly recipients: NewRecipient[];
  /** The addresses of `recipients`, in order, and as a set. */
  readonly addresses: string[];
  readonly known: Set<string>;
  /**
   * The addresses that each RCPT that was answered with success led to: as many replies LMTP gives to the content
   * (RFC 2033 §4.2).
   */
  readonly accepted: (readonly string[])[];
  /** Addresses that lead to several, whose sender wants to hear that they were expanded. */
  expanded?: NewRecipient[];
  /** Set once the first BDAT was accepted. */
  chunks: ContentIntake | undefined;
  /** A chunk was lost: the answer to every further one (RFC 3030 §2). */
  failure: Reply | undefined;
  /** What filters want done with the message. */
  readonly fate: Fate;
}

/** Adds a recipient; one that is named twice gets one copy. */
export function addRecipient(transaction: Transaction, recipient: NewRecipient): void {
  if (transaction.known.has(recipient.address)) return;
  transaction.known.add(recipient.address);
  transaction.addresses.push(recipient.address);
  transaction.recipients.push(recipient);
}

/** Puts other recipients in the place of those that are there. */
export function setRecipients(transaction: Transaction, recipients: readonly NewRecipient[]): void {
  const next = [...recipients];
  transaction.known.clear();
  transaction.addresses.length = 0;
  transaction.recipients.length = 0;
  for (const recipient of next) addRecipient(transaction, recipient);
}

/** What filters have decided about messages still to come. */
export interface Fate {
  discarded: boolean;
  held: boolean;
}

/** Why the session ends; decides the reply and the event. */
export type EndReason = "quit" | "closed" | "timeout" | "duration" | "shutdown" | "refused" | "broken";

/** Thrown by reads when the client is gone or out of time; ends the session without a further reply. */
export class SessionEnded extends Error {
  override readonly name = "SessionEnded";
  constructor(readonly reason: EndReason) {
    super(reason);
  }
}

/** The variables that expressions see; kept up to date by the stages. */
type SessionVariables = Record<string, Value | undefined>;

/** One session. It has the lifetime of its connection; stages read and change it. */
export class Session {
  readonly input = new InputBuffer();
  readonly variables: SessionVariables;
  readonly scope: Scope;
  readonly id: string;
  readonly started: number;

  /** Name given in EHLO, HELO or LHLO; `""` before that. */
  heloDomain = "";
  /** Whether the client said EHLO or LHLO, so that extensions may be used. */
  extended = false;
  offered: Offered | undefined;
  account: Account | undefined;
  authMechanism = "";
  transaction: Transaction | undefined;

  /** Milters, scripts and hooks of this session; nothing if none are configured. */
  filters: FilterRun | undefined;
  /** What filters decided about all messages of the session. */
  readonly fate: Fate = { discarded: false, held: false };

  /** The reverse lookup, SPF of the EHLO name and of the return path, as far as they are carried out. */
  iprev: Promise<IprevResult> | undefined;
  spfEhlo: Promise<SpfResult> | undefined;
  spfMailFrom: Promise<SpfResult> | undefined;
  /** The last check of each name that was started, also if nobody wants to know its result any more. */
  lastSpfEhlo: Promise<unknown> | undefined;
  lastSpfMailFrom: Promise<unknown> | undefined;
  /** Everything known about who sent the message, once it has arrived and checks are carried out. */
  authentication: AuthResults | undefined;

  /** Commands so far, understood or not. */
  commands = 0;
  /** Of these since the last message: what was an error, and what did nothing for one. */
  errors = 0;
  idleCommands = 0;
  authFailures = 0;
  rcptFailures = 0;
  messages = 0;
  /** Octets of content taken in this session. */
  transferred = 0;

  /** Evaluated `session.timeout`, `session.duration`, `session.transfer-limit`. */
  timeout = 300_000;
  duration = 600_000;
  transferLimit = Number.MAX_SAFE_INTEGER;

  /** Set when the session shall end after the replies that are waiting have been written. */
  ending: EndReason | undefined;
  /** Waiting for a command outside any transaction, so that the session may be ended here. */
  idle = false;
  /** The last reply of a session that is to end at the next such moment. */
  farewell: Reply | undefined;

  /** Set after a pause: the reply goes out before the next command, so that a client that has gone is noticed. */
  mustFlush = false;

  #permits = { session: [] as Release[], transaction: [] as Release[] };
  #ahead: { readonly read: Promise<number | null>; count: number | null | undefined } | undefined;
  #wake: (() => void) | undefined;
  #output: Uint8Array[] = [];
  #outputLength = 0;
  #commandBuffer = new Uint8Array(COMMAND_READ);
  #lastProgress: number;
  #timer: Timer | undefined;
  #expired: EndReason | undefined;

  constructor(readonly connection: ServerConnection, readonly deps: InboundDependencies, id: string) {
    this.id = id;
    this.started = deps.clock.now();
    this.#lastProgress = this.started;
    this.variables = {
      listener: connection.listener,
      protocol: connection.protocol,
      remote_ip: connection.remote.ip,
      remote_port: connection.remote.port,
      local_ip: connection.local.ip,
      local_port: connection.local.port,
      is_tls: connection.tls !== undefined,
      asn: 0,
      country: "",
      helo_domain: "",
      authenticated_as: "",
      sender: "",
      sender_domain: "",
      priority: 0,
      rcpt: "",
      rcpt_domain: "",
      recipients: [],
    };
    this.scope = {
      variables: this.variables,
      functions: deps.functions,
      onError: emitEvaluationErrors(deps.emit, { session: id }),
    };
  }

  /** Whether this is an LMTP session (RFC 2033). */
  get lmtp(): boolean {
    return this.connection.protocol === "lmtp";
  }

  /** The value of a setting for this session now. */
  evaluate<T>(setting: Setting<T>): T | Promise<T> {
    return setting.evaluate(this.scope);
  }

  /** Tells that the client is refused something, and gives the reply that refuses it. */
  refuse(event: EventName, answer: Reply): Reply {
    const { code, text: [reason] } = answer;
    this.deps.emit(event, { session: this.id, remoteIp: this.connection.remote.ip, code, reason });
    return answer;
  }

  /** Evaluates the three limits that hold for the session as a whole. */
  async refreshLimits(): Promise<void> {
    const { config } = this.deps;
    this.timeout = await this.evaluate(config.timeout);
    this.duration = await this.evaluate(config.duration);
    this.transferLimit = await this.evaluate(config.transferLimit);
    this.#arm();
  }

  /** Puts a reply behind those that are waiting. */
  send(reply: Reply, options: { enhanced?: boolean; utf8?: boolean } = {}): void {
    const bytes = formatReply(reply, {
      enhanced: options.enhanced ?? true,
      utf8: options.utf8 ?? this.transaction?.parameters.smtputf8 === true,
    });
    this.#output.push(bytes);
    this.#outputLength += bytes.length;
    const tap = this.deps.wire?.tap;
    if (tap !== undefined) tapReply(tap, this, reply);
  }

  /** Octets of replies that are not written yet. */
  get pendingOutput(): number {
    return this.#outputLength;
  }

  /** Whether the waiting replies should be written before more commands are taken. */
  get outputFull(): boolean {
    return this.#outputLength >= OUTPUT_LIMIT;
  }

  /** Writes the waiting replies in one go. */
  async flush(): Promise<void> {
    this.mustFlush = false;
    if (this.#outputLength === 0) return;
    const bytes = join(this.#output, this.#outputLength);
    this.#output = [];
    this.#outputLength = 0;
    try {
      await this.connection.write(bytes);
    } catch {
      throw new SessionEnded(this.#expired ?? "broken");
    }
    this.#lastProgress = this.deps.clock.now();
  }

  /**
   * Reads more input into {@link input}.
   *
   * @throws {SessionEnded} at the end of the stream, on a broken connection or when time is up
   */
  async fill(): Promise<void> {
    await this.flush();
    this.input.append(await this.#read(this.#commandBuffer));
  }

  /**
   * The next line without its CRLF; valid until more is read.
   *
   * @throws {SessionEnded} as {@link fill}
   */
  async readLine(limit: number): Promise<Uint8Array | "too-long"> {
    while (true) {
      const line = this.input.readLine(limit);
      if (line !== undefined) return line;
      await this.fill();
    }
  }

  /** Reads content straight past the input buffer; the result is valid until the next read. Replies must be flushed. */
  readContent(buffer: Uint8Array): Promise<Uint8Array> {
    return this.#read(buffer);
  }

  async #read(buffer: Uint8Array): Promise<Uint8Array> {
    if (this.#expired !== undefined) throw new SessionEnded(this.#expired);
    const ahead = this.#ahead;
    this.#ahead = undefined;
    const target = ahead === undefined ? buffer : this.#commandBuffer;
    let count: number | null;
    try {
      count = await (ahead?.read ?? this.connection.read(target));
    } catch {
      throw new SessionEnded(this.#expired ?? "broken");
    }
    if (count === null) throw new SessionEnded(this.#expired ?? "closed");
    this.#lastProgress = this.deps.clock.now();
    return target.subarray(0, count);
  }

  /** Begins to read before anything is awaited from the client; the next read gives what comes. */
  readAhead(): void {
    const read = this.connection.read(this.#commandBuffer);
    const ahead: { readonly read: typeof read; count: number | null | undefined } = { read, count: undefined };
    this.#ahead = ahead;
    read.then((count) => ahead.count = count, () => ahead.count = null);
  }

  /** Whether {@link readAhead} has got something. */
  get hasReadAhead(): boolean {
    return (this.#ahead?.count ?? 0) > 0;
  }

  /** Keeps what must be given back when the transaction, or the session, ends. */
  keepPermit(until: "session" | "transaction", release: Release): void {
    this.#permits[until].push(release);
  }

  /** Gives back what counts as long as there is a transaction. */
  releasePermits(): void {
    for (const release of this.#permits.transaction.splice(0)) release();
  }

  /** Ends the transaction and drops what it has stored. */
  resetTransaction(): void {
    this.releasePermits();
    if (this.transaction !== undefined) this.filters?.reset();
    this.transaction?.chunks?.abort();
    this.transaction = undefined;
    this.spfMailFrom = undefined;
    this.authentication = undefined;
    this.variables.sender = "";
    this.variables.sender_domain = "";
    this.variables.priority = 0;
    this.variables.rcpt = "";
    this.variables.rcpt_domain = "";
    this.variables.recipients = [];
  }

  /** Forgets everything the client said, as after STARTTLS (RFC 3207 §4.2). */
  resetAll(): void {
    this.resetTransaction();
    this.heloDomain = "";
    this.extended = false;
    this.offered = undefined;
    this.spfEhlo = undefined;
    this.account = undefined;
    this.authMechanism = "";
    this.variables.helo_domain = "";
    this.variables.authenticated_as = "";
  }

  /** Whether the session was ended from outside or ran out of time. */
  get expired(): boolean {
    return this.#expired !== undefined;
  }

  /**
   * Waits while nothing is read from the client, so that guessing is slow. Costs a timer. Ends early when the session is
   * ended.
   */
  async pause(milliseconds: number): Promise<void> {
    if (milliseconds <= 0) return;
    await this.flush();
    if (this.#expired !== undefined) throw new SessionEnded(this.#expired);
    // The silence is ours: it begins to count against the client when the pause is over.
    this.#lastProgress = this.deps.clock.now() + milliseconds;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = this.deps.clock.after(milliseconds, resolve);
    });
    timer?.cancel();
    this.#wake = undefined;
    if (this.#expired !== undefined) throw new SessionEnded(this.#expired);
    this.#lastProgress = this.deps.clock.now();
    this.mustFlush = true;
  }

  /** Stops the session's timer; called once when it ends. */
  dispose(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.releasePermits();
    for (const release of this.#permits.session.splice(0)) release();
    this.filters?.close();
    this.transaction?.chunks?.abort();
  }

  /**
   * Ends the session from outside, with a last reply if one can be written at once. What a stage is doing goes on until
   * its next read.
   */
  expire(reason: EndReason, farewell: Reply): void {
    if (this.#expired !== undefined) return;
    this.#expired = reason;
    this.#wake?.();
    this.send(farewell);
    const bytes = join(this.#output, this.#outputLength);
    this.#output = [];
    this.#outputLength = 0;
    // A client that does not read must not keep the connection: it is closed whether or not the reply gets out.
    const giveUp = this.deps.clock.after(1000, () => this.connection.close());
    this.connection.write(bytes).catch(() => {}).finally(() => {
      giveUp.cancel();
      this.connection.close();
    });
  }

  /** Ends the session with this reply as soon as no transaction is under way. */
  leave(farewell: Reply): void {
    this.farewell = farewell;
    if (this.idle) this.expire("shutdown", farewell);
  }

  // One timer per session: it is not set anew at each read, but looks at fire time how long the silence has been.
  #arm(): void {
    this.#timer?.cancel();
    if (this.#expired !== undefined) return;
    const now = this.deps.clock.now();
    const silence = this.#lastProgress + this.timeout - now;
    const life = this.started + this.duration - now;
    if (silence <= 0) {
      const farewell = reply(421, "4.4.2", "Nothing heard for too long, closing");
      this.expire("timeout", this.refuse("network.timeout", farewell));
    } else if (life <= 0) {
      const farewell = reply(421, "4.4.2", "Session has lasted too long, closing");
      this.expire("duration", this.refuse("smtp.time-limit-exceeded", farewell));
    } else {
      this.#timer = this.deps.clock.after(Math.min(silence, life), () => this.#arm());
    }
  }
}

function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  const only = parts[0];
  if (parts.length === 1 && only !== undefined) return only;
  if (length === 0) return NOTHING;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// Large read buffers are shared by the sessions that are receiving content at the moment.
const idleBuffers: Uint8Array[] = [];
const MOST_IDLE_BUFFERS = 64;

/** Takes a large read buffer; give it back with {@link releaseDataBuffer}. */
export function takeDataBuffer(): Uint8Array {
  return idleBuffers.pop() ?? new Uint8Array(DATA_READ);
}

/** Gives a buffer back that no pending read uses any more. */
export function releaseDataBuffer(buffer: Uint8Array): void {
  if (idleBuffers.length < MOST_IDLE_BUFFERS) idleBuffers.push(buffer);
}
