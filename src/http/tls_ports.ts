/**
 * HTTP over TLS on the listeners of the `net` room, so that certificates are chosen by name, exchanged while connections
 * go on, and proofs of names are shown to authorities. The runtime's own server holds one certificate for its life.
 */

import { getRequestListener } from "@hono/node-server";
import { createServer } from "node:http";
import { Duplex } from "node:stream";
import type { Clock } from "../clock/mod.ts";
import type { ListenerConfig } from "../config/config.ts";
import { type CertificateStore, type Endpoint, formatEndpoint, listen, type ServerConnection } from "../net/mod.ts";
import type { Emit } from "../telemetry/event.ts";

/** Open ports. */
export interface TlsPorts {
  readonly addresses: readonly string[];
  /** Takes no more connections and ends idle ones; resolves when the others have got their answers. */
  close(): Promise<void>;
  /** Ends all connections. */
  cut(): void;
}

/** What the ports work with. */
export interface TlsPortOptions {
  readonly certificates: CertificateStore;
  readonly clock: Clock;
  readonly emit: Emit;
  serve(request: Request, remote: Endpoint, local: Endpoint): Promise<Response>;
  /** Told when a connection is turned away. */
  onFull(remote: Endpoint): void;
  /** What is answered if an answer could not be made. */
  failure(): Response;
}

/** Milliseconds that a connection may be without a whole request. */
const IDLE = 60_000;

const READ_SIZE = 16 * 1024;

interface Visitor {
  readonly stream: Duplex;
  readonly connection: ServerConnection;
  /** Requests that are being answered. */
  busy: number;
  idleSince: number;
}

/**
 * Opens the ports of a listener.
 *
 * @throws {BindError} if one cannot be opened; none is then
 */
export function openTlsPorts(config: ListenerConfig, options: TlsPortOptions): TlsPorts {
  const { certificates, clock, emit } = options;
  const visitors = new Map<Duplex, Visitor>();
  let closing = false;
  let onEmpty = () => {};

  const handle = getRequestListener((request, { incoming }) => {
    // The library gives the socket that was handed to the server.
    const visitor = visitors.get(incoming.socket);
    if (visitor === undefined) return options.failure();
    return options.serve(request, visitor.connection.remote, visitor.connection.local);
  }, { overrideGlobalObjects: false, errorHandler: () => options.failure() });

  const server = createServer((incoming, outgoing) => {
    const visitor = visitors.get(incoming.socket);
    if (visitor === undefined) return incoming.socket.destroy();
    visitor.busy++;
    if (closing) outgoing.shouldKeepAlive = false;
    outgoing.once("close", () => {
      visitor.busy--;
      visitor.idleSince = clock.now();
      if (closing && visitor.busy === 0) visitor.stream.destroy();
    });
    handle(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  // Time is kept here: for streams that are no sockets of its own the server would trip over its timers.
  server.keepAliveTimeout = 0;
  // It would end connections after each answer, as a server does that is closing: it does not know of our ports.
  Object.defineProperty(server, "listening", { get: () => !closing });

  const watch = (visitor: Visitor) => {
    const timer = clock.after(IDLE, () => {
      if (visitor.busy === 0 && clock.now() - visitor.idleSince >= IDLE) visitor.stream.destroy();
      else watch(visitor);
    });
    visitor.stream.once("close", () => timer.cancel());
  };

  const listener = listen(config, {
    certificates,
    clock,
    emit,
    // The app refuses addresses in words of its own.
    blocked: () => false,
    onRefused: ({ remote }) => options.onFull(remote),
    onConnection(connection) {
      if (closing) return connection.close();
      const stream = duplexOf(connection);
      const visitor = { stream, connection, busy: 0, idleSince: clock.now() };
      visitors.set(stream, visitor);
      stream.once("close", () => {
        visitors.delete(stream);
        if (visitors.size === 0) onEmpty();
      });
      watch(visitor);
      server.emit("connection", stream);
    },
  });

  return {
    addresses: listener.addresses.map(formatEndpoint),
    async close() {
      closing = true;
      const ended = new Promise<void>((resolve) => onEmpty = resolve);
      for (const { busy, stream } of visitors.values()) if (busy === 0) stream.destroy();
      await listener.close();
      if (visitors.size > 0) await ended;
    },
    cut() {
      for (const stream of visitors.keys()) stream.destroy();
    },
  };
}

/** A connection as a node stream. */
function duplexOf(connection: ServerConnection): Duplex {
  const stream = new Duplex({
    read() {
      const buffer = new Uint8Array(READ_SIZE);
      connection.read(buffer).then(
        (count) => stream.push(count === null ? null : buffer.subarray(0, count)),
        // Whoever left is not worth an error that nobody hears.
        () => stream.destroy(),
      );
    },
    write(chunk: Uint8Array, _encoding, done) {
      // Node's server ends each answer with nothing, and TLS below would never have written that.
      if (chunk.length === 0) return done();
      connection.write(chunk).then(() => done(), done);
    },
    final(done) {
      done();
      // All is written; a connection with one end closed is of no use to HTTP.
      stream.destroy();
    },
    destroy(error, done) {
      connection.close();
      done(error);
    },
  });
  stream.on("error", () => {});
  // This is how whoever makes URLs of requests knows TLS.
  return Object.assign(stream, { encrypted: true });
}
