/** Asking the configured servers: which, how often, over what, until one gives a usable response. */

import type { Clock } from "../clock/mod.ts";
import type { ResolverConfig } from "../config/config.ts";
import { askByDatagram } from "./datagram.ts";
import { spelledAtRandom } from "./name.ts";
import { DnsError } from "./resolver.ts";
import { createStreamClient, type StreamClient } from "./stream.ts";
import { type Question, RCODE, type Response } from "./wire.ts";

/** A name server. */
export type UpstreamServer = ResolverConfig["servers"][number];

/** The servers as one. */
export interface Upstream {
  /**
   * A response whose code is "no error" or "no such name".
   *
   * @throws {DnsError} if no server gave one
   */
  ask(question: Question): Promise<Response>;
  close(): void;
}

// When all fail, the error that tells most is the one to report.
const TELLING: readonly DnsError["reason"][] = ["bogus", "servfail", "refused", "malformed", "timeout", "network"];

export function createUpstream(
  servers: readonly UpstreamServer[],
  config: Pick<ResolverConfig, "concurrency" | "timeout" | "attempts" | "tryTcpOnError" | "edns">,
  options: { readonly clock: Clock; readonly random: () => number; readonly caCerts?: readonly string[] },
): Upstream {
  const { clock, random } = options;
  const streams = new Map<UpstreamServer, StreamClient>();
  const closing = new AbortController();
  // Servers that answer EDNS queries with an error are asked without from then on (RFC 6891 §7).
  const withoutEdns = new Set<UpstreamServer>();
  // Those that change the letters of names, and do not answer over TCP either, get them small.
  const withoutSpelling = new Set<UpstreamServer>();

  const streamTo = (server: UpstreamServer): StreamClient => {
    let stream = streams.get(server);
    if (stream === undefined) {
      const protocol = server.protocol === "tls" ? "tls" : "tcp";
      streams.set(server, stream = createStreamClient({ protocol, ip: server.ip, port: server.port }, options));
    }
    return stream;
  };

  /** Runs `ask` for at most the configured time, or until `outer` ends. */
  const limited = async (
    server: UpstreamServer,
    outer: AbortSignal,
    ask: (signal: AbortSignal) => Promise<Response>,
  ): Promise<Response> => {
    const controller = new AbortController();
    const onAbort = () => controller.abort(outer.reason);
    if (outer.aborted) onAbort();
    else outer.addEventListener("abort", onAbort);
    const timer = clock.after(config.timeout, () => {
      controller.abort(
        new DnsError(`${server.ip} port ${server.port}: no answer within ${config.timeout / 1000} s`, "timeout"),
      );
    });
    try {
      return await ask(controller.signal);
    } finally {
      timer.cancel();
      outer.removeEventListener("abort", onAbort);
    }
  };

  const overStream = (server: UpstreamServer, question: Question, edns: boolean, outer: AbortSignal) =>
    limited(server, outer, (signal) => streamTo(server).ask(question, { edns, signal }));

  const exchange = async (
    server: UpstreamServer,
    question: Question,
    edns: boolean,
    outer: AbortSignal,
  ): Promise<Response> => {
    if (server.protocol !== "udp") return await overStream(server, question, edns, outer);
    let truncated = false;
    let recased = false;
    try {
      return await limited(server, outer, async (signal) => {
        const id = Math.floor(random() * 65536);
        const spelled = withoutSpelling.has(server) ? undefined : spelledAtRandom(question.name, random);
        const reading = await askByDatagram(server, question, { id, edns, spelled, signal });
        if (reading.kind === "response") return reading.response;
        recased = reading.kind === "recased";
        truncated = recased || reading.kind === "truncated";
        throw new DnsError(`${server.ip} port ${server.port}: ${reading.kind} response`, "malformed");
      });
    } catch (error) {
      if (outer.aborted || !(truncated || config.tryTcpOnError)) throw error;
      try {
        return await overStream(server, question, edns, outer);
      } catch (second) {
        if (recased && !outer.aborted) {
          withoutSpelling.add(server);
          return await exchange(server, question, edns, outer);
        }
        // "Nothing listens on TCP" hides what was wrong with the first answer.
        throw !truncated && second instanceof DnsError && second.reason === "network" ? error : second;
      }
    }
  };

  const askServer = async (server: UpstreamServer, question: Question, outer: AbortSignal): Promise<Response> => {
    const edns = config.edns && !withoutEdns.has(server);
    let response = await exchange(server, question, edns, outer);
    if (
      edns &&
      (response.rcode === RCODE.formErr || response.rcode === RCODE.notImp || response.rcode === RCODE.badVersion)
    ) {
      response = await exchange(server, question, false, outer);
      if (response.rcode === RCODE.ok || response.rcode === RCODE.nxDomain) withoutEdns.add(server);
    }
    const { rcode } = response;
    if (rcode === RCODE.ok || rcode === RCODE.nxDomain) return response;
    const place = `${server.ip} port ${server.port}`;
    if (response.bogus) throw new DnsError(`${place}: DNSSEC validation failed`, "bogus");
    if (rcode === RCODE.servFail) throw new DnsError(`${place}: SERVFAIL`, "servfail");
    if (rcode === RCODE.refused) throw new DnsError(`${place}: REFUSED`, "refused");
    throw new DnsError(`${place}: response code ${rcode}`, "servfail");
  };

  /** Asks some servers at once; the first usable response ends the others. */
  const askGroup = async (group: readonly UpstreamServer[], question: Question): Promise<Response> => {
    const controller = new AbortController();
    const onClose = () => controller.abort(closing.signal.reason);
    closing.signal.addEventListener("abort", onClose);
    try {
      return await Promise.any(group.map((server) => askServer(server, question, controller.signal)));
    } catch (error) {
      throw mostTelling(error instanceof AggregateError ? error.errors : [error]);
    } finally {
      closing.signal.removeEventListener("abort", onClose);
      controller.abort(new DnsError("another server answered", "network"));
    }
  };

  return {
    async ask(question) {
      const errors: unknown[] = [];
      const width = Math.max(1, config.concurrency);
      for (let attempt = 0; attempt < Math.max(1, config.attempts); attempt++) {
        for (let first = 0; first < servers.length; first += width) {
          if (closing.signal.aborted) throw closing.signal.reason;
          try {
            return await askGroup(servers.slice(first, first + width), question);
          } catch (error) {
            errors.push(error);
          }
        }
      }
      const error = mostTelling(errors);
      throw new DnsError(`${question.type} of ${question.name}: ${error.message}`, error.reason);
    },
    close() {
      closing.abort(new DnsError("resolver closed", "network"));
      for (const stream of streams.values()) stream.close();
      streams.clear();
    },
  };
}

function mostTelling(errors: readonly unknown[]): DnsError {
  let best: DnsError | undefined;
  for (const error of errors) {
    if (!(error instanceof DnsError)) throw error;
    if (best === undefined || TELLING.indexOf(error.reason) < TELLING.indexOf(best.reason)) best = error;
  }
  return best ?? new DnsError("no name server is configured", "network");
}
