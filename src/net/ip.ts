/** Addresses and networks as text: one spelling for each, whatever spelling came in. */

import ipaddr from "ipaddr.js";
import type { Network } from "../config/config.ts";
import type { Endpoint } from "./connection.ts";

const DOTTED = /^\d{1,3}(\.\d{1,3}){3}$/;

/**
 * The one spelling of an address: IPv4 as dotted decimal, IPv6 as RFC 5952 has it, IPv4-mapped IPv6
 * (RFC 4291 §2.5.5.2) as IPv4. Brackets and a zone are dropped.
 *
 * @returns the canonical text, `undefined` if `text` is not an address
 */
export function canonicalIp(text: string): string | undefined {
  return parse(text)?.toString();
}

function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  // ipaddr.js also reads "127.1", octal and hexadecimal parts: spellings that nobody writes in good faith.
  if (DOTTED.test(text)) {
    return ipaddr.IPv4.isValidFourPartDecimal(text) ? ipaddr.IPv4.parse(text) : undefined;
  }
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const zone = bare.indexOf("%");
  const address = zone < 0 ? bare : bare.slice(0, zone);
  if (!address.includes(":") || !ipaddr.IPv6.isValid(address)) return undefined;
  const parsed = ipaddr.IPv6.parse(address);
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address() : parsed;
}

/**
 * Reads `address` or `address/prefix`; a lone address is a network of itself. Bits after the prefix are cleared.
 *
 * @returns `undefined` if it is neither
 */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf("/");
  const address = parse(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = address.kind() === "ipv4" ? 32 : 128;
  let prefix = bits;
  if (slash >= 0) {
    const digits = text.slice(slash + 1);
    if (!/^\d{1,3}$/.test(digits)) return undefined;
    prefix = Number(digits);
    // ::ffff:192.0.2.0/120 counts its prefix from the front of the IPv6 address.
    if (bits === 32 && text.includes(":")) prefix -= 96;
    if (prefix < 0 || prefix > bits) return undefined;
  }
  const bytes = address.toByteArray().map((byte, index) => byte & mask(prefix - index * 8));
  return { address: ipaddr.fromByteArray(bytes).toString(), prefix };
}

function mask(bits: number): number {
  return bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

/** Whether `ip` lies in `network`; `false` if either is not valid. */
export function networkContains(network: Network, ip: string): boolean {
  return networkSet([network])(ip);
}

/** Makes a test for membership in any of `networks`; the networks are read once. */
export function networkSet(networks: readonly Network[]): (ip: string) => boolean {
  const v4: [ipaddr.IPv4, number][] = [];
  const v6: [ipaddr.IPv6, number][] = [];
  for (const network of networks) {
    const address = parse(network.address);
    if (address instanceof ipaddr.IPv4) v4.push([address, network.prefix]);
    else if (address !== undefined) v6.push([address, network.prefix]);
  }
  if (v4.length === 0 && v6.length === 0) return () => false;
  return (ip) => {
    const address = parse(ip);
    if (address === undefined) return false;
    return address instanceof ipaddr.IPv4
      ? v4.some((range) => address.match(range))
      : v6.some((range) => address.match(range));
  };
}

/** The endpoint of a socket address as the runtime gives it. */
export function endpointOf(address: Deno.Addr): Endpoint {
  if (address.transport !== "tcp" && address.transport !== "udp") return { ip: "", port: 0 };
  return { ip: canonicalIp(address.hostname) ?? address.hostname, port: address.port };
}

/** `192.0.2.1:25` or `[2001:db8::1]:25`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.ip.includes(":") ? `[${endpoint.ip}]:${endpoint.port}` : `${endpoint.ip}:${endpoint.port}`;
}
