/** Fetches policies by HTTPS (RFC 8461 §3.3). */

import { Buffer } from "node:buffer";
import { type IncomingMessage, request } from "node:http";
import { connect, type TLSSocket } from "node:tls";
import type { Clock } from "../clock/mod.ts";
import { DnsError, type Resolver } from "../dns/mod.ts";
import { nodeTlsOptions } from "../net/mod.ts";
import { LARGEST_POLICY } from "./mta_sts_record.ts";

/** A policy that could not be fetched. */
export class StsFetchError extends Error {
  override readonly name = "StsFetchError";
  constructor(message: string, readonly type: "sts-policy-fetch-error" | "sts-webpki-invalid") {
    super(message);
  }
}

/**
 * Gives the text that `mta-sts.<domain>` has at `/.well-known/mta-sts.txt`, within so many milliseconds.
 *
 * @throws {StsFetchError}
 */
export type FetchPolicy = (domain: string, timeout: number, signal: AbortSignal) => Promise<string>;

/** What policies are fetched with. */
export interface FetchOptions {
  readonly resolver: Pick<Resolver, "a" | "aaaa">;
  readonly clock: Clock;
  /** 443 but for tests. */
  readonly port?: number;
  /** Further roots in PEM. */
  readonly ca?: readonly string[];
}

export const POLICY_PATH = "/.well-known/mta-sts.txt";

/** Addresses of the policy host that are tried. */
const MOST_ADDRESSES = 4;

/** Makes a {@link FetchPolicy}. Nothing is followed, cached or sent but one request for each policy. */
export function createPolicyFetch(options: FetchOptions): FetchPolicy {
  const { clock } = options;
  return async (domain, timeout, signal) => {
    const host = `mta-sts.${domain}`;
    let end = () => {};
    const ending = new AbortController();
    const late = new Promise<never>((_, reject) => {
      const give = (text: string) => {
        reject(fetchError(`${host} ${text}`));
        ending.abort();
      };
      const timer = clock.after(timeout, () => give(`did not answer within ${timeout / 1000} s`));
      const stop = () => give("was not waited for: the program stops");
      signal.addEventListener("abort", stop);
      end = () => {
        timer.cancel();
        signal.removeEventListener("abort", stop);
      };
    });
    try {
      return await Promise.race([fetchFrom(host, options, ending.signal), late]);
    } finally {
      end();
    }
  };
}

async function fetchFrom(host: string, options: FetchOptions, signal: AbortSignal): Promise<string> {
  let failed = fetchError(`${host} has no address`);
  const ips = await addressesOf(host, options.resolver);
  for (const ip of ips.slice(0, MOST_ADDRESSES)) {
    if (signal.aborted) break;
    try {
      return await get(host, ip, options, signal);
    } catch (error) {
      // A name that the runtime does not like is as good as a host that is not there.
      failed = error instanceof StsFetchError ? error : fetchError(`${host}[${ip}]: ${String(error)}`);
    }
  }
  throw failed;
}

async function addressesOf(host: string, resolver: FetchOptions["resolver"]): Promise<readonly string[]> {
  const answers = await Promise.allSettled([resolver.a(host), resolver.aaaa(host)]);
  const ips: string[] = [];
  let trouble: DnsError | undefined;
  for (const answer of answers) {
    if (answer.status === "fulfilled") ips.push(...answer.value.records);
    else if (answer.reason instanceof DnsError) trouble = answer.reason;
    else throw answer.reason;
  }
  if (ips.length === 0 && trouble !== undefined) {
    throw fetchError(`addresses of ${host} could not be looked up: ${trouble.message}`);
  }
  return ips;
}

function get(host: string, ip: string, options: FetchOptions, signal: AbortSignal): Promise<string> {
  const { clock, port = 443, ca } = options;
  return new Promise((resolve, reject) => {
    let socket: TLSSocket | undefined;
    let verified = false;
    const stop = () => {
      signal.removeEventListener("abort", stop);
      socket?.destroy();
    };
    const settle = (error: StsFetchError | undefined, text = "") => {
      if (error === undefined) resolve(text);
      else reject(error);
      stop();
    };
    const onError = (error: Error & { code?: string }) => {
      const fault = [error.message, error.code ?? ""].find((word) => CERTIFICATE_FAULT.test(word));
      settle(
        fault !== undefined && !verified
          ? new StsFetchError(`the certificate of ${host} does not verify: ${fault}`, "sts-webpki-invalid")
          : fetchError(`${host}[${ip}]: ${error.message}`),
      );
    };
    signal.addEventListener("abort", stop);
    const asking = request({
      // RFC 8461 §3.3: the certificate is checked against the host name, and no redirect is followed.
      createConnection: () => {
        const tls = nodeTlsOptions({ serverName: host, verify: "pki", ca }, clock);
        socket = connect({ host: ip, port, ALPNProtocols: ["http/1.1"], ...tls });
        socket.once("secureConnect", () => verified = true);
        socket.on("error", onError);
        return socket;
      },
      method: "GET",
      path: POLICY_PATH,
      setHost: false,
      headers: { "host": host, "accept": "text/plain", "user-agent": "godwit", "connection": "close" },
    });
    asking.on("error", onError);
    asking.once("response", (response) => {
      response.on("error", onError);
      const fault = faultOf(response);
      if (fault !== undefined) return settle(fetchError(`${host} ${fault}`));
      const parts: Uint8Array[] = [];
      let size = 0;
      response.on("data", (part: Uint8Array) => {
        size += part.length;
        if (size > LARGEST_POLICY) return settle(fetchError(`${host} sent more than ${LARGEST_POLICY} octets`));
        parts.push(part);
      });
      response.once("end", () => {
        if (response.complete) settle(undefined, Buffer.concat(parts).toString("utf8"));
        else settle(fetchError(`${host}[${ip}] closed the connection before the end of the policy`));
      });
      response.once("close", () => settle(fetchError(`${host}[${ip}] closed the connection`)));
    });
    asking.end();
  });
}

/** Names of faults that have to do with the certificate, as OpenSSL and the runtime give them. */
const CERTIFICATE_FAULT = /cert|UNABLE_TO|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|ALTNAME/i;

function faultOf({ statusCode = 0, headers }: IncomingMessage): string | undefined {
  // RFC 8461 §3.3: anything but 200 is a failure.
  if (statusCode !== 200) return `answered with status ${statusCode}`;
  const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  // RFC 8461 §3.2: so that nobody can publish a policy who may only put files of other kinds there.
  if (type !== "text/plain") return `answered with media type '${type.slice(0, 60)}' instead of text/plain`;
  if (Number(headers["content-length"] ?? 0) > LARGEST_POLICY) return `sends more than ${LARGEST_POLICY} octets`;
  return undefined;
}

function fetchError(message: string): StsFetchError {
  return new StsFetchError(message, "sts-policy-fetch-error");
}
