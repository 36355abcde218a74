/** Whose message it is: the domains in the From field (RFC 7489 §6.6.1, RFC 5322 §3.4). */

import { decodeHeaderText } from "../../message/mod.ts";
import { domainToAscii, isDomain } from "../../smtp/mod.ts";

/** Characters of a From field that are read. */
const LONGEST = 65_536;

/** Most domains that are told apart. */
const MOST_DOMAINS = 4;

/** The domains of the authors of a field. */
export interface Authors {
  /** In lower case as A-labels, in order, each once. */
  readonly domains: readonly string[];
  /** There are more domains than are told apart, or addresses that cannot be read, or could be read in another way. */
  readonly dubious: boolean;
}

/**
 * Finds the domains of all addresses in the values of the From fields of a message: mailboxes and groups, with names,
 * comments, quoted strings, and routes of old. Where a field can be read in two ways, both count, so that nobody is
 * shown another author than the one that was checked; `parseAddressList` of the message room settles for one.
 */
export function authorDomains(values: readonly string[]): Authors {
  const domains: string[] = [];
  let dubious = false;
  for (const value of values) {
    const list = value.length > LONGEST ? { addresses: [], clear: false } : readList(value);
    const candidates = list.clear ? list.addresses : [...list.addresses, ...likelyAddresses(value)];
    dubious ||= !list.clear;
    for (const address of candidates) {
      // The part of a name before a comma that should have been quoted.
      if (!address.includes("@")) continue;
      const domain = domainOf(address);
      if (domain === undefined) dubious = true;
      else if (!domains.includes(domain)) {
        if (domains.length < MOST_DOMAINS) domains.push(domain);
        else dubious = true;
      }
      if (dubious && domains.length === MOST_DOMAINS) break;
    }
  }
  return { domains, dubious };
}

// What most fields hold: one address in angle brackets, behind a name without anything that would have to be read.
const ONE_ADDRESS = /^[^()<>,;:\\"[\]]*<([^\s()<>,;:\\"[\]]+)>\s*$/;

/** The addresses of a list, and whether there is only one way to read it. */
interface AddressesOfList {
  /** Without names, comments and blanks; what stands in quotes keeps only its quotes. */
  readonly addresses: readonly string[];
  readonly clear: boolean;
}

function readList(value: string): AddressesOfList {
  const [, only] = ONE_ADDRESS.exec(value) ?? [];
  if (only?.includes("@")) return { addresses: [only], clear: hasOneDomain(only) };
  const addresses: string[] = [];
  let clear = true;
  // Where an entry began; its text outside of angle brackets, and inside.
  let start = 0;
  let plain = "";
  let angle: string | undefined;
  let closed = false;
  let named = false;
  const put = (text: string) => {
    if (angle === undefined) plain += text;
    else angle += text;
  };
  const add = (address: string) => {
    addresses.push(address);
    if (address.includes("@")) named = true;
    if (!hasOneDomain(address)) clear = false;
  };
  const end = (at: number) => {
    if (plain !== "" && (!closed || plain.includes("@"))) add(plain);
    // What is not an address stands where readers look for one.
    if (!named && looksLikeAddress(value.slice(start, at))) clear = false;
    start = at + 1;
    plain = "";
    closed = named = false;
  };
  for (let i = 0; i < value.length; i++) {
    const char = value[i] as string;
    if (char === "(" || char === '"') {
      i = char === "(" ? commentEnd(value, i) : quoteEnd(value, i);
      if (i === value.length) clear = false;
      if (char === '"') put('""');
    } else if (angle !== undefined && char === ">") {
      add(angle);
      angle = undefined;
      closed = true;
    } else if (angle === undefined && char === "<") {
      // A name, which may look like an address.
      plain = "";
      angle = "";
    } else if (angle === undefined && (char === "," || char === ";")) end(i);
    else if (angle === undefined && char === ":" && !plain.includes("[")) {
      // What stands before a colon is the name of a group, except in an address literal.
      plain = "";
      end(i);
    } else if (!/\s/.test(char)) put(char);
  }
  if (angle !== undefined) clear = false;
  end(value.length);
  return { addresses, clear };
}

/** Whether an address names one domain alone; the hosts of a route of old (RFC 5322 §4.4) do not count. */
function hasOneDomain(address: string): boolean {
  const from = address.startsWith("@") ? address.lastIndexOf(":") + 1 : 0;
  return address.indexOf("@", from) === address.lastIndexOf("@");
}

/** Whether a reader who is shown a name, decoded (RFC 2047), may take it for an address. */
function looksLikeAddress(name: string): boolean {
  return name.includes("@") || (name.includes("=?") && decodeHeaderText(name).includes("@"));
}

/** Everything that a less careful reader could take for an address. */
function likelyAddresses(value: string): readonly string[] {
  return decodeHeaderText(value.slice(0, LONGEST)).match(/[^\s<>,;:()"@]@[^\s<>,;:()"@]+/g) ?? [];
}

/** Where the comment ends that starts at `start`; the length of the text if it does not. */
function commentEnd(value: string, start: number): number {
  let depth = 0;
  for (let i = start; i < value.length; i++) {
    const char = value[i];
    if (char === "\\") i++;
    else if (char === "(") depth++;
    else if (char === ")" && --depth === 0) return i;
  }
  return value.length;
}

function quoteEnd(value: string, start: number): number {
  for (let i = start + 1; i < value.length; i++) {
    if (value[i] === "\\") i++;
    else if (value[i] === '"') return i;
  }
  return value.length;
}

function domainOf(address: string): string | undefined {
  const at = address.lastIndexOf("@");
  if (at < 1) return undefined;
  const text = address.slice(at + 1);
  const domain = domainToAscii(text.endsWith(".") ? text.slice(0, -1) : text);
  return domain !== undefined && isDomain(domain) ? domain : undefined;
}
