/** Delivery to other hosts: host after host, address after address, until every recipient has an answer. */

import type { QueueConfig, RouteConfig } from "../config/config.ts";
import { type FunctionHost, LookupUnavailable } from "../expression/types.ts";
import type { DeliveryJob, QueuedRecipient } from "../queue/types.ts";
import { domainToAscii } from "../smtp/mod.ts";
import { emitEvaluationErrors } from "../telemetry/event.ts";
import { type Answers, createAnswers } from "./answers.ts";
import { type ConnectContext, type Connecting, connectTo } from "./connect_to.ts";
import { chooseForHost, type HostChoice } from "./host_choice.ts";
import { type HostScope, hostScope } from "./host_scope.ts";
import { type Host, type HostAddresses, hostAddresses, type HostLookup, mailHosts, relayHosts } from "./hosts.ts";
import { areMixed, type Connect, type FamilyRaces, otherFamily, type Rival } from "./family_race.ts";
import { type OpenOptions, sourceAddress } from "./open_session.ts";
import type { OutboundAdmission, OutboundLimits } from "./outbound_limits.ts";
import type { Session } from "./session.ts";
import { countRefusal } from "./tls_count.ts";
import {
  afterTlsFailure,
  localTlsPolicy,
  NO_TLS,
  type TlsAllowed,
  type TlsDecision,
  type TlsPolicy,
  type TlsTarget,
  type TlsTrial,
} from "./tls_policy.ts";
import { saysTlsIsOptional } from "./tls_required.ts";
import { transact } from "./transaction.ts";
import { type Failure, failure, type Verdict } from "./verdict.ts";

/** A route that leads over the network. */
export type RemoteRoute = Extract<RouteConfig, { type: "mx" | "relay" }>;

/** What remote deliveries share. */
export interface RemoteContext extends ConnectContext {
  readonly functions: FunctionHost;
  readonly lookup: HostLookup;
  /** The configuration of the next attempt. Connections that were made for another one are not kept. */
  config: QueueConfig;
  /** `[[queue.limiter.outbound]]`, if there are any. */
  limits: OutboundLimits | undefined;
  readonly races: FamilyRaces;
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
  return { verdicts: attempt.answers.verdicts, done: attempt.run(), abort: () => attempt.abort() };
}

class Attempt implements Connecting {
  readonly answers: Answers;
  #aborted = false;
  #session: Session | undefined;
  #scope: HostScope;

  constructor(
    readonly job: DeliveryJob,
    readonly route: RemoteRoute,
    readonly config: QueueConfig,
    readonly context: RemoteContext,
    readonly signal: AbortSignal,
  ) {
    this.answers = createAnswers(job.recipients.length);
    const onError = emitEvaluationErrors(context.emit);
    this.#scope = hostScope(job, context.functions, context.clock.now(), onError);
  }

  abort(): void {
    this.#aborted = true;
    this.#session?.close();
  }

  isAborted(): boolean {
    return this.#aborted;
  }

