/** A scripted SMTP or LMTP server on loopback: behaves well unless told otherwise, and remembers what it was told. */

import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { TLSSocket } from "node:tls";

/**
 * What the peer does instead of its usual reply: a reply (several lines joined by LF), or something worse; the text of
 * an object is said as it is, with CRLF at the end.
 */
export type Action = string | { readonly then?: "close"; readonly say?: string } | "silent";

/** One command as it came. */
export interface Command {
  /** Upper case: `EHLO`, `MAIL`, ..., `content` for the end of data, `greeting` before anything. */
  readonly verb: string;
  readonly line: string;
  /** 1 for the first of its verb on this connection. */
  readonly count: number;
  readonly connection: PeerConnection;
}

/** A message that was answered with 250. */
export interface PeerMessage {
  readonly mail: string;
  readonly rcpt: readonly string[];
  /** Without dot-stuffing. */
  readonly content: string;
  readonly connection: number;
}

/** One connection to the peer. */
export interface PeerConnection {
  /** 1 for the first. */
  readonly number: number;
  /** Lines of commands in order, content left out. */
  readonly lines: string[];
  encrypted: boolean;
  /** Whether it resumed a TLS session of an earlier one. */
  resumed: boolean;
  readonly localAddress: string;
  /** Ends it, as a server does that goes down. */
  destroy(): void;
}

/** Settings of the peer. */
export interface FakePeerOptions {
  readonly protocol?: "smtp" | "lmtp";
  /** Lines of the EHLO reply; by default `PIPELINING`, `8BITMIME`, `ENHANCEDSTATUSCODES`, `SIZE`. */
  readonly extensions?: readonly string[] | ((connection: PeerConnection) => readonly string[]);
  /** What to do instead of the usual; `undefined` for the usual. */
  readonly on?: (command: Command) => Action | undefined;
  /** For STARTTLS (or TLS from the first byte, with `implicit`). */
  readonly tls?: {
    readonly cert: string;
    readonly privateKey: string;
    readonly implicit?: boolean;
    /** The newest version that is spoken. */
    readonly maxVersion?: "TLSv1.2";
    /** Plain text sent right behind the 220 of STARTTLS, as somebody on the path may do. */
    readonly injected?: string;
  };
  readonly ip?: string;
  /** A free one if not given. */
  readonly port?: number;
}

/** The running peer. */
export interface FakePeer extends AsyncDisposable {
  readonly port: number;
  readonly connections: readonly PeerConnection[];
  readonly messages: readonly PeerMessage[];
  /** Octets written in plain text, all connections together. */
  readonly written: number;
  /** Resolves when the peer has begun to be silent on some connection. */
  readonly silence: Promise<void>;
}

export const DEFAULT_EXTENSIONS = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE"];

const USUAL: Readonly<Record<string, string>> = {
  greeting: "220 peer.example ready",
  HELO: "250 peer.example",
  MAIL: "250 2.1.0 sender ok",
  RCPT: "250 2.1.5 recipient ok",
  DATA: "354 go on",
  content: "250 2.0.0 queued",
  BDAT: "250 2.0.0 queued",
  RSET: "250 2.0.0 reset",
  NOOP: "250 2.0.0 ok",
  QUIT: "221 2.0.0 bye",
  STARTTLS: "220 2.0.0 go ahead",
  AUTH: "235 2.7.0 welcome",
};

/** Starts a peer. */
export async function startFakePeer(options: FakePeerOptions = {}): Promise<FakePeer> {
  const sockets = new Set<Socket>();
  const connections: PeerConnection[] = [];
  const messages: PeerMessage[] = [];
  const state = { written: 0 };
  let silent = () => {};
  const silence = new Promise<void>((resolve) => silent = resolve);
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serve(socket, options, { connections, messages, state, silent });
  });
  const ip = options.ip ?? "127.0.0.1";
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, ip, resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    connections,
    messages,
    get written() {
      return state.written;
    },
    silence,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Shared {
  readonly connections: PeerConnection[];
  readonly messages: PeerMessage[];
  readonly state: { written: number };
  readonly silent: () => void;
}

