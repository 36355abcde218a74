/** Functions of mail and IP addresses. */

import ipaddr from "ipaddr.js";
import { textOf, TypeMismatch } from "../value.ts";
import type { Value } from "../types.ts";
import { binary, oneOf, type PureFunction, unary } from "./function.ts";

const PARTS = ["local", "domain"] as const;

/** Functions of addresses, by name. */
export const ADDRESS_FUNCTIONS: Readonly<Record<string, PureFunction>> = {
  is_email: unary((text) => typeof text === "string" && splitAddress(text) !== undefined),
  email_part: binary(emailPart, undefined, oneOf(PARTS)),
  is_ip_addr: unary((text) => typeof text === "string" && (isIpv4(text) || isIpv6(text))),
  is_ipv4_addr: unary((text) => typeof text === "string" && isIpv4(text)),
  is_ipv6_addr: unary((text) => typeof text === "string" && isIpv6(text)),
  ip_reverse_name: unary((ip) => reverseName(textOf(ip))),
};

// RFC 5321 §4.1.2, with the UTF-8 that RFC 6531 §3.3 adds. No class overlaps its neighbour, so matching is linear.
const LOCAL =
  /^(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10ffff}-]+)*|"(?:[ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*")$/u;
const DOMAIN =
  /^[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?(?:\.[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?)*$/u;
const LITERAL = /^\[(IPv6:)?([0-9A-Fa-f:.]+)\]$/i;

const encoder = new TextEncoder();

/** Splits a valid mail address at its last `@`; undefined if it is none. */
function splitAddress(text: string): { local: string; domain: string } | undefined {
  if (text.length > 320) return undefined;
  const at = text.lastIndexOf("@");
  if (at < 1) return undefined;
  const local = text.slice(0, at);
  const domain = text.slice(at + 1);
  // RFC 5321 §4.5.3.1: 64 octets for the local part, 255 for the domain.
  if (!LOCAL.test(local) || encoder.encode(local).length > 64) return undefined;
  return isDomain(domain) ? { local, domain } : undefined;
}

function isDomain(text: string): boolean {
  const literal = LITERAL.exec(text);
  if (literal !== null) return literal[1] === undefined ? isIpv4(literal[2] ?? "") : isIpv6(literal[2] ?? "");
  return text.length <= 255 && DOMAIN.test(text) && text.split(".").every((label) => label.length <= 63);
}

function emailPart(address: Value, part: Value): string {
  const wanted = PARTS.find((known) => known === part);
  if (wanted === undefined) throw new TypeMismatch("the part of an address is 'local' or 'domain'");
  return splitAddress(textOf(address))?.[wanted] ?? "";
}

function isIpv4(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text);
}

function isIpv6(text: string): boolean {
  return text.includes(":") && !text.includes("%") && ipaddr.IPv6.isValid(text);
}

/** Labels of a reverse lookup name, without zone (RFC 1035 §3.5, RFC 3596 §2.5). */
function reverseName(text: string): string {
  if (!isIpv4(text) && !isIpv6(text)) throw new TypeMismatch("expected an IP address");
  const address = ipaddr.process(text);
  const bytes = address.toByteArray();
  if (address.kind() === "ipv4") return bytes.reverse().join(".");
  const nibbles = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [...nibbles].reverse().join(".");
}
