/** The functions of expressions that reach outside, over the directories, lists, stores and DNS of a configuration. */

import type { Directory, KeyedList } from "../directory/mod.ts";
import { DnsError, type Resolver } from "../dns/mod.ts";
import { type FunctionHost, LookupUnavailable, type Value } from "../expression/mod.ts";
import { givesRows, StatementError, type Store, StoreUnavailable } from "../store/mod.ts";

/** What the functions reach. */
export interface FunctionSources {
  readonly directories: ReadonlyMap<string, Directory>;
  /** Id of the directory that `''` means, if there is one. */
  readonly defaultDirectory: string | undefined;
  /** Lists of `lookup.*`, `http-lookup.*` and `memory` stores. */
  readonly lists: ReadonlyMap<string, KeyedList>;
  readonly stores: ReadonlyMap<string, Store>;
  /** Named SQL by store id and name (`store.<id>.query.<name>`). */
  readonly queries: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Ids of `storage.lookup` and `storage.data`. */
  readonly lookupStore: string;
  readonly dataStore: string;
  readonly resolver: Resolver;
}

const KEY = "SELECT value FROM lookup_keys WHERE key = ?";
const COUNTER = "SELECT value FROM counters WHERE name = ?";

/** As the migrations of godwit's own stores have them. */
const TABLES = [
  "CREATE TABLE IF NOT EXISTS lookup_keys (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
].map((sql) => ({ sql, args: [] }));

/** Builds the {@link FunctionHost} of a running server. Every failure to reach a source is a {@link LookupUnavailable}. */
export function createFunctionHost(sources: FunctionSources): FunctionHost {
  const directoriesFor = (id: string): readonly Directory[] => {
    if (id === "*") return [...sources.directories.values()];
    const directory = sources.directories.get(id === "" ? sources.defaultDirectory ?? "" : id);
    return directory === undefined ? [] : [directory];
  };
  const store = (id: string, fallback: string): Store => {
    const found = sources.stores.get(id === "" ? fallback : id);
    if (found === undefined) throw new LookupUnavailable(`store '${id}' is not open`);
    return found;
  };
  const own = new Map<string, Promise<unknown>>();
  /** The store of keys and counters. One that is not godwit's own has no tables for them until they are needed. */
  const lookupStore = async (id: string): Promise<Store> => {
    const found = store(id, sources.lookupStore);
    if (id === "" || id === sources.lookupStore || id === sources.dataStore) return found;
    let made = own.get(id);
    if (made === undefined) {
      made = found.write(TABLES);
      own.set(id, made);
      made.catch(() => own.delete(id));
    }
    await made;
    return found;
  };

  const storedValue = async (list: string, key: string): Promise<Value> => {
    const named = namedQuery(sources, list);
    if (named !== undefined) {
      const { rows } = await reach(() => store(named.store, "").read(named.sql, [key]));
      return rows[0] === undefined ? "" : toValue(rows[0][0]);
    }
    const { rows } = await reach(async () => (await lookupStore(list)).read(KEY, [key]));
    const value = rows[0]?.[0];
    return typeof value === "string" ? JSON.parse(value) as Value : "";
  };

  return {
    isLocalDomain: (id, domain) => any(directoriesFor(id), (directory) => directory.isLocalDomain(domain)),
    isLocalAddress: (id, address) =>
      any(directoriesFor(id), async (directory) => (await directory.recipients(address)).length > 0),
    keyGet: (list, key) => {
      const entries = sources.lists.get(list);
      if (entries === undefined) return storedValue(list, key);
      const value = entries.get(key);
      return value instanceof Promise ? value.then((found) => found ?? "") : value ?? "";
    },
    keyExists: (list, key) => {
      const entries = sources.lists.get(list);
      if (entries !== undefined) return entries.has(key);
      const named = namedQuery(sources, list);
      if (named !== undefined) {
        return reach(() => store(named.store, "").read(named.sql, [key])).then(({ rows }) => rows.length > 0);
      }
      return reach(async () => (await lookupStore(list)).read(KEY, [key]))
        .then(({ rows }) => rows.length > 0);
    },
    keySet: async (list, key, value) => {
      await reach(async () =>
        (await lookupStore(list)).write([{
          sql:
            "INSERT INTO lookup_keys (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
          args: [key, JSON.stringify(value)],
        }])
      );
      return true;
    },
    counterGet: async (list, name) => {
      const { rows } = await reach(async () => (await lookupStore(list)).read(COUNTER, [name]));
      return Number(rows[0]?.[0] ?? 0);
    },
    counterIncr: async (list, name, amount) => {
      const [result] = await reach(async () =>
        (await lookupStore(list)).write([{
          sql: "INSERT INTO counters (name, value) VALUES (?, ?) " +
            "ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value",
          args: [name, amount],
        }])
      );
      return Number(result?.rows[0]?.[0] ?? 0);
    },
    sqlQuery: async (id, sql, args) => {
      const database = store(id, sources.dataStore);
      const bound = args.map(toBound);
      if (givesRows(sql)) {
        const { rows } = await reach(() => database.read(sql, bound));
        const first = rows[0];
        if (first === undefined) return false;
        const columns = first.map(toValue);
        return columns.length === 1 ? columns[0] ?? "" : columns;
      }
      const [result] = await reach(() => database.write([{ sql, args: bound }]));
      return result?.changes ?? 0;
    },
    dnsQuery: (name, type) => reach(() => query(sources.resolver, name, type)),
  };
}

