/** One question to one server by UDP. */

import { createSocket } from "node:dgram";
import ipaddr from "ipaddr.js";
import { DnsError } from "./resolver.ts";
import { encodeQuery, type Question, type Reading, readResponse } from "./wire.ts";

/** What a question came to; foreign messages are passed over and never an outcome. */
export type DatagramReading = Exclude<Reading, { kind: "foreign" }>;

/**
 * Sends the question from a port of its own and waits for the message that answers it. Messages from elsewhere or to
 * another question are ignored, so a forger has to guess port and id (RFC 5452 §9), and the letters of the name.
 *
 * @param id query id, unpredictable
 * @param spelled the name in letters that nobody can guess; without it they do not matter
 * @param signal ends the wait; the promise then rejects with its reason
 * @throws {DnsError} `network` if the datagram cannot be sent
 */
export function askByDatagram(
  server: { readonly ip: string; readonly port: number },
  question: Question,
  options: {
    readonly id: number;
    readonly edns: boolean;
    readonly spelled?: string | undefined;
    readonly signal: AbortSignal;
  },
): Promise<DatagramReading> {
  const { id, edns, spelled, signal } = options;
  return new Promise((resolve, reject) => {
    const address = ipaddr.parse(server.ip);
    const socket = createSocket(address.kind() === "ipv4" ? "udp4" : "udp6");
    const stop = () => {
      signal.removeEventListener("abort", onAbort);
      socket.close();
    };
    const onAbort = () => {
      stop();
      reject(signal.reason);
    };
    const fail = (error: Error) => {
      stop();
      reject(new DnsError(`${server.ip} port ${server.port}: ${error.message}`, "network"));
    };
    if (signal.aborted) {
      socket.close();
      return reject(signal.reason);
    }
    signal.addEventListener("abort", onAbort);
    socket.on("error", fail);
    socket.on("message", (bytes, from) => {
      if (from.port !== server.port || !sameAddress(from.address, address)) return;
      const reading = readResponse(bytes, id, question, spelled);
      if (reading.kind === "foreign") return;
      stop();
      resolve(reading);
    });
    socket.send(encodeQuery(id, question, edns, spelled), server.port, server.ip, (error) => {
      if (error) fail(error);
    });
  });
}

function sameAddress(text: string, address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return ipaddr.isValid(text) && ipaddr.process(text).toString() === ipaddr.process(address.toString()).toString();
}
