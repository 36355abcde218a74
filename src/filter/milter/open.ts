/** Connecting to a milter: TCP, TLS or a Unix socket, then the negotiation. */

import type { Clock } from "../../clock/mod.ts";
import type { MilterConfig } from "../../config/config.ts";
import { DnsError, type Resolver } from "../../dns/resolver.ts";
import { canonicalIp, connect, ConnectError } from "../../net/mod.ts";
import { type MilterLink, negotiate, type Pace } from "./link.ts";
import { ALL_ACTIONS, ALL_STEPS, type Offer } from "./protocol.ts";
import { MilterTrouble } from "./trouble.ts";
import { createWire, type MilterStream } from "./wire.ts";

/** What connecting needs. */
export interface MilterWorld {
  readonly clock: Clock;
  readonly resolver: Pick<Resolver, "a" | "aaaa">;
}

/** Most addresses of a filter that are tried. */
const MOST_ADDRESSES = 4;

/** Opens connections to one filter. @throws {MilterTrouble} (rejects) */
export type OpenMilter = () => Promise<MilterLink>;

/**
 * Makes the opener of a filter's connections.
 *
 * Filters made with libmilter hang up at the negotiation when they are not offered each step that they could do without,
 * which the default of the format (0x42) does not do. So a filter that hangs up there is offered everything from then on,
 * unless the configuration says what it is to be offered.
 */
export function milterOpener(config: MilterConfig, world: MilterWorld): OpenMilter {
  let offer: Offer = { version: config.version, actions: config.flags.actions, steps: config.flags.protocol };
  let widest = config.flags.fixed;
  const pace: Pace = { holdsBack: false };
  const attempt = async () => {
    const stream = await openStream(config, world);
    const limits = {
      command: config.timeout.command,
      answer: config.timeout.data,
      responseSize: config.maxResponseSize,
    };
    return await negotiate(createWire(stream, limits, world.clock), offer, pace);
  };
  return async () => {
    try {
      return await attempt();
    } catch (error) {
      if (widest || !(error instanceof MilterTrouble) || error.event !== "milter.disconnected") throw error;
    }
    const narrow = offer;
    offer = { version: config.version, actions: ALL_ACTIONS, steps: ALL_STEPS };
    try {
      const link = await attempt();
      widest = true;
      return link;
    } catch (error) {
      if (!widest) offer = narrow;
      throw error;
    }
  };
}

async function openStream(config: MilterConfig, world: MilterWorld): Promise<MilterStream> {
  const { hostname } = config;
  if (hostname.startsWith("/")) return await openUnixSocket(hostname, config, world.clock);
  let failure: unknown;
  for (const ip of await addressesOf(hostname, world.resolver)) {
    try {
      return await openTcp(ip, config, world.clock);
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      failure = error;
    }
  }
  if (failure instanceof ConnectError) {
    throw new MilterTrouble(failure.kind === "timeout" ? "milter.timeout" : "milter.io-error", failure.message);
  }
  throw new MilterTrouble("milter.io-error", `${hostname} has no address`);
}

async function openTcp(ip: string, config: MilterConfig, clock: Clock): Promise<MilterStream> {
  const { hostname, port, timeout, tls, allowInvalidCerts } = config;
  const connection = await connect({
    ip,
    port,
    timeout: timeout.connect,
    clock,
    ...(tls
      ? {
        tls: { serverName: hostname, verify: allowInvalidCerts ? "none" : "pki", timeout: timeout.connect } as const,
      }
      : {}),
  });
  const { tlsResult } = connection;
  if (tls && !allowInvalidCerts && tlsResult?.authorized !== true) {
    connection.close();
    throw new MilterTrouble(
      "milter.io-error",
      `the certificate of ${hostname} does not verify: ${tlsResult?.authorizationError ?? "unknown reason"}`,
    );
  }
  return connection;
}

async function openUnixSocket(path: string, config: MilterConfig, clock: Clock): Promise<MilterStream> {
  let late = false;
  const guard = Promise.withResolvers<never>();
  const timer = clock.after(config.timeout.connect, () => {
    late = true;
    guard.reject(new MilterTrouble("milter.timeout", `no connection to ${path} within the time for connecting`));
  });
  const opening = Deno.connect({ transport: "unix", path });
  opening.then((socket) => {
    if (late) socket.close();
  }, () => {});
  try {
    return unixStream(await Promise.race([opening, guard.promise]));
  } catch (error) {
    if (error instanceof MilterTrouble) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new MilterTrouble("milter.io-error", `no connection to ${path}: ${message}`, { cause: error });
  } finally {
    timer.cancel();
  }
}

function unixStream(socket: Deno.UnixConn): MilterStream {
  let closed = false;
  return {
    read: (buffer) => socket.read(buffer),
    async write(bytes) {
      for (let sent = 0; sent < bytes.length;) sent += await socket.write(bytes.subarray(sent));
    },
    close() {
      if (!closed) socket.close();
      closed = true;
    },
  };
}

async function addressesOf(hostname: string, resolver: MilterWorld["resolver"]): Promise<readonly string[]> {
  const literal = canonicalIp(hostname.replace(/^\[(.*)\]$/, "$1"));
  if (literal !== undefined) return [literal];
  const families = await Promise.allSettled([resolver.a(hostname), resolver.aaaa(hostname)]);
  const found = families.flatMap((family) => family.status === "fulfilled" ? family.value.records : []);
  if (found.length > 0) return found.slice(0, MOST_ADDRESSES);
  for (const family of families) {
    if (family.status === "fulfilled") continue;
    if (!(family.reason instanceof DnsError)) throw family.reason;
    throw new MilterTrouble("milter.io-error", `${hostname}: ${family.reason.message}`);
  }
  return [];
}
