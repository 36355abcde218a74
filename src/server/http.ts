/** The HTTP listeners of a server: the app of the http room over the parts that are running. */

import type { Clock } from "../clock/mod.ts";
import type { Config, ListenerConfig } from "../config/mod.ts";
import { type Directory, verifySecret } from "../directory/mod.ts";
import type { FunctionHost } from "../expression/mod.ts";
import {
  createHttpApp,
  type Explain,
  type HttpApp,
  type HttpListener,
  type ListenerView,
  openMailboxes,
  publishedPolicy,
  type QueueAdministration,
  startHttpListener,
  stsAnswer,
} from "../http/mod.ts";
import { type CertificateStore, createCertificateStore } from "../net/mod.ts";
import type { Queue } from "../queue/mod.ts";
import type { OutgoingReports, ReceivedReports } from "../report/mod.ts";
import type { DialogueTrace, Telemetry } from "../telemetry/mod.ts";
import type { BanList } from "../throttle/mod.ts";
import { VERSION } from "./version.ts";

/** What the app shows and changes. */
export interface HttpWorld {
  readonly queue: Queue;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly functions: FunctionHost;
  readonly mailboxRoot?: string;
  listeners(): readonly ListenerView[];
  draining(): boolean;
  /** Whether a store has been found unusable and not yet usable again. */
  storeLost(): boolean;
  /** `storage.directory` of the configuration in force. */
  directory(): Directory | undefined;
  readonly bans: BanList;
  readonly receivedReports: ReceivedReports;
  readonly outgoingReports: OutgoingReports;
  readonly trace: DialogueTrace;
  readonly explain: Explain;
  /** Whether requests of this address are refused. */
  blocked(ip: string): boolean;
  /** The proof of a name that an authority asks for by its token. */
  acmeAnswer(token: string): Promise<string | undefined>;
  /** Whether a login name had too many failures. May reject with `LookupUnavailable`. */
  loginRefused(account: string): boolean | Promise<boolean>;
}

const CHALLENGE_PATH = "/.well-known/acme-challenge/";

/** The app of one configuration. */
export function createApp(config: Config, world: HttpWorld): HttpApp {
  const { queue, telemetry } = world;
  const directory = config.storage.directory === undefined
    ? undefined
    : config.directories.get(config.storage.directory);
  const certificateNames = [
    ...createCertificateStore(config.certificates).certificates.flatMap(({ names }) => names),
    ...config.acme.flatMap(({ domains }) => domains),
  ];
  const policy = stsAnswer(
    publishedPolicy(config.mtaSts, certificateNames),
    (domain) => world.functions.isLocalDomain("", domain),
  );
  const wellKnown = async (path: string, host: string) => {
    if (!path.startsWith(CHALLENGE_PATH)) return await policy(path, host);
    const body = await world.acmeAnswer(path.slice(CHALLENGE_PATH.length));
    // RFC 8555 §8.3.
    return body === undefined ? undefined : { contentType: "application/octet-stream", body };
  };
  return createHttpApp({
    version: VERSION,
    hostname: config.server.hostname,
    config: config.http,
    clock: world.clock,
    emit: telemetry.emit,
    functions: world.functions,
    queue: administration(queue),
    listeners: () => world.listeners(),
    async ready() {
      if (world.draining()) return { ready: false, reasons: ["the server is stopping"] };
      if (world.storeLost()) return { ready: false, reasons: ["the store cannot be used"] };
      try {
        await queue.stats();
        return { ready: true, reasons: [] };
      } catch {
        return { ready: false, reasons: ["the store cannot be read"] };
      }
    },
    metricsText: () => telemetry.metricsText(),
    // Whether a database has some is known only at a login, so it counts as one that does; other types know none.
    directoryHasAdministrators: directory?.type === "sql" ||
      (directory?.type === "memory" && directory.principals.some((principal) => principal.class === "admin")),
    bans: world.bans,
    receivedReports: world.receivedReports,
    outgoingReports: world.outgoingReports,
    trace: world.trace,
    explain: world.explain,
    blocked: (ip) => world.blocked(ip),
    async login(user, password) {
      if (await world.loginRefused(user)) return { kind: "refused" };
      return await world.directory()?.login(user, password) ?? { kind: "refused" };
    },
    wellKnown,
    verifySecret: (secret, password) => verifySecret(secret, password),
    ...(world.mailboxRoot === undefined ? {} : { mailboxes: openMailboxes(world.mailboxRoot) }),
  });
}

