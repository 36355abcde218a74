/** Builds `queue.*`: strategies and what they choose among, with the built-in definitions. */

import { suggestion } from "../../expression/mod.ts";
import type { ConnectionConfig, QueueConfig, RouteConfig, ScheduleConfig, TlsPolicyConfig } from "../config.ts";
import { toSource } from "../defaults.ts";
import { parseIp } from "../syntax.ts";
import { isBroken } from "../toml/node.ts";
import { absolutePath, type BuildContext } from "./context.ts";

const DAY = 86_400_000;

/** Bytes. */
const LONGEST_QUEUE_NAME = 64;

/** Virtual queues that exist unless the file defines them, with their threads. */
const VIRTUAL: ReadonlyMap<string, number> = new Map([["local", 25], ["remote", 100], ["dsn", 5], ["report", 5]]);

interface BuiltInSchedule {
  readonly expire: number;
  readonly notify: readonly number[];
}

/** Schedules that exist unless the file defines them. */
const SCHEDULES: ReadonlyMap<string, BuiltInSchedule> = new Map([
  ["local", { expire: 3 * DAY, notify: [1 * DAY] }],
  ["remote", { expire: 5 * DAY, notify: [1 * DAY, 3 * DAY] }],
  ["dsn", { expire: 5 * DAY, notify: [] }],
  ["report", { expire: 2 * DAY, notify: [] }],
]);

const ROUTES: ReadonlyMap<string, "local" | "mx"> = new Map([["local", "local"], ["mx", "mx"]]);
const CONNECTIONS: readonly string[] = ["default"];
/** Whether the built-in policy delivers although the certificate does not verify. */
const TLS: ReadonlyMap<string, boolean> = new Map([["default", false], ["invalid-tls", true]]);

/** Ids of the built-in definitions, by what expressions call them. */
export const BUILT_IN_IDS: Readonly<Record<"route" | "schedule" | "connection" | "tls policy", readonly string[]>> = {
  route: [...ROUTES.keys()],
  schedule: [...SCHEDULES.keys()],
  connection: CONNECTIONS,
  "tls policy": [...TLS.keys()],
};

/** Builds the definitions that strategies choose among. Strategies come later: they name the ids of these. */
export function buildQueueDefinitions(
  context: BuildContext,
): Omit<QueueConfig, "strategy" | "outboundLimiters" | "quotas"> {
  const virtual = buildVirtual(context);
  const schedule = byId(names(context, "queue.schedule", SCHEDULES.keys()), (id) => buildSchedule(context, id));
  checkQueueNames(context, [...virtual.keys()]);
  return {
    virtual,
    schedule,
    route: byId(names(context, "queue.route", ROUTES.keys()), (id) => buildRoute(context, id)),
    connection: byId(names(context, "queue.connection", CONNECTIONS), (id) => buildConnection(context, id)),
    tls: byId(names(context, "queue.tls", TLS.keys()), (id) => buildTls(context, id)),
    sourceIp: buildSourceIp(context),
  };
}

/** What decides on schedules, as text; directories and lists that expressions ask are not part of it. */
export function schedulingOf({ reader }: BuildContext, schedules: QueueConfig["schedule"]): string {
  const node = reader.node("queue.strategy.schedule");
  return JSON.stringify([node === undefined || isBroken(node) ? null : toSource(node), [...schedules.values()]]);
}

export function buildStrategies({ reader }: BuildContext): QueueConfig["strategy"] {
  return {
    route: reader.get("queue.strategy.route"),
    schedule: reader.get("queue.strategy.schedule"),
    connection: reader.get("queue.strategy.connection"),
    tls: reader.get("queue.strategy.tls"),
  };
}

/** Ids in the file and built-in ones, the latter last. */
function names({ reader }: BuildContext, section: string, builtIn: Iterable<string>): readonly string[] {
  return [...new Set([...reader.names(section), ...builtIn])];
}

function isDefined({ reader }: BuildContext, section: string, id: string): boolean {
  return reader.names(section).includes(id);
}

function byId<T>(ids: readonly string[], build: (id: string) => T): ReadonlyMap<string, T> {
  return new Map(ids.map((id) => [id, build(id)]));
}