  busyWith(session: Session | undefined): void {
    this.#session = session;
    if (this.#aborted) session?.close();
  }

  /** Whether a person asked for it, for any of the recipients. */
  get requested(): boolean {
    return this.job.recipients.some(({ requested }) => requested === true);
  }

  async run(): Promise<void> {
    try {
      await this.#tryHosts();
    } catch (error) {
      if (!(error instanceof LookupUnavailable)) throw error;
      this.#noteForAll(failure("deferred", "io", "4.3.0", `a setting could not be evaluated: ${error.message}`));
    }
    // RFC 8689 §4.2.1: a message that asks for REQUIRETLS does not wait for hosts to learn TLS.
    this.answers.conclude((failed) =>
      this.#requiretls && failed.detail.enhanced === NO_TLS
        ? { ...failed, kind: "failed", detail: { ...failed.detail, enhanced: "5.7.30" } }
        : failed
    );
  }

  async #tryHosts(): Promise<void> {
    const { route, context } = this;
    let hosts: readonly Host[];
    if (route.type === "mx") {
      const found = await mailHosts(this.#domain, route.limits.mx, context.lookup);
      if ("kind" in found) return this.#noteForAll(found);
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
        this.#noteForAll(addresses);
        continue;
      }
      // Neither does one that is known to be down.
      if (await this.#tryHost(host, addresses)) tried++;
      if (this.answers.complete) return;
    }
  }

  /** Tries the addresses of a host, and tells whether any of them was asked. */
  async #tryHost(host: Host, addresses: HostAddresses): Promise<boolean> {
    const { answers, config, context, job: { recipients } } = this;
    const { variables } = this.#scope;
    const { emit } = context;
    let asked = false;
    let waiting = answers.open();
    let untried = context.races.order(addresses.ips);
    const race = areMixed(untried) ? context.races.begin(context.connect) : undefined;
    // In a race an address is to be connected from the same source when its turn comes as when it was begun.
    const drawn = race === undefined ? 0 : context.lookup.random();
    const random = race === undefined ? context.lookup.random : () => drawn;
    try {
      for (let ip = untried.shift(); ip !== undefined && waiting.length > 0; ip = untried.shift()) {
        variables.mx = host.name;
        variables.remote_ip = ip;
        const choices = await chooseForHost(this.#scope, waiting, { config, recipients, random, emit });
        waiting = [];
        let winner: string | undefined;
        for (const choice of choices) {
          if (this.#aborted) return asked;
          variables.local_ip = choice.localIp ?? "";
          const chosen = race === undefined
            ? choice
            : { ...choice, connect: race.against(this.#rivalOf(ip, untried, choice, random)) };
          const how = await this.#tryAddress(host, ip, addresses, chosen);
          if (typeof how === "object") winner = how.overtakenBy;
          else if (how !== "down") asked = true;
          // A host that took part in a transaction has answered for all its addresses.
          if (how === "used" || how === "limited") continue;
          const open = answers.open(choice.positions);
          waiting = waiting.length === 0 ? open : waiting.concat(open);
        }
        if (winner !== undefined) untried = [winner, ...untried.filter((other) => other !== winner), ip];
      }
    } finally {
      race?.close();
    }
    return asked;
  }

  /** The address that is tried beside `ip` if that takes long. */
  #rivalOf(
    ip: string,
    untried: readonly string[],
    { connection }: HostChoice,
    random: () => number,
  ): Rival | undefined {
    const { races, down, mxPort } = this.context;
    const rival = otherFamily(ip, untried);
    if (rival === undefined || races.isLate(rival)) return undefined;
    const localIp = sourceAddress(connection, rival, random);
    const port = this.route.type === "mx" ? mxPort : this.route.port;
    return down.isLeftAlone(`${rival} ${port} ${localIp ?? ""}`) ? undefined : { ip: rival, localIp };
  }

  /** Tries one address for those that go there in the same way. */
  async #tryAddress(host: Host, ip: string, addresses: HostAddresses, choice: Chosen): Promise<Way> {
    const { positions } = choice;
    const options = await this.#openOptions(host, ip, addresses, choice);
    if ("kind" in options) {
      if (options.tlsFault !== undefined) {
        this.context.emit("delivery.start-tls-error", { host: host.name, remoteIp: ip, details: options.detail.text });
      }
      this.answers.note(positions, options);
      return "failed";
    }
    const key = poolKey(this.route.id, options);
    const { limits } = this.context;
    return limits === undefined
      ? await this.#deliver(options, key, positions)
      : await this.#deliverWithin(limits, options, key, positions);
  }

  /** As {@link #deliver}, for the recipients that the limiters let pass. */
  async #deliverWithin(
    limits: OutboundLimits,
    options: OpenOptions,
    key: string,
    positions: readonly number[],
  ): Promise<Way> {
    let admission: OutboundAdmission;
    try {
      admission = await limits.admit(this.#scope, this.job.recipients, positions);
    } catch (error) {
      if (!(error instanceof LookupUnavailable)) throw error;
      const text = `the limits of queue.limiter.outbound cannot be told for now: ${error.message}`;
      this.answers.limit(positions, failure("deferred", "io", "4.3.0", text, { retryAfter: UNTOLD }));
      return "limited";
    }
    let way: Way = "limited";
    try {
      for (const [index, limited] of admission.refused) {
        const { lastError, host, text } = limited.detail;
        const event = lastError === "rate" ? "delivery.rate-limit-exceeded" : "delivery.concurrency-limit-exceeded";
        this.context.emit(event, { host, to: this.job.recipients[index]?.address, details: text });
        this.answers.limit([index], limited);
      }
      if (admission.admitted > 0) way = await this.#deliver(options, key, positions);
      return way;
    } finally {
      admission.end(way === "used" || way === "failed");
    }
  }

  async #deliver(options: OpenOptions, key: string, positions: readonly number[]): Promise<Way> {
    const { host, ip } = options;
    const kept = this.context.pool.take(key);
    if (kept !== undefined) {
      this.context.emit("delivery.connection-reused", { host, remoteIp: ip });
      if (await this.#use(kept, options, positions) || this.#aborted) return "used";
      // The kept connection had died meanwhile; that says nothing about the host.
    }
    let opened = await connectTo(options, key, this.context, this);
    while ("kind" in opened && opened.tlsFault !== undefined && !this.#aborted) {
      const next = this.#afterTlsFailure(options.tls, options.target);
      if (next === undefined) break;
      options = { ...options, tls: next, trial: undefined, uncounted: true };
      // In plain text a session is kept for those that would come to it in the same way.
      if (next.kind === "tls") key = poolKey(this.route.id, options);
      this.context.emit("delivery.start-tls-disabled", { host, remoteIp: ip, details: opened.detail.text });
      opened = await connectTo(options, key, this.context, this);
    }
    if ("kind" in opened) {
      const { overtakenBy } = opened;
      if (overtakenBy !== undefined) return { overtakenBy };
      const limited = opened.waits !== undefined || opened.retryAfter !== undefined;
      if (limited) this.answers.limit(positions, opened);
      else this.answers.note(positions, opened);
      return opened.untried ? "down" : limited ? "limited" : "failed";
    }
    await this.#use(opened, options, positions, true);
    return "used";
  }

  async #openOptions(
    host: Host,
    ip: string,
    addresses: HostAddresses,
    { connection, localIp, tls, connect }: Chosen,
  ): Promise<OpenOptions | Failure> {
    const { route, config, context } = this;
    if (connection === undefined || tls === undefined) {
      return failure("deferred", "io", "4.3.5", "no connection or TLS definition is there to use");
    }
    const port = route.type === "mx" ? context.mxPort : route.port;
    const implicit = route.type === "relay" && route.tls.implicit;
    const target: TlsTarget = {
      domain: this.#domain,
      host: host.name,
      port,
      found: route.type,
      domainAlias: host.domainAlias,
      hostAlias: addresses.alias,
      hostSecurity: host.security,
      addressSecurity: addresses.security,
      config: tls,
      implicit,
      allowInvalidCerts: tls.allowInvalidCerts || (route.type === "relay" && route.tls.allowInvalidCerts),
      requiretls: this.#requiretls,
    };
    // RFC 8460 §3: the next report says nothing of how this one was delivered.
    const isReport = this.job.message.source === "report";
    let trial: TlsTrial | undefined;
    let weak: TlsDecision | undefined;
    for (const policy of context.policies) {
      const asked = weak !== undefined && policy === localTlsPolicy ? weak : policy.decide(target);
      const wanted = asked instanceof Promise ? await asked : asked;
      if (wanted === undefined) continue;
      if (wanted.kind === "tls" && wanted.yields === true && wanted !== weak) {
        weak = wanted;
        continue;
      }
      if (wanted.kind === "trial") {
        trial = wanted;
        continue;
      }
      const isRefused = wanted.kind === "refuse";
      if (isRefused && !isReport && context.results !== undefined) countRefusal(context.results, wanted, target, ip);
      const decision = isRefused ? this.#afterTlsFailure(undefined, target) ?? wanted : wanted;
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
        pool: connection.pool,
        tlsTimeout: tls.timeout.tls,
        tls: decision,
        target,
        trial,
        ...(isRefused || isReport ? { uncounted: true } : {}),
        implicit,
        auth: route.type === "relay" ? route.auth : undefined,
        connect,
        signal: this.signal,
      };
    }
    return failure("deferred", "tls", "4.7.0", `no TLS policy decides about ${host.name}`, { host: host.name });
  }

