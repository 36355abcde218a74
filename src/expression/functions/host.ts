/** Functions that reach outside through the {@link FunctionHost}. */

import type { Value } from "../types.ts";
import { isArray, numberOf, textOf } from "../value.ts";
import type { HostFunction } from "./function.ts";

/** Record types of `dns_query`. */
export const RECORD_TYPES: readonly string[] = ["a", "aaaa", "mx", "txt", "ptr", "ns", "cname"];

/** Functions of the host, by name. */
export const HOST_FUNCTIONS: ReadonlyMap<string, HostFunction> = new Map<string, HostFunction>(Object.entries(
  {
    is_local_domain: {
      roles: ["directory", "value"],
      optional: 0,
      apply: (host, args) => host.isLocalDomain(text(args, 0), text(args, 1).toLowerCase()),
    },
    is_local_address: {
      roles: ["directory", "value"],
      optional: 0,
      apply: (host, args) => host.isLocalAddress(text(args, 0), lowerDomain(text(args, 1))),
    },
    key_get: {
      roles: ["list", "value"],
      optional: 0,
      apply: (host, args) => host.keyGet(text(args, 0), text(args, 1)),
    },
    key_exists: {
      roles: ["list", "value"],
      optional: 0,
      apply: (host, args) => host.keyExists(text(args, 0), text(args, 1)),
    },
    key_set: {
      roles: ["writable", "value", "value"],
      optional: 0,
      apply: (host, args) => host.keySet(text(args, 0), text(args, 1), value(args, 2)),
    },
    counter_get: {
      roles: ["store", "value"],
      optional: 0,
      apply: (host, args) => host.counterGet(text(args, 0), text(args, 1)),
    },
    counter_incr: {
      roles: ["writable", "value", "value"],
      optional: 0,
      apply: (host, args) => host.counterIncr(text(args, 0), text(args, 1), numberOf(value(args, 2))),
    },
    sql_query: {
      roles: ["database", "sql", "value"],
      optional: 1,
      apply: (host, args) => host.sqlQuery(text(args, 0), text(args, 1), bindings(args[2])),
    },
    dns_query: {
      roles: ["value", "record-type"],
      optional: 0,
      apply: (host, args) => host.dnsQuery(text(args, 0), text(args, 1).toLowerCase()),
    },
  } satisfies Record<string, HostFunction>,
));

function value(args: readonly Value[], index: number): Value {
  return args[index] ?? "";
}

function text(args: readonly Value[], index: number): string {
  return textOf(value(args, index));
}

function bindings(args: Value | undefined): readonly Value[] {
  if (args === undefined) return [];
  return isArray(args) ? args : [args];
}

function lowerDomain(address: string): string {
  const at = address.lastIndexOf("@");
  return address.slice(0, at + 1) + address.slice(at + 1).toLowerCase();
}