function buildVirtual(context: BuildContext): QueueConfig["virtual"] {
  const { reader } = context;
  return byId(names(context, "queue.virtual", VIRTUAL.keys()), (id) => {
    if (new TextEncoder().encode(id).length > LONGEST_QUEUE_NAME) {
      reader.error("queue.virtual.<id>", [id], `the name of a queue has at most ${LONGEST_QUEUE_NAME} bytes`);
    }
    const builtIn = isDefined(context, "queue.virtual", id) ? undefined : VIRTUAL.get(id);
    return { id, threadsPerNode: builtIn ?? reader.get("queue.virtual.<id>.threads-per-node", id) };
  });
}

function buildSchedule(context: BuildContext, id: string): ScheduleConfig {
  const { reader } = context;
  const retry = reader.get("queue.schedule.<id>.retry", id);
  const builtIn = isDefined(context, "queue.schedule", id) ? undefined : SCHEDULES.get(id);
  if (builtIn !== undefined) return { id, queueName: id, retry, ...builtIn, maxAttempts: undefined };
  if (reader.isSet("queue.schedule.<id>.expire", id) && reader.isSet("queue.schedule.<id>.max-attempts", id)) {
    reader.error(
      "queue.schedule.<id>.max-attempts",
      [id],
      "cannot be set together with expire; keep the one that is to decide when to give up",
    );
  }
  if (retry.length === 0 && reader.found("queue.schedule.<id>.retry", id) === "an empty list") {
    reader.error("queue.schedule.<id>.retry", [id], "expected at least one duration, found an empty list");
  }
  return {
    id,
    queueName: reader.get("queue.schedule.<id>.queue-name", id),
    retry,
    notify: reader.get("queue.schedule.<id>.notify", id),
    expire: reader.get("queue.schedule.<id>.expire", id),
    maxAttempts: reader.get("queue.schedule.<id>.max-attempts", id),
  };
}

function checkQueueNames({ reader }: BuildContext, queues: readonly string[]): void {
  for (const id of reader.names("queue.schedule")) {
    if (!reader.isSet("queue.schedule.<id>.queue-name", id)) continue;
    const name = reader.get("queue.schedule.<id>.queue-name", id);
    if (name === "" || queues.includes(name)) continue;
    const found = reader.found("queue.schedule.<id>.queue-name", id);
    const hint = suggestion(name, queues) || `; define it as queue.virtual.<id>`;
    reader.error("queue.schedule.<id>.queue-name", [id], `there is no virtual queue ${found}${hint}`);
  }
}

/** What a delivery fills in where a path names it in braces. */
const PLACES: readonly string[] = ["domain", "local", "account"];

type PathKey = "queue.route.<id>.path" | "queue.route.<id>.sieve";

/** A path of which each recipient has its own, absolute. */
function pathOfRecipients(context: BuildContext, key: PathKey, path: string, id: string): string {
  for (const [written, place = ""] of path.matchAll(/\{([^{}]*)\}/g)) {
    if (PLACES.includes(place)) continue;
    const known = PLACES.map((name) => `{${name}}`).join(", ");
    context.reader.error(key, [id], `${written} is nothing that is filled in; known are ${known}`);
  }
  return absolutePath(context, path);
}

function script(context: BuildContext, id: string): { readonly sieve?: string } {
  const path = context.reader.get("queue.route.<id>.sieve", id);
  return path === undefined ? {} : { sieve: pathOfRecipients(context, "queue.route.<id>.sieve", path, id) };
}

function buildRoute(context: BuildContext, id: string): RouteConfig {
  const { reader } = context;
  const builtIn = isDefined(context, "queue.route", id) ? undefined : ROUTES.get(id);
  const type = builtIn ?? reader.get("queue.route.<id>.type", id);
  switch (type) {
    case "local":
      return {
        id,
        type,
        path: pathOfRecipients(context, "queue.route.<id>.path", reader.get("queue.route.<id>.path", id), id),
        ...script(context, id),
      };
    case "mx":
      return {
        id,
        type,
        limits: {
          mx: reader.get("queue.route.<id>.limits.mx", id),
          multihomed: reader.get("queue.route.<id>.limits.multihomed", id),
        },
        ipLookup: reader.get("queue.route.<id>.ip-lookup", id),
      };
    case "relay":
      return {
        id,
        type,
        address: reader.get("queue.route.<id>.address", id),
        port: reader.get("queue.route.<id>.port", id),
        protocol: reader.get("queue.route.<id>.protocol", id),
        tls: {
          implicit: reader.get("queue.route.<id>.tls.implicit", id),
          allowInvalidCerts: reader.get("queue.route.<id>.tls.allow-invalid-certs", id),
        },
        auth: buildRelayLogin(context, id),
        ipLookup: reader.get("queue.route.<id>.ip-lookup", id),
      };
  }
}

