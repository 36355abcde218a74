/** Records in a zone by the API of Cloudflare (version 4). */

import * as v from "valibot";
import { readJson } from "./client.ts";
import type { DnsProvider } from "./dns_provider.ts";
import type { HttpAnswer, HttpRequest, SendRequest } from "./https.ts";
import { AcmeError } from "./problem.ts";

/** The account. */
export interface CloudflareSettings {
  /** API token; with `email` the key of the account. */
  readonly secret: string;
  readonly email: string | undefined;
  /** Milliseconds for one call. */
  readonly timeout: number;
  /** Zone that holds the records; looked for if not given. */
  readonly origin: string | undefined;
  /** Where the API is; tests have another one. */
  readonly url?: string;
}

const API = "https://api.cloudflare.com/client/v4";

/** Shortest life of a record that the API takes, in seconds. */
const SHORTEST_TTL = 60;

const Failure = v.object({ errors: v.array(v.object({ code: v.number(), message: v.string() })) });
const Zones = v.object({ result: v.array(v.object({ id: v.string(), name: v.string() })) });
const Created = v.object({ result: v.object({ id: v.string() }) });

/** Makes the provider. */
export function createCloudflare(settings: CloudflareSettings, send: SendRequest): DnsProvider {
  const { secret, email, timeout, origin, url = API } = settings;
  const login = email === undefined
    ? { authorization: `Bearer ${secret}` }
    : { "x-auth-email": email, "x-auth-key": secret };

  const call = async (
    method: HttpRequest["method"],
    path: string,
    signal: AbortSignal,
    body?: unknown,
  ): Promise<HttpAnswer> => {
    const answer = await send({
      method,
      url: `${url}${path}`,
      headers: { ...login, accept: "application/json", "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeout,
    }, signal);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw new AcmeError(`Cloudflare, ${method} ${path}: ${refusalOf(answer)}`);
  };

  const findZone = async (name: string, signal: AbortSignal): Promise<{ id: string; name: string }> => {
    const labels = name.split(".");
    // From the longest name on, so that a zone of its own below another one is found.
    const candidates = origin === undefined
      ? labels.slice(0, -1).map((_, index) => labels.slice(index).join(".")).slice(1)
      : [origin];
    for (const candidate of candidates) {
      const path = `/zones?name=${encodeURIComponent(candidate)}`;
      const { result: [zone] } = readJson(Zones, await call("GET", path, signal), path);
      if (zone !== undefined) return zone;
    }
    throw new AcmeError(`Cloudflare: this token reaches no zone that holds ${name}`);
  };

  return {
    async add({ name, value, ttl }, signal) {
      const zone = await findZone(name, signal);
      const records = `/zones/${encodeURIComponent(zone.id)}/dns_records`;
      const answer = await call("POST", records, signal, {
        type: "TXT",
        name,
        content: `"${value}"`,
        ttl: Math.max(ttl, SHORTEST_TTL),
      });
      const { result } = readJson(Created, answer, records);
      return {
        zone: zone.name,
        servers: [],
        async remove(signal) {
          await call("DELETE", `${records}/${encodeURIComponent(result.id)}`, signal);
        },
      };
    },
  };
}

function refusalOf(answer: HttpAnswer): string {
  try {
    const { errors } = readJson(Failure, answer, "");
    if (errors.length > 0) return errors.map(({ code, message }) => `${message} (${code})`).join(", ");
  } catch {
    // Not in the form of the API; the status has to do.
  }
  return `status ${answer.status}`;
}
