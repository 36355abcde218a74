/** Accepting connections: binds, limits, the PROXY header and implicit TLS, before a session sees anything. */

import type { Clock } from "../clock/mod.ts";
import type { ListenerConfig } from "../config/config.ts";
import type { Emit } from "../telemetry/event.ts";
import { closeSocket, writeAll } from "./byte_stream.ts";
import type { CertificateStore } from "./certificates.ts";
import type { Endpoint, ServerConnection } from "./connection.ts";
import { endpointOf, networkSet } from "./ip.ts";
import { type OpenPort, openPorts } from "./open_port.ts";
import { receiveProxyHeader } from "./receive_proxy_header.ts";
import { type AcceptedConnection, acceptedConnection } from "./server_connection.ts";
import { TlsHandshakeError } from "./server_tls.ts";

/** Why a client was turned away. */
export type RefusalReason = "blocked" | "listener-limit";

/** A client that was turned away before it got a session. */
export interface Refusal {
  readonly listener: string;
  readonly remote: Endpoint;
  readonly reason: RefusalReason;
}

/** What a listener works with. */
export interface ListenOptions {
  readonly certificates: CertificateStore;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Whether clients of this address are turned away without a word. */
  blocked(ip: string): boolean;
  /**
   * Takes a connection, whose close() it must see to; where a promise is returned the connection is closed at the
   * latest when it settles.
   */
  onConnection(connection: ServerConnection): void | Promise<void>;
  /** Hears of clients turned away. */
  onRefused?(refusal: Refusal): void;
}

/** Open ports of one listener of the configuration. */
export interface Listener {
  readonly id: string;
  /** Where it listens, with the ports that were given for port 0. */
  readonly addresses: readonly Endpoint[];
  /** Connections that are open, handshakes included. */
  readonly connections: number;
  /**
   * Uses `config` from now on: its ports are opened, others closed, new connections follow its settings.
   *
   * @throws {BindError} if a new port cannot be opened, as one that overlaps with an old one (`[::]` for `0.0.0.0`);
   * everything stays as it was then
   */
  update(config: ListenerConfig): void;
  /**
   * Stops accepting, and ends connections that no session has yet. The others go on.
   *
   * @returns resolves when the ports are free for others
   */
  close(): Promise<void>;
}

/** Milliseconds that a refusal may take to be sent. */
const REFUSAL_GRACE = 1000;

const TOO_MANY = new TextEncoder().encode("421 4.3.2 Too many connections, try again later\r\n");

/**
 * Opens the ports of a listener and accepts on them.
 *
 * @throws {BindError} if one cannot be opened; none is then
 */
