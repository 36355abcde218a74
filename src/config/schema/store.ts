/** Keys of stores, lists and the cluster. */

import {
  bool,
  choice,
  cron,
  entriesOf,
  filled,
  filledWith,
  glob,
  int,
  listOf,
  lookupValue,
  numberOrText,
  size,
  span,
  text,
  url,
} from "../value_type.ts";
import { computed, type DefaultSources, key, only, optional, required, sameAs } from "./spec.ts";

const DATABASE = ["libsql", "sqlite"];
const CSV = ["csv"];

/** Any word: the builder knows the types of the format, and says of each why it will not do. */
const storeType = filledWith("one of libsql, sqlite or memory");

const storeId = filledWith("the id of a store");

export const storeKeys = {
  "store.<id>.type": required(storeType),
  "store.<id>.url": only(["libsql"], required(url("file", "http", "https", "ws", "wss", "libsql"))),
  "store.<id>.auth-token": only(["libsql"], optional(text)),
  "store.<id>.path": only(["sqlite"], required(filled)),
  "store.<id>.timeout": only(DATABASE, key(span, "15s")),
  "store.<id>.tls.allow-invalid-certs": only(DATABASE, key(bool, false)),
  "store.<id>.pool.max-connections": only(DATABASE, key(int(1, 10_000), 10)),
  "store.<id>.pool.workers": only(DATABASE, key(int(0, 1024), computed((from) => from.cpus))),
  "store.<id>.disable": key(bool, false),
  "store.<id>.query.<name>": only(DATABASE, required(filled)),
  "store.<id>.purge.frequency": only(DATABASE, key(cron, "0 3 *")),
  "store.<id>.format": only(["memory"], key(choice("list"), "list")),
  "store.<id>.values": only(["memory"], key(listOf(glob), [])),
  "storage.data": required(storeId),
  "storage.lookup": key(storeId, sameAs("storage.data")),
  "storage.directory": optional(filledWith("the id of a directory"), computed(onlyDirectory)),
  "lookup.<name>": required(entriesOf(lookupValue, true)),
  "http-lookup.<id>.enable": key(bool, true),
  "http-lookup.<id>.url": required(url("http", "https")),
  "http-lookup.<id>.format": required(choice("list", "csv")),
  "http-lookup.<id>.refresh": key(span, "12h"),
  "http-lookup.<id>.retry": key(span, "1h"),
  "http-lookup.<id>.timeout": key(span, "30s"),
  "http-lookup.<id>.gzipped": key(bool, false),
  "http-lookup.<id>.separator": only(CSV, key(filled, ",")),
  "http-lookup.<id>.skip-first": only(CSV, key(bool, false)),
  "http-lookup.<id>.index.key": only(CSV, key(int(), 0)),
  "http-lookup.<id>.index.value": only(CSV, optional(int())),
  "http-lookup.<id>.limits.size": key(size, 104857600),
  "http-lookup.<id>.limits.entries": key(int(1), 100000),
  "http-lookup.<id>.limits.entry-size": key(size, 512),
  "cluster.node-id": key(numberOrText, computed((from) => from.hostname)),
  "cluster.lease": key(span, "2m"),
};

function onlyDirectory(from: DefaultSources): string | undefined {
  const [first, ...more] = from.names("directory");
  return more.length === 0 ? first : undefined;
}
