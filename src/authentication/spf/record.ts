/** SPF records (RFC 7208 §4.5, §4.6, §5, §6): from text to directives. */

import { isDotString } from "../../smtp/mod.ts";
import { createMemory } from "../memory.ts";
import { ipv4Octets, ipv6Octets } from "./address.ts";
import type { SpfReports } from "../types.ts";
import { type MacroText, parseMacroText } from "./macro.ts";

/** What a directive looks at. A missing `target` is the domain that is being checked. */
export type Mechanism =
  | { readonly kind: "all" }
  | { readonly kind: "include" | "exists"; readonly target: MacroText }
  | {
    readonly kind: "a" | "mx";
    readonly target: MacroText | undefined;
    /** Prefix lengths for IPv4 and IPv6. */
    readonly ipv4: number;
    readonly ipv6: number;
  }
  | { readonly kind: "ptr"; readonly target: MacroText | undefined }
  /** 4 or 16 octets. */
  | { readonly kind: "ip"; readonly network: Uint8Array; readonly prefix: number };

/** A mechanism and what its match means. */
export interface Directive {
  readonly verdict: "pass" | "fail" | "softfail" | "neutral";
  readonly mechanism: Mechanism;
  /** As written. */
  readonly text: string;
}

/** A record. */
export interface SpfRecord {
  readonly kind: "record";
  readonly directives: readonly Directive[];
  readonly redirect: MacroText | undefined;
  readonly explanation: MacroText | undefined;
  /** `ra=`, `rp=` and `rr=`; the address without its domain. */
  readonly reports: SpfReports | undefined;
}

/** A record that does not follow the grammar; the whole of it counts for nothing (RFC 7208 §4.6). */
export interface BrokenRecord {
  readonly kind: "broken";
  readonly problem: string;
}

const VERDICTS: Readonly<Record<string, Directive["verdict"]>> = {
  "": "pass",
  "+": "pass",
  "-": "fail",
  "~": "softfail",
  "?": "neutral",
};

const MODIFIER = /^([a-z][a-z0-9_.-]*)=/i;

/** Whether a TXT record is one for SPF: the version, and then a space or nothing (RFC 7208 §4.5). */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

// Senders are few and their records change seldom. Long records are not worth their memory.
const remembered = createMemory<SpfRecord | BrokenRecord>(1000);
const LONGEST_REMEMBERED = 2048;

/** Reads a record for which {@link isSpfRecord} holds. */
export function parseSpfRecord(text: string): SpfRecord | BrokenRecord {
  const known = remembered.get(text);
  if (known !== undefined) return known;
  const record = parse(text);
  if (text.length <= LONGEST_REMEMBERED) remembered.set(text, record);
  return record;
}

function parse(text: string): SpfRecord | BrokenRecord {
  const directives: Directive[] = [];
  let redirect: MacroText | undefined;
  let explanation: MacroText | undefined;
  const reporting = new Map<string, string>();
  for (const term of text.slice("v=spf1".length).split(" ")) {
    if (term === "") continue;
    const [prefix, name] = MODIFIER.exec(term) ?? [];
    if (prefix === undefined || name === undefined) {
      const directive = parseDirective(term);
      if (directive === undefined) return broken(term);
      directives.push(directive);
      continue;
    }
    const value = term.slice(prefix.length);
    switch (name.toLowerCase()) {
      case "redirect":
        if (redirect !== undefined) return { kind: "broken", problem: "redirect= stands twice" };
        redirect = domainSpec(value);
        if (redirect === undefined) return broken(term);
        break;
      case "exp":
        if (explanation !== undefined) return { kind: "broken", problem: "exp= stands twice" };
        explanation = domainSpec(value);
        if (explanation === undefined) return broken(term);
        break;
      default:
        // RFC 7208 §6: unknown modifiers mean nothing, but have to follow the grammar.
        if (parseMacroText(value, "modifier") === undefined) return broken(term);
        if (/^r[apr]$/i.test(name)) reporting.set(name.toLowerCase(), value);
    }
  }
  return { kind: "record", directives, redirect, explanation, reports: reportsOf(reporting) };
}

const WANTED = ["all", "e", "f", "s", "n"] as const;

/** RFC 6652 §3. What does not follow the grammar asks for nothing. */
function reportsOf(modifiers: ReadonlyMap<string, string>): SpfReports | undefined {
  // A qp-section (RFC 2045 §6.7).
  const address = modifiers.get("ra")?.replace(
    /=([0-9A-F]{2})/gi,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 16)),
  );
  const percent = modifiers.get("rp") ?? "100";
  const tokens = (modifiers.get("rr") ?? "all").toLowerCase().split(":");
  const wanted = WANTED.filter((word) => tokens.includes(word));
  if (address === undefined || !isDotString(address) || address.length > 64) return undefined;
  if (!/^[0-9]{1,3}$/.test(percent) || Number(percent) > 100 || wanted.length === 0) return undefined;
  return { address, percent: Number(percent), wanted };
}

