/** Stores on temporary files, and queues on them, for tests. */

import { type Clock, systemClock } from "../../src/clock/mod.ts";
import type { QueueConfig, RouteConfig, ScheduleConfig } from "../../src/config/config.ts";
import type { FunctionHost, Scope, Setting } from "../../src/expression/types.ts";
import {
  type BuildNotice,
  contentOf,
  type DeliveryJob,
  type NewMessage,
  openQueue,
  type Outcome,
  type Queue,
  type QueueOptions,
} from "../../src/queue/mod.ts";
import { openStore, type Store, type StoreOptions, type StoreTarget } from "../../src/store/mod.ts";
import type { EventFields, EventName } from "../../src/telemetry/event.ts";

/** A folder that is removed when the test is over. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "godwit-store-" });
  return {
    path,
    async [Symbol.asyncDispose]() {
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** Store configuration for `url`. */
export function storeConfig(url: string, timeout = 5000): StoreTarget {
  return { id: "data", url, authToken: undefined, timeout, allowInvalidCerts: false };
}

/** Opens the database `name` in `folder`. */
export function openTemporaryStore(
  folder: string,
  options: Partial<StoreOptions> & { timeout?: number; name?: string } = {},
): Promise<Store> {
  const { timeout, name, ...rest } = options;
  return openStore(storeConfig(`file:${folder}/${name ?? "queue.db"}`, timeout), {
    emit: () => {},
    clock: systemClock,
    ...rest,
  });
}

/** A setting that is always `value`. */
export function constant<T>(value: T, key = "test"): Setting<T> {
  return { key, isConstant: true, evaluate: () => value };
}

/** A setting computed from the variables of the scope. */
export function computed<T>(compute: (variables: Scope["variables"]) => T | Promise<T>, key = "test"): Setting<T> {
  return { key, isConstant: false, evaluate: (scope) => compute(scope.variables) };
}

/** Functions that reach nothing. */
export const noFunctions: FunctionHost = {
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

/** A schedule with everything filled in. */
export function schedule(id: string, rest: Partial<ScheduleConfig> = {}): ScheduleConfig {
  return {
    id,
    queueName: id,
    retry: [60_000, 300_000, 600_000],
    notify: [],
    expire: 5 * 86_400_000,
    maxAttempts: undefined,
    ...rest,
  };
}

/** What differs from one queue, `remote` with 10 threads and route `mx`. */
export interface QueueConfigParts {
  readonly route?: Setting<string>;
  readonly schedule?: Setting<string>;
  readonly schedules?: readonly ScheduleConfig[];
  readonly threads?: Readonly<Record<string, number>>;
  readonly quotas?: QueueConfig["quotas"];
}

/** A queue configuration. */
export function queueConfig(parts: QueueConfigParts = {}): QueueConfig {
  const mx = (id: string): RouteConfig => ({
    id,
    type: "mx",
    limits: { mx: 5, multihomed: 2 },
    ipLookup: "ipv4_then_ipv6",
  });
  const local: RouteConfig = { id: "local", type: "local", path: "mail" };
  const schedules = parts.schedules ?? [schedule("remote"), schedule("dsn")];
  const threads = parts.threads ?? { remote: 10, dsn: 5 };
  return {
    strategy: {
      route: parts.route ?? constant("mx"),
      schedule: parts.schedule ?? constant("remote"),
      connection: constant("default"),
      tls: constant("default"),
    },
    virtual: new Map(Object.entries(threads).map(([id, threadsPerNode]) => [id, { id, threadsPerNode }])),
    schedule: new Map(schedules.map((one) => [one.id, one])),
    route: new Map([["mx", mx("mx")], ["local", local]]),
    connection: new Map(),
    tls: new Map(),
    sourceIp: new Map(),
    outboundLimiters: [],
    quotas: parts.quotas ?? [],
  };
}

/** Nobody is told of anything. */
export const noNotice: BuildNotice = () => undefined;

/** Opens a queue on `store` as node `node-a`. */
export function openTestQueue(
  store: Store,
  clock: Clock,
  options: Partial<Omit<QueueOptions, "store" | "clock">> = {},
): Promise<Queue> {
  return openQueue({
    store,
    clock,
    config: queueConfig(),
    nodeId: "node-a",
    lease: 120_000,
    random: () => 0.5,
    emit: () => {},
    functions: noFunctions,
    buildNotice: noNotice,
    ...options,
  });
}

/** A message of `bytes` to `recipients`. */
export function newMessage(
  queue: Queue,
  recipients: readonly string[] = ["bob@example.net"],
  rest: Partial<NewMessage> = {},
): NewMessage {
  return {
    id: queue.nextId(),
    envelope: { sender: "alice@example.org", parameters: {} },
    recipients: recipients.map((address) => ({ address, parameters: {} })),
    content: contentOf(new TextEncoder().encode("Subject: hello\r\n\r\nhello\r\n")),
    source: "unauthenticated",
    priority: 0,
    receivedFromIp: "192.0.2.1",
    receivedViaPort: 25,
    authenticatedAs: "",
    heloDomain: "client.example",
    ...rest,
  };
}

/** How many recipients are claimed whose address, or that of their sender, ends like this. */
export async function claimed(store: Store, ending = ""): Promise<number> {
  const { rows } = await store.read(
    "SELECT count(*) FROM recipients AS r JOIN messages AS m ON m.id = r.message WHERE r.state = 1 AND " +
      "(r.address LIKE ?1 OR m.sender LIKE ?1)",
    [`%${ending}`],
  );
  return Number(rows[0]?.[0]);
}

/** Every recipient of `job` delivered. */
export function delivered(job: DeliveryJob): Outcome[] {
  return job.recipients.map(({ id }) => ({
    kind: "delivered",
    recipient: id,
    host: "mx.example.net",
    status: 250,
    enhanced: "2.0.0",
    text: "ok",
  }));
}

/** Every recipient of `job` deferred. */
export function deferred(job: DeliveryJob, text = "greylisted"): Outcome[] {
  return job.recipients.map(({ id }) => ({
    kind: "deferred",
    recipient: id,
    detail: { lastError: "unexpected-reply", status: 451, enhanced: "4.7.1", text, host: "mx.example.net" },
  }));
}

/** Every recipient of `job` refused for good. */
export function failed(job: DeliveryJob, text = "no such user"): Outcome[] {
  return job.recipients.map(({ id }) => ({
    kind: "failed",
    recipient: id,
    detail: { lastError: "unexpected-reply", status: 550, enhanced: "5.1.1", text, host: "mx.example.net" },
  }));
}

/** Collects events, and lets a test wait for the next one of a name. */
export function eventLog() {
  const events: { name: EventName; fields: EventFields }[] = [];
  const waiting: { name: EventName; resolve: (fields: EventFields) => void }[] = [];
  return {
    events,
    emit(name: EventName, fields: EventFields = {}) {
      events.push({ name, fields });
      const index = waiting.findIndex((one) => one.name === name);
      if (index >= 0) waiting.splice(index, 1)[0]?.resolve(fields);
    },
    /** Resolves at the next event of that name. */
    next(name: EventName): Promise<EventFields> {
      return new Promise((resolve) => waiting.push({ name, resolve }));
    },
    count: (name: EventName) => events.filter((one) => one.name === name).length,
  };
}

/** Turns of the event loop until `condition` holds; fails after many, so that a broken test ends. */
export async function until(condition: () => boolean | Promise<boolean>, what = "condition"): Promise<void> {
  const limit = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > limit) throw new Error(`${what} did not come about`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
