/** The resolver that the program runs with: caches in front of the configured servers. */

import ipaddr from "ipaddr.js";
import type { Clock } from "../clock/mod.ts";
import type { ResolverConfig } from "../config/config.ts";
import type { Emit } from "../telemetry/event.ts";
import { anchorFile, type AnchorKeeper, keepAnchors } from "./anchor_keeper.ts";
import { type Cache, createCache } from "./cache.ts";
import { createValidator, readAnchors, ROOT_ANCHORS, type Validator } from "./dnssec/mod.ts";
import { lookUp } from "./lookup.ts";
import { canonicalName, reverseName } from "./name.ts";
import { A, AAAA, CNAME, type Kind, MX, NS, PTR, TLSA, TXT } from "./records.ts";
import { type Answer, DnsError, type Resolver } from "./resolver.ts";
import { isLoopbackName, localAddresses, readHosts, readSystemFile } from "./system_files.ts";
import { createSystemUpstream } from "./system_upstream.ts";
import { createUpstream, type Upstream } from "./upstream.ts";

/** What the resolver is made with. */
export interface ResolverOptions {
  readonly clock: Clock;
  /** Numbers in [0, 1) that cannot be predicted: query ids come from it. */
  readonly random: () => number;
  readonly emit: Emit;
  /** Texts of the machine's files, read from `/etc` if not given. Used when no servers are configured. */
  readonly system?: { readonly resolvConf: string; readonly hosts: string };
  /** Whether the keys of `resolver.anchor-file` are kept current, as one program at a time should do; else it is read. */
  readonly followsAnchors?: boolean;
  /** PEM roots that DNS over TLS trusts besides the system's. */
  readonly caCerts?: readonly string[];
}

// Seconds. A day is enough for anything; RFC 2308 §5 suggests hours at most for "no such name".
const LONGEST_TTL = 86_400;
const LONGEST_NEGATIVE_TTL = 3_600;
// RFC 9520 §3.2: a failure is remembered for at least a second, so a broken zone does not multiply queries.
const FAILURE_TTL = 5;
const FAILURE_CACHE = 262_144;
const DEFAULT_CACHE = 1_048_576;

/**
 * Makes the resolver. Answers are cached by type and TTL; equal questions asked at the same time share one query.
 *
 * `localhost` is always loopback (RFC 6761); with the system's servers, names in `/etc/hosts` have the addresses given
 * there. `close` ends what is under way: those lookups reject with {@link DnsError}.
 */
