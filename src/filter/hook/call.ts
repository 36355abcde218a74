/** One call of a hook: a POST, and its answer within bounds. */

import { Agent as PlainAgent, type ClientRequest, type IncomingMessage, request as plainRequest } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import type { Clock } from "../../clock/mod.ts";
import type { HookConfig } from "../../config/config.ts";
import { nodeLookup, type Resolver } from "../../dns/mod.ts";
import { nodeTlsOptions } from "../../net/mod.ts";
import type { RequestBody } from "./request.ts";

/** What calling needs. */
export interface HookWorld {
  readonly clock: Clock;
  readonly resolver: Pick<Resolver, "a" | "aaaa">;
}

/** Most calls of one hook at the same time; others wait for their turn. */
const MOST_CALLS = 50;

/** Calls a hook. */
export interface HookCaller {
  /**
   * Posts a body.
   *
   * @returns the octets of an answer with the status 200
   * @throws {Error} (rejects) if there is no such answer in time
   */
  post(body: RequestBody): Promise<Uint8Array>;
  /** Closes connections that are kept, once no call is under way. */
  close(): void;
}

/** Makes the caller of a hook; it keeps connections. */
export function createHookCaller(config: HookConfig, world: HookWorld): HookCaller {
  const url = new URL(config.url);
  const isTls = url.protocol === "https:";
  const settings = { keepAlive: true, maxSockets: MOST_CALLS };
  const agent = isTls ? new TlsAgent(settings) : new PlainAgent(settings);
  const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const tls = isTls
    ? nodeTlsOptions({ serverName: hostname, verify: config.allowInvalidCerts ? "none" : "pki" }, world.clock)
    : {};
  const headers = headersOf(config);
  const options = {
    ...tls,
    agent,
    method: "POST",
    host: hostname,
    port: url.port === "" ? (isTls ? 443 : 80) : Number(url.port),
    path: `${url.pathname}${url.search}`,
    lookup: nodeLookup(world.resolver),
  };
  const request = isTls ? tlsRequest : plainRequest;

  let calls = 0;
  let closing = false;
  const ended = () => {
    if (--calls === 0 && closing) agent.destroy();
  };

  return {
    post(body) {
      calls++;
      return new Promise<Uint8Array>((resolve, reject) => {
        const outgoing = request({ ...options, headers: { ...headers, "content-length": body.length } });
        const fail = (error: Error) => {
          timer.cancel();
          outgoing.destroy();
          reject(error);
        };
        const timer = world.clock.after(
          config.timeout,
          () => fail(new Error(`no answer within ${config.timeout / 1000} s`)),
        );
        outgoing.on("error", fail);
        // Where a kept connection breaks the runtime would ask again on a new one; but the hook may have heard it.
        let sockets = 0;
        outgoing.on("socket", () => {
          if (++sockets > 1) fail(new Error("it closed the connection instead of answering"));
        });
        outgoing.on("response", (incoming) => {
          readAnswer(incoming, config.maxResponseSize).then((answer) => {
            timer.cancel();
            resolve(answer);
          }, fail);
        });
        if (body instanceof Uint8Array) outgoing.end(body);
        else send(outgoing, body).catch(fail);
      }).finally(ended);
    },
    close() {
      closing = true;
      if (calls === 0) agent.destroy();
    },
  };
}

/** Sends pieces no faster than they are taken; ends early when the call is given up. */
async function send(outgoing: ClientRequest, body: Exclude<RequestBody, Uint8Array>): Promise<void> {
  let wake = () => {};
  outgoing.on("drain", () => wake());
  outgoing.on("close", () => wake());
  for await (const piece of body.pieces()) {
    if (outgoing.destroyed) return;
    if (!outgoing.write(piece) && !outgoing.destroyed) await new Promise<void>((resolve) => wake = resolve);
  }
  if (!outgoing.destroyed) outgoing.end();
}

function headersOf(config: HookConfig): Record<string, string> {
  const { auth } = config;
  const headers: Record<string, string> = { "content-type": "application/json", accept: "application/json" };
  if (auth !== undefined) {
    const login = new TextEncoder().encode(`${auth.username}:${auth.secret}`);
    headers["authorization"] = `Basic ${login.toBase64()}`;
  }
  for (const [name, value] of config.headers) headers[name.toLowerCase()] = value;
  return headers;
}

async function readAnswer(incoming: IncomingMessage, limit: number): Promise<Uint8Array> {
  if (incoming.statusCode !== 200) {
    incoming.resume();
    throw new Error(`it answers with the HTTP status ${incoming.statusCode}`);
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of incoming) {
    size += part.length;
    if (size > limit) throw new Error(`its answer is larger than ${limit} octets`);
    parts.push(part);
  }
  if (!incoming.complete) throw new Error("its answer ends early");
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