  /**
   * Sends to those of the recipients that are open, in as many transactions as the peer's limits ask for.
   *
   * @returns false if a kept session turned out to be dead before it took anything
   */
  async #use(
    session: Session,
    options: OpenOptions,
    positions: readonly number[],
    fresh = false,
  ): Promise<boolean> {
    this.#session = session;
    const rcptMax = session.peer.limits.rcptMax ?? Infinity;
    const now = this.context.clock.now();
    const open = this.answers.open(positions);
    try {
      while (open.length > 0 && !session.closed) {
        const indexes = open.splice(0, rcptMax);
        const recipients = indexes.map((index) => this.job.recipients[index] as QueuedRecipient);
        const result = await transact(session, this.job.message, recipients, { timeouts: options.timeout, now });
        if (session.boasts) this.context.caution.note(session.endpoint);
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
        const dialogue = session.dialogue.lines("connection closed");
        this.answers.note(open, failure("deferred", "connection", "4.4.2", text, { host: session.host, dialogue }));
      }
    } finally {
      this.#session = undefined;
      const { pool, waiting, config } = this.context;
      if (config === this.config) pool.keep(session, options.pool);
      else pool.quit(session);
      if (waiting.occupied) waiting.wake(session.endpoint);
    }
    return true;
  }

  #settle(index: number, verdict: Verdict): void {
    if (verdict.kind !== "delivered") {
      this.#report(verdict);
      if (verdict.elsewhere) return this.answers.note([index], verdict);
    }
    this.answers.settle(index, verdict);
  }

  #report({ detail }: Failure): void {
    const fields = { host: detail.host, status: detail.status, details: detail.text };
    if (detail.text.endsWith("(in reply to RCPT TO)")) this.context.emit("delivery.rcpt-to-rejected", fields);
    else if (detail.text.endsWith("(in reply to MAIL FROM)")) this.context.emit("delivery.mail-from-rejected", fields);
    else this.context.emit("delivery.message-rejected", fields);
  }

  #noteForAll(failed: Failure): void {
    this.answers.note(this.answers.open(), failed);
  }

  #afterTlsFailure(failed: TlsAllowed | undefined, target: TlsTarget): TlsAllowed | undefined {
    return afterTlsFailure(failed, target, () => saysTlsIsOptional(this.job.message.content));
  }

  /** Domain of the recipients, as DNS and certificates know it (RFC 5890 §2.3.2.1). */
  get #domain(): string {
    const domain = this.job.recipients[0]?.domain ?? "";
    return domainToAscii(domain) ?? domain;
  }

  get #requiretls(): boolean {
    return this.job.message.envelope.parameters.requiretls === true;
  }
}

// Milliseconds to wait for counters that cannot be reached.
const UNTOLD = 10_000;

/**
 * What came of an address: a transaction, none, nothing as it is known to be down, a limit that ends the attempt, or
 * another address that answered before it.
 */
type Way = "used" | "failed" | "down" | "limited" | { readonly overtakenBy: string };

/** What was chosen for an address, and how to connect to it if not like to others. */
type Chosen = HostChoice & { readonly connect?: Connect };

// Addresses of a relay that are tried: it has no `limits` to say.
const RELAY_ADDRESSES = 4;

function poolKey(route: string, { host, ip, port, localIp, ehloName, tls }: OpenOptions): string {
  return `${route} ${host} ${ip} ${port} ${localIp ?? ""} ${ehloName} ${tls.key}`;
}
