/** Domain names and address literals (RFC 5321 §4.1.2, §4.1.3; RFC 5891 for international names). */

import { domainToASCII, domainToUnicode as unicodeName } from "node:url";
import ipaddr from "ipaddr.js";

const LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const ASCII_DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const NOT_ASCII = /[^\0-\x7f]/;
const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
const GENERAL_LITERAL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?:[!-Z^-~]+$/i;

/** Longest domain in octets (RFC 5321 §4.5.3.1.2). */
export const LONGEST_DOMAIN = 255;

/**
 * Whether `text` can stand as a domain in an ASCII address: labels of letters, digits and hyphens, at most 63 octets
 * each. Underscores pass: they are not host names by the letter, but such hosts exist and refusing them helps nobody.
 */
export function isAsciiDomain(text: string): boolean {
  return text.length <= LONGEST_DOMAIN && ASCII_DOMAIN.test(text);
}

/** Whether `text` is a domain name, ASCII or international. Address literals are not. */
export function isDomain(text: string): boolean {
  return NOT_ASCII.test(text) ? domainToAscii(text) !== undefined : isAsciiDomain(text);
}

/**
 * Whether `name` is a fully qualified domain name: at least two labels, and a last label that is not a number (which
 * would make it a mistyped IP address).
 */
export function isFqdn(name: string): boolean {
  if (!isDomain(name)) return false;
  const lastDot = name.lastIndexOf(".");
  return lastDot > 0 && !/^[0-9]+$/.test(name.slice(lastDot + 1));
}

/**
 * The ASCII form (A-labels, lower case) of a domain name, or `undefined` if there is none. Address literals are
 * returned in lower case.
 */
export function domainToAscii(name: string): string | undefined {
  if (isAsciiDomain(name)) return name.toLowerCase();
  if (!NOT_ASCII.test(name)) return isAddressLiteral(name) ? name.toLowerCase() : undefined;
  const ascii = domainToASCII(name);
  return isAsciiDomain(ascii) ? ascii.toLowerCase() : undefined;
}

/** The form with U-labels of a domain name, for people. What cannot be converted is returned as it is. */
export function domainToUnicode(name: string): string {
  const unicode = /xn--/i.test(name) ? unicodeName(name) : "";
  return unicode === "" || unicode.includes("\ufffd") ? name : unicode;
}

/** Whether `text` is an address literal with brackets: `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[tag:content]`. */
export function isAddressLiteral(text: string): boolean {
  if (text.length > LONGEST_DOMAIN || !text.startsWith("[") || !text.endsWith("]")) return false;
  const inner = text.slice(1, -1);
  if (IPV4.test(inner)) return true;
  // "IPv6" is a tag too, but its content must be an address.
  return /^ipv6:/i.test(inner) ? isIpv6(inner.slice(5)) : GENERAL_LITERAL.test(inner);
}

/**
 * The IP address in an address literal, in canonical text form (an IPv4-mapped address as IPv4), or `undefined` if
 * `text` is no literal or one of another kind.
 */
export function parseAddressLiteral(text: string): string | undefined {
  if (!isAddressLiteral(text)) return undefined;
  const inner = text.slice(1, -1);
  if (IPV4.test(inner)) return inner;
  if (!/^ipv6:/i.test(inner)) return undefined;
  return ipaddr.process(inner.slice(5)).toString();
}

/** The address literal for an IP address: `[192.0.2.1]` or `[IPv6:2001:db8::1]`. */
export function formatAddressLiteral(ip: string): string {
  return ip.includes(":") ? `[IPv6:${ip}]` : `[${ip}]`;
}

function isIpv6(text: string): boolean {
  return /^[0-9a-f:.]+$/i.test(text) && ipaddr.IPv6.isValid(text);
}
