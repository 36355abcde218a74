/**
 * The file in which trust in keys is kept: DNSKEY records, each with its state in a comment, as unbound writes them
 * (`auto-trust-anchor-file`), so that a file of either can be read by the other. Pure.
 */

import { Buffer } from "node:buffer";
import { nameFromText } from "./name.ts";
import { readKey } from "./key.ts";
import type { FollowedKey, KeyState } from "./rollover.ts";

/** Keys by zone; `""` is the root. */
export type FollowedZones = ReadonlyMap<string, readonly FollowedKey[]>;

/** How such files begin. */
const HEAD = "; autotrust trust anchor file";

const NUMBERS: Readonly<Record<KeyState, number>> = { pending: 1, valid: 2, missing: 3, revoked: 4, removed: 5 };
const WORDS: Readonly<Record<KeyState, string>> = {
  pending: " ADDPEND ",
  valid: "  VALID  ",
  missing: " MISSING ",
  revoked: " REVOKED ",
  removed: " REMOVED ",
};
const REVOKED = 0x80;

/** The text of the file. */
export function writeAnchorFile(zones: FollowedZones): string {
  const lines = [`${HEAD}; kept by godwit (RFC 5011)`];
  for (const [zone, keys] of zones) {
    lines.push(`;;id: ${zone === "" ? "." : `${zone}.`} 1`);
    for (const { data, state, since } of keys) {
      const [high = 0, low = 0, protocol = 0, algorithm = 0] = data;
      const flags = high * 256 + (state === "revoked" || state === "removed" ? low | REVOKED : low);
      const seconds = Math.floor(since / 1000);
      lines.push(
        `${zone === "" ? "." : `${zone}.`}\t3600\tIN\tDNSKEY\t${flags} ${protocol} ${algorithm} ` +
          `${Buffer.from(data.subarray(4)).toString("base64")} ;;state=${NUMBERS[state]} [${WORDS[state]}] ;;count=0 ` +
          `;;lastchange=${seconds} ;;${new Date(seconds * 1000).toUTCString()}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

/**
 * Reads the file.
 *
 * @returns the keys, or the line that is none
 */
export function readAnchorFile(text: string): FollowedZones | { readonly unreadable: string } {
  // One that is cut short could end before the state of a key, which would then count without its thirty days.
  if (text.startsWith(HEAD) && !text.endsWith("\n")) return { unreadable: text.slice(text.lastIndexOf("\n") + 1) };
  const zones = new Map<string, FollowedKey[]>();
  for (const line of text.split("\n")) {
    if (/^\s*(?:;.*)?$/.test(line)) continue;
    const [, owner, flags, protocol, algorithm, base64, comment] =
      /^(\S+)\s+(?:\d+\s+)?(?:IN\s+)?DNSKEY\s+(\d{1,5})\s+(\d{1,3})\s+(\d{1,3})\s+([A-Za-z\d+/=\s]+?)\s*(;.*)?$/
        .exec(line) ?? [];
    if (owner === undefined || base64 === undefined) return { unreadable: line };
    const octets = Buffer.from(base64, "base64");
    const number = Number(flags);
    const data = Uint8Array.from([
      number >> 8,
      number & 0xff & ~REVOKED,
      Number(protocol),
      Number(algorithm),
      ...octets,
    ]);
    if (readKey(data) === undefined) return { unreadable: line };
    const wanted = /;;state=(\d)/.exec(comment ?? "")?.[1];
    const found = (Object.keys(NUMBERS) as KeyState[]).find((state) => String(NUMBERS[state]) === wanted);
    // Without a state it is a key that somebody has put there, to be trusted; state 0 is a key never seen.
    if (wanted !== undefined && found === undefined) continue;
    const state = found ?? ((number & REVOKED) === 0 ? "valid" : "revoked");
    const since = Number(/;;lastchange=(\d{1,11})/.exec(comment ?? "")?.[1] ?? 0) * 1000;
    const zone = nameFromText(owner);
    zones.set(zone, [...zones.get(zone) ?? [], { data, state, since }]);
  }
  return zones;
}
