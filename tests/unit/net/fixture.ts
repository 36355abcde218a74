/** A listener, a client and an `openssl s_client` for the tests of this room. */

import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../../src/clock/mod.ts";
import type { ListenerConfig, TlsSettings } from "../../../src/config/config.ts";
import {
  type CertificateStore,
  createCertificateStore,
  listen,
  type Listener,
  type ListenOptions,
  type ServerConnection,
} from "../../../src/net/mod.ts";

export const TLS: TlsSettings = {
  enable: true,
  implicit: false,
  timeout: 20_000,
  disableProtocols: [],
  disableCiphers: [],
  ignoreClientOrder: true,
  certificate: undefined,
};

export function listenerConfig(more: Partial<ListenerConfig> = {}): ListenerConfig {
  return {
    id: "test",
    bind: [{ ip: "127.0.0.1", port: 0 }],
    protocol: "smtp",
    maxConnections: 2000,
    greeting: undefined,
    tls: TLS,
    socket: { reuseAddr: true, reusePort: false, backlog: 1024, nodelay: true },
    proxyTrustedNetworks: [],
    ...more,
  };
}

/** One event as emitted. */
export interface SeenEvent {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface TestListener extends Listener {
  readonly port: number;
  readonly events: SeenEvent[];
  /** Resolves with the next event of this name, one that has happened already included. */
  event(name: string): Promise<SeenEvent>;
  /** Resolves when no connection is left. */
  idle(): Promise<void>;
}

export interface TestListenerOptions extends Partial<Omit<ListenOptions, "onConnection" | "emit">> {
  readonly config?: Partial<ListenerConfig>;
  readonly certificates?: CertificateStore;
  readonly clock?: Clock;
}

/** Listens on a free port; `serve` handles each connection. */
export function startListener(
  serve: (connection: ServerConnection) => void | Promise<void>,
  options: TestListenerOptions = {},
): TestListener {
  const events: SeenEvent[] = [];
  let changed = Promise.withResolvers<void>();
  const notify = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const { config, ...rest } = options;
  const listener = listen(listenerConfig(config), {
    certificates: createCertificateStore([]),
    clock: systemClock,
    blocked: () => false,
    ...rest,
    emit(name, fields = {}) {
      events.push({ name, fields });
      notify();
    },
    async onConnection(connection) {
      try {
        await serve(connection);
      } finally {
        connection.close();
        notify();
      }
    },
  });
  const port = listener.addresses[0]?.port ?? 0;
  return {
    id: listener.id,
    get addresses() {
      return listener.addresses;
    },
    get connections() {
      return listener.connections;
    },
    update: (next) => listener.update(next),
    close: () => listener.close(),
    port,
    events,
    async event(name) {
      for (;;) {
        const found = events.findIndex((event) => event.name === name);
        if (found >= 0) return events.splice(found, 1)[0]!;
        await changed.promise;
      }
    },
    async idle() {
      while (listener.connections > 0) await changed.promise;
    },
  };
}

const encoder = new TextEncoder();

export const bytes = (text: string): Uint8Array => encoder.encode(text);

interface Reader {
  read(buffer: Uint8Array): Promise<number | null>;
}

/** Reads until `end` has come, or to the end of the stream. */
export async function readUntil(reader: Reader, end: string): Promise<string> {
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!text.endsWith(end)) {
    const count = await reader.read(buffer);
    if (count === null) break;
    text += String.fromCharCode(...buffer.subarray(0, count));
  }
  return text;
}

/** Reads to the end of the stream; a reset counts as the end. */
export async function readAll(reader: Reader): Promise<string> {
  try {
    return await readUntil(reader, "\0never\0");
  } catch {
    return "";
  }
}

/** A tiny SMTP responder: enough for `openssl s_client -starttls smtp`; echoes lines once TLS is up. */
export async function respond(connection: ServerConnection): Promise<void> {
  const write = (text: string) => connection.write(bytes(text));
  if (connection.tls === undefined) {
    await write("220 mx.example.test ESMTP\r\n");
    for (;;) {
      const line = await readUntil(connection, "\r\n");
      if (line === "") return;
      if (line.startsWith("EHLO")) await write("250-mx.example.test\r\n250 STARTTLS\r\n");
      else if (line === "STARTTLS\r\n") break;
      else await write("502 5.5.1 no\r\n");
    }
    await write("220 2.0.0 go ahead\r\n");
    try {
      await connection.startTls();
    } catch {
      return;
    }
  }
  await write(`info ${JSON.stringify(connection.tls)}\n`);
  const line = await readUntil(connection, "\n");
  await write(`echo ${line}`);
}

/** What `openssl s_client` said. */
export interface ClientReport {
  readonly success: boolean;
  readonly output: string;
  /** What the responder told of the session. */
  readonly info: Record<string, unknown> | undefined;
}

/** Runs `openssl s_client` against a {@link respond} listener. */
export async function sClient(port: number, ...options: string[]): Promise<ClientReport> {
  const process = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${port}`, "-ign_eof", ...options],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = process.stdin.getWriter();
  await input.write(bytes("hello\n")).catch(() => {});
  await input.close().catch(() => {});
  const { stdout, stderr } = await process.output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  const told = /info (\{.*\})/.exec(output)?.[1];
  return {
    success: output.includes("echo hello"),
    output,
    info: told === undefined ? undefined : JSON.parse(told),
  };
}

/** Lets the event loop turn until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** A plain client socket. */
export function dial(port: number): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port });
}

/**
 * Nobody accepts on a port: a client gets nothing there. Mostly it is refused. While a child process that is being
 * started has not let go of the descriptors of its parent, the system still takes connections, and breaks them.
 */
export async function assertNobodyAccepts(port: number): Promise<void> {
  try {
    const client = await dial(port);
    try {
      assert.equal(await client.read(new Uint8Array(1)), null);
    } finally {
      client.close();
    }
  } catch (error) {
    const isBroken = error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset;
    if (!isBroken) throw error;
  }
}

export function assertIncludes(text: string, part: string): void {
  assert.ok(text.includes(part), `expected ${JSON.stringify(part)} in:\n${text}`);
}
