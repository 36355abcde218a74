/** Connections to other servers: plain at first or TLS at once, with STARTTLS later and a look at the certificates. */

import { connect as connectNode, type Socket } from "node:net";
import type { Clock } from "../clock/mod.ts";
import { type ByteStream, closeSocket, nodeByteStream, socketStream } from "./byte_stream.ts";
import { clientHandshake, type ClientTlsOptions, type ClientTlsResult } from "./client_tls.ts";
import type { Connection, Endpoint, TlsInfo } from "./connection.ts";
import { canonicalIp, endpointOf, formatEndpoint } from "./ip.ts";
import { type GatedDuplex, socketDuplex } from "./socket_duplex.ts";

/** Where to connect and how. */
export interface ConnectOptions {
  /** Address, not a name. */
  readonly ip: string;
  readonly port: number;
  /** Source address; the system's choice if not given. */
  readonly localIp?: string | undefined;
  /** Milliseconds until the connection must stand. */
  readonly timeout: number;
  readonly clock: Clock;
  /** TLS from the first byte. Its timeout counts apart. */
  readonly tls?: ClientTlsOptions | undefined;
  /** Gives up when aborted; of no effect once connected. */
  readonly signal?: AbortSignal | undefined;
}

/** A connection that this side opened. */
export interface ClientConnection extends Connection {
  /** What the TLS handshake showed, once it is done. */
  readonly tlsResult: ClientTlsResult | undefined;
  /**
   * Makes the connection encrypted, as the client. What arrived before and was not read is forgotten (RFC 3207 §4.2);
   * what the caller has read and not used it must forget itself.
   *
   * @throws {ConnectError} kind `tls` or `timeout`, if the handshake fails; the connection is then closed
   */
  startTls(options: ClientTlsOptions): Promise<ClientTlsResult>;
}

/** Why there is no connection. */
export type ConnectFailure = "refused" | "unreachable" | "timeout" | "tls" | "aborted" | "source-address" | "other";

/** A connection that did not come about. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  constructor(readonly kind: ConnectFailure, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/**
 * Connects.
 *
 * @throws {ConnectError}
 */
export async function connect(options: ConnectOptions): Promise<ClientConnection> {
  const remote: Endpoint = { ip: canonicalIp(options.ip) ?? options.ip, port: options.port };
  const transport = options.localIp === undefined
    ? await connectSocket(remote, options)
    : await connectFrom(options.localIp, remote, options);
  const connection = clientConnection(transport, remote, options.clock);
  if (options.tls !== undefined) await connection.startTls(options.tls);
  return connection;
}

/** A plain transport that can be given up for TLS. */
interface Transport {
  readonly local: Endpoint;
  readonly stream: ByteStream;
  /** Ends plain use; what comes next is for the TLS layer. */
  release(): GatedDuplex;
}

/** The runtime's sockets are the fast ones, but cannot choose their source address. */
async function connectSocket(remote: Endpoint, options: ConnectOptions): Promise<Transport> {
  const socket = await within(
    remote,
    options,
    (signal) => Deno.connect({ hostname: remote.ip, port: remote.port, signal, autoSelectFamily: false }),
    closeSocket,
  );
  try {
    socket.setNoDelay(true);
  } catch {
    // Reset already; the first read will tell.
  }
  const stream = socketStream(socket);
  return {
    local: endpointOf(socket.localAddr),
    stream,
    release: () => socketDuplex(socket, undefined),
  };
}

async function connectFrom(localIp: string, remote: Endpoint, options: ConnectOptions): Promise<Transport> {
  const socket = await within(remote, options, (signal) =>
    new Promise<Socket>((resolve, reject) => {
      const opening = connectNode({
        host: remote.ip,
        port: remote.port,
        localAddress: localIp,
        noDelay: true,
        allowHalfOpen: true,
      });
      const onError = (error: Error) => {
        opening.destroy();
        reject(error);
      };
      const onAbort = () => onError(new Error("aborted"));
      signal.addEventListener("abort", onAbort, { once: true });
      opening.once("error", onError);
      opening.once("connect", () => {
        signal.removeEventListener("abort", onAbort);
        opening.off("error", onError);
        resolve(opening);
      });
    }), (late) => late.destroy());
  const stream = nodeByteStream(socket, options.clock);
  return {
    local: { ip: canonicalIp(socket.localAddress ?? "") ?? localIp, port: socket.localPort ?? 0 },
    stream,
    // TLS right on top of node's socket would go on reading from it while nobody takes anything.
    release() {
      stream.forget();
      return socketDuplex({
        read: (buffer) => stream.read(buffer),
        write: (bytes) => stream.write(bytes).then(() => bytes.length),
        closeWrite: () => new Promise((resolve) => socket.end(resolve)),
        close() {
          stream.close();
          socket.destroy();
        },
      }, undefined);
    },
  };
}

