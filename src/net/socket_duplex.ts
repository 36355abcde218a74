/** The runtime's socket as a node stream, which is what node's TLS wants underneath. */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { closeSocket, writeAll } from "./byte_stream.ts";

// A read that waits holds its buffer, and most connections wait most of the time: start small, grow under load.
const SMALL_READ = 2 * 1024;
const LARGE_READ = 64 * 1024;

/** A stream whose socket can be left alone for a while. */
export interface GatedDuplex extends Duplex {
  /** Octets that have come from the peer so far. */
  received(): number;
  /**
   * Stops reading from the socket. TLS on top of a stream does not pass on that its reader waits; without this the peer
   * could fill the memory meanwhile.
   */
  hold(): void;
  /** Reads again. */
  goOn(): void;
}

/** Whether a stream was made by {@link socketDuplex}. */
export function isGated(stream: Duplex): stream is GatedDuplex {
  return "hold" in stream && "goOn" in stream;
}

/**
 * Makes the stream. It closes `socket` when destroyed.
 *
 * @param early bytes read from the socket before; they come first
 * @param lastWords called with the number of octets sent so far before the socket is closed; its bytes are still sent
 */
export function socketDuplex(
  socket: Deno.TcpConn,
  early: Uint8Array | undefined,
  lastWords?: (sent: number) => Uint8Array | undefined,
): GatedDuplex {
  let size = SMALL_READ;
  let sent = 0;
  let received = early?.length ?? 0;
  let pending = early;
  let started = false;
  let held = false;
  /** More was asked for while the socket was left alone. */
  let wanted = false;
  const pump = () => {
    if (held) {
      wanted = true;
      return;
    }
    if (pending !== undefined) {
      const first = pending;
      pending = undefined;
      duplex.push(Buffer.from(first.buffer, first.byteOffset, first.byteLength));
      return;
    }
    const buffer = Buffer.allocUnsafeSlow(size);
    socket.read(buffer).then((count) => {
      if (count === null) {
        duplex.push(null);
        return;
      }
      received += count;
      size = count === buffer.length ? LARGE_READ : SMALL_READ;
      duplex.push(count === buffer.length ? buffer : buffer.subarray(0, count));
    }, (error) => duplex.destroy(error));
  };
  const duplex: Duplex = new Duplex({
    allowHalfOpen: true,
    read() {
      if (started) {
        pump();
        return;
      }
      // A TLSSocket starts in the next tick. Bytes that reach it before, and turn out to be no handshake, end the whole
      // program: it destroys itself while starting and then trips over what it has lost.
      started = true;
      setImmediate(() => {
        if (!duplex.destroyed) pump();
      });
    },
    write(chunk: Uint8Array, _encoding, done) {
      sent += chunk.length;
      writeAll(socket, chunk).then(() => done(), done);
    },
    final(done) {
      // The TLS layer has said close_notify; the other direction may go on.
      socket.closeWrite().then(() => done(), () => done());
    },
    destroy(error, done) {
      const words = lastWords?.(sent);
      if (words === undefined) closeSocket(socket);
      else writeAll(socket, words).catch(() => {}).finally(() => closeSocket(socket));
      done(error);
    },
  });
  return Object.assign(duplex, {
    received: () => received,
    hold() {
      held = true;
    },
    goOn() {
      held = false;
      if (!wanted) return;
      wanted = false;
      if (!duplex.destroyed) pump();
    },
  });
}
