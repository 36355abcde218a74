/** Questions to one server over a kept TCP or TLS connection (RFC 7766, RFC 7858). */

import type { Clock, Timer } from "../clock/mod.ts";
import { DnsError } from "./resolver.ts";
import { encodeQuery, type Question, readResponse, type Response } from "./wire.ts";

/** A server reached by a stream. */
export interface StreamServer {
  readonly protocol: "tcp" | "tls";
  readonly ip: string;
  readonly port: number;
}

/** Asks questions over one connection, opened when needed and closed when idle. */
export interface StreamClient {
  /**
   * @throws {DnsError} if the connection cannot be made or breaks; the reason of `signal` if that ends the wait
   */
  ask(question: Question, options: { readonly edns: boolean; readonly signal: AbortSignal }): Promise<Response>;
  close(): void;
}

interface Waiting {
  readonly question: Question;
  resolve(response: Response): void;
  reject(error: unknown): void;
}

interface Live {
  readonly connection: Deno.Conn;
  readonly waiting: Map<number, Waiting>;
  /** Whether the server has answered on it: only then is a break put down to idleness. */
  used: boolean;
  broken: boolean;
}

// RFC 7766 §6.2.3 asks for idle times of a few seconds.
const IDLE = 10_000;

/**
 * @param options.random gives numbers in [0, 1) that cannot be predicted
 * @param options.caCerts PEM roots trusted besides the system's
 */
export function createStreamClient(
  server: StreamServer,
  options: { readonly clock: Clock; readonly random: () => number; readonly caCerts?: readonly string[] },
): StreamClient {
  const { clock, random } = options;
  const place = `${server.ip} port ${server.port} (${server.protocol})`;
  let current: Promise<Live> | undefined;
  let idle: Timer | undefined;
  let closed = false;

  const open = async (): Promise<Live> => {
    let connection: Deno.Conn;
    try {
      const address = { hostname: server.ip, port: server.port };
      if (server.protocol === "tls") {
        // The certificate must name the address: there is no other name to hold it against.
        const tls = await Deno.connectTls({
          ...address,
          ...(options.caCerts === undefined ? {} : { caCerts: [...options.caCerts] }),
        });
        await tls.handshake();
        connection = tls;
      } else {
        connection = await Deno.connect(address);
      }
    } catch (error) {
      throw new DnsError(`${place}: ${messageOf(error)}`, "network");
    }
    const live: Live = { connection, waiting: new Map(), used: false, broken: false };
    if (closed) connection.close();
    else void receive(live);
    return live;
  };

  const end = (live: Live, error: DnsError) => {
    if (!live.broken) {
      live.broken = true;
      live.connection.close();
    }
    const waiting = [...live.waiting.values()];
    live.waiting.clear();
    for (const one of waiting) one.reject(error);
  };

  /** Reads messages, each behind its length in two octets (RFC 1035 §4.2.2), until the connection ends. */
  const receive = async (live: Live) => {
    const prefix = new Uint8Array(2);
    try {
      while (await fill(live.connection, prefix)) {
        const message = new Uint8Array(((prefix[0] ?? 0) << 8) | (prefix[1] ?? 0));
        if (!await fill(live.connection, message)) break;
        const id = ((message[0] ?? 0) << 8) | (message[1] ?? 0);
        const one = live.waiting.get(id);
        if (one === undefined) continue;
        const reading = readResponse(message, id, one.question);
        if (reading.kind === "foreign") continue;
        live.used = true;
        live.waiting.delete(id);
        if (reading.kind === "response") one.resolve(reading.response);
        else one.reject(new DnsError(`${place}: ${reading.kind} response`, "malformed"));
      }
      end(live, new DnsError(`${place}: connection closed`, "network"));
    } catch (error) {
      end(live, new DnsError(`${place}: ${messageOf(error)}`, "network"));
    }
  };

  const forget = (live: Promise<Live>) => {
    if (current === live) current = undefined;
  };

  const restIdle = () => {
    idle?.cancel();
    const live = current;
    idle = clock.after(IDLE, () => {
      if (live === undefined) return;
      void live.then((one) => {
        if (one.waiting.size > 0) return;
        forget(live);
        end(one, new DnsError(`${place}: idle`, "network"));
      }, () => {});
    });
  };

  const askOn = async (
    live: Live,
    question: Question,
    { edns, signal }: { readonly edns: boolean; readonly signal: AbortSignal },
  ): Promise<Response> => {
    let id = Math.floor(random() * 65536);
    while (live.waiting.has(id)) id = (id + 1) & 0xffff;
    const query = encodeQuery(id, question, edns);
    const framed = new Uint8Array(query.length + 2);
    framed[0] = query.length >> 8;
    framed[1] = query.length & 255;
    framed.set(query, 2);
    let onAbort = () => {};
    const answer = new Promise<Response>((resolve, reject) => {
      live.waiting.set(id, { question, resolve, reject });
      onAbort = () => {
        live.waiting.delete(id);
        reject(signal.reason);
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort);
    });
    try {
      // A write that fails shows as a break to the reader, which rejects what waits; both are awaited together.
      const [response] = await Promise.all([answer, writeAll(live.connection, framed)]);
      return response;
    } finally {
      live.waiting.delete(id);
      signal.removeEventListener("abort", onAbort);
    }
  };

  return {
    async ask(question, asking) {
      for (let fresh = false;;) {
        asking.signal.throwIfAborted();
        if (closed) throw new DnsError(`${place}: resolver closed`, "network");
        if (current === undefined) fresh = true;
        const opening = current ??= open();
        let live: Live;
        try {
          live = await abortable(opening, asking.signal);
        } catch (error) {
          forget(opening);
          // A connection that opens after all has no user.
          if (asking.signal.aborted) void opening.then((late) => end(late, new DnsError(place, "timeout")), () => {});
          throw error;
        }
        if (live.broken) {
          forget(opening);
          continue;
        }
        const used = live.used;
        try {
          return await askOn(live, question, asking);
        } catch (error) {
          // Whoever asked has an answer from elsewhere; this one comes too late and is dropped.
          if (asking.signal.aborted && !isTimeout(asking.signal.reason)) throw error;
          // A server may close at any time (RFC 7766 §6.2.4); a server that let a question time out is not kept.
          forget(opening);
          if (live.waiting.size === 0) end(live, new DnsError(`${place}: gave up`, "timeout"));
          if (asking.signal.aborted || fresh || !used) throw asDnsError(error, place);
        } finally {
          restIdle();
        }
      }
    },
    close() {
      closed = true;
      idle?.cancel();
      const live = current;
      current = undefined;
      void live?.then((one) => end(one, new DnsError(`${place}: resolver closed`, "network")), () => {});
    },
  };
}

/** Fills `bytes`; false if the stream ends before. */
async function fill(connection: Deno.Conn, bytes: Uint8Array): Promise<boolean> {
  for (let at = 0; at < bytes.length;) {
    const count = await connection.read(bytes.subarray(at));
    if (count === null) return false;
    at += count;
  }
  return true;
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof DnsError && reason.reason === "timeout";
}

function asDnsError(error: unknown, place: string): unknown {
  return error instanceof Error && !(error instanceof DnsError) && error.name !== "AbortError"
    ? new DnsError(`${place}: ${error.message}`, "network")
    : error;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