export function listen(initial: ListenerConfig, options: ListenOptions): Listener {
  const { clock, emit } = options;
  let config = initial;
  let trusted = networkSet(config.proxyTrustedNetworks);
  let connections = 0;
  let closed = false;
  let ports: readonly OpenPort[] = [];
  const preparing = new Set<Deno.TcpConn>();

  const refuse = (socket: Deno.TcpConn, remote: Endpoint, reason: RefusalReason) => {
    // TLS from the first byte leaves no way to say why; HTTP has another language.
    const words = reason === "blocked" || config.tls.implicit || config.protocol === "http" ? undefined : TOO_MANY;
    if (words === undefined) {
      closeSocket(socket);
    } else {
      const timer = clock.after(REFUSAL_GRACE, () => closeSocket(socket));
      writeAll(socket, words).catch(() => {}).finally(() => {
        timer.cancel();
        closeSocket(socket);
      });
    }
    options.onRefused?.({ listener: config.id, remote, reason });
  };

  const hand = (connection: ServerConnection) => {
    const failed = (error: unknown) => {
      emit("server.unexpected-error", {
        listener: connection.listener,
        remoteIp: connection.remote.ip,
        reason: text(error),
      });
      connection.close();
    };
    try {
      options.onConnection(connection)?.then(() => connection.close(), failed);
    } catch (error) {
      failed(error);
    }
  };

  const admit = (socket: Deno.TcpConn) => {
    // A reload must not change the rules for a connection half way.
    const rules = config;
    const peer = endpointOf(socket.remoteAddr);
    const proxied = trusted(peer.ip);
    if (!proxied && options.blocked(peer.ip)) return refuse(socket, peer, "blocked");
    if (connections >= rules.maxConnections) return refuse(socket, peer, "listener-limit");
    connections++;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      connections--;
    };
    if (rules.socket.nodelay) setNoDelay(socket);
    const connected = (remote: Endpoint, local: Endpoint, early?: Uint8Array) =>
      acceptedConnection({
        socket,
        config: rules,
        remote,
        local,
        certificates: options.certificates,
        clock,
        early,
        onClose: release,
      });
    const local = endpointOf(socket.localAddr);
    if (!proxied && !(rules.tls.enable && rules.tls.implicit)) {
      hand(connected(peer, local));
      return;
    }
    preparing.add(socket);
    prepare(socket, rules, peer, local, proxied, connected).finally(() => preparing.delete(socket)).then(
      (connection) => {
        if (connection === undefined) release();
        else hand(connection);
      },
      (error) => {
        closeSocket(socket);
        release();
        emit("server.unexpected-error", { listener: rules.id, remoteIp: peer.ip, reason: text(error) });
      },
    );
  };

  /** PROXY header and implicit TLS. @returns `undefined` if the socket is closed instead */
  const prepare = async (
    socket: Deno.TcpConn,
    rules: ListenerConfig,
    peer: Endpoint,
    socketLocal: Endpoint,
    proxied: boolean,
    connected: (remote: Endpoint, local: Endpoint, early?: Uint8Array) => AcceptedConnection,
  ): Promise<ServerConnection | undefined> => {
    let remote = peer;
    let local = socketLocal;
    let early: Uint8Array | undefined;
    if (proxied) {
      const received = await receiveProxyHeader(socket, rules.tls.timeout, clock);
      if (received.kind === "failed") {
        emit("network.proxy-error", { listener: rules.id, remoteIp: peer.ip, reason: received.reason });
        closeSocket(socket);
        return undefined;
      }
      early = received.rest;
      const { addresses } = received.header;
      if (addresses !== undefined) {
        remote = addresses.source;
        local = addresses.destination;
        emit("network.proxy-accepted", { listener: rules.id, remoteIp: remote.ip, proxyIp: peer.ip });
      }
      if (options.blocked(remote.ip)) {
        refuse(socket, remote, "blocked");
        return undefined;
      }
    }
    const connection = connected(remote, local, early);
    if (rules.tls.enable && rules.tls.implicit) {
      try {
        await connection.startImplicitTls();
      } catch (error) {
        if (error instanceof TlsHandshakeError && error.isProof) return undefined;
        const idle = error instanceof TlsHandshakeError ? error.idle : undefined;
        emit("tls.handshake-error", {
          listener: rules.id,
          remoteIp: remote.ip,
          reason: text(error),
          ...(idle === undefined ? {} : { idle }),
        });
        return undefined;
      }
    }
    return connection;
  };

  const openAll = (rules: ListenerConfig): readonly OpenPort[] => {
    const next = openPorts(ports, rules, { clock, emit, admit });
    for (const port of ports) if (!next.includes(port)) port.close();
    for (const port of next) {
      if (!ports.includes(port)) {
        emit("network.listen-start", { listener: rules.id, localIp: port.address.ip, localPort: port.address.port });
      }
    }
    return next;
  };

  ports = openAll(config);
  return {
    id: config.id,
    get addresses() {
      return ports.map((port) => port.address);
    },
    get connections() {
      return connections;
    },
    update(next) {
      if (closed) return;
      ports = openAll(next);
      config = next;
      trusted = networkSet(next.proxyTrustedNetworks);
    },
    async close() {
      if (!closed) {
        closed = true;
        for (const socket of preparing) closeSocket(socket);
        emit("network.listen-stop", { listener: config.id });
      }
      await Promise.all(ports.map((port) => port.close()));
    },
  };
}

function setNoDelay(socket: Deno.TcpConn): void {
  try {
    socket.setNoDelay(true);
  } catch {
    // The client has gone already; the first read will tell.
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
