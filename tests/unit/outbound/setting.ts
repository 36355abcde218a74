/** What the tests of delivery share: a configuration, jobs, and a delivery whose every wait can be seen. */

import type {
  ConnectionConfig,
  PoolConfig,
  QueueConfig,
  RouteConfig,
  TlsPolicyConfig,
} from "../../../src/config/config.ts";
import type { FunctionHost, Scope, Setting } from "../../../src/expression/types.ts";
import type { Content } from "../../../src/message/content.ts";
import { type ClientConnection, connect } from "../../../src/net/mod.ts";
import { type Connect, createDelivery, type Delivery, type DeliveryOptions } from "../../../src/outbound/mod.ts";
import type { DeliveryJob, Outcome, QueuedMessage, QueuedRecipient } from "../../../src/queue/types.ts";
import type { RcptParameters } from "../../../src/smtp/mod.ts";
import type { EventFields, EventName } from "../../../src/telemetry/event.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import type { FakePeer } from "../../support/fake_peer.ts";
import { until } from "../../support/store.ts";
import { createZone } from "../../support/zone.ts";

const MINUTE = 60_000;

/** A setting that is always the same. */
export function constant<T>(key: string, value: T): Setting<T> {
  return { key, isConstant: true, evaluate: () => value };
}

/** A setting computed by the test. */
export function computed<T>(key: string, compute: (scope: Scope) => T | Promise<T>): Setting<T> {
  return { key, isConstant: false, evaluate: compute };
}

export const connection: ConnectionConfig = {
  id: "default",
  ehloHostname: "mx.sender.example",
  sourceIps: [],
  pool: { maxIdle: 10_000, maxMessages: 200, maxConnections: 1000 },
  timeout: {
    connect: MINUTE,
    greeting: 3 * MINUTE,
    ehlo: 3 * MINUTE,
    mailFrom: 3 * MINUTE,
    rcptTo: 3 * MINUTE,
    data: 10 * MINUTE,
  },
};

export const tlsPolicy: TlsPolicyConfig = {
  id: "default",
  dane: "optional",
  mtaSts: "optional",
  starttls: "optional",
  allowInvalidCerts: false,
  timeout: { tls: 3 * MINUTE, mtaSts: 3 * MINUTE },
};

type Relay = Extract<RouteConfig, { type: "relay" }>;

/** A relay route to an address of this machine. */
export function relay(port: number, changes: Partial<Relay> = {}): Relay {
  return {
    id: "relay",
    type: "relay",
    address: "127.0.0.1",
    port,
    protocol: "smtp",
    tls: { implicit: false, allowInvalidCerts: false },
    auth: undefined,
    ipLookup: "ipv4_then_ipv6",
    ...changes,
  };
}

export const mxRoute: RouteConfig = {
  id: "mx",
  type: "mx",
  limits: { mx: 5, multihomed: 2 },
  ipLookup: "ipv4_then_ipv6",
};

/** A configuration with the routes given, and one connection and one TLS definition. */
export function queueConfig(
  routes: readonly RouteConfig[],
  changes: {
    readonly connections?: readonly ConnectionConfig[];
    readonly tls?: readonly TlsPolicyConfig[];
    readonly strategy?: Partial<QueueConfig["strategy"]>;
    readonly sourceIp?: QueueConfig["sourceIp"];
    readonly outboundLimiters?: QueueConfig["outboundLimiters"];
  } = {},
): QueueConfig {
  const byId = <T extends { readonly id: string }>(list: readonly T[]) => new Map(list.map((one) => [one.id, one]));
  return {
    strategy: {
      route: constant("queue.strategy.route", "mx"),
      schedule: constant("queue.strategy.schedule", "remote"),
      connection: constant("queue.strategy.connection", "default"),
      tls: constant("queue.strategy.tls", "default"),
      ...changes.strategy,
    },
    virtual: new Map(),
    schedule: new Map(),
    route: byId(routes),
    connection: byId(changes.connections ?? [connection]),
    tls: byId(changes.tls ?? [tlsPolicy]),
    sourceIp: changes.sourceIp ?? new Map(),
    outboundLimiters: changes.outboundLimiters ?? [],
    quotas: [],
  };
}

const noFunctions: FunctionHost = {
  isLocalDomain: () => false,
  isLocalAddress: () => false,
  keyGet: () => "",
  keyExists: () => false,
  keySet: () => false,
  counterGet: () => 0,
  counterIncr: () => 0,
  sqlQuery: () => false,
  dnsQuery: () => [],
};

export const MESSAGE = "From: a@sender.example\r\nSubject: greetings\r\n\r\nHello\r\n.dots\r\n";

/** Content from text; with `chunks` it is read piece by piece, only the first being the head. */
export function contentOf(...chunks: readonly string[]): Content {
  const parts = chunks.map((chunk) => new TextEncoder().encode(chunk));
  return {
    size: parts.reduce((sum, part) => sum + part.length, 0),
    head: parts[0] ?? new Uint8Array(0),
    complete: parts.length <= 1,
    chunks: async function* () {
      for (const part of parts) yield await Promise.resolve(part);
    },
  };
}

