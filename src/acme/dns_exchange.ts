/** One message to one name server, and its answer. */

import { createSocket } from "node:dgram";
import type { Clock } from "../clock/mod.ts";
import { AcmeError } from "./problem.ts";

/** A name server. */
export interface NameServer {
  readonly ip: string;
  readonly port: number;
  readonly protocol: "udp" | "tcp";
}

/** How often a datagram is sent, and how long each is waited for, in milliseconds. */
const DATAGRAMS = 3;
const DATAGRAM_WAIT = 4_000;
const STREAM_WAIT = 10_000;

/**
 * Sends `message` and gives the answer with the same id. An update that is sent again changes nothing more.
 *
 * @throws {AcmeError} (rejects) if there is none in time; the reason of `signal` if that ends it
 */
export async function exchange(
  server: NameServer,
  message: Uint8Array,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Uint8Array> {
  signal.throwIfAborted();
  const place = `${server.ip} port ${server.port} (${server.protocol})`;
  const isAnswer = (bytes: Uint8Array) =>
    bytes.length >= 12 && bytes[0] === message[0] && bytes[1] === message[1] && ((bytes[2] ?? 0) & 0x80) !== 0;
  try {
    const answer = server.protocol === "tcp"
      ? await byStream(server, message, clock, signal)
      : await byDatagrams(server, message, isAnswer, clock, signal);
    if (isAnswer(answer)) return answer;
    throw new Error("the answer is for another question");
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new AcmeError(`name server ${place}: ${error instanceof Error ? error.message : String(error)}`, {
      kind: "network",
      cause: error,
    });
  }
}

function byDatagrams(
  server: NameServer,
  message: Uint8Array,
  isAnswer: (bytes: Uint8Array) => boolean,
  clock: Clock,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(server.ip.includes(":") ? "udp6" : "udp4");
    let timer: { cancel(): void } | undefined;
    const stop = () => {
      timer?.cancel();
      signal.removeEventListener("abort", onAbort);
      socket.close();
    };
    const fail = (error: Error) => {
      stop();
      reject(error);
    };
    const onAbort = () => fail(new Error("not waited for"));
    const send = (left: number) => {
      if (left === 0) return fail(new Error(`no answer within ${DATAGRAMS * DATAGRAM_WAIT / 1000} s`));
      socket.send(message, server.port, server.ip, (error) => {
        if (error) fail(error);
      });
      timer = clock.after(DATAGRAM_WAIT, () => send(left - 1));
    };
    signal.addEventListener("abort", onAbort);
    socket.on("error", fail);
    socket.on("message", (bytes, from) => {
      // Signatures decide what is believed; this only passes over what is for somebody else.
      if (from.port !== server.port || !isAnswer(bytes)) return;
      stop();
      resolve(new Uint8Array(bytes));
    });
    send(DATAGRAMS);
  });
}

/** RFC 1035 §4.2.2: two octets of length before each message. */
async function byStream(
  server: NameServer,
  message: Uint8Array,
  clock: Clock,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let connection: Deno.TcpConn | undefined;
  let late = false;
  const close = () => {
    try {
      connection?.close();
    } catch {
      // Closed before: nothing is left to do.
    }
  };
  const stop = () => {
    late = true;
    close();
  };
  signal.addEventListener("abort", stop);
  let timer: { cancel(): void } | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = clock.after(STREAM_WAIT, () => {
      stop();
      reject(new Error(`no answer within ${STREAM_WAIT / 1000} s`));
    });
  });
  const talk = async () => {
    connection = await Deno.connect({ hostname: server.ip, port: server.port });
    if (late) throw new Error("not waited for");
    const framed = new Uint8Array(message.length + 2);
    framed.set([message.length >> 8, message.length & 0xff]);
    framed.set(message, 2);
    for (let at = 0; at < framed.length;) at += await connection.write(framed.subarray(at));
    const [high = 0, low = 0] = await readFully(connection, 2);
    return await readFully(connection, high * 256 + low);
  };
  const talking = talk();
  talking.catch(() => {});
  try {
    return await Promise.race([talking, expired]);
  } finally {
    timer?.cancel();
    signal.removeEventListener("abort", stop);
    stop();
  }
}

async function readFully(connection: Deno.TcpConn, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = await connection.read(bytes.subarray(at));
    if (count === null) throw new Error("the connection ended before the answer");
    at += count;
  }
  return bytes;
}