function administration(queue: Queue): QueueAdministration {
  return {
    list: (filter) => queue.list(filter),
    show: (id) => queue.show(id),
    change: (action, which, by, time) =>
      action === "reschedule" ? queue.reschedule(which, time, by) : queue[action](which, by),
    preview: (action, which) => queue.preview(action, which),
    export: (id) => queue.export(id),
    async stats() {
      const { queues, messages, oldest } = await queue.stats();
      const recipients = { queued: 0, delivering: 0, held: 0, delivered: 0, failed: 0 };
      for (const entry of queues) recipients[entry.state] += entry.recipients;
      return {
        messages,
        recipients,
        queues: queues.map((entry) => ({ queue: entry.queue, state: entry.state, count: entry.recipients })),
        oldest,
      };
    },
    async recent(limit) {
      return (await queue.recent(limit)).map(({ id, ...event }) => ({ ...event, message: id }));
    },
  };
}

/** The `http` listeners of a server. */
export interface HttpListeners {
  readonly running: readonly HttpListener[];
  /**
   * Starts the listeners of `config` that are new or changed, and closes those that are gone or changed.
   *
   * @throws {Error} if an address cannot be bound or a certificate is missing
   */
  use(config: Config): Promise<void>;
  /** What all of them serve from now on. Requests that come before the first app wait for it. */
  serve(app: HttpApp): void;
  close(): Promise<void>;
}

/** What the listeners work with. */
export interface HttpListenersOptions {
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  /** For those with TLS; a change of what is in it reaches new connections at once. */
  readonly certificates: CertificateStore;
}

/** No listener yet, and nothing to serve. */
export function createHttpListeners(options: HttpListenersOptions): HttpListeners {
  let app: HttpApp | undefined;
  const first = Promise.withResolvers<HttpApp>();
  // Nobody may ever ask.
  first.promise.catch(() => {});
  const current: HttpApp = {
    fetch: (request, info) =>
      app === undefined ? first.promise.then((late) => late.fetch(request, info)) : app.fetch(request, info),
  };
  const running = new Map<string, { readonly listener: HttpListener; readonly settings: string }>();
  return {
    get running() {
      return [...running.values()].map(({ listener }) => listener);
    },
    async use(config) {
      const wanted = config.server.listeners.filter(({ protocol }) => protocol === "http");
      const settings = new Map(wanted.map((listener) => [listener.id, JSON.stringify(listener)]));
      // A changed listener mostly keeps its port, so it has to go before its successor comes.
      for (const [id, { listener, settings: old }] of running) {
        if (settings.get(id) === old) continue;
        await listener.close(0);
        running.delete(id);
      }
      const fresh = wanted.filter(({ id }) => !running.has(id));
      const started = await startHttpListeners(fresh, current, options);
      for (const listener of started) {
        running.set(listener.id, { listener, settings: settings.get(listener.id) ?? "" });
      }
    },
    serve(next) {
      app = next;
      first.resolve(next);
    },
    async close() {
      first.reject(new Error("the server did not start"));
      await Promise.all([...running.values()].map(({ listener }) => listener.close()));
      running.clear();
    },
  };
}

async function startHttpListeners(
  wanted: readonly ListenerConfig[],
  app: HttpApp,
  { telemetry, clock, certificates }: HttpListenersOptions,
): Promise<HttpListener[]> {
  const started: HttpListener[] = [];
  try {
    for (const listener of wanted) {
      started.push(await startHttpListener(listener, app, { emit: telemetry.emit, clock, certificates }));
    }
  } catch (error) {
    await Promise.all(started.map((listener) => listener.close(0)));
    throw error;
  }
  return started;
}
