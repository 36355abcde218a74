/** What is built anew from each configuration: directories, lists, and what sessions are given. */

import type { CheckContext, DmarcObserver, Signer } from "../authentication/mod.ts";
import type { Clock } from "../clock/mod.ts";
import type { Config } from "../config/mod.ts";
import {
  createDirectory,
  createList,
  type Directory,
  type HttpLists,
  type KeyedList,
  resolveRecipient,
} from "../directory/mod.ts";
import type { Resolver } from "../dns/mod.ts";
import type { FunctionHost } from "../expression/mod.ts";
import type { FilterMakers, RunUserScript } from "../filter/mod.ts";
import type { InboundDependencies, Intake } from "../inbound/mod.ts";
import type { BuildNotice } from "../queue/mod.ts";
import { networkSet } from "../net/mod.ts";
import { createReportAnalysis, type FailureReports, type ReportAnalysis } from "../report/mod.ts";
import type { Store } from "../store/mod.ts";
import type { Emit, Wire } from "../telemetry/mod.ts";
import { createInboundLimits, type Throttle } from "../throttle/mod.ts";
import { createChecks } from "./checks.ts";
import { failureReporting } from "./failure_reports.ts";
import { createFilters } from "./filters.ts";
import { createFunctionHost } from "./functions.ts";
import { createSieve } from "./sieve.ts";
import { createSigning } from "./signing.ts";

/** The parts of one configuration that are in force until the next reload. */
export interface Generation {
  readonly inbound: InboundDependencies;
  /** Absent if there are no signatures. */
  readonly signer: Signer | undefined;
  readonly defaultDirectory: Directory | undefined;
  /** Account of the default directory that mail for an address goes to. */
  accountOf(address: string): Promise<string | undefined>;
  readonly runUserScript: RunUserScript;
  /** Lets go of what directories keep open. Sessions that still run under this configuration are not disturbed. */
  retire(): void;
}

/** A {@link FunctionHost} whose target can be changed, for rooms that live longer than a configuration. */
export interface ForwardingHost {
  readonly host: FunctionHost;
  use(target: FunctionHost): void;
}

/** Makes a {@link ForwardingHost}; `use` must be called before anything is evaluated. */
export function forwardingHost(): ForwardingHost {
  let target: FunctionHost | undefined;
  const current = () => {
    if (target === undefined) throw new Error("expression functions are used before they are set up");
    return target;
  };
  return {
    use: (next) => {
      target = next;
    },
    host: {
      isLocalDomain: (directory, domain) => current().isLocalDomain(directory, domain),
      isLocalAddress: (directory, address) => current().isLocalAddress(directory, address),
      keyGet: (list, key) => current().keyGet(list, key),
      keyExists: (list, key) => current().keyExists(list, key),
      keySet: (store, key, value) => current().keySet(store, key, value),
      counterGet: (store, name) => current().counterGet(store, name),
      counterIncr: (store, name, amount) => current().counterIncr(store, name, amount),
      sqlQuery: (store, sql, args) => current().sqlQuery(store, sql, args),
      dnsQuery: (name, type) => current().dnsQuery(name, type),
    },
  };
}

