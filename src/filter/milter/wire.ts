/** Packets over the bytes of a connection to a milter, with a limit on every wait. */

import type { Clock, Timer } from "../../clock/mod.ts";
import { MilterTrouble } from "./trouble.ts";

/** The bytes under a wire. */
export interface MilterStream {
  /** @returns number of octets, or `null` at the end */
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<void>;
  /** Pending reads and writes reject. */
  close(): void;
}

/** Limits of a wire, in milliseconds and octets. */
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
/** Octets of the length of a packet. */
const HEAD = 4;

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

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