/** Splits `<store id>/<name>` if that names a query. */
function namedQuery(sources: FunctionSources, list: string): { store: string; sql: string } | undefined {
  const slash = list.indexOf("/");
  if (slash < 0) return undefined;
  const store = list.slice(0, slash);
  const sql = sources.queries.get(store)?.[list.slice(slash + 1)];
  return sql === undefined ? undefined : { store, sql };
}

async function query(resolver: Resolver, name: string, type: string): Promise<readonly string[]> {
  switch (type.toLowerCase()) {
    case "a":
      return (await resolver.a(name)).records;
    case "aaaa":
      return (await resolver.aaaa(name)).records;
    case "mx":
      return (await resolver.mx(name)).records.map((record) => record.exchange);
    case "txt":
      return (await resolver.txt(name)).records;
    case "ptr":
      return (await resolver.ptr(name)).records;
    case "ns":
      return (await resolver.ns(name)).records;
    case "cname":
      return (await resolver.cname(name)).records;
    default:
      return [];
  }
}

/**
 * Turns the failures of stores and DNS into the one that expressions know. A statement of the administrator that the
 * database does not take, such as one about a table that is yet to come, is one too: mail waits until it is put right.
 */
async function reach<T>(lookup: () => Promise<T>): Promise<T> {
  try {
    return await lookup();
  } catch (error) {
    if (error instanceof StoreUnavailable || error instanceof StatementError || error instanceof DnsError) {
      throw new LookupUnavailable(error.message, { cause: error });
    }
    throw error;
  }
}

function any<T>(items: readonly T[], test: (item: T) => boolean | Promise<boolean>): boolean | Promise<boolean> {
  for (const [index, item] of items.entries()) {
    const answer = test(item);
    if (answer === true) return true;
    if (answer instanceof Promise) {
      return answer.then((found) => found || any(items.slice(index + 1), test));
    }
  }
  return false;
}

function toValue(column: unknown): Value {
  if (typeof column === "string" || typeof column === "number" || typeof column === "boolean") return column;
  if (typeof column === "bigint") return Number(column);
  if (column instanceof Uint8Array) return new TextDecoder().decode(column);
  return "";
}

function toBound(value: Value): string | number {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "object" ? JSON.stringify(value) : value;
}
