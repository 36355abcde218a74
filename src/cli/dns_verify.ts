/** `godwit dns records --verify`: compares what should be published with what DNS says. */

import type { Resolver } from "../dns/mod.ts";
import { differenceOf } from "./dns_difference.ts";
import type { DnsRecord } from "./dns_record.ts";
import { type Output, printable, table } from "./output.ts";

/** The part of DNS that records are looked up in. */
export type RecordResolver = Pick<Resolver, "mx" | "txt" | "cname" | "a" | "aaaa" | "tlsa">;

/**
 * What became of a record. `other`: there is one for the same purpose with another content, which may be just as right
 * (SPF, DMARC); `wrong`: there is one that cannot do what it is for.
 */
export type RecordState = "ok" | "other" | "wrong" | "missing" | "unknown";

/** A record, and what DNS has in its place. */
export interface VerifiedRecord {
  readonly record: DnsRecord;
  readonly state: RecordState;
  /** What was found instead, or why nothing could be found out; `""` otherwise. Untrusted. */
  readonly found: string;
  /** How that differs from what is wanted, and what it means; `""` if all is well. Holds untrusted text. */
  readonly difference: string;
}

/** Looks all records up. Never rejects for reasons that lie in DNS. */
export function verifyRecords(
  records: readonly DnsRecord[],
  resolver: RecordResolver,
): Promise<readonly VerifiedRecord[]> {
  return Promise.all(records.map(async (record) => {
    let verdict: Verdict;
    try {
      verdict = await VERIFY[record.type](record, resolver);
    } catch (error) {
      verdict = { state: "unknown", found: [], reason: error instanceof Error ? error.message : String(error) };
    }
    const { state, found, reason } = verdict;
    return {
      record,
      state,
      found: [...reason === undefined ? [] : [reason], ...found.length === 0 ? [] : [found.join(" | ")]].join(": "),
      difference: state === "ok" ? "" : differenceOf(record, { state, found, reason }),
    };
  }));
}

interface Verdict {
  readonly state: RecordState;
  /** Texts of what stands there, unless all is well. */
  readonly found: readonly string[];
  readonly reason?: string;
}

const OK: Verdict = { state: "ok", found: [] };

const VERIFY: Readonly<
  Record<DnsRecord["type"], (record: DnsRecord, resolver: RecordResolver) => Promise<Verdict>>
> = { MX: verifyMx, TXT: verifyTxt, CNAME: verifyCname, TLSA: verifyTlsa };

async function verifyCname({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records: [alias] } = await resolver.cname(name);
  if (alias !== undefined) {
    return alias === plain(value) ? OK : { state: "other", found: [alias] };
  }
  // Addresses do as well, and may be those of another web server.
  const addresses = (await Promise.all([resolver.a(name), resolver.aaaa(name)])).flatMap(({ records }) => records);
  return { state: addresses.length === 0 ? "missing" : "other", found: addresses };
}

async function verifyTlsa({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records, security } = await resolver.tlsa(name);
  const found = records.map(({ usage, selector, matchingType, data }) =>
    `${usage} ${selector} ${matchingType} ${data.toHex()}`
  );
  // RFC 7672 §2.1.1: what is not signed is not looked at. Without DNSSEC there is nothing to publish, either.
  if (security !== "secure") {
    const reason = "the answer is not signed, or the name server does not validate";
    return { state: found.length === 0 ? "other" : "wrong", found, reason };
  }
  // Others may be there, for another key.
  if (found.includes(value)) return OK;
  return { state: found.length === 0 ? "missing" : "wrong", found };
}

function plain(name: string): string {
  return name.replace(/\.$/, "").toLowerCase();
}

async function verifyMx({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records } = await resolver.mx(name);
  const wanted = plain(value.split(" ").at(-1) ?? "");
  if (records.some(({ exchange }) => exchange === wanted)) return OK;
  const found = records.map(({ preference, exchange }) => `${preference} ${exchange}.`);
  // Mail may come through somebody else on purpose.
  return { state: records.length === 0 ? "missing" : "other", found };
}

async function verifyTxt({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records } = await resolver.txt(name);
  const kind = purposeOf(value);
  const alike = records.filter((text) => purposeOf(text) === kind);
  const [first] = alike;
  if (first === undefined) return { state: "missing", found: [] };
  if (kind === "key") return alike.some((text) => isSameKey(text, value)) ? OK : { state: "wrong", found: [first] };
  if (alike.some((text) => normal(text) === normal(value))) {
    // RFC 7208 §4.5, RFC 7489 §6.6.3, RFC 8461 §3.1, RFC 8460 §3: two of them count as none.
    return alike.length > 1 ? { state: "wrong", found: alike } : OK;
  }
  return { state: "other", found: alike };
}

/** RFC 6376 §3.6.1: Base64 tells capitals from small letters, and a key that does not say its type is one for RSA. */
function isSameKey(one: string, other: string): boolean {
  return tag(one, "p") === tag(other, "p") && (tag(one, "k") ?? "rsa") === (tag(other, "k") ?? "rsa");
}

/** What a TXT record is for, by how it begins. A DKIM key may come without its version. */
function purposeOf(text: string): string {
  const version = /^\s*v\s*=\s*([a-z0-9]+)/i.exec(text)?.[1]?.toUpperCase();
  if (version === "DKIM1" || (version === undefined && tag(text, "p") !== undefined)) return "key";
  return version ?? (tag(text, "ra") === undefined ? "" : "reports");
}

function normal(text: string): string {
  return text.replace(/\s*([;=])\s*/g, "$1").replace(/\s+/g, " ").replace(/;$/, "").trim().toLowerCase();
}

function tag(text: string, name: string): string | undefined {
  return new RegExp(`(?:^|;)\\s*${name}\\s*=([^;]*)`).exec(text)?.[1]?.replace(/\s+/g, "");
}

/** Prints the outcome. @returns the exit status: 0 if all that is needed is there, else 1 */
export function printVerified(results: readonly VerifiedRecord[], json: boolean, output: Output): number {
  if (json) {
    output.print(
      JSON.stringify(results.map(({ record, state, found, difference }) => ({ ...record, state, found, difference }))),
    );
  } else {
    const rows = results.map(({ record, state, found }) => [state, record.type, record.name, found || record.purpose]);
    for (const line of table(["state", "type", "name", "found, or what it is for"], rows, output)) output.print(line);
    for (const { record: { name, type }, difference } of results) {
      if (difference === "") continue;
      output.print("");
      output.print(printable(`${name} ${type}: ${difference}`));
    }
  }
  return results.every(({ state }) => state === "ok" || state === "other") ? 0 : 1;
}
