/** Records in a zone by dynamic update, signed by TSIG (RFC 2136, RFC 8945). */

import { isIP } from "node:net";
import type { Clock } from "../clock/mod.ts";
import type { Resolver } from "../dns/mod.ts";
import type { DnsProvider, TxtRecord } from "./dns_provider.ts";
import { exchange, type NameServer } from "./dns_exchange.ts";
import { encodeSoaQuery, encodeUpdate, rcodeName, readMessage, type TxtChange, zoneOf } from "./dns_update.ts";
import { AcmeError } from "./problem.ts";
import { signMessage, type TsigKey, verifyResponse } from "./tsig.ts";

/** Where and how updates are sent. */
export interface Rfc2136Settings {
  /** Name or address. */
  readonly host: string;
  readonly port: number;
  readonly protocol: "udp" | "tcp";
  readonly key: TsigKey;
  /** Zone that holds the records; asked of the server if not given. */
  readonly origin: string | undefined;
}

/** What the provider works with. */
export interface Rfc2136World {
  readonly clock: Clock;
  readonly resolver: Pick<Resolver, "a" | "aaaa">;
  /** Numbers in [0, 1) that cannot be foretold: ids are made of it. */
  readonly random: () => number;
}

/** Makes the provider. */
export function createRfc2136(settings: Rfc2136Settings, world: Rfc2136World): DnsProvider {
  const { host, port, protocol, key, origin } = settings;
  const { clock, resolver, random } = world;
  const freshId = () => Math.floor(random() * 65_536);

  const serverOf = async (): Promise<NameServer> => {
    if (isIP(host) !== 0) return { ip: host, port, protocol };
    const answers = await Promise.allSettled([resolver.a(host), resolver.aaaa(host)]);
    const [ip] = answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value.records : []);
    if (ip === undefined) throw new AcmeError(`the name server ${host} has no address`, { kind: "network" });
    return { ip, port, protocol };
  };

  const findZone = async (server: NameServer, name: string, signal: AbortSignal): Promise<string> => {
    const answer = readMessage(await exchange(server, encodeSoaQuery(freshId(), name), { clock, signal }));
    const zone = zoneOf(answer);
    const isAbove = zone !== undefined && (name === zone || name.endsWith(`.${zone}`));
    if (isAbove && zone !== "") return zone;
    throw new AcmeError(
      `the name server ${host} does not tell which of its zones holds ${name} (${rcodeName(answer.rcode)}); ` +
        "name it by origin",
    );
  };

  const change = async (server: NameServer, zone: string, wanted: TxtChange, signal: AbortSignal): Promise<void> => {
    const request = signMessage(encodeUpdate(freshId(), zone, wanted), key, clock.now());
    const answer = await exchange(server, request.bytes, { clock, signal });
    const verdict = verifyResponse(answer, request.mac, key, clock.now());
    if (verdict.kind === "bad") throw new AcmeError(`update of ${zone} at ${host}: ${verdict.reason}`);
    const { rcode } = readMessage(answer);
    if (rcode === 0) return;
    const hint = rcode === 5 ? ": the key may not change this name" : rcode === 9 ? ": it does not hold this zone" : "";
    throw new AcmeError(`update of ${zone} at ${host}: the server says ${rcodeName(rcode)}${hint}`);
  };

  return {
    async add({ name, value, ttl }: TxtRecord, signal) {
      const server = await serverOf();
      const zone = origin ?? await findZone(server, name, signal);
      await change(server, zone, { kind: "add", name, value, ttl }, signal);
      return {
        zone,
        servers: [{ ip: server.ip, port: server.port }],
        remove: (signal) => change(server, zone, { kind: "remove", name, value, ttl: 0 }, signal),
      };
    },
  };
}
