/** An SMTP or LMTP connection as a client has it: commands out, replies in, one deadline for every wait. */

import type { Clock } from "../clock/mod.ts";
import type { ClientConnection, ClientTlsOptions, ClientTlsResult } from "../net/mod.ts";
import { NO_EXTENSIONS, type PeerExtensions, ProtocolError, type Reply, ReplyParser } from "../smtp/mod.ts";
import type { Wire } from "../telemetry/mod.ts";
import { createDeadline, type Deadline } from "./deadline.ts";
import { Dialogue } from "./dialogue.ts";
import { type Failure, failure, type Peer } from "./verdict.ts";

/** The connection is of no more use; `failure` says what that means for recipients without an answer. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  constructor(readonly failure: Failure) {
    super(failure.detail.text);
  }
}

const READ_SIZE = 4096;
/** A small message is put behind its commands, to leave in one write. */
export const SMALL = 32 * 1024;
// Room for a small message with its commands and doubled dots.
const OUT_SIZE = 4096;
// Milliseconds that a goodbye may take.
const QUIT_TIMEOUT = 2000;

const encoder = new TextEncoder();
const QUIT = encoder.encode("QUIT\r\n");

/** A connection to one host, from the moment it is established. One user at a time. */
export class Session implements Peer {
  readonly host: string;
  readonly label: string;
  readonly protocol: "smtp" | "lmtp";
  /** What was said so far. */
  readonly dialogue: Dialogue;
  /** What the last EHLO offered. */
  peer: PeerExtensions = NO_EXTENSIONS;
  /** Transactions begun. */
  transactions = 0;
  /** A transaction was left open: RSET comes before the next. */
  dirty = false;
  /** It has offered what it cannot do. */
  boasts = false;
  /** Milliseconds since the epoch when it was last laid aside. */
  idleSince = 0;
  /** Key in the pool. */
  key = "";
  /** Address and port. */
  endpoint = "";
  /** Called once when it is closed. */
  onClose: (() => void) | undefined;

  #connection: ClientConnection;
  #deadline: Deadline;
  #parser = new ReplyParser();
  #buffer = new Uint8Array(READ_SIZE);
  #out = new Uint8Array(OUT_SIZE);
  #length = 0;
  #pending: Promise<number | null> | undefined;
  #resting = false;
  #closed = false;
  #timedOut = 0;
  #timeout = 0;
  #writeError: unknown;

