/** A connection to a milter: packets out, answers in, a limit on every wait. */

import type { Clock, Timer } from "../../clock/mod.ts";
import { type Answer, readAnswer } from "./answer.ts";
import { agree, type Agreement, COMMAND, type MacroStage, negotiation, type Offer } from "./protocol.ts";
import { MilterTrouble } from "./trouble.ts";

/** The bytes under a link. */
export interface MilterStream {
  /** @returns number of octets, or `null` at the end */
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<void>;
  /** Pending reads and writes reject. */
  close(): void;
}

/** Limits of a link, in milliseconds and octets. */
export interface LinkLimits {
  /** For writing what is to be sent. */
  readonly command: number;
  /** For an answer. */
  readonly answer: number;
  /** Most octets of the answers to one command. */
  readonly responseSize: number;
}

/** Octets read at once, until a packet is larger. */
const READ_SIZE = 4096;
const LARGE_READ_SIZE = 65_536;
/** Most times in a row that a filter may ask for more time. */
const MOST_PROGRESS = 100;
const HEAD = 4;
/** Shortest time after which a system acknowledges what it has nothing to say to, less a bit (Linux: 40 ms). */
const HELD_BACK = 35;
/** Where the command of a packet stands. */
const COMMAND_AT = 4;

/** Hears which commands or answers went over a link, by their letters, and in how many octets. */
export type Traffic = (event: "milter.write" | "milter.read", letters: string, size: number) => void;

/** A negotiated connection. Not for two users at once. Closed for good after any trouble. */
export class MilterLink {
  readonly version: number;
  readonly steps: number;
  readonly dataSize: number;
  readonly symbols: Map<MacroStage, readonly string[]>;
  /** Set when an answer has been read since the link was taken from the pool. */
  answered = false;
  /**
   * Whether a filter made with libmilter hears QUIT_NC now: it does after the end of a message that it had nothing to say
   * about. After any decision it passes the command over, and everything behind it.
   */
  renewable = false;
  /** Told of what is written and read; set by whoever uses the link. */
  onTraffic: Traffic | undefined;
  /**
   * A packet that nobody answers, sent while further answers are awaited from a filter that holds them back: it takes the
   * acknowledgement along for which the filter's system waits (RFC 896, and RFC 9293 §3.8.6.3 on this side). Otherwise
   * that costs 40 ms each time.
   */
  nudge: Uint8Array | undefined;
  #wire: Wire;
  #pace: Pace;
  #received = 0;
  /** Letters of the commands that wait to be sent. */
  #commands = "";
  /** Whether something was read since something was written. */
  #heard = false;

  constructor(wire: Wire, agreement: Agreement, pace: Pace) {
    this.#wire = wire;
    this.#pace = pace;
    this.version = agreement.version;
    this.steps = agreement.steps;
    this.dataSize = agreement.dataSize;
    this.symbols = new Map(agreement.symbols);
  }

  get closed(): boolean {
    return this.#wire.closed;
  }

  /** Puts a packet behind those that wait to be sent. */
  put(bytes: Uint8Array): void {
    this.renewable = false;
    this.#heard = false;
    this.#commands += String.fromCharCode(bytes[COMMAND_AT] as number);
    this.#wire.put(bytes);
  }

  /** Sends what waits. @throws {MilterTrouble} */
  flush(): Promise<void> {
    this.#noteWrite();
    return this.#wire.flush();
  }

  #noteWrite(): void {
    if (this.#commands === "") return;
    this.onTraffic?.("milter.write", this.#commands, this.#wire.waiting);
    this.#commands = "";
  }

  /** A new command begins: the octets of its answers count from here. */
  begin(): void {
    this.#received = 0;
  }

  /**
   * Sends what waits and reads the next answer. Symbol lists and requests for more time are dealt with here.
   *
   * @throws {MilterTrouble} for an answer that is none of the protocol, too
   */
  async answer(): Promise<Exclude<Answer, { kind: "progress" | "symbols" | "nonsense" }>> {
    for (let progress = 0; progress < MOST_PROGRESS; progress++) {
      const { command, data } = await this.#packet();
      this.answered = true;
      this.onTraffic?.("milter.read", String.fromCharCode(command), HEAD + 1 + data.length);
      const answer = readAnswer(command, data);
      if (answer.kind === "nonsense") throw this.fail("milter.frame-invalid", answer.problem);
      if (answer.kind === "symbols") {
        if (answer.stage !== undefined) this.symbols.set(answer.stage, answer.names);
      } else if (answer.kind !== "progress") {
        return answer;
      }
    }
    throw this.fail("milter.timeout", `it asked for more time ${MOST_PROGRESS} times in a row`);
  }

  async #packet() {
    const wire = this.#wire;
    const count = (length: number) => this.#count(length);
    let since: number | undefined;
    if (this.nudge !== undefined && this.#heard && !wire.ready) {
      if (this.#pace.holdsBack) {
        wire.put(this.nudge);
        this.#commands += "D";
      } else {
        since = wire.now();
      }
    }
    this.#noteWrite();
    const packet = await wire.packet(count);
    this.#heard = true;
    if (since !== undefined && wire.now() - since >= HELD_BACK) this.#pace.holdsBack = true;
    return packet;
  }

