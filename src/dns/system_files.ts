/** What the machine itself knows about names: `/etc/resolv.conf` and `/etc/hosts`. */

import ipaddr from "ipaddr.js";
import { canonicalName } from "./name.ts";

/** Addresses of one name, by family. */
export interface HostAddresses {
  readonly a: readonly string[];
  readonly aaaa: readonly string[];
}

const LOOPBACK: HostAddresses = { a: ["127.0.0.1"], aaaa: ["::1"] };

/** Whether `name` is loopback whatever a server would say (RFC 6761 §6.3). */
export function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

/** The `nameserver` lines of a resolv.conf text, in order. */
export function nameservers(resolvConf: string): string[] {
  const servers: string[] = [];
  for (const line of resolvConf.split("\n")) {
    const [word, address] = line.trim().split(/\s+/);
    if (word === "nameserver" && address !== undefined && ipaddr.isValid(address)) servers.push(address);
  }
  return servers;
}

/** The names of a hosts file text with their addresses. */
export function readHosts(hosts: string): ReadonlyMap<string, HostAddresses> {
  const names = new Map<string, { a: string[]; aaaa: string[] }>();
  for (const line of hosts.split("\n")) {
    const [address, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (address === undefined || !ipaddr.isValid(address)) continue;
    for (const alias of aliases) {
      const name = canonicalName(alias);
      if (name === undefined) continue;
      let entry = names.get(name);
      if (entry === undefined) names.set(name, entry = { a: [], aaaa: [] });
      (ipaddr.IPv6.isValid(address) ? entry.aaaa : entry.a).push(address);
    }
  }
  return names;
}

/** The addresses this machine gives a name by itself, if it does. */
export function localAddresses(
  name: string,
  hosts: ReadonlyMap<string, HostAddresses>,
): HostAddresses | undefined {
  return isLoopbackName(name) ? LOOPBACK : hosts.get(name);
}

/** Text of a file, or `""` if it cannot be read. */
export function readSystemFile(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
