/** Where trust begins: the keys of the root, or of zones that an administrator names. */

import { Buffer } from "node:buffer";
import { type KeyDigest, readKey, type ZoneKey } from "./key.ts";
import { nameFromText } from "./name.ts";

/** The keys of one zone that are believed. */
export interface Anchor {
  readonly zone: string;
  readonly digests: readonly KeyDigest[];
  readonly keys: readonly ZoneKey[];
}

/** The keys of the root as IANA publishes them (https://data.iana.org/root-anchors/root-anchors.xml): 2017 and 2024. */
export const ROOT_ANCHORS: readonly string[] = [
  ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
  ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
];

/**
 * Reads anchors from DS and DNSKEY records in master file format, one a line, as `root.key` and `dsset-` files hold
 * them. TTL and class may be left out; comments and empty lines are passed over.
 *
 * @returns the anchors, or the line that is neither
 */
export function readAnchors(lines: readonly string[]): readonly Anchor[] | { readonly unreadable: string } {
  const anchors = new Map<string, { zone: string; digests: KeyDigest[]; keys: ZoneKey[] }>();
  for (const line of lines.flatMap((text) => text.split("\n"))) {
    const words = line.replace(/;.*/, "").replaceAll(/[()]/g, " ").trim().split(/\s+/);
    const [owner = "", ...rest] = words;
    if (owner === "") continue;
    while (/^(?:\d+|IN)$/i.test(rest[0] ?? "")) rest.shift();
    const [type = "", first = "", second = "", third = "", ...data] = rest;
    const zone = nameFromText(owner);
    let anchor = anchors.get(zone);
    if (anchor === undefined) anchors.set(zone, anchor = { zone, digests: [], keys: [] });
    const numbers = [first, second, third].map((word) => /^\d{1,5}$/.test(word) ? Number(word) : NaN);
    const [a = NaN, b = NaN, c = NaN] = numbers;
    if (numbers.some(Number.isNaN) || data.length === 0) return { unreadable: line.trim() };
    if (/^DS$/i.test(type)) {
      const hex = data.join("");
      if (!/^(?:[0-9a-f]{2})+$/i.test(hex)) return { unreadable: line.trim() };
      anchor.digests.push({ tag: a, algorithm: b, digestType: c, digest: Buffer.from(hex, "hex") });
    } else if (/^DNSKEY$/i.test(type)) {
      const key = readKey(Uint8Array.from([a >> 8, a & 255, b, c, ...Buffer.from(data.join(""), "base64")]));
      if (key === undefined) return { unreadable: line.trim() };
      anchor.keys.push(key);
    } else return { unreadable: line.trim() };
  }
  return [...anchors.values()];
}