/** A message of a@sender.example, with more header fields and with REQUIRETLS where that is wanted. */
export function messageWith(
  { header = "", requiretls }: { readonly header?: string; readonly requiretls?: true },
): Pick<QueuedMessage, "envelope" | "content"> {
  const parameters = requiretls === undefined ? {} : { requiretls };
  return { envelope: { sender: "a@sender.example", parameters }, content: contentOf(`${header}${MESSAGE}`) };
}

/** A job for addresses, all in the domain of the first. */
export function jobFor(
  addresses: readonly string[],
  changes: {
    readonly route?: string;
    readonly message?: Partial<QueuedMessage>;
    readonly recipient?: Partial<QueuedRecipient>;
    readonly parameters?: RcptParameters;
  } = {},
): DeliveryJob {
  const content = changes.message?.content ?? contentOf(MESSAGE);
  return {
    queueName: "remote",
    route: changes.route ?? "relay",
    message: {
      id: 1,
      envelope: { sender: "a@sender.example", parameters: {} },
      source: "authenticated",
      priority: 0,
      created: Date.UTC(2026, 0, 5, 12, 0, 0),
      size: content.size,
      content,
      receivedFromIp: "192.0.2.200",
      receivedViaPort: 587,
      allRecipients: addresses,
      ...changes.message,
    },
    recipients: addresses.map((address, index): QueuedRecipient => ({
      id: index + 1,
      address,
      domain: address.slice(address.lastIndexOf("@") + 1),
      parameters: changes.parameters ?? {},
      attempts: 0,
      notified: 0,
      lastError: "none",
      lastStatus: 0,
      ...changes.recipient,
    })),
  };
}

/** A delivery under test. */
export interface Setup {
  readonly delivery: Delivery;
  readonly clock: FakeClock;
  readonly events: { readonly name: EventName; readonly fields: EventFields }[];
  /** Every write that delivery made, as text. */
  readonly writes: string[];
  /** Octets delivery has read in plain text, and how many reads are waiting for more. */
  readonly read: { count: number; waiting: number };
  deliver(job: DeliveryJob, signal?: AbortSignal): Promise<readonly Outcome[]>;
}

/** Makes a delivery on a fake clock; with `pool` all its connections are used like that. */
export function setUp(
  config: QueueConfig,
  options: Partial<DeliveryOptions> & { readonly ca?: readonly string[]; readonly pool?: Partial<PoolConfig> } = {},
): Setup {
  const used = ([id, one]: [string, ConnectionConfig]) =>
    [id, { ...one, pool: { ...one.pool, ...options.pool } }] as const;
  const clock = new FakeClock();
  const events: { name: EventName; fields: EventFields }[] = [];
  const writes: string[] = [];
  const read = { count: 0, waiting: 0 };
  const watched: Connect = async (how) => watch(await connect(how));
  const watch = (inner: ClientConnection): ClientConnection => ({
    remote: inner.remote,
    local: inner.local,
    get tls() {
      return inner.tls;
    },
    get tlsResult() {
      return inner.tlsResult;
    },
    async read(buffer) {
      read.waiting++;
      const count = await inner.read(buffer).finally(() => read.waiting--);
      if (count !== null && inner.tls === undefined) read.count += count;
      return count;
    },
    write(bytes) {
      writes.push(new TextDecoder("latin1").decode(bytes));
      return inner.write(bytes);
    },
    close: () => inner.close(),
    startTls: (how) => inner.startTls(options.ca === undefined ? how : { ...how, ca: options.ca }),
  });
  const delivery = createDelivery({
    config: { ...config, connection: new Map([...config.connection].map(used)) },
    hostname: "mx.sender.example",
    resolver: createZone({}),
    clock,
    random: () => 0,
    emit: (name, fields = {}) => events.push({ name, fields }),
    functions: noFunctions,
    deliveredTo: true,
    accountOf: () => undefined,
    connect: watched,
    ...options,
  });
  const forever = new AbortController().signal;
  return {
    delivery,
    clock,
    events,
    writes,
    read,
    deliver: (job, signal = forever) => delivery.deliver(job, signal),
  };
}

/**
 * Waits until the peer is silent, and delivery has taken in all that the peer has said and waits for more. The limit of
 * that wait is set by then: a clock that is moved before it would have to be moved again.
 */
export async function untilQuiet(peer: FakePeer, { read }: Setup): Promise<void> {
  await peer.silence;
  await until(() => read.count >= peer.written && read.waiting > 0, "delivery waiting for the peer");
}

/** The outcome in short: `"delivered"`, or kind, last error, status and enhanced code. */
export function inShort(outcome: Outcome | undefined): string {
  if (outcome === undefined || outcome.kind === "delivered") return outcome?.kind ?? "none";
  const { lastError, status, enhanced } = outcome.detail;
  return `${outcome.kind} ${lastError} ${status} ${enhanced}`;
}

/** The text of an outcome. */
export function textOf(outcome: Outcome | undefined): string {
  return outcome === undefined ? "" : outcome.kind === "delivered" ? outcome.text : outcome.detail.text;
}
