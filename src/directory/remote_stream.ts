/** A connection to the server of a directory: bytes with a limit on every wait, and TLS that is checked. */

import { Buffer } from "node:buffer";
import type { Clock } from "../clock/mod.ts";
import type { RemoteDirectoryConfig } from "../config/config.ts";
import { DnsError, type Resolver } from "../dns/resolver.ts";
import { LookupUnavailable } from "../expression/types.ts";
import {
  canonicalIp,
  type ClientConnection,
  connect,
  ConnectError,
  networkContains,
  parseNetwork,
} from "../net/mod.ts";
import { ConnectionBroken } from "./connection_pool.ts";

/** What connections to a server need. */
export interface RemoteOptions {
  readonly clock: Clock;
  readonly resolver: Resolver;
  /** Name of this host, for EHLO. */
  readonly hostname: string;
}

/** The connection. It is broken for good once a read or write has failed or taken too long. */
export interface RemoteStream {
  readonly alive: boolean;
  /** Whether a password may be shown: the link is encrypted, or does not leave this machine. */
  readonly isPrivate: boolean;
  readonly encrypted: boolean;
  /** What the server has sent; valid until the next read. @throws {ConnectionBroken} */
  read(): Promise<Uint8Array>;
  /** @throws {ConnectionBroken} */
  write(text: string): Promise<void>;
  /** Encrypts. Whatever was read before must be forgotten by the caller (RFC 3207 §4.2). @throws {LookupUnavailable} */
  startTls(): Promise<void>;
  /** Writes `farewell` if that works at once, and closes. */
  close(farewell?: string): void;
}

const READ_SIZE = 4096;
/** Most addresses of a server that are tried. */
const MOST_ADDRESSES = 4;

/** Connects to the server, with TLS from the first byte if the configuration says so. */
export async function openRemoteStream(config: RemoteDirectoryConfig, options: RemoteOptions): Promise<RemoteStream> {
  const { clock } = options;
  // Every answer is waited for as long as a new connection may take.
  const timeout = config.pool.create;
  const connection = await connectToAny(config, options);
  const buffer = new Uint8Array(READ_SIZE);
  let alive = true;

  const close = () => {
    alive = false;
    connection.close();
  };
  const limited = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (!alive) throw new ConnectionBroken("the connection is closed");
    let late = false;
    const timer = clock.after(timeout, () => {
      late = true;
      close();
    });
    try {
      return await operation();
    } catch (error) {
      close();
      if (late) throw new ConnectionBroken(`no answer within ${timeout / 1000} s`);
      throw new ConnectionBroken(error instanceof Error ? error.message : String(error), { cause: error });
    } finally {
      timer.cancel();
    }
  };
  const startTls = async () => {
    const { allowInvalidCerts } = config.tls;
    try {
      const { authorized, authorizationError } = await connection.startTls({
        serverName: config.address,
        verify: allowInvalidCerts ? "none" : "pki",
        timeout,
      });
      if (authorized || allowInvalidCerts) return;
      throw new LookupUnavailable(
        `directory ${config.id}: the certificate of ${config.address} does not verify: ${authorizationError}`,
      );
    } catch (error) {
      close();
      if (!(error instanceof ConnectError)) throw error;
      throw new LookupUnavailable(`directory ${config.id}: ${error.message}`, { cause: error });
    }
  };

  if (config.tls.implicit) await startTls();
  return {
    get alive() {
      return alive;
    },
    get isPrivate() {
      return connection.tls !== undefined || isLoopback(connection.remote.ip);
    },
    get encrypted() {
      return connection.tls !== undefined;
    },
    read: () =>
      limited(async () => {
        const count = await connection.read(buffer);
        if (count === null) throw new Error("the server closed the connection");
        return buffer.subarray(0, count);
      }),
    write: (text) => limited(() => connection.write(new TextEncoder().encode(text))),
    startTls,
    close(farewell) {
      if (!alive) return;
      alive = false;
      if (farewell === undefined) return connection.close();
      // A server that reads nothing must not keep the connection.
      const timer = clock.after(1000, () => connection.close());
      connection.write(new TextEncoder().encode(farewell)).catch(() => {}).finally(() => {
        timer.cancel();
        connection.close();
      });
    },
  };
}

async function connectToAny(config: RemoteDirectoryConfig, options: RemoteOptions): Promise<ClientConnection> {
  const ips = await addressesOf(config, options.resolver);
  let failure: unknown;
  for (const ip of ips) {
    try {
      return await connect({ ip, port: config.port, timeout: config.pool.create, clock: options.clock });
    } catch (error) {
      failure = error;
    }
  }
  const why = failure instanceof Error ? failure.message : `${config.address} has no address`;
  throw new LookupUnavailable(`directory ${config.id}: ${why}`, { cause: failure });
}

async function addressesOf(config: RemoteDirectoryConfig, resolver: Resolver): Promise<readonly string[]> {
  const literal = canonicalIp(config.address.replace(/^\[(.*)\]$/, "$1"));
  if (literal !== undefined) return [literal];
  // RFC 6761 §6.3: this name is not one to ask DNS for.
  if (config.address.toLowerCase() === "localhost") return ["127.0.0.1", "::1"];
  const families = await Promise.allSettled([resolver.a(config.address), resolver.aaaa(config.address)]);
  const found = families.flatMap((family) => family.status === "fulfilled" ? family.value.records : []);
  if (found.length > 0) return found.slice(0, MOST_ADDRESSES);
  for (const family of families) {
    if (family.status === "fulfilled") continue;
    if (!(family.reason instanceof DnsError)) throw family.reason;
    throw new LookupUnavailable(`directory ${config.id}: ${config.address}: ${family.reason.message}`, {
      cause: family.reason,
    });
  }
  return [];
}

function isLoopback(ip: string): boolean {
  const loopback = parseNetwork(ip.includes(":") ? "::1/128" : "127.0.0.0/8");
  return loopback !== undefined && networkContains(loopback, ip);
}

/** Text in base64, as SASL exchanges have it. */
export function toBase64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}
