/**
 * A server that takes every message and keeps none, to deliver to. As a program it counts:
 *
 *     deno run -A scripts/mail/sink.ts --port 0
 *
 * prints `port N` once and then `messages N` ten times a second while the number grows.
 */

import { parseArgs } from "node:util";
import { closeQuietly, writeAll } from "./dialogue.ts";

/** A message the sink took. */
export interface SunkMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Content as it arrived, dots still doubled, without the end-of-data line. Empty unless `keepContent`. */
  readonly content: Uint8Array;
}

/** How a sink behaves. */
export interface SinkOptions {
  /** Port to listen on, 0 for a free one. */
  readonly port?: number;
  /** Whether `onMessage` gets the content. */
  readonly keepContent?: boolean;
  /** Says nothing to those who connect, like a server that hangs. */
  readonly mute?: boolean;
  /** Speaks LMTP: one reply per recipient after the data (RFC 2033 §4.2). */
  readonly lmtp?: boolean;
  /** TLS from the first byte; PEM. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Called right before the 250 for the message is written; what it gives is the reply instead. */
  readonly onMessage?: (message: SunkMessage) => string | undefined;
}

/** A running sink. */
export interface Sink {
  readonly port: number;
  /** Messages taken so far. */
  readonly count: number;
  /** Connections that are open, or whose bytes are not all read yet. */
  readonly connections: number;
  close(): void;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");
const END_OF_DATA = encoder.encode("\r\n.\r\n");
const CR = 13;
const LF = 10;

/** Starts listening on loopback. */
export function startSink(options: SinkOptions = {}): Sink {
  const address = { port: options.port ?? 0, hostname: "127.0.0.1" };
  const listener = options.tls === undefined
    ? Deno.listen(address)
    : Deno.listenTls({ ...address, ...options.tls, alpnProtocols: [] });
  const connections = new Set<Deno.Conn>();
  let count = 0;
  const serve = async (connection: Deno.Conn): Promise<void> => {
    connections.add(connection);
    try {
      if (options.mute) await drain(connection);
      else await converse(connection, options, () => count++);
    } catch {
      // The client is gone; what it was told before stays counted.
    } finally {
      connections.delete(connection);
      closeQuietly(connection);
    }
  };
  (async () => {
    for await (const connection of listener) {
      if ("setNoDelay" in connection) connection.setNoDelay(true);
      serve(connection);
    }
  })().catch(() => {});
  return {
    port: (listener.addr as Deno.NetAddr).port,
    get count() {
      return count;
    },
    get connections() {
      return connections.size;
    },
    close() {
      closeQuietly(listener);
      connections.forEach(closeQuietly);
    },
  };
}

async function drain(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(1024);
  while (await connection.read(buffer) !== null);
}

async function converse(connection: Deno.Conn, options: SinkOptions, taken: () => void): Promise<void> {
  const say = (text: string) => writeAll(connection, encoder.encode(text));
  const input = new Input(connection);
  let sender = "";
  let recipients: string[] = [];
  await say("220 sink.example ESMTP\r\n");
  for (;;) {
    const line = await input.line();
    if (line === undefined) return;
    switch (line.slice(0, 4).toUpperCase()) {
      case "EHLO":
      case "LHLO":
        await say("250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n");
        break;
      case "MAIL":
        sender = addressOf(line);
        recipients = [];
        await say("250 2.1.0 Ok\r\n");
        break;
      case "RCPT":
        recipients.push(addressOf(line));
        await say("250 2.1.5 Ok\r\n");
        break;
      case "DATA": {
        await say("354 Go ahead\r\n");
        const content = await input.data(options.keepContent ?? false);
        if (content === undefined) return;
        const reply = options.onMessage?.({ sender, recipients, content }) ?? "250 2.0.0 Ok";
        taken();
        await say(`${reply}\r\n`.repeat(options.lmtp ? recipients.length : 1));
        break;
      }
      case "QUIT":
        await say("221 2.0.0 Bye\r\n");
        return;
      case "RSET":
        recipients = [];
        await say("250 2.0.0 Ok\r\n");
        break;
      default:
        await say("250 2.0.0 Ok\r\n");
    }
  }
}

function addressOf(line: string): string {
  return line.slice(line.indexOf("<") + 1, line.indexOf(">"));
}

/** Bytes that have arrived and are not used yet. */
class Input {
  #buffer = new Uint8Array(64 * 1024);
  #start = 0;
  #end = 0;

  constructor(readonly connection: Deno.Conn) {}

  /** The next line without its end, or undefined at the end of the stream. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const at = this.#buffer.subarray(0, this.#end).indexOf(LF, this.#start);
      if (at >= 0) {
        const text = decoder.decode(this.#buffer.subarray(this.#start, at));
        this.#start = at + 1;
        return text.trimEnd();
      }
      if (!await this.#more()) return undefined;
    }
  }

  /** Reads to the end of data; gives what came before it if `keep`. */
  async data(keep: boolean): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [];
    // Content may be empty: then the dot line follows the DATA line at once. Pretend a line end came before it.
    let matched = 2;
    for (;;) {
      const from = this.#start;
      for (let at = from; at < this.#end; at++) {
        const octet = this.#buffer[at];
        matched = octet === END_OF_DATA[matched] ? matched + 1 : octet === CR ? 1 : 0;
        if (matched === END_OF_DATA.length) {
          if (keep) parts.push(this.#buffer.slice(from, at + 1));
          this.#start = at + 1;
          return keep ? withoutEnd(parts) : new Uint8Array();
        }
      }
      if (keep) parts.push(this.#buffer.slice(from, this.#end));
      this.#start = this.#end;
      if (!await this.#more()) return undefined;
    }
  }

  async #more(): Promise<boolean> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.length) throw new Error("a line is longer than the buffer");
    const read = await this.connection.read(this.#buffer.subarray(this.#end));
    if (read === null) return false;
    this.#end += read;
    return true;
  }
}

function withoutEnd(parts: readonly Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.subarray(0, size - ".\r\n".length);
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: { port: { type: "string", default: "0" }, mute: { type: "boolean", default: false } },
  });
  const sink = startSink({ port: Number(values.port), mute: values.mute });
  console.log(`port ${sink.port}`);
  let printed = 0;
  setInterval(() => {
    if (sink.count > printed) console.log(`messages ${printed = sink.count}`);
  }, 100);
}
