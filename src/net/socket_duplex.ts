/** The runtime's socket as a node stream, which is what node's TLS wants underneath. */

import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { closeSocket, type RawSocket, writeAll } from "./byte_stream.ts";

// A read that waits holds its buffer, and most connections wait most of the time: start small, grow under load. A
// buffer is used again as soon as it is empty, since a new one for each read keeps the garbage collector busy.
const SMALL_READ = 2 * 1024;
const LARGE_READ = 64 * 1024;
const MOST_SPARE = 32;
const spare: Buffer[] = [];

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

/**
 * Makes the stream. It closes `socket` when destroyed.
 *
 * @param early bytes read from the socket before; they come first
 * @param lastWords called with the number of octets sent so far before the socket is closed; its bytes are still sent
 */
export function socketDuplex(
  socket: RawSocket,
  early: Uint8Array | undefined,
  lastWords?: (sent: number) => Uint8Array | undefined,
): GatedDuplex {
  let small: Buffer | undefined;
  let large = false;
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
    const grown = large;
    const buffer = (grown ? spare.pop() : small) ?? Buffer.allocUnsafeSlow(grown ? LARGE_READ : SMALL_READ);
    small = undefined;
    socket.read(buffer).then((count) => {
      if (duplex.destroyed) return;
      if (count === null) {
        duplex.push(null);
        return;
      }
      received += count;
      large = count === buffer.length;
      const chunk = large ? buffer : buffer.subarray(0, count);
      // Into the hands of the TLS layer while it takes everything; the way through the stream's own queue costs as much
      // again as the rest. The stream goes on believing that it waits for this read.
      const direct = duplex.readableFlowing === true && duplex.readableLength === 0;
      if (direct) duplex.emit("data", chunk);
      else duplex.push(chunk);
      // What the TLS layer has not taken at once stands in line, in this very buffer.
      if (duplex.readableLength === 0) {
        if (!grown) small = buffer;
        else if (spare.length < MOST_SPARE) spare.push(buffer);
      }
      if (direct && !duplex.destroyed) pump();
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
    // The TLS layer corks around each single write, which sends it through the queue of the stream for nothing.
    cork() {},
    uncork() {},
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
