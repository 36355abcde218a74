/** Domain names: from what people write to what goes on the wire. */

import { domainToASCII } from "node:url";

// RFC 1035 §2.3.4: labels of 63 octets, names of 255 on the wire, which leaves 253 characters with dots.
const LONGEST_LABEL = 63;
const LONGEST_NAME = 253;

/**
 * A name as it is asked for and cached: lower case, A-labels (RFC 5891), no final dot.
 *
 * @returns `undefined` for text that cannot be a domain name: empty or overlong labels, blanks, bad IDN
 */
export function canonicalName(text: string): string | undefined {
  let name = text.endsWith(".") ? text.slice(0, -1) : text;
  // Only names that need it go through IDNA: that parser reads "1.2" as an IPv4 address.
  if (/[^\x21-\x7e]/.test(name)) name = domainToASCII(name);
  if (name === "" || name.length > LONGEST_NAME || /[^\x21-\x7e]|\\/.test(name)) return undefined;
  let start = 0;
  while (start <= name.length) {
    const dot = name.indexOf(".", start);
    const end = dot === -1 ? name.length : dot;
    if (end === start || end - start > LONGEST_LABEL) return undefined;
    start = end + 1;
  }
  return name.toLowerCase();
}

/**
 * The name with each letter large or small by chance. A server repeats it as it came; who only guesses at a question has
 * to guess that as well.
 *
 * @param random gives numbers in [0, 1) that cannot be predicted
 */
export function spelledAtRandom(name: string, random: () => number): string {
  let bits = 0;
  let left = 0;
  return name.replace(/[a-z]/g, (letter) => {
    if (left === 0) {
      bits = Math.floor(random() * 2 ** 24);
      left = 24;
    }
    left--;
    const isLarge = (bits & 1) === 1;
    bits >>= 1;
    return isLarge ? letter.toUpperCase() : letter;
  });
}

/** A name out of a record, lower case without final dot; `""` is the root. */
export function nameFromWire(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/**
 * The name under which an address is looked up backwards (RFC 1035 §3.5, RFC 3596 §2.5).
 *
 * @param octets the 4 or 16 octets of the address
 */
export function reverseName(octets: readonly number[]): string {
  if (octets.length === 4) return `${[...octets].reverse().join(".")}.in-addr.arpa`;
  let name = "";
  for (let i = octets.length - 1; i >= 0; i--) {
    const octet = octets[i] ?? 0;
    name += `${(octet & 15).toString(16)}.${(octet >> 4).toString(16)}.`;
  }
  return `${name}ip6.arpa`;
}
