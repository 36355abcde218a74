/** Reads the PROXY header from a socket of a trusted proxy. */

import type { Clock } from "../clock/mod.ts";
import { closeSocket } from "./byte_stream.ts";
import { PROXY_HEADER_MAX, type ProxyHeader, readProxyHeader } from "./proxy_protocol.ts";

/** A header with the bytes that came after it, or why there is none. */
export type ReceivedProxyHeader =
  | { readonly kind: "received"; readonly header: ProxyHeader; readonly rest: Uint8Array }
  | { readonly kind: "failed"; readonly reason: string };

const FIRST_READ = 1024;

/** @param timeout milliseconds for the whole header; the socket is closed when they have passed */
export async function receiveProxyHeader(
  socket: Deno.TcpConn,
  timeout: number,
  clock: Clock,
): Promise<ReceivedProxyHeader> {
  let late = false;
  const timer = clock.after(timeout, () => {
    late = true;
    closeSocket(socket);
  });
  try {
    let buffer = new Uint8Array(FIRST_READ);
    let length = 0;
    for (;;) {
      if (length === buffer.length) {
        if (length >= PROXY_HEADER_MAX) return { kind: "failed", reason: "the PROXY header is too long" };
        const larger = new Uint8Array(PROXY_HEADER_MAX);
        larger.set(buffer);
        buffer = larger;
      }
      const count = await socket.read(buffer.subarray(length));
      if (count === null) return { kind: "failed", reason: "the connection ended before its PROXY header" };
      length += count;
      const result = readProxyHeader(buffer.subarray(0, length));
      if (result.kind === "invalid") return { kind: "failed", reason: result.reason };
      if (result.kind === "header") {
        return { kind: "received", header: result.header, rest: buffer.slice(result.length, length) };
      }
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: "failed", reason: late ? `no PROXY header within ${timeout / 1000} s` : reason };
  } finally {
    timer.cancel();
  }
}
