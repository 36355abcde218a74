/** A small name server on loopback: UDP and TCP on one port, answers scripted by the test. */

import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
// @ts-types="../../src/dns/dns_packet.d.ts"
import * as packet from "dns-packet";
import type { DecodedPacket, Packet, WireRecord } from "../../src/dns/dns_packet.d.ts";

/** One query as the server saw it. */
export interface Query {
  readonly transport: "udp" | "tcp";
  readonly name: string;
  readonly type: string;
  readonly packet: DecodedPacket;
  /** Source port. */
  readonly port: number;
}

/**
 * What to send back: parts of a response (id and question are filled in unless given), raw bytes, several messages, or
 * nothing.
 */
export type Reply = (Packet & { readonly rcode?: number }) | Uint8Array | readonly Reply[] | undefined;

export interface DnsServer extends AsyncDisposable {
  readonly port: number;
  readonly queries: readonly Query[];
}

/** Records in short: `record("example.net", "A", "192.0.2.1", 300)`. */
export function record(name: string, type: string, data: unknown, ttl = 300): WireRecord {
  return { name, type, class: "IN", ttl, data };
}

/** An SOA for the authority section of negative answers. */
export function soa(zone: string, minimum: number, ttl = 3600): WireRecord {
  const data = { mname: `ns.${zone}`, rname: `host.${zone}`, serial: 1, refresh: 1, retry: 1, expire: 1, minimum };
  return record(zone, "SOA", data, ttl);
}

/**
 * Starts the server.
 *
 * @param options.tcp whether anything listens on TCP
 * @param options.tls makes TCP encrypted
 */
export async function startDnsServer(
  answer: (query: Query) => Reply | Promise<Reply>,
  options: {
    readonly tcp?: boolean;
    readonly ip?: string;
    readonly tls?: { readonly cert: string; readonly privateKey: string };
  } = {},
): Promise<DnsServer> {
  const ip = options.ip ?? "127.0.0.1";
  const queries: Query[] = [];
  // TCP first: a TCP port that is free is nearly always free for UDP as well.
  const listener = options.tls === undefined
    ? Deno.listen({ hostname: ip, port: 0 })
    : Deno.listenTls({ hostname: ip, port: 0, cert: options.tls.cert, key: options.tls.privateKey });
  const port = listener.addr.port;
  if (options.tcp === false) listener.close();
  const socket = createSocket(ip.includes(":") ? "udp6" : "udp4");
  await new Promise<void>((resolve) => socket.bind(port, ip, () => resolve()));
  const connections = new Set<Deno.Conn>();

  const respond = async (query: Query): Promise<Uint8Array[]> => {
    queries.push(query);
    return encode(await answer(query), query.packet);
  };

  socket.on("message", async (bytes, from) => {
    const decoded = packet.decode(Buffer.from(bytes));
    for (const message of await respond(toQuery("udp", decoded, from.port))) {
      socket.send(message, from.port, from.address);
    }
  });

  const serve = async (connection: Deno.TcpConn | Deno.TlsConn) => {
    connections.add(connection);
    try {
      let held = new Uint8Array(0);
      const buffer = new Uint8Array(4096);
      for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
        held = new Uint8Array([...held, ...buffer.subarray(0, count)]);
        while (held.length >= 2 && held.length >= 2 + (held[0]! << 8 | held[1]!)) {
          const length = held[0]! << 8 | held[1]!;
          const decoded = packet.decode(Buffer.from(held.subarray(2, 2 + length)));
          held = held.slice(2 + length);
          for (const message of await respond(toQuery("tcp", decoded, connection.remoteAddr.port))) {
            await connection.write(new Uint8Array([message.length >> 8, message.length & 255, ...message]));
          }
        }
      }
    } catch {
      // The client went away.
    } finally {
      connections.delete(connection);
      try {
        connection.close();
      } catch { /* closed by the test's end */ }
    }
  };
  const accepting = (async () => {
    if (options.tcp === false) return;
    for await (const connection of listener) void serve(connection);
  })();

  return {
    port,
    queries,
    async [Symbol.asyncDispose]() {
      socket.close();
      if (options.tcp !== false) listener.close();
      for (const connection of connections) connection.close();
      connections.clear();
      await accepting;
    },
  };
}

function toQuery(transport: "udp" | "tcp", decoded: DecodedPacket, port: number): Query {
  const { name, type } = decoded.questions[0]!;
  return { transport, name: name.toLowerCase(), type, packet: decoded, port };
}

function encode(reply: Reply, query: DecodedPacket): Uint8Array[] {
  if (reply === undefined) return [];
  if (reply instanceof Uint8Array) return [reply];
  if (Array.isArray(reply)) return reply.flatMap((one: Reply) => encode(one, query));
  const { rcode = 0, ...parts } = reply as Packet & { rcode?: number };
  return [packet.encode({
    id: query.id,
    type: "response",
    questions: query.questions,
    ...parts,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | (parts.flags ?? 0) | rcode,
  })];
}
