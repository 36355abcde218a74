/** A small world for tests of the HTTP app: plain objects behind its dependencies. */

import type { HttpConfig } from "../../../src/config/config.ts";
import type { Setting } from "../../../src/expression/types.ts";
import { createHttpApp, type HttpDependencies, type QueueStats, type RequestInfo } from "../../../src/http/mod.ts";
import type { ExportedMessage } from "../../../src/queue/mod.ts";
import type { MessageView, RecipientView } from "../../../src/queue/types.ts";
import type { EventFields, EventName } from "../../../src/telemetry/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A setting that is the same for every request. */
export function constant<T>(value: T): Setting<T> {
  return { key: "test", isConstant: true, evaluate: () => value };
}

export function httpConfig(changes: Partial<HttpConfig> = {}): HttpConfig {
  return {
    authToken: undefined,
    fallbackAdmin: undefined,
    url: constant("http://127.0.0.1:8025"),
    allowedEndpoint: constant(200),
    headers: [],
    useXForwarded: false,
    hsts: false,
    permissiveCors: false,
    rateLimit: { anonymous: { count: 100, period: 60_000 }, account: { count: 1000, period: 60_000 } },
    prometheus: { enable: false, auth: undefined },
    ...changes,
  };
}

export function recipient(changes: Partial<RecipientView> = {}): RecipientView {
  return {
    address: "bo@example.org",
    queue: "remote",
    state: "queued",
    due: "2026-01-05T12:10:00.000Z",
    expires: "2026-01-10T12:00:00.000Z",
    attempts: 2,
    lastError: "connection",
    lastStatus: 0,
    lastText: "mx.example.org: connection refused",
    ...changes,
  };
}

export function message(changes: Partial<MessageView> = {}): MessageView {
  return {
    id: "1a2b3c",
    sender: "ana@example.net",
    recipients: [recipient()],
    state: "queued",
    created: "2026-01-05T11:00:00.000Z",
    due: "2026-01-05T12:10:00.000Z",
    size: 4096,
    priority: 0,
    source: "authenticated",
    ...changes,
  };
}

export const STATS: QueueStats = {
  messages: 1,
  recipients: { queued: 1, delivering: 0, held: 0, delivered: 0, failed: 0 },
  queues: [{ queue: "remote", state: "queued", count: 1 }],
  oldest: "2026-01-05T11:00:00.000Z",
};

/** A message with a body of two chunks, as the queue exports it. */
function exported(id: string): ExportedMessage {
  const chunks = ["Subject: hello\r\n\r\n", "hello\r\n"].map((text) => new TextEncoder().encode(text));
  const { sender, size, priority, source, created } = message({ id });
  return {
    message: {
      ...{ id, sender, size, priority, source, created },
      parameters: { body: "8bitmime" },
      recipients: [],
      receivedFromIp: "192.0.2.1",
      receivedViaPort: 25,
      authenticatedAs: "",
      heloDomain: "client.example",
    },
    content: { size: 25, head: new Uint8Array(0), complete: false, chunks: () => chunks },
  };
}

export interface World {
  readonly clock: FakeClock;
  readonly events: { readonly name: EventName; readonly fields: EventFields }[];
  /** What was asked of the queue, such as `retry by loopback by HTTP from 127.0.0.1: 1a2b3c`. */
  readonly asked: string[];
  readonly deps: HttpDependencies;
  /** Sends a request from 127.0.0.1 to http://127.0.0.1:8025 unless told otherwise. */
  ask(path: string, init?: RequestInit, info?: Partial<RequestInfo>): Promise<Response>;
}

/** `user:password` as an Authorization header. */
export function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${new TextEncoder().encode(`${user}:${password}`).toBase64()}` };
}

export function world(changes: Partial<HttpDependencies> = {}, messages: readonly MessageView[] = [message()]): World {
  const clock = new FakeClock();
  const events: World["events"] = [];
  const asked: string[] = [];
  const deps: HttpDependencies = {
    version: "0.1.0",
    hostname: "mx.example.net",
    config: httpConfig(),
    clock,
    emit: (name, fields = {}) => events.push({ name, fields }),
    functions: {
      isLocalDomain: () => false,
      isLocalAddress: () => false,
      keyGet: () => "",
      keyExists: () => false,
      keySet: () => false,
      counterGet: () => 0,
      counterIncr: () => 0,
      sqlQuery: () => false,
      dnsQuery: () => [],
    },
    queue: {
      list(filter) {
        if (filter.ids === undefined) asked.push(`list ${JSON.stringify(filter)}`);
        const found = messages.filter(({ id }) => filter.ids === undefined || filter.ids.includes(id));
        return Promise.resolve(found.slice(0, filter.limit));
      },
      show(id) {
        const found = messages.find((other) => other.id === id);
        return Promise.resolve(found && { message: found, events: [] });
      },
      change(name, which, by, time) {
        const { ids, ...rest } = which;
        const filter = Object.keys(rest).length === 0 ? "" : ` ${JSON.stringify(rest)}`;
        asked.push(
          `${name}${filter}${time === 0 ? "" : ` at ${new Date(time).toISOString()}`} by ${by}: ${ids ?? "all"}`,
        );
        return Promise.resolve(7);
      },
      preview: () => Promise.resolve({ recipients: 7, messages: 3, samples: [] }),
      export: (id) => Promise.resolve(messages.some((other) => other.id === id) ? exported(id) : undefined),
      stats: () => Promise.resolve(STATS),
      recent: () => Promise.resolve([]),
    },
    listeners: () => [{ id: "smtp", protocol: "smtp", addresses: ["127.0.0.1:2525"], connections: 3 }],
    ready: () => ({ ready: true, reasons: [] }),
    metricsText: () => Promise.resolve("godwit_events_total 1\n"),
    directoryHasAdministrators: false,
    login: (name, password) =>
      Promise.resolve(
        password === "right"
          ? { kind: "accepted", account: { name, class: name === "root" ? "admin" : "individual", emails: [] } }
          : { kind: "refused" },
      ),
    verifySecret: (secret, password) => secret === password,
    ...changes,
  };
  const app = createHttpApp(deps);
  return {
    clock,
    events,
    asked,
    deps,
    ask(path, init = {}, info = {}) {
      const headers = new Headers(init.headers);
      if (!headers.has("host")) headers.set("host", "127.0.0.1:8025");
      return app.fetch(new Request(`http://127.0.0.1:8025${path}`, { ...init, headers }), {
        listener: "admin",
        remote: { ip: "127.0.0.1", port: 40_000 },
        local: { ip: "127.0.0.1", port: 8025 },
        tls: false,
        ...info,
      });
    },
  };
}
