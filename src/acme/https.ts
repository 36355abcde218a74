/** One HTTP request, with its answer in memory: what talking to authorities and to APIs of DNS providers takes. */

import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import type { Clock } from "../clock/mod.ts";
import { nodeLookup, type Resolver } from "../dns/mod.ts";
import { nodeTlsOptions } from "../net/mod.ts";
import { AcmeError } from "./problem.ts";

/** A request. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "DELETE";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds; half a minute if not given. */
  readonly timeout?: number;
}

/** An answer. Nothing is followed: redirects are answers like others. */
export interface HttpAnswer {
  readonly status: number;
  /** A header by its name in lower case. */
  header(name: string): string | undefined;
  readonly body: string;
}

/**
 * Sends a request.
 *
 * @throws {AcmeError} (rejects) of the kind `network` if there is no whole answer in time; the reason of `signal` if that
 * ends it
 */
export type SendRequest = (request: HttpRequest, signal: AbortSignal) => Promise<HttpAnswer>;

const TIMEOUT = 30_000;

/** Longest answer in octets; a chain of certificates has some ten thousand. */
const LARGEST_ANSWER = 1_048_576;

/**
 * Makes a sender. Certificates have to verify, against the roots of the runtime, of its environment, and `ca`.
 *
 * @param world.ca further roots in PEM
 */
export function createSender(world: {
  readonly clock: Clock;
  readonly resolver: Pick<Resolver, "a" | "aaaa">;
  readonly ca?: readonly string[];
}): SendRequest {
  const { clock, resolver, ca } = world;
  return ({ method, url: text, headers, body, timeout = TIMEOUT }, signal) => {
    if (!URL.canParse(text)) return Promise.reject(new AcmeError(`'${text}' is not a URL`));
    const url = new URL(text);
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      return Promise.reject(new AcmeError(`${text} is neither https nor http`));
    }
    const isTls = url.protocol === "https:";
    const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
    const octets = body === undefined ? undefined : new TextEncoder().encode(body);
    const options = {
      ...(isTls ? nodeTlsOptions({ serverName: hostname, verify: "pki", ca }, clock) : {}),
      agent: false as const,
      method,
      host: hostname,
      port: url.port === "" ? (isTls ? 443 : 80) : Number(url.port),
      path: `${url.pathname}${url.search}`,
      lookup: nodeLookup(resolver),
      headers: {
        "user-agent": "godwit",
        "accept-language": "en",
        "connection": "close",
        ...headers,
        ...(octets === undefined ? {} : { "content-length": String(octets.length) }),
      },
    };
    return new Promise<HttpAnswer>((resolve, reject) => {
      signal.throwIfAborted();
      const outgoing = (isTls ? tlsRequest : plainRequest)(options);
      const end = () => {
        timer.cancel();
        signal.removeEventListener("abort", onAbort);
        outgoing.destroy();
      };
      const fail = (error: Error) => {
        end();
        reject(new AcmeError(`${method} ${text}: ${error.message}`, { kind: "network", cause: error }));
      };
      const onAbort = () => {
        end();
        reject(signal.reason);
      };
      const timer = clock.after(timeout, () => fail(new Error(`no answer within ${timeout / 1000} s`)));
      signal.addEventListener("abort", onAbort);
      outgoing.on("error", fail);
      outgoing.on("response", (incoming) => {
        readBody(incoming).then((whole) => {
          end();
          resolve({ status: incoming.statusCode ?? 0, header: (name) => headerOf(incoming, name), body: whole });
        }, fail);
      });
      outgoing.end(octets);
    });
  };
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const decoder = new TextDecoder();
  let size = 0;
  let whole = "";
  for await (const part of incoming) {
    size += part.length;
    if (size > LARGEST_ANSWER) throw new Error(`the answer is larger than ${LARGEST_ANSWER} octets`);
    whole += decoder.decode(part, { stream: true });
  }
  if (!incoming.complete) throw new Error("the answer ends early");
  return whole + decoder.decode();
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}
