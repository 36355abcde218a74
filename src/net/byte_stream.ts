/** The transports under a connection: the runtime's own socket, and node's streams where TLS or a source address needs them. */

import type { Duplex } from "node:stream";
import type { Clock, Timer } from "../clock/mod.ts";

/** Bytes both ways. Not for two readers or two writers at once. */
export interface ByteStream {
  /** As `Connection.read`. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** As `Connection.write`. */
  write(bytes: Uint8Array): Promise<void>;
  /** As `Connection.close`. */
  close(): void;
}

/** Bytes of plain text; {@link SocketStream.takeEarly} is for the layer that goes on top. */
export interface SocketStream extends ByteStream {
  readonly socket: Deno.TcpConn;
  /** Hands over bytes that were read from the socket but not consumed; reads do not give them any more. */
  takeEarly(): Uint8Array | undefined;
}

/**
 * The fast path: straight to the runtime's socket.
 *
 * @param early bytes that were read from the socket before, given to the first reads
 */
export function socketStream(socket: Deno.TcpConn, early?: Uint8Array): SocketStream {
  let pending = early !== undefined && early.length > 0 ? early : undefined;
  return {
    socket,
    takeEarly() {
      const taken = pending;
      pending = undefined;
      return taken;
    },
    read(buffer) {
      if (pending === undefined) return socket.read(buffer);
      const count = Math.min(buffer.length, pending.length);
      buffer.set(pending.subarray(0, count));
      pending = count === pending.length ? undefined : pending.subarray(count);
      return Promise.resolve(count);
    },
    write: (bytes) => writeAll(socket, bytes),
    close: () => closeSocket(socket),
  };
}

/** What layers above need of a socket. */
export type RawSocket = Pick<Deno.TcpConn, "read" | "write" | "closeWrite" | "close">;

/** Writes all of `bytes`; the runtime may take them in parts. */
export async function writeAll(socket: Pick<RawSocket, "write">, bytes: Uint8Array): Promise<void> {
  let sent = await socket.write(bytes);
  while (sent < bytes.length) sent += await socket.write(bytes.subarray(sent));
}

/** Closes `socket` even if it is closed already. */
export function closeSocket(socket: Pick<RawSocket, "close">): void {
  try {
    socket.close();
  } catch {
    // Closed before: nothing is left to do.
  }
}

/** Received bytes that wait for a reader before the other side is made to wait. */
const READ_AHEAD = 64 * 1024;
/** Milliseconds a closing stream may take to send what the protocol wants sent last (TLS close_notify). */
const CLOSE_GRACE = 1000;

const TAKEN = Promise.resolve();

function closedError(): Error {
  return new Deno.errors.BadResource("The connection was closed on this side");
}

/** A node stream as {@link ByteStream}. */
export interface NodeByteStream extends ByteStream {
  /** Drops what has arrived and was not read. */
  forget(): void;
}

/** What lies under a node stream that does not wait by itself. */
export interface Gate {
  /** Nothing more is wanted for now. */
  hold(): void;
  goOn(): void;
}

/**
 * Wraps an open node stream: a `net.Socket` or a `TLSSocket` after its handshake.
 *
 * @param gate of the stream under a `TLSSocket`, which goes on reading while it is paused
 */
export function nodeByteStream(stream: Duplex, clock: Clock, gate?: Gate): NodeByteStream {
  let arrived: Uint8Array[] = [];
  let size = 0;
  let offset = 0;
  let ended = false;
  let closed = false;
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  let closing: Timer | undefined;
  let writers = 0;

  const notify = () => {
    const waiting = wake;
    wake = undefined;
    waiting?.();
  };
  const onData = (chunk: Uint8Array) => {
    arrived.push(chunk);
    size += chunk.length;
    if (size >= READ_AHEAD) {
      gate?.hold();
      stream.pause();
    }
    notify();
  };
  const onEnd = () => {
    ended = true;
    notify();
  };
  const onError = (error: Error) => {
    failure ??= error;
    notify();
  };
  const onClose = () => {
    ended = true;
    closing?.cancel();
    notify();
  };
  stream.on("data", onData).on("end", onEnd).on("error", onError).on("close", onClose);

  const take = (buffer: Uint8Array, first: Uint8Array): number => {
    const count = Math.min(buffer.length, first.length - offset);
    buffer.set(first.subarray(offset, offset + count));
    offset += count;
    size -= count;
    if (offset === first.length) {
      arrived.shift();
      offset = 0;
    }
    if (size < READ_AHEAD / 2 && stream.isPaused()) {
      stream.resume();
      gate?.goOn();
    }
    return count;
  };

  /** What a read gives right now; undefined if it has to wait. */
  const ready = (buffer: Uint8Array): number | null | undefined => {
    if (closed) throw closedError();
    const first = arrived[0];
    if (first !== undefined) return take(buffer, first);
    if (failure !== undefined) throw failure;
    return ended ? null : undefined;
  };

  return {
    read(buffer) {
      try {
        const count = ready(buffer);
        if (count !== undefined) return Promise.resolve(count);
      } catch (error) {
        return Promise.reject(error);
      }
      return new Promise((resolve, reject) => {
        const retry = () => {
          try {
            const count = ready(buffer);
            if (count === undefined) wake = retry;
            else resolve(count);
          } catch (error) {
            reject(error);
          }
        };
        wake = retry;
      });
    },
    write(bytes) {
      if (closed) return Promise.reject(closedError());
      if (failure !== undefined) return Promise.reject(failure);
      const writer: { settle?: (error: Error | null | undefined) => void } = {};
      const idle = stream.writableLength === 0;
      const roomy = stream.write(bytes, (error) => writer.settle?.(error));
      // With nothing in line the layer below took, and encrypted, the bytes within the call. Its callback comes a turn of
      // the event loop later; only a full pipe is worth that wait. A failure is told by the next read or write.
      if (idle && roomy) return TAKEN;
      writers++;
      return new Promise((resolve, reject) => {
        writer.settle = (error) => {
          writers--;
          if (error) reject(error);
          else resolve();
        };
      });
    },
    close() {
      if (closed) return;
      closed = true;
      arrived = [];
      notify();
      if (stream.destroyed) return;
      // Writers that still wait must fail now; without any the stream may say goodbye in its own way.
      if (failure !== undefined || writers > 0) {
        stream.destroy();
        return;
      }
      closing = clock.after(CLOSE_GRACE, () => stream.destroy());
      stream.end(() => stream.destroy());
    },
    forget() {
      arrived = [];
      size = 0;
      offset = 0;
      if (stream.isPaused()) stream.resume();
    },
  };
}
