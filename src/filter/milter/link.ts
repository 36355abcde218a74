/** A negotiated connection to a milter: commands out, answers in. */

import { type Answer, readAnswer } from "./answer.ts";
import { agree, type Agreement, COMMAND, type MacroStage, negotiation, type Offer } from "./protocol.ts";
import { MilterTrouble } from "./trouble.ts";
import type { Wire } from "./wire.ts";

/** Most times in a row that a filter may ask for more time. */
const MOST_PROGRESS = 100;
/** Shortest time after which a system acknowledges what it has nothing to say to, less a bit (Linux: 40 ms). */
const HELD_BACK = 35;
/** Where the command of a packet stands, and how long one without data is. */
const COMMAND_AT = 4;
const SHORTEST = 5;

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
      this.onTraffic?.("milter.read", String.fromCharCode(command), SHORTEST + data.length);
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
