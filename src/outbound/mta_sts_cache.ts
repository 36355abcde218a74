/**
 * The MTA-STS policies of domains: found by DNS and HTTPS, kept in memory and in a store that nodes share.
 *
 * A policy holds until its life is over. It is fetched again when the TXT record shows another id, and about once a day, so
 * that whoever breaks HTTPS for an hour does not end it. A policy that cannot be fetched leaves the last good one in force
 * (RFC 8461 §3.3).
 */

import type { Clock, Timer } from "../clock/mod.ts";
import { DnsError, type Resolver } from "../dns/mod.ts";
import { type SqlValue, type Statement, StatementError, type Store, StoreUnavailable } from "../store/mod.ts";
import type { Emit } from "../telemetry/event.ts";
import { type FetchPolicy, StsFetchError } from "./mta_sts_fetch.ts";
import { announcedId, parsePolicy, policyLines, type StsPolicy, StsPolicyError } from "./mta_sts_record.ts";
import type { ReportedPolicy, TlsResults, TlsResultType } from "./tls_result.ts";

/** A policy that was fetched. */
export interface CachedPolicy {
  readonly policy: StsPolicy;
  /** Id of the TXT record that announced it. */
  readonly id: string;
  readonly fetched: number;
  readonly expires: number;
  readonly reported: ReportedPolicy;
}

/** Why the policy that a domain announces could not be had. */
export interface StsFault {
  readonly type: Extract<TlsResultType, `sts-${string}`>;
  readonly text: string;
}

/** What is known of a domain. */
export interface StsState {
  /** The policy in force. */
  readonly cached?: CachedPolicy;
  /** Set when a policy is announced that could not be had; {@link cached} is then an older one. */
  readonly fault?: StsFault;
  /** Why it could not be found out whether there is a policy. */
  readonly trouble?: string;
}

/** What the cache is made with. */
export interface StsCacheOptions {
  readonly resolver: Pick<Resolver, "txt">;
  readonly fetch: FetchPolicy;
  readonly store: Store;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Told of each policy that could not be had. */
  readonly results?: TlsResults;
  /** Octets of memory, roughly (`cache.dns.mta-sts.size`). */
  readonly capacity: number;
}