export function createResolver(config: ResolverConfig, options: ResolverOptions): Resolver & { close(): void } {
  const { clock, emit } = options;
  const useSystem = config.servers.length === 0;
  const hosts = readHosts(useSystem ? options.system?.hosts ?? readSystemFile("/etc/hosts") : "");
  const upstream = useSystem
    ? createSystemUpstream({
      read: () => options.system?.resolvConf ?? readSystemFile("/etc/resolv.conf"),
      open: (ips) => createUpstream(ips.map((ip) => ({ protocol: "udp", ip, port: 53 })), config, options),
      clock,
    })
    : createUpstream(config.servers, config, options);
  const trust = config.dnssec === "validate" ? trustIn(upstream, config, options) : undefined;
  const validator = trust?.validator;

  const failures = createCache<DnsError>(FAILURE_CACHE);

  /** A lookup of one type with its cache; the cache holds settled promises, so that a hit allocates nothing. */
  const cached = <T>(kind: Kind<T>) => {
    const capacity = config.cacheSizes[kind.cache] ?? DEFAULT_CACHE;
    const cache: Cache<Promise<Answer<T>>> = createCache(capacity);
    const pending = new Map<string, Promise<Answer<T>>>();

    const ask = async (name: string): Promise<Answer<T>> => {
      try {
        const { answer, ttl } = await lookUp(upstream, kind, name, validator);
        const kept = Math.min(ttl, answer.records.length > 0 ? LONGEST_TTL : LONGEST_NEGATIVE_TTL);
        if (kept <= 0) return answer;
        const until = clock.now() + kept * 1000;
        const lasting = { ...answer, until };
        const cost = answer.records.reduce((sum, record) => sum + kind.cost(record), answer.name.length);
        cache.set(name, Promise.resolve(lasting), cost, until);
        return lasting;
      } catch (error) {
        if (error instanceof DnsError) {
          failures.set(`${kind.type} ${name}`, error, error.message.length, clock.now() + FAILURE_TTL * 1000);
          emit("network.dns-failed", { name, type: kind.type, reason: error.reason, details: error.message });
        }
        throw error;
      } finally {
        pending.delete(name);
      }
    };

    return (text: string): Promise<Answer<T>> => {
      const now = clock.now();
      const hit = cache.get(text, now);
      if (hit !== undefined) return hit;
      const name = canonicalName(text);
      // What cannot be a name does not exist.
      if (name === undefined) {
        return Promise.resolve({ records: [], exists: false, security: "insecure", name: text.toLowerCase() });
      }
      const kept = name === text ? undefined : cache.get(name, now);
      if (kept !== undefined) return kept;
      const failure = failures.get(`${kind.type} ${name}`, now);
      if (failure !== undefined) return Promise.reject(failure);
      let answer = pending.get(name);
      if (answer === undefined) pending.set(name, answer = ask(name));
      return answer;
    };
  };

  /** Puts what the machine knows by itself before `ask`. */
  const withLocal = (ask: (name: string) => Promise<Answer<string>>, family: "a" | "aaaa") => {
    return (text: string): Promise<Answer<string>> => {
      const name = canonicalName(text);
      const local = name === undefined ? undefined : localAddresses(name, hosts);
      if (name === undefined || local === undefined) return ask(text);
      return Promise.resolve({ records: local[family], exists: true, security: "insecure", name });
    };
  };

  const mx = cached(MX);
  const ptr = cached(PTR);
  return {
    a: withLocal(cached(A), "a"),
    aaaa: withLocal(cached(AAAA), "aaaa"),
    mx(text) {
      const name = canonicalName(text);
      if (name === undefined || !isLoopbackName(name)) return mx(text);
      return Promise.resolve({ records: [], exists: true, security: "insecure", name });
    },
    txt: cached(TXT),
    ptr(ip) {
      if (!ipaddr.isValid(ip)) return ptr(ip);
      return ptr(reverseName(ipaddr.process(ip).toByteArray()));
    },
    tlsa: cached(TLSA),
    cname: cached(CNAME),
    ns: cached(NS),
    close() {
      trust?.keeper?.close();
      upstream.close();
    },
  };
}

function trustIn(
  upstream: Upstream,
  { trustAnchors, anchorFile: path }: Pick<ResolverConfig, "trustAnchors" | "anchorFile">,
  { clock, emit, followsAnchors = false }: Pick<ResolverOptions, "clock" | "emit" | "followsAnchors">,
): { readonly validator: Validator; readonly keeper: AnchorKeeper | undefined } {
  const read = readAnchors(trustAnchors.length === 0 ? ROOT_ANCHORS : trustAnchors);
  // The configuration has been read before; with what cannot be read nothing is secure.
  const initial = "unreadable" in read ? [] : read;
  const ask = async (name: string, type: "DS" | "DNSKEY") =>
    (await upstream.ask({ name: name === "" ? "." : name, type, unchecked: true })).message;
  const keeper = path === undefined ? undefined : keepAnchors({
    initial,
    storage: anchorFile(path),
    ask: (zone) => ask(zone, "DNSKEY"),
    clock,
    emit,
    follows: followsAnchors,
  });
  const validator = createValidator({ anchors: () => keeper?.anchors ?? initial, ask, now: () => clock.now() });
  return { validator, keeper };
}