/** What outlives a configuration. */
export interface World {
  readonly stores: ReadonlyMap<string, Store>;
  readonly resolver: Resolver;
  readonly httpLists: HttpLists;
  readonly functions: ForwardingHost;
  /** What makes the filters of this configuration. */
  readonly filterMakers: FilterMakers;
  readonly throttle: Pick<Throttle, "rates" | "slots"> & { readonly abuse: Pick<Throttle["abuse"], "loginRefused"> };
  readonly queue: Intake;
  readonly buildNotice: BuildNotice;
  /** Told of DMARC; undefined if no domain is to get reports. */
  readonly dmarcObserver?: DmarcObserver | undefined;
  /** Sends reports of messages that failed authentication; absent: none are sent. */
  readonly failureReports?: FailureReports;
  /** Where others may listen to what is said. */
  readonly wire: Wire;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** What expressions can look up. */
export interface Lookups {
  readonly directories: ReadonlyMap<string, Directory>;
  readonly functions: FunctionHost;
}

/** Builds the directories and lists of a configuration, and the functions that reach them. */
export function createLookups(
  config: Config,
  world: Pick<World, "stores" | "resolver" | "clock" | "httpLists">,
): Lookups {
  const { stores, resolver, clock } = world;
  const { threadPool, hostname } = config.server;
  const directories = new Map<string, Directory>();
  for (const [id, directory] of config.directories) {
    directories.set(id, createDirectory(directory, { threadPool, clock, stores, resolver, hostname }));
  }
  const lists = new Map<string, KeyedList>(world.httpLists.use(config.httpLookups));
  for (const [name, entries] of config.lookups) lists.set(name, createList(entries));
  const queries = new Map<string, Readonly<Record<string, string>>>();
  for (const [id, store] of config.stores) {
    if (store.type === "memory") lists.set(id, createList(new Map(store.values.map((value) => [value, true]))));
    else queries.set(id, store.queries);
  }
  const functions = createFunctionHost({
    directories,
    defaultDirectory: config.storage.directory,
    lists,
    stores: world.stores,
    queries,
    lookupStore: config.storage.lookup,
    dataStore: config.storage.data,
    resolver: world.resolver,
  });
  return { directories, functions };
}

/** Who examines the reports of others; nothing if no address is for them. */
function createAnalysis(config: Config, { stores, queue, clock, emit }: World): ReportAnalysis | undefined {
  const { addresses, forward, store: keep } = config.report.analysis;
  const store = stores.get(config.storage.data);
  if (store === undefined) return undefined;
  return createReportAnalysis({ addresses, forward, keep, store, nextId: () => queue.nextId(), clock, emit });
}

/** Builds the parts of a configuration and makes its functions the ones in force. */
export function createGeneration(config: Config, world: World): Generation {
  const { directories, functions } = createLookups(config, world);
  world.functions.use(functions);
  world.httpLists.start();
  const defaultDirectory = config.storage.directory === undefined
    ? undefined
    : directories.get(config.storage.directory);
  const greetings = new Map<string, string>();
  for (const listener of config.server.listeners) {
    if (listener.greeting !== undefined) greetings.set(listener.id, listener.greeting);
  }
  const { resolver, random, clock, emit, dmarcObserver } = world;
  const context: CheckContext = { resolver, random, now: () => clock.now() };
  const checks = createChecks(config.session, context, functions);
  const { signer, accepted } = createSigning(config, { clock, emit, functions, checks: context });
  const accountsOf = async (address: string): Promise<readonly string[]> => {
    if (defaultDirectory === undefined) return [];
    const found = await resolveRecipient(defaultDirectory, address, { subAddressing: true, catchAll: true });
    return found.kind === "local" ? found.accounts : [];
  };
  const addressesOf = async (address: string): Promise<readonly string[]> => {
    const [name] = await accountsOf(address);
    const account = name === undefined ? undefined : await defaultDirectory?.account(name);
    return account?.emails.filter((email) => !email.startsWith("@")) ?? [];
  };
  const sieve = createSieve(config, { ...world, functions, signer, addressesOf });
  const filters = createFilters(config, { ...world, functions, sieve: sieve.filter });
  const analysis = createAnalysis(config, world);
  const reporting = world.failureReports && failureReporting(config, world.failureReports, { functions, random });
  return {
    defaultDirectory,
    signer,
    inbound: {
      config: config.session,
      hostname: config.server.hostname,
      listenerGreetings: greetings,
      directories,
      functions,
      limits: createInboundLimits(config.inboundLimiters, world.throttle),
      isTrusted: networkSet(config.server.allowedIp),
      loginRefused: (account) => world.throttle.abuse.loginRefused(account),
      ...(filters.chain === undefined ? {} : { filters: filters.chain }),
      ...(checks === undefined
        ? {}
        : { checks: { ...checks, ...(dmarcObserver === undefined ? {} : { dmarcObserver }) } }),
      ...(accepted === undefined ? {} : { signing: accepted }),
      ...(analysis === undefined ? {} : { analysis }),
      ...(reporting === undefined ? {} : { failureReporting: reporting }),
      queue: world.queue,
      wire: world.wire,
      buildNotice: world.buildNotice,
      clock: world.clock,
      emit: world.emit,
    },
    accountOf: async (address) => (await accountsOf(address))[0],
    runUserScript: sieve.runUserScript,
    retire() {
      filters.retire();
      for (const directory of directories.values()) directory.close?.();
    },
  };
}