/** Runs `open` within the time and the patience of the caller. */
async function within<T>(
  remote: Endpoint,
  options: ConnectOptions,
  open: (signal: AbortSignal) => Promise<T>,
  discard: (late: T) => void,
): Promise<T> {
  const { timeout, clock, signal } = options;
  const where = formatEndpoint(remote);
  if (signal?.aborted) throw new ConnectError("aborted", `connecting to ${where} was given up`);
  const control = new AbortController();
  let reason: ConnectFailure | undefined;
  const stop = (why: ConnectFailure) => {
    reason ??= why;
    control.abort();
  };
  const timer = clock.after(timeout, () => stop("timeout"));
  const onAbort = () => stop("aborted");
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const opened = await open(control.signal);
    if (reason === undefined) return opened;
    discard(opened);
    throw new Error("too late");
  } catch (error) {
    if (reason === "timeout") throw new ConnectError("timeout", `no connection to ${where} within ${timeout / 1000} s`);
    if (reason === "aborted") throw new ConnectError("aborted", `connecting to ${where} was given up`);
    throw connectError(error, where, options.localIp);
  } finally {
    timer.cancel();
    signal?.removeEventListener("abort", onAbort);
  }
}

function connectError(error: unknown, where: string, localIp: string | undefined): ConnectError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const cause = { cause: error };
  switch (code) {
    case "ECONNREFUSED":
      return new ConnectError("refused", `${where} refused the connection`, cause);
    case "ENETUNREACH":
    case "EHOSTUNREACH":
    case "ENETDOWN":
    case "EHOSTDOWN":
      return new ConnectError("unreachable", `${where} cannot be reached`, cause);
    case "ETIMEDOUT":
      return new ConnectError("timeout", `${where} did not answer`, cause);
    case "EADDRNOTAVAIL":
    case "EINVAL":
      if (localIp !== undefined) {
        return new ConnectError(
          "source-address",
          `${where} cannot be reached from the source address ${localIp}`,
          cause,
        );
      }
  }
  const message = error instanceof Error ? error.message : String(error);
  return new ConnectError("other", `no connection to ${where}: ${message}`, cause);
}

function clientConnection(transport: Transport, remote: Endpoint, clock: Clock): ClientConnection {
  let stream: ByteStream = transport.stream;
  let result: ClientTlsResult | undefined;
  let shaking: GatedDuplex | undefined;
  let closed = false;

  const close = () => {
    if (closed) return;
    closed = true;
    if (shaking !== undefined) shaking.destroy(new Error("closed on this side"));
    else stream.close();
  };

  return {
    remote,
    local: transport.local,
    get tls(): TlsInfo | undefined {
      return result;
    },
    get tlsResult() {
      return result;
    },
    read: (buffer) => stream.read(buffer),
    write: (bytes) => stream.write(bytes),
    close,
    async startTls(options) {
      if (closed) throw new ConnectError("tls", "the connection is closed");
      if (result !== undefined || shaking !== undefined) {
        throw new ConnectError("tls", "the connection has TLS already");
      }
      shaking = transport.release();
      try {
        const agreed = await clientHandshake(shaking, clock, options);
        stream = agreed.stream;
        result = agreed.result;
        shaking = undefined;
      } catch (error) {
        close();
        if (error instanceof ConnectError) throw error;
        const message = error instanceof Error ? error.message : String(error);
        const late = error instanceof Error && error.name === "TimeoutError";
        throw new ConnectError(late ? "timeout" : "tls", `TLS with ${formatEndpoint(remote)}: ${message}`, {
          cause: error,
        });
      }
      if (closed) {
        stream.close();
        throw new ConnectError("aborted", "the connection was closed during the TLS handshake");
      }
      return result;
    },
  };
}
