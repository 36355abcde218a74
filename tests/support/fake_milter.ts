/** A scripted milter on loopback: agrees to everything and answers `c` unless told otherwise; remembers what it heard. */

import { createServer, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { concat } from "./bytes.ts";
import { within } from "./within.ts";

/** A packet that the mail server sent. */
export interface Heard {
  /** Letter of the command. */
  readonly command: string;
  /** Data with NUL shown as `|`. */
  readonly text: string;
  readonly data: Uint8Array;
  /** 1 for the first connection. */
  readonly connection: number;
}

/** Octets to send as they are, packets to send, something to wait for in between, perhaps the end; or something worse. */
export type MilterAnswer = readonly (Uint8Array | Promise<unknown> | "end")[] | "silent" | "close" | "no-answer";

/** Settings of the filter. */
export interface FakeMilterOptions {
  /** What to answer; `undefined` for the usual. */
  readonly on?: (heard: Heard) => MilterAnswer | undefined;
  readonly version?: number;
  readonly actions?: number;
  /** Protocol flags (`SMFIP_*`) of the answer to the negotiation. */
  readonly steps?: number;
  /** Appended to the answer to the negotiation. */
  readonly symbols?: Uint8Array;
  readonly tls?: { readonly cert: string; readonly privateKey: string };
  /** Path of a Unix socket to listen on. */
  readonly path?: string;
}

/** The running filter. */
export interface FakeMilter extends AsyncDisposable {
  readonly port: number;
  /** Everything heard, macros left out. */
  readonly heard: readonly Heard[];
  /** Macros by the command that they came before, of the last connection: `{ C: { j: "…" } }`. */
  readonly macros: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Letters of all commands of a connection, macros left out. */
  commands(connection?: number): string;
  /** Resolves when the filter has heard a command for the `count`-th time. */
  hears(command: string, count?: number): Promise<void>;
  /** Resolves when it has got macros for a command for the `count`-th time. */
  hearsMacros(command: string, count: number): Promise<void>;
  /** Resolves when the filter has begun to be silent. */
  readonly silence: Promise<void>;
  readonly connections: number;
  readonly open: number;
}

/** A packet of the protocol. */
export function milterPacket(command: string, ...parts: (string | number | Uint8Array)[]): Uint8Array {
  const encoder = new TextEncoder();
  const data = concat(
    parts.map((part) =>
      typeof part === "string"
        ? encoder.encode(`${part}\0`)
        : typeof part === "number"
        ? Uint8Array.of(part >>> 24, (part >>> 16) & 255, (part >>> 8) & 255, part & 255)
        : part
    ),
  );
  const length = data.length + 1;
  return concat([
    Uint8Array.of(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255, command.charCodeAt(0)),
    data,
  ]);
}

const NO_ANSWER = new Set(["A", "Q", "K", "D"]);
/** Commands that are not answered where the flag is set. */
const QUIET: Readonly<Record<string, number>> = {
  C: 0x1000,
  H: 0x2000,
  M: 0x4000,
  R: 0x8000,
  T: 0x10000,
  U: 0x20000,
  L: 0x80,
  N: 0x40000,
  B: 0x80000,
};

/** Starts the filter. */
export async function startFakeMilter(options: FakeMilterOptions = {}): Promise<FakeMilter> {
  const heard: Heard[] = [];
  const macros: Record<string, Record<string, string>> = {};
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  let wake = Promise.withResolvers<void>();
  const silence = Promise.withResolvers<void>();
  const steps = options.steps ?? 0;
  let connections = 0;

  const serve = (socket: Socket | TLSSocket) => {
    const connection = ++connections;
    let pending = new Uint8Array(0);
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      pending = concat([pending, chunk]);
      while (pending.length >= 5) {
        const length = new DataView(pending.buffer, pending.byteOffset).getUint32(0);
        if (pending.length < 4 + length) break;
        const data = pending.slice(5, 4 + length);
        const command = String.fromCharCode(pending[4]!);
        pending = pending.slice(4 + length);
        take({ command, data, connection, text: new TextDecoder().decode(data).replaceAll("\0", "|") });
      }
    });

    const take = (packet: Heard) => {
      const { command, text } = packet;
      if (command === "D") {
        const [command = "", ...pairs] = [text.slice(0, 1), ...text.slice(1).split("|")];
        const stage: Record<string, string> = macros[command] = {};
        counts.set(command, (counts.get(command) ?? 0) + 1);
        wake.resolve();
        wake = Promise.withResolvers();
        for (let i = 0; i + 1 < pairs.length; i += 2) stage[pairs[i]!] = pairs[i + 1]!;
        return;
      }
      heard.push(packet);
      wake.resolve();
      wake = Promise.withResolvers();
      const answer = options.on?.(packet) ?? usual(command);
      if (answer === "close") return void socket.destroy();
      if (answer === "silent") return void silence.resolve();
      if (answer !== "no-answer") send(answer);
    };
    const send = ([first, ...rest]: Exclude<MilterAnswer, string>): void => {
      if (first === undefined) return;
      if (first instanceof Promise) return void first.then(() => send(rest));
      if (first === "end") socket.end();
      else socket.write(first);
      send(rest);
    };
    const usual = (command: string): MilterAnswer => {
      if (command === "O") {
        const { version = 6, actions = 0xff, symbols = new Uint8Array(0) } = options;
        return [milterPacket("O", version, actions, steps, symbols)];
      }
      if (command === "Q") socket.end();
      return NO_ANSWER.has(command) || (steps & (QUIET[command] ?? 0)) !== 0 ? "no-answer" : [milterPacket("c")];
    };
  };

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    const { tls } = options;
    serve(tls === undefined ? socket : new TLSSocket(socket, { isServer: true, cert: tls.cert, key: tls.privateKey }));
  });
  await new Promise<void>((resolve) =>
    options.path === undefined ? server.listen(0, "127.0.0.1", resolve) : server.listen(options.path, resolve)
  );
  const address = server.address();
  const until = (condition: () => boolean, what: string) => {
    const waiting = async () => {
      while (!condition()) await wake.promise;
    };
    return within(waiting(), () => `the filter has not heard ${what}`);
  };
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    heard,
    macros,
    silence: silence.promise,
    hears: (command, count = 1) =>
      until(() => heard.filter((each) => each.command === command).length >= count, command),
    hearsMacros: (command, count) => until(() => (counts.get(command) ?? 0) >= count, `macros of ${command}`),
    commands: (connection) =>
      heard.filter((each) => connection === undefined || each.connection === connection).map((each) => each.command)
        .join(""),
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
