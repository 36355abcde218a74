/** A {@link Resolver} that answers from a table of records. */

import ipaddr from "ipaddr.js";
import {
  type Answer,
  DnsError,
  type MxRecord,
  type Resolver,
  type Security,
  type TlsaRecord,
} from "../../src/dns/mod.ts";

/** What there is under one name; a name with `error` cannot be looked up. */
export interface ZoneEntry {
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  /** Preference and exchange; `[0, "."]` is the null MX. */
  readonly mx?: readonly (readonly [number, string])[];
  readonly txt?: readonly string[];
  readonly tlsa?: readonly TlsaRecord[];
  readonly ns?: readonly string[];
  readonly ptr?: readonly string[];
  readonly cname?: string;
  readonly security?: Security;
  readonly error?: DnsError["reason"];
  /** Until when answers may be kept, in milliseconds since the epoch. */
  readonly until?: number;
}

/** A zone that also tells what it was asked, as `"MX example.net"`. */
export interface Zone extends Resolver {
  readonly asked: readonly string[];
}

/**
 * Makes a resolver from a table. Reverse lookups are found under the plain IP address. A name that is not in the table
 * does not exist.
 */
export function createZone(table: Readonly<Record<string, ZoneEntry>>): Zone {
  const asked: string[] = [];

  const find = <T>(type: string, text: string, records: (entry: ZoneEntry) => readonly T[] | undefined): Answer<T> => {
    let name = text.toLowerCase().replace(/\.$/, "");
    asked.push(`${type} ${name}`);
    let security: Security = "secure";
    for (let links = 0; links < 10; links++) {
      const entry = table[name];
      if (entry === undefined) return { records: [], exists: false, security: "insecure", name };
      if (entry.error !== undefined) throw new DnsError(`${type} of ${name}: ${entry.error}`, entry.error);
      if ((entry.security ?? "insecure") !== "secure") security = entry.security ?? "insecure";
      if (entry.cname === undefined || type === "CNAME") {
        const kept = entry.until === undefined ? {} : { until: entry.until };
        return { records: records(entry) ?? [], exists: true, security, name, ...kept };
      }
      name = entry.cname;
    }
    throw new DnsError(`${type} of ${text}: CNAME loop`, "servfail");
  };

  const look = <T>(type: string, records: (entry: ZoneEntry) => readonly T[] | undefined) => {
    // deno-lint wants an await in async functions; a promise that runs `find` gives the same rejections.
    return (name: string) => new Promise<Answer<T>>((resolve) => resolve(find(type, name, records)));
  };

  return {
    asked,
    a: look("A", (entry) => entry.a),
    aaaa: look("AAAA", (entry) => entry.aaaa),
    mx: look(
      "MX",
      (entry) =>
        entry.mx?.map(([preference, exchange]): MxRecord => ({
          preference,
          exchange: exchange.toLowerCase().replace(/\.$/, ""),
        }))
          .sort((a, b) => a.preference - b.preference),
    ),
    txt: look("TXT", (entry) => entry.txt),
    ptr: (ip) => look("PTR", (entry) => entry.ptr)(ipaddr.isValid(ip) ? ipaddr.process(ip).toString() : ip),
    tlsa: look("TLSA", (entry) => entry.tlsa),
    cname: look("CNAME", (entry) => entry.cname === undefined ? [] : [entry.cname]),
    ns: look("NS", (entry) => entry.ns),
  };
}
