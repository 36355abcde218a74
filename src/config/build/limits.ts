/** Builds inbound limiters, automatic bans and lists that are fetched. */

import { type CompileEnvironment, compileSetting, type Context, type SettingSource } from "../../expression/mod.ts";
import type { Rate } from "../config.ts";
import { toSource } from "../defaults.ts";
import type {
  AutoBanConfig,
  HttpLookupConfig,
  InboundLimiterConfig,
  LimiterStage,
  OutboundLimiterConfig,
  QuotaConfig,
} from "../limits.ts";
import { isBroken } from "../toml/node.ts";
import type { BuildContext } from "./context.ts";

const STAGES: readonly LimiterStage[] = ["connection", "message", "recipient"];

/** The context whose variables are all known at a stage. */
const CONTEXTS: Readonly<Record<LimiterStage, Context>> = { connection: "conn", message: "mail", recipient: "rcpt" };

/** Variables of a limiter's key that are known later than at the connection. */
const KNOWN_LATER: Readonly<Partial<Record<string, LimiterStage>>> = {
  helo_domain: "message",
  authenticated_as: "message",
  sender: "message",
  sender_domain: "message",
  rcpt: "recipient",
  rcpt_domain: "recipient",
};

const NO_LIMIT = 'a limiter needs a rate, such as rate = "100/1h", or a concurrency, such as concurrency = 5, or both';

/** The limiters that are switched on, in the order of the file. */
export function buildInboundLimiters(
  context: BuildContext,
  environment: Omit<CompileEnvironment, "configGet">,
): readonly InboundLimiterConfig[] {
  const { reader } = context;
  const limiters: InboundLimiterConfig[] = [];
  for (let index = 0; index < reader.count("queue.limiter.inbound"); index++) {
    const enable = reader.get("queue.limiter.inbound[].enable", index);
    const rate = reader.get("queue.limiter.inbound[].rate", index);
    const concurrency = reader.get("queue.limiter.inbound[].concurrency", index);
    const key = reader.get("queue.limiter.inbound[].key", index);
    const match = reader.get("queue.limiter.inbound[].match", index);
    if (!enable) continue;
    if (rate === undefined && concurrency === undefined) reader.error("queue.limiter.inbound[]", [index], NO_LIMIT);
    const stages = [matchStage(context, environment, index), ...key.map((name) => KNOWN_LATER[name] ?? "connection")];
    const stage = STAGES[Math.max(...stages.map((name) => STAGES.indexOf(name)))] ?? "recipient";
    limiters.push({ id: `queue.limiter.inbound[${index}]`, stage, rate, concurrency, key, match });
  }
  return limiters;
}

/** The limiters of deliveries that are switched on, in the order of the file. */
export function buildOutboundLimiters(context: BuildContext): readonly OutboundLimiterConfig[] {
  const { reader } = context;
  const connections = reader.names("queue.connection");
  const hasSources = connections.some((id) => reader.get("queue.connection.<id>.source-ips", id).length > 0);
  const limiters: OutboundLimiterConfig[] = [];
  for (let index = 0; index < reader.count("queue.limiter.outbound"); index++) {
    const enable = reader.get("queue.limiter.outbound[].enable", index);
    const rate = reader.get("queue.limiter.outbound[].rate", index);
    const concurrency = reader.get("queue.limiter.outbound[].concurrency", index);
    const key = reader.get("queue.limiter.outbound[].key", index);
    const match = reader.get("queue.limiter.outbound[].match", index);
    if (!enable) continue;
    if (rate === undefined && concurrency === undefined) reader.error("queue.limiter.outbound[]", [index], NO_LIMIT);
    if (key.includes("local_ip") && !hasSources) {
      const text = "local_ip is empty for every attempt, as no connection has source-ips: this is one count for all";
      reader.warning("queue.limiter.outbound[].key", [index], text);
    }
    limiters.push({ id: `queue.limiter.outbound[${index}]`, rate, concurrency, key, match });
  }
  return limiters;
}