/** The policies of domains. */
export interface StsCache {
  /** What is known of a domain, if it was looked at a moment ago. */
  known(domain: string): StsState | undefined;
  /**
   * Finds out about a domain; those who ask at the same time share the answer. Does not reject for what the world does.
   *
   * @param timeout milliseconds for the fetch, if there is one
   */
  look(domain: string, timeout: number): Promise<StsState>;
  close(): Promise<void>;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/** For so long nobody asks DNS again; the resolver has a cache of its own, this one is for thousands of messages. */
const FRESH = 5 * SECOND;
/** The same where DNS did not answer: its timeouts should not hold up every message. */
const FRESH_TROUBLE = MINUTE;
/** What the store said of a domain is believed for so long; another node may have written since. */
const STORE_FRESH = 5 * MINUTE;
/** RFC 8461 §3.3: no fetch for five minutes after one that failed, unless there is another id. */
const RETRY = 5 * MINUTE;
/** A policy with a shorter life would be fetched for each message. */
const SHORTEST_LIFE = 5 * MINUTE;
/** RFC 8461 §10.2 advises to fetch anew once a day. */
const REFRESH = DAY;
const REFRESH_RETRY = 60 * MINUTE;
const REFRESH_TIMEOUT = MINUTE;
/** Policies that no mail asked for in so long are left to expire. */
const UNUSED = 30 * DAY;
/** The store is looked at for policies to fetch anew. */
const SWEEP = MINUTE;
const SWEEP_MOST = 100;
const SWEEP_PARALLEL = 4;
/** What an entry takes, roughly, in octets. */
const OVERHEAD = 500;

const FIND = "SELECT id, policy, fetched, expires, used FROM sts_policies WHERE domain = ? AND expires > ?";
const KEEP = "INSERT INTO sts_policies (domain, id, policy, fetched, expires, refresh, used) " +
  "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (domain) DO UPDATE SET id = excluded.id, policy = excluded.policy, " +
  "fetched = excluded.fetched, expires = excluded.expires, refresh = excluded.refresh " +
  "WHERE excluded.fetched >= sts_policies.fetched";
const USED = "UPDATE sts_policies SET used = ? WHERE domain = ?";
const DUE = "SELECT domain, refresh FROM sts_policies WHERE refresh <= ? AND expires > ? AND used > ? " +
  "ORDER BY refresh LIMIT ?";
// One node does it.
const CLAIM = "UPDATE sts_policies SET refresh = ? WHERE domain = ? AND refresh = ?";

/** What deletes policies that are no longer in force, for the store's regular purge. */
export function purgePolicies(now: number): Statement {
  return { sql: "DELETE FROM sts_policies WHERE expires <= ?", args: [now] };
}

interface Entry {
  readonly domain: string;
  cost: number;
  cached: CachedPolicy | undefined;
  readAt: number;
  failed: { readonly id: string; readonly until: number; readonly fault: StsFault } | undefined;
  state: StsState;
  freshUntil: number;
  pending: Promise<StsState> | undefined;
  fetching: Promise<void> | undefined;
}

type Announcement = { readonly id: string | undefined } | { readonly trouble: string };

/** Makes the cache and begins to keep what is in the store fresh. */
export function createStsCache(options: StsCacheOptions): StsCache {
  const { resolver, fetch, store, clock, emit, results, capacity } = options;
  // The one that was used last is last.
  const entries = new Map<string, Entry>();
  let size = 0;
  const closing = new AbortController();
  let timer: Timer | undefined;
  const writing = new Set<Promise<unknown>>();

  const touch = (domain: string): Entry => {
    let entry = entries.get(domain);
    if (entry === undefined) {
      entry = {
        domain,
        cost: OVERHEAD,
        cached: undefined,
        readAt: -Infinity,
        failed: undefined,
        state: {},
        freshUntil: -Infinity,
        pending: undefined,
        fetching: undefined,
      };
      size += entry.cost;
    } else {
      entries.delete(domain);
    }
    entries.set(domain, entry);
    for (const [oldest, { cost }] of entries) {
      if (size <= capacity || oldest === domain) break;
      entries.delete(oldest);
      size -= cost;
    }
    return entry;
  };

  const remember = (entry: Entry, cached: CachedPolicy) => {
    entry.cached = cached;
    const cost = OVERHEAD + 4 * cached.policy.mx.reduce((sum, name) => sum + name.length + 8, 0);
    if (entries.get(entry.domain) === entry) size += cost - entry.cost;
    entry.cost = cost;
  };

  const inForce = (entry: Entry) => {
    return entry.cached !== undefined && entry.cached.expires > clock.now() ? entry.cached : undefined;
  };

  /** Writes without anybody waiting: what is lost is fetched again. */
  const write = (...statements: Statement[]) => {
    const done = store.write(statements).catch(ignoreStore).finally(() => writing.delete(done));
    writing.add(done);
  };

  const readStore = async (entry: Entry): Promise<void> => {
    const now = clock.now();
    try {
      const { rows: [row] } = await store.read(FIND, [entry.domain, now]);
      entry.readAt = now;
      if (row === undefined) return;
      const [id, text, fetched, expires, used] = row;
      if (now - Number(used) > DAY) write({ sql: USED, args: [now, entry.domain] });
      const { cached } = entry;
      const age = Number(fetched) - (cached?.fetched ?? -Infinity);
      if (age < 0 || (age === 0 && cached?.id === id)) return;
      const policy = parsePolicy(String(text));
      remember(entry, cachedPolicy(entry.domain, String(id), policy, Number(fetched), Number(expires)));
    } catch (error) {
      if (error instanceof StsPolicyError) return;
      ignoreStore(error);
    }
  };

  const announcement = async (domain: string): Promise<Announcement> => {
    try {
      return { id: announcedId((await resolver.txt(`_mta-sts.${domain}`)).records) };
    } catch (error) {
      if (!(error instanceof DnsError)) throw error;
      return { trouble: `the TXT records of _mta-sts.${domain} could not be looked up: ${error.message}` };
    }
  };

  const fetchNow = async (entry: Entry, id: string, timeout: number): Promise<void> => {
    const { domain } = entry;
    try {
      const policy = parsePolicy(await fetch(domain, timeout, closing.signal));
      const now = clock.now();
      const life = Math.max(policy.maxAge * SECOND, SHORTEST_LIFE);
      remember(entry, cachedPolicy(domain, id, policy, now, now + life));
      entry.failed = undefined;
      emit("mta-sts.policy-fetch", { domain, policy: policy.mode });
      const refresh = now + Math.min(REFRESH, life / 2);
      const text = policyLines(policy).join("\n");
      const args: SqlValue[] = [domain, id, text, now, now + life, refresh, now];
      await store.write([{ sql: KEEP, args }]).catch(ignoreStore);
    } catch (error) {
      let fault: StsFault;
      if (error instanceof StsFetchError) {
        fault = { type: error.type, text: `the MTA-STS policy of ${domain} could not be fetched: ${error.message}` };
        // What ends with the program says nothing about the domain.
        if (closing.signal.aborted) return;
        emit("mta-sts.policy-fetch-error", { domain, details: error.message });
      } else if (error instanceof StsPolicyError) {
        fault = {
          type: "sts-policy-invalid",
          text: `the MTA-STS policy of ${domain} cannot be used: ${error.message}`,
        };
        emit("mta-sts.invalid-policy", { domain, details: error.message });
      } else {
        throw error;
      }
      entry.failed = { id, until: clock.now() + RETRY, fault };
      results?.record({
        policy: { type: "sts", domain },
        failure: { type: fault.type, localIp: "", host: "", remoteIp: "", details: fault.text },
      });
    }
  };

  const fetchInto = (entry: Entry, id: string, timeout: number): Promise<void> =>
    entry.fetching ??= fetchNow(entry, id, timeout).finally(() => entry.fetching = undefined);

  const find = async (entry: Entry, timeout: number): Promise<StsState> => {
    const readBefore = clock.now() - entry.readAt < STORE_FRESH;
    const [announced] = await Promise.all([
      announcement(entry.domain),
      readBefore ? undefined : readStore(entry),
    ]);
    if ("trouble" in announced) return settle(entry, FRESH_TROUBLE, { trouble: announced.trouble });
    const { id } = announced;
    const isDifferent = () => id !== undefined && inForce(entry)?.id !== id;
    if (id === undefined && inForce(entry) === undefined) emit("mta-sts.policy-not-found", { domain: entry.domain });
    // Another node may have fetched it meanwhile.
    if (isDifferent() && readBefore) await readStore(entry);
    const failedLately = entry.failed?.id === id && clock.now() < (entry.failed?.until ?? 0);
    if (id !== undefined && isDifferent() && !failedLately) await fetchInto(entry, id, timeout);
    const fault = isDifferent() && entry.failed?.id === id ? entry.failed?.fault : undefined;
    return settle(entry, FRESH, fault === undefined ? {} : { fault });
  };

  const settle = (entry: Entry, fresh: number, state: Omit<StsState, "cached">): StsState => {
    const cached = inForce(entry);
    entry.state = cached === undefined ? state : { ...state, cached };
    entry.freshUntil = Math.min(clock.now() + fresh, cached?.expires ?? Infinity);
    return entry.state;
  };

  /** Fetches a policy anew that is still in force. */
  const renew = async (domain: string, refresh: SqlValue): Promise<void> => {
    const now = clock.now();
    const [claimed] = await store.write([{ sql: CLAIM, args: [now + REFRESH_RETRY, domain, refresh] }]);
    if (claimed?.changes !== 1) return;
    const entry = entries.get(domain) ?? touch(domain);
    await readStore(entry);
    const announced = await announcement(domain);
    // Without a record it is left to expire.
    if (!("id" in announced) || announced.id === undefined) return;
    await fetchInto(entry, announced.id, REFRESH_TIMEOUT);
    entry.freshUntil = -Infinity;
  };

  const sweep = async (): Promise<void> => {
    try {
      const now = clock.now();
      const { rows } = await store.read(DUE, [now, now, now - UNUSED, SWEEP_MOST]);
      const queue = [...rows];
      const work = async () => {
        for (let row = queue.shift(); row !== undefined && !closing.signal.aborted; row = queue.shift()) {
          await renew(String(row[0]), row[1] ?? null);
        }
      };
      await Promise.all(Array.from({ length: SWEEP_PARALLEL }, work));
    } catch (error) {
      ignoreStore(error);
    } finally {
      arm();
    }
  };

  const arm = () => {
    if (closing.signal.aborted) return;
    timer = clock.after(SWEEP, () => {
      const done = sweep().finally(() => writing.delete(done));
      writing.add(done);
    });
  };
  arm();

  return {
    known(domain) {
      const entry = entries.get(domain);
      return entry !== undefined && clock.now() < entry.freshUntil ? entry.state : undefined;
    },
    look(domain, timeout) {
      const entry = touch(domain);
      return entry.pending ??= find(entry, timeout).finally(() => entry.pending = undefined);
    },
    async close() {
      closing.abort();
      timer?.cancel();
      await Promise.all(writing);
    },
  };
}

function cachedPolicy(domain: string, id: string, policy: StsPolicy, fetched: number, expires: number): CachedPolicy {
  const reported: ReportedPolicy = { type: "sts", domain, strings: policyLines(policy), mxHosts: policy.mx };
  return { policy, id, fetched, expires, reported };
}

/** A store that cannot be used costs memory across restarts and nodes, and no mail. */
function ignoreStore(error: unknown): void {
  if (!(error instanceof StoreUnavailable || error instanceof StatementError)) throw error;
}