  #count(length: number): void {
    this.#received += length;
    const { responseSize } = this.#wire.limits;
    if (this.#received > responseSize) {
      throw this.fail("milter.frame-too-large", `its answer is larger than ${responseSize} octets`);
    }
  }

  /** Closes and gives the error to be thrown. */
  fail(event: MilterTrouble["event"], message: string): MilterTrouble {
    this.close();
    return new MilterTrouble(event, message);
  }

  /** Ends the use of the link without waiting: says `farewell` if that works at once. */
  leave(farewell: Uint8Array): void {
    this.#wire.leave(farewell);
  }

  /** Calls `onEnd` if the filter closes, or says something unasked, while the link is idle. */
  watch(onEnd: () => void): void {
    this.#wire.watch(onEnd);
  }

  close(): void {
    this.#wire.close();
  }
}

/** What is known of how a filter answers, by all of its links. */
export interface Pace {
  /** Whether an answer goes only when the one before is acknowledged, as libmilter's do over TCP. */
  holdsBack: boolean;
}

/** Reads and writes packets. */
export interface Wire {
  readonly limits: LinkLimits;
  readonly closed: boolean;
  /** Whether a whole packet has arrived that was not asked for yet. */
  readonly ready: boolean;
  /** Milliseconds by the clock of the wire. */
  now(): number;
  /** Octets that wait to be sent. */
  readonly waiting: number;
  put(bytes: Uint8Array): void;
  flush(): Promise<void>;
  /** The next packet; `data` is valid until the one after it is asked for. `count` may throw at its length. */
  packet(count: (length: number) => void): Promise<{ readonly command: number; readonly data: Uint8Array }>;
  leave(farewell: Uint8Array): void;
  watch(onEnd: () => void): void;
  close(): void;
}