  constructor(
    connection: ClientConnection,
    options: {
      readonly clock: Clock;
      readonly host: string;
      readonly protocol: "smtp" | "lmtp";
      readonly wire?: Wire | undefined;
    },
  ) {
    this.#connection = connection;
    this.host = options.host;
    this.label = `${options.host}[${connection.remote.ip}]`;
    this.protocol = options.protocol;
    this.dialogue = new Dialogue(options.clock, { host: options.host, ip: connection.remote.ip }, options.wire);
    this.#deadline = createDeadline(options.clock, () => {
      this.#timedOut = this.#timeout;
      this.close();
    });
  }

  /** Whether the link is encrypted. */
  get encrypted(): boolean {
    return this.#connection.tls !== undefined;
  }

  get connection(): ClientConnection {
    return this.#connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether it was closed because the peer did not answer in time. */
  get timedOut(): boolean {
    return this.#timedOut > 0;
  }

  /** Adds a command line, CRLF included, to the next write. */
  put(line: string): void {
    this.dialogue.said(line);
    // UTF-16 to UTF-8 makes at most three octets of one unit.
    this.#reserve(line.length * 3);
    this.#length += encoder.encodeInto(line, this.#out.subarray(this.#length)).written;
  }

  /** Adds bytes to the next write. */
  putBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#out.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Octets waiting for {@link flush}. */
  get waiting(): number {
    return this.#length;
  }

  /**
   * Writes what was added. A write that fails is not reported here: the peer may have said why before it closed, so
   * the reply is read first.
   *
   * @param timeout milliseconds from now until the reply must be there, if it starts anew
   * @returns false if the bytes could not be written
   */
  async flush(timeout?: number): Promise<boolean> {
    const length = this.#length;
    this.#length = 0;
    return await this.write(this.#out.subarray(0, length), timeout);
  }

  /** As {@link flush}, for bytes that are written as they are. */
  async write(bytes: Uint8Array, timeout?: number): Promise<boolean> {
    if (timeout !== undefined) this.limit(timeout);
    try {
      await this.#connection.write(bytes);
      return true;
    } catch (error) {
      this.#writeError = error;
      return false;
    }
  }

  /** What is waited for must be there within `timeout` milliseconds. */
  limit(timeout: number): void {
    this.#timeout = timeout;
    this.#deadline.set(timeout);
  }

  /** The next reply, if it has been read already. */
  poll(command: string): Reply | undefined {
    try {
      const reply = this.#parser.next();
      if (reply !== undefined) this.dialogue.heard(reply);
      return reply;
    } catch (error) {
      throw this.#lost(command, error);
    }
  }

  /**
   * The next reply.
   *
   * @param command what it answers, for the text of failures
   * @param timeout milliseconds, if the limit starts anew
   * @throws {ConnectionLost} if none comes: timeout, end of the connection, no SMTP
   */
  async reply(command: string, timeout?: number): Promise<Reply> {
    let reply = this.poll(command);
    if (reply !== undefined) return reply;
    if (timeout !== undefined) this.limit(timeout);
    try {
      do {
        const pending = this.#pending ?? this.#connection.read(this.#buffer);
        this.#pending = undefined;
        const count = await pending;
        if (count === null) throw undefined;
        this.#parser.push(this.#buffer.subarray(0, count));
        reply = this.#parser.next();
      } while (reply === undefined);
      this.dialogue.heard(reply);
      return reply;
    } catch (error) {
      throw this.#lost(command, error);
    }
  }

  /** Sends one command and waits for its reply. */
  async command(line: string, name: string, timeout: number): Promise<Reply> {
    this.put(`${line}\r\n`);
    await this.flush(timeout);
    return await this.reply(name);
  }

  /**
   * Starts TLS. Nothing that was read before is used after (RFC 3207 §4.2).
   *
   * @throws {Error} if the handshake fails; the session is then closed
   */
  async startTls(options: ClientTlsOptions): Promise<ClientTlsResult> {
    this.#deadline.clear();
    this.#parser.clear();
    this.peer = NO_EXTENSIONS;
    try {
      return await this.#connection.startTls(options);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Lays the session aside. A read stays open, so that the end of the connection shows while nobody uses it: `gone`
   * is then called.
   */
  rest(gone: (session: Session) => void): void {
    this.#deadline.clear();
    this.#resting = true;
    // A peer that has said more than it was asked would be taken for answering what comes next.
    if (this.#parser.unread > 0) {
      this.close();
      return gone(this);
    }
    const pending = this.#pending ??= this.#connection.read(this.#buffer);
    const end = () => {
      // Whatever a resting peer sends, 421 or its end, it will not take another message.
      if (!this.#resting || this.#pending !== pending) return;
      this.close();
      gone(this);
    };
    pending.then(end, end);
  }

  /** Takes the session into use again; false if it is closed. */
  wake(): boolean {
    this.#resting = false;
    return !this.#closed;
  }

  /** Says QUIT and closes, without waiting long for the answer. */
  async quit(): Promise<void> {
    if (this.#closed) return;
    this.#resting = false;
    try {
      this.dialogue.said("QUIT");
      await this.write(QUIT, QUIT_TIMEOUT);
      await this.reply("QUIT");
    } catch {
      // Gone already, or in no mood for farewells.
    } finally {
      this.close();
    }
  }

  /** Closes at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline.cancel();
    this.#connection.close();
    this.dialogue.closed();
    this.onClose?.();
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#out.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#out.length * 2));
    larger.set(this.#out.subarray(0, this.#length));
    this.#out = larger;
  }

  #lost(command: string, error: unknown): ConnectionLost {
    const closedHere = this.#closed;
    this.close();
    if (error instanceof ProtocolError) {
      const text = `${this.label} sent no valid reply to ${command}: ${error.message}`;
      const more = this.#more(`no valid reply: ${error.message}`);
      return new ConnectionLost(failure("deferred", "unexpected-reply", "4.5.0", text, more));
    }
    let text: string;
    let end = "connection closed by the other side";
    if (this.#timedOut > 0) {
      text = `${this.label} did not answer ${command} within ${this.#timedOut / 1000} s`;
      end = `no answer within ${this.#timedOut / 1000} s`;
    } else if (closedHere) {
      text = `connection with ${this.label} was given up while waiting for the reply to ${command}`;
      end = "given up here";
    } else {
      const cause = error ?? this.#writeError;
      const why = cause instanceof Error ? ` (${cause.message})` : "";
      text = `${this.label} closed the connection instead of answering ${command}${why}`;
    }
    return new ConnectionLost(failure("deferred", "connection", "4.4.2", text, this.#more(end)));
  }

  #more(end: string) {
    return { host: this.host, elsewhere: true, dialogue: this.dialogue.lines(end) } as const;
  }
}
