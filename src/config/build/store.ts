/** Builds `store.*`, `storage.*` and `lookup.*`. */

import { isAbsolute, resolve } from "node:path";
import { suggestion } from "../../expression/mod.ts";
import type { Config, StoreConfig } from "../config.ts";
import type { Pattern } from "../schema/mod.ts";
import { KINDS } from "../schema/mod.ts";
import { list } from "../value_type.ts";
import { absolutePath, type BuildContext } from "./context.ts";

/** Store types of the format that godwit does not have. */
const OTHER_TYPES: readonly string[] = [
  "azure",
  "distributed-blob",
  "elasticsearch",
  "foundationdb",
  "fs",
  "kafka",
  "mysql",
  "nats",
  "postgresql",
  "redis",
  "rocksdb",
  "s3",
  "sharded-blob",
  "sharded-in-memory",
  "sql-read-replica",
  "zenoh",
];

/** Stores by id, without those that are switched off. */
export function buildStores(context: BuildContext): ReadonlyMap<string, StoreConfig> {
  const stores = new Map<string, StoreConfig>();
  for (const id of context.reader.names("store")) {
    const store = buildStore(context, id);
    if (store !== undefined && !context.reader.get("store.<id>.disable", id)) stores.set(id, store);
  }
  return stores;
}

function buildStore(context: BuildContext, id: string): StoreConfig | undefined {
  const { reader } = context;
  const type = reader.get("store.<id>.type", id).toLowerCase();
  switch (type) {
    case "libsql":
      return buildDatabase(context, id, databaseUrl(context, id));
    case "sqlite": {
      const path = reader.get("store.<id>.path", id);
      return buildDatabase(context, id, `file:${urlPath(absolutePath(context, path))}`);
    }
    case "memory":
      return { id, type, values: reader.get("store.<id>.values", id) };
    case "":
      return undefined;
  }
  const known = KINDS["store.<id>.type"] ?? [];
  const found = reader.found("store.<id>.type", id);
  if (OTHER_TYPES.includes(type)) {
    reader.error(
      "store.<id>.type",
      [id],
      `is not supported: godwit has no stores of the type ${found}; use ${list(known, "or")}`,
    );
  } else {
    const hint = suggestion(type, known);
    reader.error("store.<id>.type", [id], `expected one of ${list(known, "or")}, found ${found}${hint}`);
  }
  return undefined;
}

function buildDatabase({ reader }: BuildContext, id: string, url: string): StoreConfig {
  if (reader.isSet("store.<id>.pool.workers", id) && reader.get("store.<id>.pool.workers", id) > 0) {
    const why = "a database file is used by one thread, and a server by none; what waits for it shares commits";
    reader.warning("store.<id>.pool.workers", [id], `has no effect: ${why}`);
  }
  const queries = new Map<string, string>();
  for (const name of reader.names("store.<id>.query", id)) {
    queries.set(name, reader.get("store.<id>.query.<name>", id, name));
  }
  return {
    id,
    type: "libsql",
    url,
    authToken: reader.get("store.<id>.auth-token", id),
    timeout: reader.get("store.<id>.timeout", id),
    allowInvalidCerts: reader.get("store.<id>.tls.allow-invalid-certs", id),
    maxConnections: reader.get("store.<id>.pool.max-connections", id),
    queries: Object.fromEntries(queries),
    purgeFrequency: reader.get("store.<id>.purge.frequency", id),
  };
}

/** The URL with the path of a file made absolute. */
function databaseUrl({ reader, folder }: BuildContext, id: string): string {
  const url = reader.get("store.<id>.url", id);
  if (!url.toLowerCase().startsWith("file:")) return url;
  const [, path = "", query = ""] = /^file:(?:\/\/(?=\/))?([^?#]*)(.*)$/is.exec(url) ?? [];
  if (path === "" || path.startsWith("//")) {
    const found = reader.found("store.<id>.url", id);
    reader.error("store.<id>.url", [id], `expected the path of a file after file:, found ${found}`);
  }
  return `file:${isAbsolute(path) ? path : resolve(urlPath(folder), path)}${query}`;
}

/** A path as a URL has it. */
function urlPath(path: string): string {
  return path.replace(/[%?#]/g, encodeURIComponent);
}

/** Which stores and directory serve by default; all must exist. */
export function buildStorage(context: BuildContext, stores: ReadonlyMap<string, StoreConfig>): Config["storage"] {
  const { reader } = context;
  const data = reader.get("storage.data");
  const lookup = reader.get("storage.lookup");
  const directory = reader.get("storage.directory");
  checkStore(context, "storage.data", data, stores);
  if (reader.isSet("storage.lookup")) checkStore(context, "storage.lookup", lookup, stores);
  const directories = reader.names("directory");
  if (directory !== undefined && directory !== "" && !directories.includes(directory)) {
    const hint = suggestion(directory, directories) || "; define it as directory.<id>";
    const found = reader.found("storage.directory");
    reader.error("storage.directory", [], `there is no directory with the id ${found}${hint}`);
  }
  if (directories.length > 1 && directory === undefined && !reader.isSet("session.rcpt.directory")) {
    const names = list(directories, "and");
    const message = `none of the directories ${names} is the default, so no domain is local; name one`;
    reader.warning("storage.directory", [], message);
  }
  return { data, lookup, directory };
}

function checkStore(
  { reader }: BuildContext,
  pattern: Pattern,
  id: string,
  stores: ReadonlyMap<string, StoreConfig>,
): void {
  if (id === "") return;
  const found = reader.found(pattern);
  const store = stores.get(id);
  if (store?.type === "memory") {
    reader.error(pattern, [], `expected a libsql or sqlite store, found ${found}, which is a fixed list`);
  } else if (store === undefined && !reader.names("store").includes(id)) {
    const hint = suggestion(id, stores.keys()) || "; define it as store.<id>";
    reader.error(pattern, [], `there is no store with the id ${found}${hint}`);
  } else if (store === undefined && reader.get("store.<id>.disable", id)) {
    reader.error(pattern, [], `store ${found} is switched off by its 'disable' key`);
  }
}

/** Lists of `lookup.<name>`. */
export function buildLookups({ reader }: BuildContext): Config["lookups"] {
  return new Map(reader.names("lookup").map((name) => [name, reader.get("lookup.<name>", name)]));
}
