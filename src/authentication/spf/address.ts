/** IP addresses as octets, 4 or 16 of them. */

import ipaddr from "ipaddr.js";

const QNUM = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4 = new RegExp(`^${QNUM}(?:\\.${QNUM}){3}$`);

/** The octets of an IPv4 address in dotted decimal. */
export function ipv4Octets(text: string): Uint8Array | undefined {
  if (!IPV4.test(text)) return undefined;
  const [a, b, c, d] = text.split(".");
  return Uint8Array.of(Number(a), Number(b), Number(c), Number(d));
}

/** The octets of an IPv6 address; IPv4-mapped ones stay as they are. */
export function ipv6Octets(text: string): Uint8Array | undefined {
  // The parser takes zones and lone numbers too; none of these are addresses here.
  if (text.length > 45 || !/^[0-9a-f:.]+$/i.test(text) || !text.includes(":")) return undefined;
  return ipaddr.IPv6.isValid(text) ? Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray()) : undefined;
}

/** The octets of any address; IPv4-mapped ones are IPv4 (RFC 7208 §5). */
export function ipOctets(ip: string): Uint8Array | undefined {
  const v4 = ipv4Octets(ip);
  if (v4 !== undefined) return v4;
  const v6 = ipv6Octets(ip);
  const mapped = v6 !== undefined && v6[10] === 0xff && v6[11] === 0xff &&
    v6.subarray(0, 10).every((octet) => octet === 0);
  return mapped ? v6.slice(12) : v6;
}

/** Whether the first `prefix` bits are the same; addresses of different kinds never match. */
export function inNetwork(ip: Uint8Array, network: Uint8Array, prefix: number): boolean {
  if (ip.length !== network.length) return false;
  const whole = prefix >> 3;
  for (let i = 0; i < whole; i++) if (ip[i] !== network[i]) return false;
  const bits = prefix & 7;
  return bits === 0 || (((ip[whole] ?? 0) ^ (network[whole] ?? 0)) >> (8 - bits)) === 0;
}

/** RFC 7208 §7.3: IPv6 as nibbles with dots between them; DNS does not mind the case, the OpenSPF suite wants capitals. */
export function dotted(ip: Uint8Array): string {
  if (ip.length === 4) return ip.join(".");
  return Array.from(ip, (octet) => `${(octet >> 4).toString(16)}.${(octet & 15).toString(16)}`).join(".").toUpperCase();
}

/** As people write it. */
export function readable(ip: Uint8Array): string {
  return ip.length === 4 ? ip.join(".") : ipaddr.fromByteArray([...ip]).toString();
}
