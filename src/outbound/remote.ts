/** Delivery to other hosts: host after host, address after address, until every recipient has an answer. */

import type { Clock } from "../clock/mod.ts";
import type { ConnectionConfig, QueueConfig, RouteConfig, TlsPolicyConfig } from "../config/config.ts";
import { type FunctionHost, LookupUnavailable, type Setting } from "../expression/types.ts";
import { canonicalIp } from "../net/mod.ts";
import type { DeliveryJob, QueuedRecipient } from "../queue/types.ts";
import type { Emit } from "../telemetry/event.ts";
import { type HostScope, hostScope } from "./host_scope.ts";
import { type Host, hostAddresses, type HostLookup, mailHosts } from "./hosts.ts";
import { type Connect, NO_TLS, type OpenOptions, openSession } from "./open_session.ts";
import type { Pool } from "./pool.ts";
import type { Session } from "./session.ts";
import type { TlsPolicy } from "./tls_policy.ts";
import { transact } from "./transaction.ts";
import { type Failure, failure, type Verdict } from "./verdict.ts";

/** A route that leads over the network. */
export type RemoteRoute = Extract<RouteConfig, { type: "mx" | "relay" }>;

/** What remote deliveries share. */
export interface RemoteContext {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly functions: FunctionHost;
  readonly lookup: HostLookup;
  readonly pool: Pool;
  readonly policies: readonly TlsPolicy[];
  /** Port of `mx` routes: 25 but for tests. */
  readonly mxPort: number;
}

/** One attempt under way. */
export interface RemoteAttempt {
  /** One for each recipient, in order, as far as they are known. */
  readonly verdicts: readonly (Verdict | undefined)[];
  /** Settles when all are known. Does not reject for what the world does. */
  readonly done: Promise<void>;
  /** Stops at the next occasion and breaks the connection in use. */
  abort(): void;
}

/** Starts an attempt. */
export function attemptRemote(
  job: DeliveryJob,
  route: RemoteRoute,
  config: QueueConfig,
  context: RemoteContext,
  signal: AbortSignal,
): RemoteAttempt {
  const attempt = new Attempt(job, route, config, context, signal);
  return { verdicts: attempt.verdicts, done: attempt.run(), abort: () => attempt.abort() };
}

class Attempt {
  readonly verdicts: (Verdict | undefined)[];
  #aborted = false;
  #session: Session | undefined;
  #scope: HostScope;
  /** What failed last, and whether it may pass: what is left without an answer gets it. */
  #deferred: Failure | undefined;
  #failed: Failure | undefined;

