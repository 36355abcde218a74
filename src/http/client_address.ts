/** Who the client is: the peer of the connection, or what a trusted proxy says. */

import ipaddr from "ipaddr.js";

/** Headers that a proxy adds. Their presence means that the peer is not the client. */
const FORWARDING_HEADERS = [
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-client-ip",
  "x-real-ip",
  "cf-connecting-ip",
  "true-client-ip",
];

/** Whether the request went through a proxy that says so. */
export function hasForwardingHeaders(headers: Headers): boolean {
  return FORWARDING_HEADERS.some((name) => headers.has(name));
}

/** An address in its usual spelling, IPv4-mapped IPv6 as IPv4; nothing if it is not an address. */
export function normalizeIp(text: string): string | undefined {
  // A zone (`fe80::1%eth0`) says nothing to others.
  const bare = text.replace(/%.*$/, "");
  if (!ipaddr.isValid(bare)) return undefined;
  if (ipaddr.IPv4.isValid(bare) && !ipaddr.IPv4.isValidFourPartDecimal(bare)) return undefined;
  return ipaddr.process(bare).toString();
}

/** Whether an address is in 127.0.0.0/8 or `::1`. */
export function isLoopback(ip: string): boolean {
  const normalized = normalizeIp(ip);
  return normalized !== undefined && ipaddr.process(normalized).range() === "loopback";
}

/** Whether the host name of a Host header means this machine only: `localhost` or a loopback address. */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host);
  return name === "localhost" || (name !== "" && isLoopback(name));
}

/** The host of a Host header in lower case, without port, final dot and brackets. */
export function hostName(host: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host.trim().toLowerCase());
  return (match?.[1] ?? match?.[2] ?? "").replace(/\.$/, "");
}

/**
 * The client address that `Forwarded` (RFC 7239) or else `X-Forwarded-For` names. The last entry is taken: it is the
 * one the proxy in front of us added, those before it are the client's own words.
 */
export function forwardedAddress(headers: Headers): string | undefined {
  const forwarded = headers.get("forwarded");
  if (forwarded !== null) {
    const last = splitList(forwarded).at(-1) ?? "";
    const match = /(?:^|;)\s*for\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;,\s"]+))/i.exec(last);
    return addressOfNode(match?.[1] ?? match?.[2] ?? "");
  }
  const last = headers.get("x-forwarded-for")?.split(",").at(-1);
  return last === undefined ? undefined : addressOfNode(last.trim());
}

/** Elements of a comma-separated list; commas inside quotes do not count. */
function splitList(text: string): string[] {
  return (text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []).map((element) => element.trim());
}

// RFC 7239 §6: `192.0.2.43:47011`, `[2001:db8::1]:4711`, `unknown`; X-Forwarded-For also has bare IPv6 addresses.
function addressOfNode(node: string): string | undefined {
  const match = /^\[([^\]]+)\](?::\d+)?$/.exec(node) ?? /^(\d+(?:\.\d+){3})(?::\d+)?$/.exec(node);
  return normalizeIp(match?.[1] ?? node);
}

/** The key that an address is counted under: itself, or its /64 for IPv6, which one client has whole. */
export function rateKey(ip: string): string {
  const normalized = normalizeIp(ip);
  if (normalized === undefined || !normalized.includes(":")) return normalized ?? ip;
  const parts = ipaddr.IPv6.parse(normalized).parts.slice(0, 4);
  return parts.map((part) => part.toString(16)).join(":") + "::/64";
}
