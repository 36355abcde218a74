/** Readers of the texts that values are made of: addresses, networks, host names, times, header lines. */

import { domainToASCII } from "node:url";
import ipaddr from "ipaddr.js";
import type { Cron, Network } from "./config.ts";

/** An address in canonical text (RFC 5952), or `undefined` if `text` is none; zones are refused. */
export function parseIp(text: string): string | undefined {
  // ipaddr.js also takes octal, hexadecimal and shortened IPv4; none of them is what an administrator means.
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) && !(text.includes(":") && ipaddr.IPv6.isValid(text))) return undefined;
  if (text.includes("%")) return undefined;
  return ipaddr.parse(text).toString();
}

/** An address or `address/prefix`; bits after the prefix are cleared. */
export function parseNetwork(text: string): Network | undefined {
  const [base = "", bits, ...rest] = text.split("/");
  const address = parseIp(base);
  if (address === undefined || rest.length > 0) return undefined;
  const parsed = ipaddr.parse(address);
  const longest = parsed.kind() === "ipv4" ? 32 : 128;
  if (bits === undefined) return { address, prefix: longest };
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(bits) || Number(bits) > longest) return undefined;
  const cidr = `${address}/${bits}`;
  const first = parsed.kind() === "ipv4"
    ? ipaddr.IPv4.networkAddressFromCIDR(cidr)
    : ipaddr.IPv6.networkAddressFromCIDR(cidr);
  return { address: first.toString(), prefix: Number(bits) };
}

const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** A host name in lower case without final dot (RFC 1035 §2.3.1, underscores allowed). */
export function parseHostname(text: string): string | undefined {
  const name = text.replace(/\.$/, "").toLowerCase();
  if (name.length > 253 || !name.split(".").every((label) => LABEL.test(label))) return undefined;
  return name;
}

/**
 * Where to connect: an address in canonical text, IPv6 also in brackets, or a host name, U-labels as A-labels. What looks
 * like an address and is none is no name either: no top-level domain is a number.
 */
export function parseHost(text: string): string | undefined {
  const ip = parseIp(text.replace(/^\[(.*:.*)\]$/, "$1"));
  if (ip !== undefined) return ip;
  const name = parseHostname(/[^\x21-\x7e]/.test(text) ? domainToASCII(text) : text);
  return name === undefined || /(?:^|\.)\d+$/.test(name) ? undefined : name;
}

/** A mail domain in lower case without final dot; U-labels are left as they are. */
export function parseDomain(text: string): string | undefined {
  const name = text.replace(/\.$/, "").toLowerCase();
  return name.length <= 253 && /^[^\s\p{Cc}@.]+(?:\.[^\s\p{Cc}@.]+)*$/u.test(name) ? name : undefined;
}

/** `local@domain`, or `@domain` for all of a domain; the domain in lower case. */
export function parseAddress(text: string): string | undefined {
  const at = text.lastIndexOf("@");
  const domain = at < 0 ? undefined : parseDomain(text.slice(at + 1));
  return domain === undefined || /\p{Cc}/u.test(text) ? undefined : text.slice(0, at + 1) + domain;
}

const CRON = /^(\d{1,2})\s+(\d{1,2}|\*)\s+([1-7]|\*)$/;

/** `minute hour weekday`: the last two may be `*`, Monday is 1. */
export function parseCron(text: string): Cron | undefined {
  const match = CRON.exec(text.trim());
  if (match === null) return undefined;
  const [minute, hour, weekday] = match.slice(1).map((part) => part === "*" ? undefined : Number(part));
  if (minute === undefined || minute > 59 || (hour ?? 0) > 23) return undefined;
  return { minute, hour, weekday };
}

// RFC 9110 §5.1 and §5.5: a token, a colon, and a value without control characters.
const HEADER_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[\t\x20-\x7e\x80-\uffff]*$/;

/** A complete HTTP header line, unchanged. */
export function parseHeaderLine(text: string): string | undefined {
  return HEADER_LINE.test(text) ? text : undefined;
}

/** Where to listen as it is written: without a port the protocol decides. */
export interface BindText {
  readonly ip: string;
  readonly port: number | undefined;
}

const BIND = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;

/** `address:port`, `[address]:port`, or an address alone, IPv6 with or without brackets. */
export function parseBind(text: string): BindText | undefined {
  const alone = parseIp(text);
  if (alone !== undefined) return { ip: alone, port: undefined };
  const match = BIND.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, portText] = match;
  const ip = parseIp(bracketed ?? plain ?? "");
  if (ip === undefined || (bracketed !== undefined) !== ip.includes(":")) return undefined;
  const port = portText === undefined ? undefined : Number(portText);
  return port !== undefined && port > 65535 ? undefined : { ip, port };
}

/** A name server as it is written: `[protocol://]ip[:port]`. */
export interface ServerAddress {
  readonly protocol: "udp" | "tcp" | "tls";
  readonly ip: string;
  readonly port: number;
}

/** `[protocol://]ip[:port]`; the port is 53, or 853 for tls. */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const match = /^(?:(udp|tcp|tls):\/\/)?(.+)$/i.exec(text);
  const bind = parseBind(match?.[2] ?? "");
  if (bind === undefined || bind.port === 0) return undefined;
  const word = match?.[1]?.toLowerCase();
  const protocol = word === "tcp" || word === "tls" ? word : "udp";
  return { protocol, ip: bind.ip, port: bind.port ?? (protocol === "tls" ? 853 : 53) };
}