/** Makes a {@link Wire} over a stream that is open. */
export function createWire(stream: MilterStream, limits: LinkLimits, clock: Clock): Wire {
  let input = new Uint8Array(READ_SIZE);
  let start = 0;
  let end = 0;
  let output: Uint8Array[] = [];
  let waiting = 0;
  let closed = false;
  let ahead: Promise<number | null> | undefined;

  const close = () => {
    if (closed) return;
    closed = true;
    output = [];
    waiting = 0;
    timer?.cancel();
    stream.close();
  };

  // One timer for all waits: it is not set anew for each, but looks when it fires whether the present one is over.
  let timer: Timer | undefined;
  let deadline = Infinity;
  let expired = false;
  /** The longest that the timer may be late for a wait. */
  let armed = 0;
  const fire = () => {
    timer = undefined;
    const left = deadline - clock.now();
    if (deadline === Infinity) return;
    if (left > 0) {
      timer = clock.after(left, fire);
    } else {
      expired = true;
      close();
    }
  };

  const limited = async <T>(ms: number, late: () => string, operation: () => Promise<T>): Promise<T> => {
    if (closed) throw new MilterTrouble("milter.disconnected", "the connection is closed");
    deadline = clock.now() + ms;
    if (timer === undefined || ms < armed) {
      timer?.cancel();
      timer = clock.after(armed = ms, fire);
    }
    try {
      return await operation();
    } catch (error) {
      close();
      if (expired) throw new MilterTrouble("milter.timeout", late());
      if (error instanceof MilterTrouble) throw error;
      const message = error instanceof Error ? error.message : String(error);
      throw new MilterTrouble("milter.disconnected", `the connection broke: ${message}`, { cause: error });
    } finally {
      deadline = Infinity;
    }
  };

  const take = (): Uint8Array => {
    const [only] = output;
    const bytes = output.length === 1 && only !== undefined ? only : concat(output, waiting);
    output = [];
    waiting = 0;
    return bytes;
  };

  const flush = async () => {
    if (waiting === 0) return;
    const bytes = take();
    await limited(limits.command, () => `it did not take a command within ${limits.command / 1000} s`, () => {
      return stream.write(bytes);
    });
  };

  /** Makes room for `size` octets behind `start`. */
  const makeRoom = (size: number) => {
    if (start + size <= input.length) return;
    const target = size > input.length ? new Uint8Array(size) : input;
    target.set(input.subarray(start, end));
    input = target;
    end -= start;
    start = 0;
  };

  const read = async () => {
    const count = await (ahead ?? stream.read(input.subarray(end)));
    ahead = undefined;
    if (count === null) throw new MilterTrouble("milter.disconnected", "it closed the connection");
    end += count;
  };

  /** The next packet, if it has arrived whole. */
  const arrived = (count: (length: number) => void) => {
    if (end - start < HEAD) return undefined;
    const length = new DataView(input.buffer, start, HEAD).getUint32(0);
    if (length === 0) throw new MilterTrouble("milter.frame-invalid", "it sent a packet without a command");
    if (end - start < HEAD + length) return undefined;
    count(length);
    const command = input[start + HEAD] as number;
    const data = input.subarray(start + HEAD + 1, start + HEAD + length);
    start += HEAD + length;
    return { command, data };
  };

  const readPacket = async (count: (length: number) => void) => {
    if (start === end) start = end = 0;
    makeRoom(HEAD + 1);
    while (end - start < HEAD) await read();
    const length = new DataView(input.buffer, start, HEAD).getUint32(0);
    if (length > limits.responseSize) count(length);
    while (end - start < HEAD + length) {
      // What is announced need not come: memory follows what has arrived.
      if (end === input.length) makeRoom(Math.min(HEAD + length, 2 * (end - start) + LARGE_READ_SIZE));
      await read();
    }
    const packet = arrived(count);
    if (packet === undefined) throw new MilterTrouble("milter.frame-invalid", "it sent a packet without a command");
    return packet;
  };

  return {
    limits,
    get closed() {
      return closed;
    },
    get ready() {
      return end - start >= HEAD && end - start >= HEAD + new DataView(input.buffer, start, HEAD).getUint32(0);
    },
    now: () => clock.now(),
    get waiting() {
      return waiting;
    },
    put(bytes) {
      if (closed) return;
      output.push(bytes);
      waiting += bytes.length;
    },
    flush,
    async packet(count) {
      if (waiting > 0) await flush();
      return arrived(count) ?? await limited(
        limits.answer,
        () => `no answer within ${limits.answer / 1000} s`,
        () => readPacket(count),
      );
    },
    leave(farewell) {
      if (closed) return;
      output.push(farewell);
      waiting += farewell.length;
      const bytes = take();
      closed = true;
      timer?.cancel();
      // A filter that does not read must not keep the connection.
      const giveUp = clock.after(1000, () => stream.close());
      stream.write(bytes).catch(() => {}).finally(() => {
        giveUp.cancel();
        stream.close();
      });
    },
    watch(onEnd) {
      if (closed) return onEnd();
      if (start < end) {
        close();
        return onEnd();
      }
      if (ahead !== undefined) return;
      start = end = 0;
      if (input.length > READ_SIZE) input = new Uint8Array(READ_SIZE);
      const reading = ahead = stream.read(input);
      const ended = () => {
        // Whoever reads now has it from `ahead`, and the end of the connection too.
        if (ahead === reading) onEnd();
      };
      reading.then(ended, ended);
    },
    close,
  };
}

/**
 * Negotiates on a new connection.
 *
 * @throws {MilterTrouble}
 */
export async function negotiate(wire: Wire, offer: Offer, pace: Pace): Promise<MilterLink> {
  wire.put(negotiation(offer));
  const { command, data } = await wire.packet((length) => {
    if (length > wire.limits.responseSize) {
      throw new MilterTrouble("milter.frame-too-large", `its negotiation has ${length} octets`);
    }
  });
  const fail = (problem: string) => {
    wire.close();
    return new MilterTrouble("milter.frame-invalid", problem);
  };
  if (command !== COMMAND.negotiate) throw fail(`it answers the negotiation with the octet 0x${command.toString(16)}`);
  const agreed = agree(offer, data);
  if (typeof agreed === "string") throw fail(agreed);
  return new MilterLink(wire, agreed, pace);
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
