/** Ports that are listened on, and the loop that accepts on each. */

import type { Clock } from "../clock/mod.ts";
import type { Bind, ListenerConfig } from "../config/config.ts";
import type { Emit } from "../telemetry/event.ts";
import { closeSocket } from "./byte_stream.ts";
import type { Endpoint } from "./connection.ts";
import { endpointOf, formatEndpoint } from "./ip.ts";

/** An address that cannot be listened on. */
export class BindError extends Error {
  override readonly name = "BindError";
  /** @param bind the address at fault */
  constructor(readonly listener: string, readonly bind: Bind, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`listener ${listener} cannot bind ${formatEndpoint(bind)}: ${reason}`, { cause });
  }
}

/** Milliseconds without accepting after the system is out of descriptors or memory. */
const EXHAUSTED_PAUSE = 100;
/** Milliseconds without accepting after any other failure that is not one client's. */
const FAILED_PAUSE = 10;
/** Whether several processes can share a port: the runtime allows it with `"unstable": ["net"]`. */
export const CAN_REUSE_PORT = "listenDatagram" in Deno;

/** What a port does with those who come. */
export interface PortOptions {
  readonly clock: Clock;
  readonly emit: Emit;
  /** Takes an accepted socket, without waiting for anything. */
  admit(socket: Deno.TcpConn): void;
}

/** A port that is accepted on. */
export interface OpenPort {
  readonly bind: Bind;
  readonly address: Endpoint;
  /** Stops accepting; resolves when the system has the port back, which it has not before the pending accept ends. */
  close(): Promise<void>;
}

/**
 * Opens the ports of `config` that are not among `before`.
 *
 * @returns all ports `config` asks for, those of `before` included
 * @throws {BindError} if one cannot be opened; none was then
 */
export function openPorts(before: readonly OpenPort[], config: ListenerConfig, options: PortOptions): OpenPort[] {
  const opened: OpenPort[] = [];
  const ports: OpenPort[] = [];
  // [::] mostly takes IPv4 along. Where it does, 0.0.0.0 with the same port is refused if it comes second, and both if it
  // comes first.
  const binds = config.bind.toSorted((a, b) => Number(b.ip === "::") - Number(a.ip === "::"));
  for (const bind of binds) {
    const kept = before.find((port) =>
      port.bind.ip === bind.ip && port.bind.port === bind.port && !ports.includes(port)
    );
    if (kept !== undefined) {
      ports.push(kept);
      continue;
    }
    try {
      const port = openPort(bind, config, options);
      opened.push(port);
      ports.push(port);
    } catch (error) {
      const covered = bind.ip === "0.0.0.0" && bind.port !== 0 && isAddressInUse(error) &&
        ports.some((port) => port.bind.ip === "::" && port.bind.port === bind.port);
      if (covered) continue;
      for (const port of opened) port.close();
      throw error;
    }
  }
  return ports;
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof BindError && error.cause instanceof Deno.errors.AddrInUse;
}

function openPort(bind: Bind, config: ListenerConfig, { clock, emit, admit }: PortOptions): OpenPort {
  const listener = bindPort(bind, config);
  let wake: (() => void) | undefined;
  let stopped = false;
  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = clock.after(milliseconds, resolve);
      wake = () => {
        timer.cancel();
        resolve();
      };
    });
  const accept = async () => {
    while (!stopped) {
      let socket: Deno.TcpConn;
      try {
        socket = await listener.accept();
      } catch (error) {
        if (stopped) return;
        emit("network.accept-error", { listener: config.id, reason: text(error) });
        const wait = pauseAfter(error);
        if (wait > 0) await pause(wait);
        continue;
      }
      try {
        admit(socket);
      } catch (error) {
        closeSocket(socket);
        emit("server.unexpected-error", { listener: config.id, reason: text(error) });
      }
    }
  };
  const ended = accept();
  return {
    bind,
    address: endpointOf(listener.addr),
    close() {
      if (!stopped) {
        stopped = true;
        wake?.();
        listener.close();
      }
      return ended;
    },
  };
}

function bindPort(bind: Bind, config: ListenerConfig): Deno.TcpListener {
  const options = { hostname: bind.ip, port: bind.port, tcpBacklog: config.socket.backlog };
  try {
    // The runtime ends the program if it is asked for this without --unstable-net.
    return Deno.listen(config.socket.reusePort && CAN_REUSE_PORT ? { ...options, reusePort: true } : options);
  } catch (error) {
    throw new BindError(config.id, bind, error);
  }
}

function pauseAfter(error: unknown): number {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
    case "ECONNABORTED":
    case "ECONNRESET":
    case "EINTR":
    case "EPROTO":
      // accept(2): these tell of the one connection that was in the queue.
      return 0;
    case "EMFILE":
    case "ENFILE":
    case "ENOBUFS":
    case "ENOMEM":
      return EXHAUSTED_PAUSE;
    default:
      return FAILED_PAUSE;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
