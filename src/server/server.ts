/** Builds a running server from a configuration, and takes it down again. */

import { openAcme } from "../acme/mod.ts";
import type { Signer } from "../authentication/mod.ts";
import { type Clock, systemClock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import { createResolver, type Resolver } from "../dns/mod.ts";
import {
  createCertificateStore,
  formatEndpoint,
  listen,
  type Listener,
  networkSet,
  type ServerConnection,
} from "../net/mod.ts";
import { closePasswordPool, createHttpLists } from "../directory/mod.ts";
import { type FilterMakers, loadFilterMakers } from "../filter/mod.ts";
import { createDelivery, createPolicyFetch, createStsCache, createStsPolicy } from "../outbound/mod.ts";
import { openQueue, type Queue } from "../queue/mod.ts";
import { createDsnBuilder, outgoingReports, receivedReports } from "../report/mod.ts";
import type { ByteWriter, Telemetry } from "../telemetry/mod.ts";
import { createDialogueTrace, createTelemetry, rawLog } from "../telemetry/mod.ts";
import { openThrottle, WATCHED_EVENTS } from "../throttle/mod.ts";
import { startAggregateReports } from "./aggregate_reports.ts";
import { startFailureReports } from "./failure_reports.ts";
import { createGeneration, forwardingHost, type Generation } from "./generation.ts";
import { createApp, createHttpListeners, type HttpWorld } from "./http.ts";
import { systemFiles, watchCertificates } from "./certificate_watch.ts";
import { registerGauges } from "./gauges.ts";
import { lockNode } from "./node_lock.ts";
import { senderOfNotice } from "./notices.ts";
import { startPurges } from "./purge.ts";
import { dropPrivileges, type RunAs } from "./privileges.ts";
import { createReportSender } from "./report_sender.ts";
import { registerReportGauges } from "./report_gauges.ts";
import { createSessions } from "./sessions.ts";
import { signedNotices } from "./signing.ts";
import { closeStores, openStores } from "./stores.ts";
import { VERSION } from "./version.ts";

/** How long transactions and deliveries may go on after a stop was asked for, in milliseconds. */
const GRACE = 5_000;

/** What a server is started with beside its configuration; the defaults are the real world. */
export interface ServerOptions {
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly resolver?: Resolver;
  readonly stdout?: ByteWriter;
  readonly stderr?: ByteWriter;
  /** Account to become once the ports are bound. */
  readonly runAs?: RunAs;
  /** Folder whose Maildirs the status page shows; only `dev` sets it. */
  readonly mailboxRoot?: string;
  /** Port that `mx` routes connect to; 25 outside tests. */
  readonly mxPort?: number;
  /** Port that MTA-STS policies are fetched from; 443 outside tests. */
  readonly policyPort?: number;
  /** Called with the telemetry before anything happens, so that nothing goes unobserved. */
  readonly onTelemetry?: (telemetry: Telemetry) => void;
}

/** A listener as people see it. */
export interface ListenerInfo {
  readonly id: string;
  readonly protocol: "smtp" | "lmtp" | "http";
  /** Such as `127.0.0.1:2525`. */
  readonly addresses: readonly string[];
  readonly connections: number;
}

interface OpenListener {
  readonly protocol: "smtp" | "lmtp";
  readonly listener: Listener;
}

/** A server that is running. */
export interface RunningServer {
  readonly telemetry: Telemetry;
  readonly queue: Queue;
  listeners(): readonly ListenerInfo[];
  /**
   * Uses another configuration from now on. Running sessions and deliveries end under the old one. Stores and the node
   * id stay as they are until a restart.
   *
   * @throws {Error} if a new port cannot be bound or a certificate is unusable; the old configuration stays in force
   */
  reload(config: Config): Promise<void>;
  /** Finishes what is under way, within ten seconds, and stops. May be called again; never rejects. */
  stop(): Promise<void>;
}

/**
 * Starts a server: ports are bound first, then privileges are given up, then the queue is opened; sessions begin when all
 * of it stands.
 *
 * @throws {Error} if a port cannot be bound, a certificate is unusable or the store cannot be opened; everything that
 * was started is stopped again
 */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? secureRandom;
  const telemetry = createTelemetry({
    tracers: config.tracers,
    eventLevels: config.eventLevels,
    disabledMetricEvents: config.disabledMetricEvents,
    clock,
    ...(options.stdout === undefined ? {} : { stdout: options.stdout }),
    ...(options.stderr === undefined ? {} : { stderr: options.stderr }),
  });
  options.onTelemetry?.(telemetry);
  const { emit } = telemetry;
  // What has to be undone, last first.
  const undo: (() => void | Promise<void>)[] = [() => telemetry.close()];
  const unwind = async () => {
    for (const step of undo.reverse()) await step();
    undo.length = 0;
  };

  try {
    const acme = await openAcme(config.acme, { clock, emit });
    const certificates = createCertificateStore(
      [...config.certificates, ...acme.certificates],
      acme.proofs,
      (name) => emit("tls.certificate-not-found", { name }),
    );
    const sessions = createSessions(clock);
    const gate = Promise.withResolvers<Generation>();
    gate.promise.catch(() => {});
    let current: Generation | undefined;
    let addresses = addressRules(config);
    let banned = (_ip: string) => false;
    const blocked = (ip: string) => !addresses.allowed(ip) && (addresses.blocked(ip) || banned(ip));
    const listeners = new Map<string, OpenListener>();
    const onConnection = async (connection: ServerConnection) => {
      const generation = current ?? await gate.promise;
      // Whoever came before the ban list was read has not been held against it.
      if (banned(connection.remote.ip) && blocked(connection.remote.ip)) return connection.close();
      await sessions.serve(connection, generation.inbound);
    };
    const open = (next: Config) => {
      for (const listener of next.server.listeners) {
        if (listener.protocol === "http") continue;
        const known = listeners.get(listener.id);
        if (known !== undefined) {
          known.listener.update(listener);
        } else {
          const opened = listen(listener, {
            certificates,
            clock,
            emit,
            blocked,
            onConnection,
            onRefused: ({ listener, remote, reason }) =>
              emit(reason === "blocked" ? "security.ip-blocked" : "limit.concurrent-connection", {
                listener,
                remoteIp: remote.ip,
                reason,
              }),
          });
          listeners.set(listener.id, { protocol: listener.protocol, listener: opened });
        }
      }
      for (const [id, { listener }] of listeners) {
        if (next.server.listeners.some((wanted) => wanted.id === id && wanted.protocol !== "http")) continue;
        listener.close();
        listeners.delete(id);
      }
    };
    undo.push(() => {
      gate.reject(new Error("the server did not start"));
      for (const { listener } of listeners.values()) listener.close();
    });
    // Before the ports, which a second process could share: it would turn away the clients of the first. But what is made
    // as root stays with root, so whoever gives root up does that first.
    const changesUser = options.runAs?.user !== undefined || options.runAs?.group !== undefined;
    const lock = changesUser ? undefined : await lockNode(config);
    undo.push(() => lock?.release());
    open(config);
    const http = createHttpListeners({ telemetry, clock, certificates });
    undo.push(() => http.close());
    await http.use(config);
    const watch = watchCertificates(config.certificates, {
      clock,
      emit,
      files: systemFiles,
      others: () => acme.certificates,
      use: (renewed) => certificates.replace([...renewed, ...acme.certificates]),
    });
    undo.push(() => watch.close());
    if (options.runAs !== undefined) dropPrivileges(options.runAs);
    const lateLock = changesUser ? await lockNode(config) : undefined;
    undo.push(() => lateLock?.release());

    const stores = await openStores(config, { emit, clock });
    undo.push(() => closeStores(stores));
    let { resolver } = options;
    if (resolver === undefined) {
      const own = createResolver(config.resolver, { clock, random, emit, followsAnchors: true });
      undo.push(() => own.close());
      resolver = own;
    }
    const functions = forwardingHost();
    const httpLists = createHttpLists({ clock, emit });
    undo.push(() => httpLists.close());

    let inForce = config;
    let signer: Signer | undefined;
    const notices = { functions: functions.host, emit, now: () => clock.now() };
    const buildDsn = createDsnBuilder({
      hostname: config.server.hostname,
      reportDomain: config.report.domain,
      from: (message, recipients) => senderOfNotice(inForce, message, recipients, notices),
      clock,
      emit,
      random,
    });
    const buildNotice = signedNotices(
      buildDsn,
      () => ({ config: inForce, signer }),
      notices,
    );
    const data = stores.get(config.storage.data);
    if (data === undefined) throw new Error(`store '${config.storage.data}' of storage.data is not defined`);
    const throttle = await openThrottle({
      counters: stores.get(config.storage.lookup) ?? data,
      data,
      clock,
      emit,
      nodeId: config.cluster.nodeId,
      lease: config.cluster.lease,
      autoBan: config.server.autoBan,
      allowed: (ip) => addresses.allowed(ip),
      onBan: (isBanned) => sessions.ban((ip) => isBanned(ip) && !addresses.allowed(ip)),
    });
    banned = throttle.bans.has;
    undo.push(() => throttle.close());
    undo.push(telemetry.observe(WATCHED_EVENTS, throttle.abuse.observe));
    const trace = createDialogueTrace(clock);
    trace.logTo(rawLog(emit, telemetry.isLogged));
    const generationOf = (next: Config, queue: Queue, filterMakers: FilterMakers): Generation => {
      const made = createGeneration(next, {
        stores,
        resolver,
        httpLists,
        functions,
        filterMakers,
        throttle,
        queue,
        buildNotice,
        dmarcObserver: reports.dmarc,
        failureReports,
        wire: trace.wire,
        clock,
        emit,
        random,
      });
      signer = made.signer;
      return made;
    };
    const queue = await openQueue({
      store: data,
      config: config.queue,
      nodeId: config.cluster.nodeId,
      lease: config.cluster.lease,
      clock,
      random,
      emit,
      functions: functions.host,
      buildNotice,
    });
    undo.push(() => queue.close());
    const purges = startPurges(config, { stores, purgeHistory: (before) => queue.purge(before), clock, emit });
    undo.push(() => purges.close());
    const reportSender = createReportSender({
      queue,
      signer: () => signer,
      domain: config.report.domain,
      clock,
      random,
      emit,
    });
    const reports = startAggregateReports(config, {
      store: data,
      sender: reportSender,
      resolver,
      functions: functions.host,
      clock,
      random,
      emit,
    });
    undo.push(() => reports.close());
    const failureReports = startFailureReports(() => inForce, {
      ...{ sender: reportSender, resolver, clock, random, emit },
      rates: throttle.rates,
    });
    undo.push(() => failureReports.close());
    const generation = generationOf(config, queue, await loadFilterMakers(config));
    undo.push(() => (current ?? generation).retire());
    const { policyPort } = options;
    const fetchPolicy = createPolicyFetch({
      resolver,
      clock,
      ...(policyPort === undefined ? {} : { port: policyPort }),
    });
    const policies = createStsCache({
      resolver,
      fetch: fetchPolicy,
      store: data,
      clock,
      emit,
      results: reports.tls,
      capacity: config.resolver.cacheSizes["mta-sts"] ?? 0,
    });
    undo.push(() => policies.close());
    const delivery = createDelivery({
      config: config.queue,
      hostname: config.server.hostname,
      resolver,
      clock,
      random,
      emit,
      functions: functions.host,
      get deliveredTo() {
        return inForce.session.data.addHeaders.deliveredTo;
      },
      counters: throttle,
      mtaSts: createStsPolicy({ cache: policies, emit }),
      tlsResults: reports.tls,
      wire: trace.wire,
      accountOf: (address) => current?.accountOf(address) ?? generation.accountOf(address),
      runScript: (occasion) => (current ?? generation).runUserScript(occasion),
      ...(options.mxPort === undefined ? {} : { mxPort: options.mxPort }),
    });
    undo.push(() => delivery.close());
    queue.start(delivery.deliver);

    let draining = false;
    const list = (): ListenerInfo[] => [
      ...[...listeners].map(([id, { protocol, listener }]) => ({
        id,
        protocol,
        addresses: listener.addresses.map(formatEndpoint),
        connections: listener.connections,
      })),
      ...http.running.map((listener) => ({
        id: listener.id,
        protocol: "http" as const,
        addresses: listener.addresses,
        connections: listener.connections(),
      })),
    ];
    const received = receivedReports(data, clock);
    const world: HttpWorld = {
      queue,
      telemetry,
      clock,
      functions: functions.host,
      listeners: list,
      draining: () => draining,
      storeLost: () => lost.size > 0,
      directory: () => current?.defaultDirectory,
      bans: throttle.bans,
      receivedReports: received,
      outgoingReports: outgoingReports(data),
      trace,
      explain: async (options, message) => {
        // Loaded when somebody asks: most servers are never asked.
        const { explain, ExplainError, readRequest } = await import("./explain/mod.ts");
        const request = readRequest(options, message);
        if (typeof request === "string") return { wrong: request };
        try {
          const asked = { stores, resolver, httpLists, fetchPolicy, clock, random };
          return { explanation: await explain(inForce, request, asked) };
        } catch (error) {
          if (error instanceof ExplainError) return { wrong: error.message };
          throw error;
        }
      },
      blocked,
      acmeAnswer: acme.httpAnswer,
      loginRefused: (account) => throttle.abuse.loginRefused(account),
      ...(options.mailboxRoot === undefined ? {} : { mailboxRoot: options.mailboxRoot }),
    };
    // The store says when it is lost and when it works again; readiness follows.
    const lost = new Set<unknown>();
    undo.push(telemetry.observe(["store.unavailable"], ({ fields }) => lost.add(fields.id)));
    undo.push(telemetry.observe(["store.recovered"], ({ fields }) => lost.delete(fields.id)));
    http.serve(createApp(config, world));
    undo.push(() => http.close());
    registerReportGauges(telemetry, received);
    // Streams without end would hold up their listeners.
    undo.push(() => trace.close());
    registerGauges(telemetry, { listeners: list, certificates: () => certificates.certificates, queue });
    if (config.http.prometheus.enable) await telemetry.collectDurations();

    undo.push(() => acme.close());
    acme.start({
      store: data,
      resolver,
      random,
      nodeId: config.cluster.nodeId,
      onChange: () => certificates.replace([...watch.certificates, ...acme.certificates]),
    });
    current = generation;
    gate.resolve(generation);
    emit("server.startup", { version: VERSION, hostname: config.server.hostname });

    let stopping: Promise<void> | undefined;
    const stop = async () => {
      draining = true;
      emit("server.draining", { sessions: sessions.count });
      for (const { listener } of listeners.values()) listener.close();
      await Promise.all([sessions.stop(GRACE), queue.drain(GRACE)]);
      emit("server.shutdown");
      await unwind();
      closePasswordPool();
    };
    return {
      telemetry,
      queue,
      listeners: list,
      async reload(next) {
        // What can fail comes first, so that the old configuration can go on.
        const ordered = await acme.plan(next.acme);
        const filterMakers = await loadFilterMakers(next);
        try {
          certificates.replace([...next.certificates, ...ordered.certificates]);
          open(next);
          await http.use(next);
        } catch (error) {
          certificates.replace([...watch.certificates, ...acme.certificates]);
          open(inForce);
          await http.use(inForce);
          throw error;
        }
        for (const key of waitingForRestart(inForce, next)) {
          emit("config.build-warning", { key, reason: "the change takes effect at the next start" });
        }
        watch.reconfigure(next.certificates);
        inForce = next;
        ordered.use();
        addresses = addressRules(next);
        throttle.abuse.reconfigure(next.server.autoBan);
        purges.reconfigure(next);
        reports.reconfigure(next);
        const last = current;
        current = generationOf(next, queue, filterMakers);
        last?.retire();
        http.serve(createApp(next, world));
        if (next.http.prometheus.enable) await telemetry.collectDurations();
        queue.reconfigure(next.queue);
        delivery.reconfigure(next.queue);
        await telemetry.reconfigure({
          tracers: next.tracers,
          eventLevels: next.eventLevels,
          disabledMetricEvents: next.disabledMetricEvents,
        });
        trace.logTo(rawLog(emit, telemetry.isLogged));
        emit("server.reload", {});
      },
      stop: () => stopping ??= stop(),
    };
  } catch (error) {
    await unwind();
    throw error;
  }
}

/** Keys that differ but are read only at a start. */
function waitingForRestart(before: Config, after: Config): string[] {
  const read: Readonly<Record<string, (config: Config) => unknown>> = {
    "server.hostname": (config) => config.server.hostname,
    "report.domain": (config) => config.report.domain,
    "store": (config) => [...config.stores],
    "storage.data": (config) => config.storage.data,
    "storage.lookup": (config) => config.storage.lookup,
    "cluster": (config) => config.cluster,
    "resolver": (config) => config.resolver,
  };
  return Object.keys(read).filter((key) => JSON.stringify(read[key]?.(before)) !== JSON.stringify(read[key]?.(after)));
}

/** A number from 0 up to, not including, 1 that nobody can foretell; DNS ids are made of it. */
function secureRandom(): number {
  const [word] = crypto.getRandomValues(new Uint32Array(1));
  return (word ?? 0) / 2 ** 32;
}

function addressRules(config: Config) {
  return { blocked: networkSet(config.server.blockedIp), allowed: networkSet(config.server.allowedIp) };
}
