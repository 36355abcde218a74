/** Whether a record has arrived where authorities look for it: at all servers of its zone. */

import type { Clock } from "../clock/mod.ts";
import { createResolver, type Resolver } from "../dns/mod.ts";
import type { AddedRecord } from "./dns_provider.ts";

/** What looking takes. */
export interface PropagationWorld {
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolver: Resolver;
  /** Port of the servers of a zone; 53 outside tests. */
  readonly zonePort?: number;
}

/** What a look has shown; `missing` says where the record is not. */
export interface Sighting {
  readonly seen: boolean;
  readonly missing: string;
}

interface Server {
  readonly ip: string;
  readonly port: number;
}

/** Servers of a zone that are asked. */
const MOST_SERVERS = 13;

const TIMEOUT = 3_000;

/**
 * Finds the servers of a record's zone.
 *
 * The record counts as seen when every server that answers has it. A cache in between would remember that it was not
 * there, so it is asked only where no server of the zone can be reached.
 */
export async function createPropagation(
  { zone, servers: first }: Pick<AddedRecord, "zone" | "servers">,
  world: PropagationWorld,
): Promise<(name: string, value: string) => Promise<Sighting>> {
  const servers = [...first, ...await serversOf(zone, world)]
    .filter(({ ip, port }, index, all) => all.findIndex((one) => one.ip === ip && one.port === port) === index)
    .slice(0, MOST_SERVERS);
  return async (name, value) => {
    const looks = await Promise.all(servers.map((server) => has(direct(server, world), name, value)));
    const answered = looks.filter((look) => look !== undefined);
    if (answered.length > 0) {
      const without = servers.filter((_, index) => looks[index] === false).map(({ ip }) => ip);
      return { seen: without.length === 0, missing: `not yet at ${without.join(", ")}` };
    }
    const seen = await has(world.resolver, name, value);
    return { seen: seen === true, missing: `no server of ${zone} answers here, and the resolver does not find it` };
  };
}

async function serversOf(zone: string, { resolver, zonePort = 53 }: PropagationWorld): Promise<Server[]> {
  try {
    const { records } = await resolver.ns(zone);
    const found = await Promise.allSettled(
      records.slice(0, MOST_SERVERS).flatMap((name) => [resolver.a(name), resolver.aaaa(name)]),
    );
    return found.flatMap((answer) =>
      answer.status === "fulfilled" ? answer.value.records.map((ip) => ({ ip, port: zonePort })) : []
    );
  } catch {
    // Without names of servers, those that are known otherwise have to do.
    return [];
  }
}

type TxtLookup = Pick<Resolver, "txt"> & { close?(): void };

/** A resolver that asks one server and remembers nothing. */
function direct({ ip, port }: Server, { clock, random }: PropagationWorld): TxtLookup {
  return createResolver({
    servers: [{ protocol: "udp", ip, port }],
    preserveIntermediates: true,
    concurrency: 1,
    timeout: TIMEOUT,
    attempts: 1,
    tryTcpOnError: true,
    edns: true,
    dnssec: "trust",
    trustAnchors: [],
    cacheSizes: {},
  }, { clock, random, emit: () => {} });
}

/** Whether the record is there; `undefined` if nobody answers. */
async function has(lookup: TxtLookup, name: string, value: string): Promise<boolean | undefined> {
  try {
    return (await lookup.txt(name)).records.includes(value);
  } catch {
    return undefined;
  } finally {
    lookup.close?.();
  }
}
