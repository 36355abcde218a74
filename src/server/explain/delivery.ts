/** How a recipient would be delivered: quotas, schedule, queue, route, hosts, and what holds for each host. */

import type { Config, OutboundLimiterConfig, QuotaConfig, RouteConfig, ScheduleConfig } from "../../config/mod.ts";
import {
  formatDuration,
  formatRate,
  type FunctionHost,
  LookupUnavailable,
  type Scope,
  type Setting,
  type Value,
} from "../../expression/mod.ts";
import { type FetchPolicy, hostAddresses, type HostLookup, mailHosts, ownNames } from "../../outbound/mod.ts";
import { domainOf, type NewMessage, queueScope, recordOf } from "../../queue/mod.ts";
import { canonicalIp } from "../../net/mod.ts";
import type { Resolver } from "../../dns/mod.ts";
import type { Store } from "../../store/mod.ts";
import { decisionOf, explainSetting } from "./decisions.ts";
import type { Decision, HostPlan, LimitDecision, RecipientPlan } from "./explanation.ts";
import type { ExplainRequest } from "./request.ts";
import { explainTls, type FoundName } from "./tls.ts";

/** What plans are made with. */
export interface PlanContext {
  readonly config: Config;
  readonly functions: FunctionHost;
  /** Absent: DNS is not asked. */
  readonly resolver: Resolver | undefined;
  /** The store that holds policies of MTA-STS. */
  readonly store: Store | undefined;
  readonly fetchPolicy?: FetchPolicy | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Hosts that are looked at in full. */
const MOST_HOSTS = 3;

/** The plan for one recipient of a message. */
export async function planRecipient(
  message: NewMessage,
  address: string,
  request: ExplainRequest,
  context: PlanContext,
): Promise<RecipientPlan> {
  const { config, now } = context;
  const record = recordOf(message, now - request.queueAge * 1000, undefined);
  const facts = {
    address,
    domain: domainOf(address),
    queue: "",
    attempts: request.retryNum,
    notified: request.notifyNum,
    lastError: request.lastError,
    lastStatus: request.lastStatus,
  };
  const sized = { ...record, size: request.size ?? record.size };
  const scopeOf = (queue: string) => queueScope(sized, { ...facts, queue }, now, context.functions, () => {});

  const chosen = await choose(context, config.queue.strategy.schedule, scopeOf(""), config.queue.schedule, "remote");
  const schedule = chosen.definition;
  const queue = schedule?.queueName ?? "remote";
  const scope = scopeOf(queue);
  const quotas = await Promise.all(
    config.queue.quotas.map((quota) => limitOf(context, quota, quotaLimits(quota), scope)),
  );
  const routing = await choose(context, config.queue.strategy.route, scope, config.queue.route, "mx");
  const route = routing.definition;
  const notes = [...chosen.notes, ...routing.notes];
  const threads = config.queue.virtual.get(queue)?.threadsPerNode;
  const decisions: Decision[] = [
    { ...chosen.decision, errors: chosen.decision.errors ?? [] },
    program("virtual queue", `${queue}${threads === undefined ? "" : `, ${threads} deliveries at the same time`}`),
    ...(schedule === undefined ? [] : [program(`queue.schedule.${schedule.id}`, scheduleText(schedule))]),
    routing.decision,
    ...(route === undefined ? [] : [program(`queue.route.${route.id}`, routeText(route))]),
  ];
  const hosts: HostPlan[] = [];
  if (route !== undefined && route.type !== "local") {
    const found = await hostsOf(route, facts.domain, request, context);
    notes.push(...found.notes);
    for (const host of found.hosts.slice(0, MOST_HOSTS)) hosts.push(await planHost(host, scope, context));
  }
  return { address, decisions, quotas, notes, hosts };
}

function program(key: string, value: string): Decision {
  return { key, value, by: "program" };
}

/** Evaluates a strategy and finds the definition that it names. */
async function choose<T>(
  { config }: PlanContext,
  strategy: Setting<string>,
  scope: Scope,
  definitions: ReadonlyMap<string, T>,
  fallback: string,
): Promise<{ readonly decision: Decision; readonly definition: T | undefined; readonly notes: readonly string[] }> {
  const account = explainSetting(strategy, scope);
  const decision = await decisionOf(config, strategy.key, account);
  let id: string | undefined;
  try {
    id = (await account).value;
  } catch (error) {
    if (!(error instanceof LookupUnavailable)) throw error;
    return { decision, definition: undefined, notes: [`${strategy.key} cannot be told for now: ${error.message}`] };
  }
  const definition = definitions.get(id);
  if (definition !== undefined) return { decision, definition, notes: [] };
  return {
    decision,
    definition: definitions.get(fallback),
    notes: [`${strategy.key} names ${id}, which is not defined; ${fallback} takes its place`],
  };
}

/** A limiter or quota with the values that it counts by. */
export async function limitOf(
  { config }: Pick<PlanContext, "config">,
  limit: { readonly id: string; readonly key: readonly string[]; readonly match: Setting<boolean> },
  limits: readonly string[],
  scope: Scope,
): Promise<LimitDecision> {
  const account = explainSetting(limit.match, scope);
  const match = await decisionOf(config, limit.match.key, account);
  const place = config.place(`${limit.id}.match`) ?? config.place(`${limit.id}.key`) ??
    config.place(`${limit.id}.rate`) ??
    config.place(`${limit.id}.messages`);
  return {
    key: limit.id,
    ...(place === undefined ? {} : { line: place.line }),
    matches: await account.then(({ value }) => value, () => false),
    limits,
    counts: Object.fromEntries(limit.key.map((name) => [name, textOf(scope.variables[name])])),
    match,
  };
}

function textOf(value: Value | undefined): string {
  return value === undefined ? "" : String(value);
}

/** `100/1h`, `5 at the same time`. */
export function rateLimits(
  { rate, concurrency }: Pick<OutboundLimiterConfig, "rate" | "concurrency">,
): readonly string[] {
  return [
    ...(rate === undefined ? [] : [formatRate(rate)]),
    ...(concurrency === undefined ? [] : [`${concurrency} at the same time`]),
  ];
}

function quotaLimits({ messages, size }: QuotaConfig): readonly string[] {
  return [
    ...(messages === undefined ? [] : [`${messages} messages`]),
    ...(size === undefined ? [] : [`${size} octets`]),
  ];
}

function scheduleText({ retry, notify, expire, maxAttempts }: ScheduleConfig): string {
  const list = (times: readonly number[]) => times.map(formatDuration).join(", ");
  return [
    `attempts after ${list(retry)}`,
    notify.length === 0 ? "no notice of delay" : `notice after ${list(notify)}`,
    ...(expire === undefined ? [] : [`given up after ${formatDuration(expire)}`]),
    ...(maxAttempts === undefined ? [] : [`given up after ${maxAttempts} attempts`]),
  ].join("; ");
}

function routeText(route: RouteConfig): string {
  switch (route.type) {
    case "local":
      return `local, Maildir ${route.path}${
        route.sieve === undefined ? "" : `, by the script ${route.sieve} if it is there`
      }`;
    case "mx":
      return `mx, at most ${route.limits.mx} hosts with ${route.limits.multihomed} addresses each, ${route.ipLookup}`;
    case "relay": {
      const tls = route.tls.implicit ? ", TLS from the first byte" : "";
      const login = route.auth === undefined ? "" : `, login as ${route.auth.username}`;
      return `relay to ${route.address}:${route.port} by ${route.protocol}${tls}${login}`;
    }
  }
}

interface FoundHost {
  readonly name: string;
  readonly ips: readonly string[];
  readonly notes: readonly string[];
  /** Set where its addresses were looked up. */
  readonly found?: FoundName;
}

/** The hosts in the order to try them, with their addresses unless DNS is not asked. */
async function hostsOf(
  route: Extract<RouteConfig, { type: "mx" | "relay" }>,
  domain: string,
  request: ExplainRequest,
  { config, resolver }: PlanContext,
): Promise<{ readonly hosts: readonly FoundHost[]; readonly notes: readonly string[] }> {
  const names = ownNames(config.queue, config.server.hostname);
  const lookup: HostLookup | undefined = resolver && {
    resolver,
    random: () => 0,
    emit: () => {},
    isOwnName: (name) => names.has(name),
  };
  const notes: string[] = [];
  let hosts: readonly Parameters<typeof hostAddresses>[0][];
  const named = request.mx ?? (route.type === "relay" ? route.address : undefined);
  if (named !== undefined) {
    const ip = canonicalIp(named);
    hosts = [ip === undefined ? { name: named, security: "insecure" } : { name: ip, ip, security: "insecure" }];
  } else if (route.type === "relay") {
    return { hosts: [], notes };
  } else if (lookup === undefined) {
    return { hosts: [], notes: [`the mail hosts of ${domain} are not looked up (offline)`] };
  } else {
    const found = await mailHosts(domain, route.limits.mx, lookup);
    if ("kind" in found) return { hosts: [], notes: [found.detail.text] };
    hosts = found;
    notes.push(`mail hosts of ${domain}: ${found.map(({ name }) => name).join(", ")}`);
  }
  const limit = route.type === "mx" ? route.limits.multihomed : 4;
  const found = await Promise.all(
    hosts.slice(0, MOST_HOSTS).map(async (host): Promise<FoundHost> => {
      if (host.ip !== undefined) return { name: host.name, ips: [host.ip], notes: [] };
      if (lookup === undefined) {
        return { name: host.name, ips: [], notes: ["its addresses are not looked up (offline)"] };
      }
      const addresses = await hostAddresses(host, route.ipLookup, limit, lookup, "deferred");
      if ("kind" in addresses) return { name: host.name, ips: [], notes: [addresses.detail.text] };
      const plan = { name: host.name, ips: addresses.ips, notes: [] };
      // Of a host that the request names, DNS says nothing about the way to it.
      return request.mx === undefined ? { ...plan, found: { host, addresses, route, domain } } : plan;
    }),
  );
  return { hosts: found, notes };
}

/** Connection, TLS and limiters for a host; with several addresses for the first of them. */
async function planHost({ name, ips, notes, found }: FoundHost, scope: Scope, context: PlanContext): Promise<HostPlan> {
  const { config: { queue } } = context;
  const ip = ips[0] ?? "";
  const variables: Record<string, Value | undefined> = { ...scope.variables, mx: name, remote_ip: ip, local_ip: "" };
  const here: Scope = { ...scope, variables };
  const connection = await choose(context, queue.strategy.connection, here, queue.connection, "default");
  const sources = (connection.definition?.sourceIps ?? []).filter((source) =>
    source.includes(":") === ip.includes(":")
  );
  variables.local_ip = sources[0] ?? "";
  const tls = await choose(context, queue.strategy.tls, here, queue.tls, "default");
  const ehlo = queue.sourceIp.get(sources[0] ?? "")?.ehloHostname ?? connection.definition?.ehloHostname;
  const decisions: Decision[] = [
    connection.decision,
    ...(connection.definition === undefined ? [] : [
      program(
        `queue.connection.${connection.definition.id}`,
        `EHLO ${ehlo}, from ${sources.length === 0 ? "any address" : sources.join(" or ")}`,
      ),
    ]),
    tls.decision,
    ...(tls.definition === undefined ? [] : [
      program(
        `queue.tls.${tls.definition.id}`,
        `starttls ${tls.definition.starttls}, dane ${tls.definition.dane}, mta-sts ${tls.definition.mtaSts}, ` +
          `allow-invalid-certs ${tls.definition.allowInvalidCerts}`,
      ),
    ]),
  ];
  if (found !== undefined && tls.definition !== undefined && context.resolver !== undefined) {
    const wishes = await explainTls(found, tls.definition, { ...context, resolver: context.resolver });
    if (wishes.dane !== undefined) decisions.push(program("dane", wishes.dane));
    if (wishes.mtaSts !== undefined) decisions.push(program("mta-sts", wishes.mtaSts));
  }
  const limits = await Promise.all(
    queue.outboundLimiters.map((limiter) => limitOf(context, limiter, rateLimits(limiter), here)),
  );
  return { host: name, addresses: ips, decisions, limits, notes: [...notes, ...connection.notes, ...tls.notes] };
}