function buildRelayLogin({ reader }: BuildContext, id: string): { username: string; secret: string } | undefined {
  const username = reader.get("queue.route.<id>.auth.username", id);
  const secret = reader.get("queue.route.<id>.auth.secret", id);
  if (username !== undefined && secret !== undefined) return { username, secret };
  if (username === undefined && secret === undefined) return undefined;
  const missing = username === undefined ? "username" : "secret";
  const given = username === undefined ? "secret" : "username";
  reader.error(`queue.route.<id>.auth.${missing}`, [id], `required together with auth.${given}`);
  return undefined;
}

function buildConnection({ reader }: BuildContext, id: string): ConnectionConfig {
  return {
    id,
    ehloHostname: reader.get("queue.connection.<id>.ehlo-hostname", id),
    sourceIps: reader.get("queue.connection.<id>.source-ips", id),
    pool: {
      maxIdle: reader.get("queue.connection.<id>.pool.max-idle", id),
      maxMessages: reader.get("queue.connection.<id>.pool.max-messages", id),
      maxConnections: reader.get("queue.connection.<id>.pool.max-connections", id),
    },
    timeout: {
      connect: reader.get("queue.connection.<id>.timeout.connect", id),
      greeting: reader.get("queue.connection.<id>.timeout.greeting", id),
      ehlo: reader.get("queue.connection.<id>.timeout.ehlo", id),
      mailFrom: reader.get("queue.connection.<id>.timeout.mail-from", id),
      rcptTo: reader.get("queue.connection.<id>.timeout.rcpt-to", id),
      data: reader.get("queue.connection.<id>.timeout.data", id),
    },
  };
}

function buildTls(context: BuildContext, id: string): TlsPolicyConfig {
  const { reader } = context;
  const builtIn = isDefined(context, "queue.tls", id) ? undefined : TLS.get(id);
  return {
    id,
    dane: reader.get("queue.tls.<id>.dane", id),
    mtaSts: reader.get("queue.tls.<id>.mta-sts", id),
    starttls: reader.get("queue.tls.<id>.starttls", id),
    allowInvalidCerts: builtIn ?? reader.get("queue.tls.<id>.allow-invalid-certs", id),
    timeout: {
      tls: reader.get("queue.tls.<id>.timeout.tls", id),
      mtaSts: reader.get("queue.tls.<id>.timeout.mta-sts", id),
    },
  };
}

function buildSourceIp({ reader }: BuildContext): QueueConfig["sourceIp"] {
  const names = new Map<string, { readonly ehloHostname: string | undefined }>();
  for (const written of reader.names("queue.source-ip")) {
    const ip = parseIp(written);
    if (ip === undefined) {
      const hint = 'quote it in the header, as in [queue.source-ip."192.0.2.1"]';
      reader.error(
        "queue.source-ip.<ip>",
        [written],
        `expected an IPv4 or IPv6 address as the name, found '${written}'; ${hint}`,
      );
    } else {
      names.set(ip, { ehloHostname: reader.get("queue.source-ip.<ip>.ehlo-hostname", written) });
    }
  }
  return names;
}

/** A notice that would come after the end is never sent. */
export function checkNotices({ reader }: BuildContext, schedules: ReadonlyMap<string, ScheduleConfig>): void {
  for (const { id, notify, expire } of schedules.values()) {
    const late = notify.find((age) => expire !== undefined && age >= expire);
    if (late === undefined || !reader.isSet("queue.schedule.<id>.notify", id)) continue;
    reader.warning(
      "queue.schedule.<id>.notify",
      [id],
      "a notice is planned for an age at which the message has been given up, so it is never sent",
    );
  }
}
