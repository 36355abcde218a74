/** Brings the app to a port: plain or with TLS from the first byte. */

import { type Clock, systemClock, type Timer } from "../clock/mod.ts";
import type { ListenerConfig } from "../config/config.ts";
import { CAN_REUSE_PORT, type CertificateStore, type Endpoint } from "../net/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import type { HttpApp } from "./app.ts";
import { problem } from "./problem.ts";

/** A running listener. */
export interface HttpListener {
  readonly id: string;
  /** Bound addresses with their ports, such as `127.0.0.1:8025` and `[::1]:8025`. */
  readonly addresses: readonly string[];
  /** Requests being answered now. */
  connections(): number;
  /** Takes no more requests, lets those in progress end for `grace` milliseconds, then closes. */
  close(grace?: number): Promise<void>;
}

/** Options of {@link startHttpListener}. */
export interface HttpListenerOptions {
  readonly emit: Emit;
  /** The certificates of the server; needed with `tls.implicit`. */
  readonly certificates?: CertificateStore;
  readonly clock?: Clock;
}

const GRACE = 3000;

/** Time for the last responses to go out, in milliseconds. */
const LAST_WORDS = 1000;

/**
 * Binds every address of the listener and serves `app`. Port 0 takes a free port.
 *
 * @throws {Error} (rejects) if an address cannot be bound (none is left bound then), or if TLS is asked for without a
 * certificate
 */
export async function startHttpListener(
  config: ListenerConfig,
  app: HttpApp,
  options: HttpListenerOptions,
): Promise<HttpListener> {
  const { emit, certificates } = options;
  const implicit = config.tls.enable && config.tls.implicit;
  const clock = options.clock ?? systemClock;
  // One function for each request in progress, which ends it when a close has waited long enough. (Aborting the server
  // after its shutdown has begun throws inside the runtime.)
  const running = new Set<() => void>();

  async function serve(request: Request, remote: Endpoint, local: Endpoint) {
    if (running.size >= config.maxConnections) {
      emit("limit.concurrent-request", { listener: config.id, remoteIp: remote.ip });
      return problem(503, "Too many requests at once; try again in a moment.", { "retry-after": "1" });
    }
    let cut = () => {};
    const stopped = new Promise<Response>((resolve) => {
      cut = () => resolve(problem(503, "The server is stopping."));
    });
    running.add(cut);
    try {
      const response = app.fetch(request, { listener: config.id, remote, local, tls: implicit });
      return await Promise.race([response, stopped]);
    } finally {
      running.delete(cut);
    }
  }

  const failure = () => problem(500, "Something went wrong here; the log says what.");
  let ports: Ports;
  if (implicit) {
    if (certificates === undefined || certificates.size === 0) {
      throw new Error(`server.listener.${config.id}.tls.implicit needs a certificate, and none is configured`);
    }
    const onFull = (remote: Endpoint) =>
      emit("limit.concurrent-connection", { listener: config.id, remoteIp: remote.ip });
    // Most servers speak plain HTTP on loopback, and what carries it over TLS takes megabytes.
    const { openTlsPorts } = await import("./tls_ports.ts");
    ports = openTlsPorts(config, { certificates, clock, emit, serve, failure, onFull });
  } else {
    ports = openPlainPorts(config, { serve, failure });
    for (const address of ports.addresses) {
      emit("network.listen-start", { listener: config.id, protocol: "http", address });
    }
  }
  const { addresses } = ports;

  return {
    id: config.id,
    addresses,
    connections: () => running.size,
    async close(grace = GRACE) {
      const ended = ports.close();
      const cutting = clock.after(grace, () => running.forEach((cut) => cut()));
      // A client that does not read its response must not hold up the end of the program.
      let leaving: Timer | undefined;
      const left = new Promise<void>((resolve) => leaving = clock.after(grace + LAST_WORDS, resolve));
      await Promise.race([ended, left]);
      ports.cut?.();
      cutting.cancel();
      leaving?.cancel();
      if (implicit) return;
      for (const address of addresses) emit("network.listen-stop", { listener: config.id, protocol: "http", address });
    },
  };
}

/** Open ports, of either kind. */
interface Ports {
  readonly addresses: readonly string[];
  /** Takes no more requests; resolves when those in progress have ended. */
  close(): Promise<void>;
  /** Ends what is left, where the runtime does not. */
  cut?(): void;
}

/** Ports without TLS, on the runtime's own server. */
function openPlainPorts(
  config: ListenerConfig,
  options: {
    serve(request: Request, remote: Endpoint, local: Endpoint): Promise<Response>;
    failure(): Response;
  },
): Ports {
  const servers: Deno.HttpServer<Deno.NetAddr>[] = [];
  try {
    for (const { ip, port } of config.bind) {
      const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve({
        hostname: ip,
        port,
        tcpBacklog: config.socket.backlog,
        // The runtime ends the program if it is asked for this without --unstable-net.
        reusePort: config.socket.reusePort && CAN_REUSE_PORT,
        onListen: () => {},
        onError: () => options.failure(),
      }, (request, info) => options.serve(request, endpointOf(info.remoteAddr), endpointOf(server.addr)));
      servers.push(server);
    }
  } catch (error) {
    for (const server of servers) server.shutdown().catch(() => {});
    throw error;
  }
  return {
    addresses: servers.map(({ addr }) => formatAddress(addr)),
    async close() {
      await Promise.all(servers.map((server) => server.shutdown()));
    },
  };
}

function endpointOf({ hostname, port }: Deno.NetAddr): Endpoint {
  return { ip: hostname, port };
}

function formatAddress(addr: Deno.NetAddr): string {
  return addr.hostname.includes(":") ? `[${addr.hostname}]:${addr.port}` : `${addr.hostname}:${addr.port}`;
}