/** The quotas that are switched on, in the order of the file. */
export function buildQuotas(context: BuildContext): readonly QuotaConfig[] {
  const { reader } = context;
  const quotas: QuotaConfig[] = [];
  for (let index = 0; index < reader.count("queue.quota"); index++) {
    const enable = reader.get("queue.quota[].enable", index);
    const messages = reader.get("queue.quota[].messages", index);
    const size = reader.get("queue.quota[].size", index);
    const key = reader.get("queue.quota[].key", index);
    const match = reader.get("queue.quota[].match", index);
    if (!enable) continue;
    if (messages === undefined && size === undefined) {
      reader.error(
        "queue.quota[]",
        [index],
        "a quota needs a number of messages, such as messages = 100_000, or a size, such as size = 5_000_000_000, or both",
      );
    }
    const node = reader.node("queue.quota[].match", index);
    const condition = node === undefined || isBroken(node) ? true : toSource(node);
    const counts = JSON.stringify([[...key].sort(), condition]);
    quotas.push({ id: `queue.quota[${index}]`, counts, messages, size, key, match });
  }
  return quotas;
}

/** The first stage in whose context `match` compiles. What is wrong with it everywhere is reported where it is read. */
function matchStage(
  { reader }: BuildContext,
  environment: Omit<CompileEnvironment, "configGet">,
  index: number,
): LimiterStage {
  const node = reader.node("queue.limiter.inbound[].match", index);
  if (node === undefined || isBroken(node)) return "connection";
  const source = toSource(node) as SettingSource;
  const compiles = (context: Context) =>
    compileSetting<boolean>({
      key: "match",
      context,
      type: { kind: "bool" },
      source,
      default: true,
      environment: { ...environment, configGet: reader.configGet },
    }).errors === undefined;
  return STAGES.find((stage) => compiles(CONTEXTS[stage])) ?? "recipient";
}

export function buildAutoBan({ reader }: BuildContext): AutoBanConfig {
  const rate = (value: Rate | false) => value === false ? undefined : value;
  const expire = reader.get("server.auto-ban.expire");
  return {
    auth: rate(reader.get("server.auto-ban.auth.rate")),
    abuse: rate(reader.get("server.auto-ban.abuse.rate")),
    loiter: rate(reader.get("server.auto-ban.loiter.rate")),
    scan: rate(reader.get("server.auto-ban.scan.rate")),
    scanPaths: reader.get("server.auto-ban.scan.paths"),
    expire: expire === false ? undefined : expire,
  };
}

/** Lists of `http-lookup.<id>`, those that are switched off included. */
export function buildHttpLookups(context: BuildContext): ReadonlyMap<string, HttpLookupConfig> {
  return new Map(context.reader.names("http-lookup").map((id) => [id, buildHttpLookup(context, id)]));
}

function buildHttpLookup({ reader }: BuildContext, id: string): HttpLookupConfig {
  return {
    id,
    enable: reader.get("http-lookup.<id>.enable", id),
    url: reader.get("http-lookup.<id>.url", id),
    format: reader.get("http-lookup.<id>.format", id) === "list" ? { type: "list" } : {
      type: "csv",
      separator: separatorOf(reader, id),
      skipFirst: reader.get("http-lookup.<id>.skip-first", id),
      keyColumn: reader.get("http-lookup.<id>.index.key", id),
      valueColumn: reader.get("http-lookup.<id>.index.value", id),
    },
    refresh: reader.get("http-lookup.<id>.refresh", id),
    retry: reader.get("http-lookup.<id>.retry", id),
    timeout: reader.get("http-lookup.<id>.timeout", id),
    gzipped: reader.get("http-lookup.<id>.gzipped", id),
    limits: {
      size: reader.get("http-lookup.<id>.limits.size", id),
      entries: reader.get("http-lookup.<id>.limits.entries", id),
      entrySize: reader.get("http-lookup.<id>.limits.entry-size", id),
    },
  };
}

function separatorOf(reader: BuildContext["reader"], id: string): string {
  const separator = reader.get("http-lookup.<id>.separator", id);
  if (separator.length !== 1 || separator === '"') {
    const found = reader.found("http-lookup.<id>.separator", id);
    reader.error(
      "http-lookup.<id>.separator",
      [id],
      `expected one character that is no quotation mark, found ${found}`,
    );
  }
  return separator;
}