function serve(socket: Socket, options: FakePeerOptions, shared: Shared): void {
  const { on = () => undefined, protocol = "smtp" } = options;
  const connection: PeerConnection = {
    number: shared.connections.length + 1,
    lines: [],
    encrypted: false,
    resumed: false,
    localAddress: socket.localAddress ?? "",
    destroy: () => socket.destroy(),
  };
  shared.connections.push(connection);
  const counts = new Map<string, number>();
  let stream: Socket = socket;
  let held = Buffer.alloc(0);
  let mode: "command" | "data" | "bdat" | "stuck" = "command";
  let mail = "";
  let rcpt: string[] = [];
  let content: Buffer[] = [];
  let octets = 0;
  let last = false;

  const write = (out: string) => {
    shared.state.written += out.length;
    stream.write(out);
  };

  const say = (text: string) => {
    const lines = text.split("\n");
    const code = lines[0]!.slice(0, 3);
    const out =
      lines.map((line, index) =>
        index === 0
          ? (lines.length > 1 ? `${code}-${line.slice(4)}` : line)
          : `${index < lines.length - 1 ? `${code}-` : `${code} `}${line}`
      ).join("\r\n") + "\r\n";
    write(out);
  };

  /** Does what the script wants, or the usual; the reply that was given, or undefined if there was none. */
  const act = (verb: string, line: string, usual = USUAL[verb] ?? "502 5.5.1 unknown"): string | undefined => {
    const count = (counts.get(verb) ?? 0) + 1;
    counts.set(verb, count);
    const action = on({ verb, line, count, connection }) ?? usual;
    if (action === "silent") {
      mode = "stuck";
      shared.silent();
      return undefined;
    }
    if (typeof action !== "string") {
      if (action.say !== undefined) write(`${action.say}\r\n`);
      if (action.then === undefined) return action.say;
      mode = "stuck";
      stream.end();
      return undefined;
    }
    say(action);
    return action;
  };

  const extensions = () =>
    typeof options.extensions === "function"
      ? options.extensions(connection)
      : options.extensions ?? DEFAULT_EXTENSIONS;

  const reset = () => {
    mail = "";
    rcpt = [];
    content = [];
  };

  const finish = (verb: string) => {
    const text = Buffer.concat(content).toString("latin1");
    if (protocol === "lmtp") {
      const taken = rcpt.filter((line) => act(verb, line)?.startsWith("250"));
      if (taken.length > 0) shared.messages.push({ mail, rcpt: taken, content: text, connection: connection.number });
    } else if (act(verb, "")?.startsWith("250")) {
      shared.messages.push({ mail, rcpt, content: text, connection: connection.number });
    }
    reset();
  };

  const command = (line: string) => {
    connection.lines.push(line);
    const verb = (line.split(" ")[0] ?? "").toUpperCase();
    switch (verb) {
      case "EHLO":
      case "LHLO":
        act(verb, line, ["250 peer.example", ...extensions()].join("\n"));
        break;
      case "MAIL":
        if (act(verb, line)?.startsWith("250")) mail = line;
        break;
      case "RCPT":
        if (mail === "") say("503 5.5.1 MAIL first");
        else if (act(verb, line)?.startsWith("25")) rcpt.push(line);
        break;
      case "DATA":
        if (rcpt.length === 0 && on({ verb, line, count: 1, connection }) === undefined) {
          say("554 5.5.1 no valid recipients");
        } else if (act(verb, line)?.startsWith("354")) mode = "data";
        break;
      case "BDAT": {
        const [, size, word] = line.split(" ");
        octets = Number(size);
        last = word === "LAST";
        mode = "bdat";
        break;
      }
      case "RSET":
        act(verb, line);
        reset();
        break;
      case "QUIT":
        act(verb, line);
        stream.end();
        mode = "stuck";
        break;
      case "STARTTLS":
        socket.cork();
        if (act(verb, line)?.startsWith("220")) {
          if (options.tls?.injected !== undefined) socket.write(options.tls.injected);
          socket.uncork();
          encrypt();
        } else {
          socket.uncork();
        }
        break;
      default:
        act(verb, line);
    }
  };

  const encrypt = () => {
    if (options.tls === undefined) return;
    stream.removeListener("data", receive);
    held = Buffer.alloc(0);
    const { cert, privateKey: key, maxVersion } = options.tls;
    const versions = maxVersion === undefined ? {} : { maxVersion };
    const secure = new TLSSocket(socket, { isServer: true, cert, key, ...versions });
    secure.once("secure", () => connection.resumed = secure.isSessionReused());
    secure.on("error", () => {});
    connection.encrypted = true;
    stream = secure;
    secure.on("data", receive);
  };

  const receive = (bytes: Uint8Array) => {
    held = Buffer.concat([held, bytes]);
    while (held.length > 0 && mode !== "stuck") {
      if (mode === "command") {
        const end = held.indexOf("\r\n");
        if (end < 0) return;
        const line = held.toString("utf8", 0, end);
        held = held.subarray(end + 2);
        command(line);
      } else if (mode === "data") {
        const end = held.subarray(0, 3).equals(Buffer.from(".\r\n")) ? 0 : held.indexOf("\r\n.\r\n") + 2;
        if (end === 1) return;
        content = [Buffer.from(held.toString("latin1", 0, end).replace(/(^|\r\n)\./g, "$1"), "latin1")];
        held = held.subarray(end + 3);
        mode = "command";
        finish("content");
      } else {
        const part = held.subarray(0, octets);
        content.push(Buffer.from(part));
        octets -= part.length;
        held = held.subarray(part.length);
        if (octets > 0) return;
        mode = "command";
        if (rcpt.length === 0) say("503 5.5.1 no valid recipients");
        else if (last) finish("BDAT");
        else say("250 2.0.0 go on");
      }
    }
  };

  if (options.tls?.implicit) encrypt();
  else stream.on("data", receive);
  act("greeting", "");
}