  constructor(
    readonly job: DeliveryJob,
    readonly route: RemoteRoute,
    readonly config: QueueConfig,
    readonly context: RemoteContext,
    readonly signal: AbortSignal,
  ) {
    this.verdicts = new Array(job.recipients.length);
    this.#scope = hostScope(job, context.functions, context.clock.now(), ({ key, message }) => {
      context.emit("eval.error", { key, details: message });
    });
  }

  abort(): void {
    this.#aborted = true;
    this.#session?.close();
  }

  async run(): Promise<void> {
    try {
      await this.#tryHosts();
    } catch (error) {
      if (!(error instanceof LookupUnavailable)) throw error;
      this.#note(failure("deferred", "io", "4.3.0", `a setting could not be evaluated: ${error.message}`));
    }
    // One host with a passing trouble is reason enough to come back.
    let rest = this.#deferred ?? this.#failed ?? failure("deferred", "io", "4.3.0", "no host was tried");
    // RFC 8689 §4.2.1: a message that asks for REQUIRETLS does not wait for hosts to learn TLS.
    if (this.#requiretls && rest.detail.enhanced === NO_TLS) {
      rest = { ...rest, kind: "failed", detail: { ...rest.detail, enhanced: "5.7.30" } };
    }
    for (let i = 0; i < this.verdicts.length; i++) this.verdicts[i] ??= rest;
  }

  async #tryHosts(): Promise<void> {
    const { route, job, context } = this;
    let hosts: readonly Host[];
    if (route.type === "mx") {
      const domain = job.recipients[0]?.domain ?? "";
      const found = await mailHosts(domain, route.limits.mx, context.lookup);
      if ("kind" in found) return this.#note(found);
      hosts = found;
    } else {
      hosts = relayHosts(route);
    }
    const limit = route.type === "mx" ? route.limits.multihomed : RELAY_ADDRESSES;
    const nameless = route.type === "mx" ? "failed" : "deferred";
    // A host without an address costs a lookup but no attempt, so it does not use up the limit.
    const most = route.type === "mx" ? route.limits.mx : hosts.length;
    let tried = 0;
    for (const host of hosts) {
      if (this.#aborted || tried >= most) return;
      const addresses = await hostAddresses(host, route.ipLookup, limit, context.lookup, nameless);
      if ("kind" in addresses) {
        this.#note(addresses);
        continue;
      }
      tried++;
      for (const ip of addresses.ips) {
        if (this.#aborted) return;
        const connected = await this.#tryAddress(host, ip, addresses.security);
        if (!this.verdicts.includes(undefined)) return;
        // A host that took part in a transaction has answered for all its addresses.
        if (connected) break;
      }
    }
  }

  /** Tries one address; true if it came to a transaction. */
  async #tryAddress(host: Host, ip: string, addressSecurity: Host["security"]): Promise<boolean> {
    const options = await this.#openOptions(host, ip, addressSecurity);
    if ("kind" in options) {
      this.#note(options);
      return false;
    }
    const { pool, emit } = this.context;
    const key = poolKey(this.route.id, options);
    const kept = pool.take(key);
    if (kept !== undefined) {
      emit("delivery.connection-reused", { host: host.name, remoteIp: ip });
      if (await this.#use(kept, options) || this.#aborted) return true;
      // The kept connection had died meanwhile; that says nothing about the host.
    }
    const opened = await openSession(options, this.context, (session) => {
      this.#session = session;
      if (this.#aborted) session.close();
    });
    this.#session = undefined;
    if ("kind" in opened) {
      this.#note(opened);
      return false;
    }
    opened.key = key;
    await this.#use(opened, options, true);
    return true;
  }

  async #openOptions(
    host: Host,
    ip: string,
    addressSecurity: Host["security"],
  ): Promise<OpenOptions | Failure> {
    const { route, job, config, context } = this;
    const { variables } = this.#scope;
    variables.mx = host.name;
    variables.remote_ip = ip;
    variables.local_ip = "";
    const connection = await this.#choose(config.strategy.connection, config.connection);
    const localIp = sourceAddress(connection, ip, context.lookup.random);
    variables.local_ip = localIp ?? "";
    const tls = await this.#choose(config.strategy.tls, config.tls);
    if (connection === undefined || tls === undefined) {
      return failure("deferred", "io", "4.3.5", "no connection or TLS definition is there to use");
    }
    const port = route.type === "mx" ? context.mxPort : route.port;
    const implicit = route.type === "relay" && route.tls.implicit;
    const target = {
      domain: job.recipients[0]?.domain ?? "",
      host: host.name,
      port,
      found: route.type,
      hostSecurity: host.security,
      addressSecurity,
      config: tls,
      implicit,
      allowInvalidCerts: tls.allowInvalidCerts || (route.type === "relay" && route.tls.allowInvalidCerts),
      requiretls: this.#requiretls,
    };
    for (const policy of context.policies) {
      const asked = policy.decide(target);
      const decision = asked instanceof Promise ? await asked : asked;
      if (decision === undefined) continue;
      if (decision.kind === "refuse") return decision.failure;
      return {
        host: host.name,
        ip,
        port,
        protocol: route.type === "relay" ? route.protocol : "smtp",
        localIp,
        ehloName: (localIp === undefined ? undefined : config.sourceIp.get(localIp)?.ehloHostname) ??
          connection.ehloHostname,
        timeout: connection.timeout,
        tlsTimeout: tls.timeout.tls,
        tls: decision,
        implicit,
        auth: route.type === "relay" ? route.auth : undefined,
        signal: this.signal,
      };
    }
    return failure("deferred", "tls", "4.7.0", `no TLS policy decides about ${host.name}`, { host: host.name });
  }

  /** The definition that a strategy names; an unknown name means the built-in one (reference §2.7). */
  async #choose<T extends ConnectionConfig | TlsPolicyConfig>(
    strategy: Setting<string>,
    definitions: ReadonlyMap<string, T>,
  ): Promise<T | undefined> {
    const chosen = strategy.evaluate(this.#scope);
    const id = chosen instanceof Promise ? await chosen : chosen;
    const definition = definitions.get(id);
    if (definition !== undefined) return definition;
    this.context.emit("smtp.id-not-found", { key: strategy.key, id });
    return definitions.get("default");
  }

  /**
   * Sends to the open recipients, in as many transactions as the peer's limits ask for.
   *
   * @returns false if a kept session turned out to be dead before it took anything
   */
  async #use(session: Session, options: OpenOptions, fresh = false): Promise<boolean> {
    this.#session = session;
    const rcptMax = session.peer.limits.rcptMax ?? Infinity;
    const now = this.context.clock.now();
    const open = this.#open();
    try {
      while (open.length > 0 && !session.closed) {
        const indexes = open.splice(0, rcptMax);
        const recipients = indexes.map((index) => this.job.recipients[index] as QueuedRecipient);
        const result = await transact(session, this.job.message, recipients, { timeouts: options.timeout, now });
        if (result.dead && !fresh) return false;
        fresh = true;
        const left: number[] = [];
        for (const [position, index] of indexes.entries()) {
          const verdict = result.verdicts[position];
          if (verdict === undefined) left.push(index);
          else this.#settle(index, verdict);
        }
        if (left.length === 0) continue;
        const progress = result.verdicts.some((verdict) => verdict?.kind === "delivered");
        if (progress) open.unshift(...left);
        else for (const index of left) if (result.noRoom !== undefined) this.#settle(index, result.noRoom);
      }
      if (open.length > 0) {
        const text = `${session.label} closed the connection before all recipients could be named`;
        this.#note(failure("deferred", "connection", "4.4.2", text, { host: session.host }));
      }
    } finally {
      this.#session = undefined;
      this.context.pool.keep(session);
    }
    return true;
  }

  #settle(index: number, verdict: Verdict): void {
    if (verdict.kind !== "delivered") {
      this.#report(verdict);
      if (verdict.elsewhere) return this.#note(verdict);
    }
    this.verdicts[index] = verdict;
  }

  #report({ detail }: Failure): void {
    const fields = { host: detail.host, status: detail.status, details: detail.text };
    if (detail.text.endsWith("(in reply to RCPT TO)")) this.context.emit("delivery.rcpt-to-rejected", fields);
    else if (detail.text.endsWith("(in reply to MAIL FROM)")) this.context.emit("delivery.mail-from-rejected", fields);
    else this.context.emit("delivery.message-rejected", fields);
  }

  #note(failed: Failure): void {
    if (failed.kind === "deferred") this.#deferred = failed;
    else this.#failed = failed;
  }

  get #requiretls(): boolean {
    return this.job.message.envelope.parameters.requiretls === true;
  }

  #open(): number[] {
    const open: number[] = [];
    for (let i = 0; i < this.verdicts.length; i++) if (this.verdicts[i] === undefined) open.push(i);
    return open;
  }
}

