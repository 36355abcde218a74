/** Builds tracers, event levels and the settings of HTTP listeners. */

import type { Config, HttpConfig, TracerConfig } from "../config.ts";
import type { Pattern } from "../schema/mod.ts";
import { isSecret, quoted } from "../toml/node.ts";
import { absolutePath, type BuildContext } from "./context.ts";

/** What godwit logs to when no tracer is defined. */
const DEFAULT_TRACER: TracerConfig = {
  id: "console",
  type: "console",
  level: "info",
  enable: true,
  ansi: false,
  multiline: false,
  path: "",
  prefix: "godwit",
  rotate: "daily",
  lossy: false,
};

export function buildTracers(context: BuildContext): readonly TracerConfig[] {
  const ids = context.reader.names("tracer");
  if (ids.length === 0) return [DEFAULT_TRACER];
  return ids.map((id) => buildTracer(context, id)).filter((tracer) => tracer !== undefined);
}

function buildTracer(context: BuildContext, id: string): TracerConfig | undefined {
  const { reader } = context;
  const type = reader.get("tracer.<id>.type", id);
  if (type === "journal" || type === "open-telemetry") {
    reader.error("tracer.<id>.type", [id], `is not supported yet (found ${reader.found("tracer.<id>.type", id)})`);
    return undefined;
  }
  return {
    id,
    type,
    level: reader.get("tracer.<id>.level", id),
    enable: reader.get("tracer.<id>.enable", id),
    ansi: reader.get("tracer.<id>.ansi", id),
    multiline: reader.get("tracer.<id>.multiline", id),
    path: type === "log" ? absolutePath(context, reader.get("tracer.<id>.path", id)) : "",
    prefix: reader.get("tracer.<id>.prefix", id),
    rotate: reader.get("tracer.<id>.rotate", id),
    lossy: reader.get("tracer.<id>.lossy", id),
  };
}

/** Areas of event names: what stands before the dot. */
const AREAS: readonly string[] =
  ("acme arc auth cluster config dane delivery dkim dmarc eval http housekeeper incoming-report iprev limit mail-auth " +
    "message-ingest milter mta-hook mta-sts network outgoing-report purge queue resource security server sieve smtp " +
    "spf store task-queue telemetry tls tls-rpt").split(" ");

export function buildEventLevels(context: BuildContext): Config["eventLevels"] {
  const levels = context.reader.get("tracing.level");
  for (const name of levels.keys()) checkEvent(context, "tracing.level", name);
  return levels;
}

export function buildDisabledEvents(context: BuildContext): readonly string[] {
  const names = context.reader.get("metrics.disabled-events");
  for (const name of names) checkEvent(context, "metrics.disabled-events", name);
  return names;
}

/** Warns of a name, in which `*` may stand for a part, that matches no event. */
function checkEvent({ reader, events }: BuildContext, pattern: Pattern, name: string): void {
  const known = events ?? AREAS;
  const wanted = events === undefined ? name.split(".")[0] ?? "" : name;
  if (known.some((candidate) => matchesGlob(wanted.toLowerCase(), candidate))) return;
  const node = reader.node(pattern);
  const shown = node === undefined || isSecret(node) ? "one of the names" : quoted(name);
  reader.warning(pattern, [], `there is no event of this name: ${shown}`);
}

function matchesGlob(glob: string, text: string): boolean {
  // Without backtracking over more than one star at a time: the last star seen takes one more character.
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < text.length;) {
    if (glob[at] === "*") {
      star = at++;
      resume = i;
    } else if (glob[at] === text[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else {
      return false;
    }
  }
  return /^\**$/.test(glob.slice(at));
}

export function buildHttp(context: BuildContext): HttpConfig {
  const { reader } = context;
  const admin = pair(context, "authentication.fallback-admin.user", "authentication.fallback-admin.secret");
  const scraper = pair(context, "metrics.prometheus.auth.username", "metrics.prometheus.auth.secret");
  return {
    authToken: reader.get("http.auth.token"),
    fallbackAdmin: admin === undefined ? undefined : { user: admin.name, secret: admin.secret },
    url: reader.get("http.url"),
    allowedEndpoint: reader.get("http.allowed-endpoint"),
    headers: reader.get("http.headers"),
    useXForwarded: reader.get("http.use-x-forwarded"),
    hsts: reader.get("http.hsts"),
    permissiveCors: reader.get("http.permissive-cors"),
    rateLimit: {
      anonymous: reader.get("http.rate-limit.anonymous"),
      account: reader.get("http.rate-limit.account"),
    },
    prometheus: {
      enable: reader.get("metrics.prometheus.enable"),
      auth: scraper === undefined ? undefined : { username: scraper.name, secret: scraper.secret },
    },
  };
}

type NameKey = "authentication.fallback-admin.user" | "metrics.prometheus.auth.username";
type SecretKey = "authentication.fallback-admin.secret" | "metrics.prometheus.auth.secret";

/** A name and its secret; one without the other is reported. */
function pair(
  { reader, secretProblem }: BuildContext,
  nameKey: NameKey,
  secretKey: SecretKey,
): { readonly name: string; readonly secret: string } | undefined {
  const name = reader.get(nameKey);
  const secret = reader.get(secretKey);
  const problem = secret === undefined ? undefined : secretProblem(secret);
  if (problem !== undefined) reader.error(secretKey, [], problem);
  if (name !== undefined && secret !== undefined) return { name, secret };
  if (name !== undefined) reader.error(secretKey, [], `required together with ${nameKey}`);
  if (secret !== undefined) reader.error(nameKey, [], `required together with ${secretKey}`);
  return undefined;
}