function broken(term: string): BrokenRecord {
  return { kind: "broken", problem: `cannot read the term ${term.slice(0, 80)}` };
}

function parseDirective(text: string): Directive | undefined {
  const sign = /^[+\-~?]/.test(text) ? text.slice(0, 1) : "";
  const verdict = VERDICTS[sign];
  const mechanism = parseMechanism(text.slice(sign.length));
  return verdict === undefined || mechanism === undefined ? undefined : { verdict, mechanism, text };
}

function parseMechanism(text: string): Mechanism | undefined {
  const end = text.search(/[:/]/);
  const name = (end < 0 ? text : text.slice(0, end)).toLowerCase();
  const rest = end < 0 ? "" : text.slice(end);
  const argument = rest.startsWith(":") ? rest.slice(1) : undefined;
  switch (name) {
    case "all":
      return rest === "" ? { kind: "all" } : undefined;
    case "include":
    case "exists": {
      const target = argument === undefined ? undefined : domainSpec(argument);
      return target === undefined ? undefined : { kind: name, target };
    }
    case "ptr": {
      if (rest === "") return { kind: "ptr", target: undefined };
      const target = argument === undefined ? undefined : domainSpec(argument);
      return target === undefined ? undefined : { kind: "ptr", target };
    }
    case "a":
    case "mx":
      return parseAddressMechanism(name, rest);
    case "ip4":
    case "ip6":
      return argument === undefined ? undefined : parseNetwork(name, argument);
    default:
      return undefined;
  }
}

function parseAddressMechanism(kind: "a" | "mx", rest: string): Mechanism | undefined {
  const { before, ipv4, ipv6 } = splitLengths(rest);
  const v4 = ipv4 === undefined ? 32 : prefixLength(ipv4, 32);
  const v6 = ipv6 === undefined ? 128 : prefixLength(ipv6, 128);
  if (v4 === undefined || v6 === undefined) return undefined;
  if (before === "") return { kind, target: undefined, ipv4: v4, ipv6: v6 };
  const target = before.startsWith(":") ? domainSpec(before.slice(1)) : undefined;
  return target === undefined ? undefined : { kind, target, ipv4: v4, ipv6: v6 };
}

/** Takes `/24`, `//64` or `/24//64` off the end (RFC 7208 §5.6); the slash may also stand in a domain. */
function splitLengths(text: string): { before: string; ipv4: string | undefined; ipv6: string | undefined } {
  let before = text;
  let ipv4: string | undefined;
  let ipv6: string | undefined;
  const last = before.lastIndexOf("/");
  if (last > 0 && before[last - 1] === "/" && isNumber(before.slice(last + 1))) {
    ipv6 = before.slice(last + 1);
    before = before.slice(0, last - 1);
  }
  const slash = before.lastIndexOf("/");
  if (slash >= 0 && isNumber(before.slice(slash + 1))) {
    ipv4 = before.slice(slash + 1);
    before = before.slice(0, slash);
  }
  return { before, ipv4, ipv6 };
}

function isNumber(text: string): boolean {
  return /^[0-9]+$/.test(text);
}

/** A prefix length: no sign, no leading zeros. */
function prefixLength(text: string, most: number): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const length = Number(text);
  return length <= most ? length : undefined;
}

function parseNetwork(name: "ip4" | "ip6", text: string): Mechanism | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const most = name === "ip4" ? 32 : 128;
  const prefix = slash < 0 ? most : prefixLength(text.slice(slash + 1), most);
  const network = name === "ip4" ? ipv4Octets(address) : ipv6Octets(address);
  return prefix === undefined || network === undefined ? undefined : { kind: "ip", network, prefix };
}

/** RFC 7208 §7.1: macros and text that end in a macro or in a top-level label. */
function domainSpec(text: string): MacroText | undefined {
  const parsed = parseMacroText(text, "domain");
  if (parsed === undefined || text === "") return undefined;
  if (parsed.lastMacroEnd === text.length) return parsed.pieces;
  const tail = text.slice(parsed.lastMacroEnd, text.endsWith(".") ? -1 : undefined);
  const dot = tail.lastIndexOf(".");
  return dot >= 0 && isTopLabel(tail.slice(dot + 1)) ? parsed.pieces : undefined;
}

function isTopLabel(label: string): boolean {
  return /^[a-z0-9-]+$/i.test(label) && /[a-z-]/i.test(label) && !label.startsWith("-") && !label.endsWith("-");
}