// Addresses of a relay that are tried: it has no `limits` to say.
const RELAY_ADDRESSES = 4;

const hostsOfRelays = new WeakMap<RemoteRoute, readonly Host[]>();

/** The one host of a relay; worked out once per configuration. */
function relayHosts(route: Extract<RemoteRoute, { type: "relay" }>): readonly Host[] {
  let hosts = hostsOfRelays.get(route);
  if (hosts === undefined) {
    const ip = canonicalIp(route.address);
    const name = ip ?? route.address.toLowerCase();
    hosts = [ip === undefined ? { name, security: "insecure" } : { name, ip, security: "insecure" }];
    hostsOfRelays.set(route, hosts);
  }
  return hosts;
}

/** One of the configured source addresses that has the family of the remote one, at random. */
function sourceAddress(
  connection: ConnectionConfig | undefined,
  ip: string,
  random: () => number,
): string | undefined {
  if (connection === undefined || connection.sourceIps.length === 0) return undefined;
  const six = ip.includes(":");
  const fitting = connection.sourceIps.filter((source) => source.includes(":") === six);
  return fitting[Math.floor(random() * fitting.length)];
}

function poolKey(route: string, { host, ip, port, localIp, ehloName, tls }: OpenOptions): string {
  return `${route} ${host} ${ip} ${port} ${localIp ?? ""} ${ehloName} ${tls.key}`;
}
