/** `godwit dns records --verify`: compares what should be published with what DNS says. */

import type { Resolver } from "../dns/mod.ts";
import type { DnsRecord } from "./dns_record.ts";
import { type Output, table } from "./output.ts";

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
}

/** Looks all records up. Never rejects for reasons that lie in DNS. */
export function verifyRecords(
  records: readonly DnsRecord[],
  resolver: RecordResolver,
): Promise<readonly VerifiedRecord[]> {
  return Promise.all(records.map(async (record) => {
    try {
      return { record, ...await VERIFY[record.type](record, resolver) };
    } catch (error) {
      return { record, state: "unknown" as const, found: error instanceof Error ? error.message : String(error) };
    }
  }));
}

type Verdict = Omit<VerifiedRecord, "record">;

const VERIFY: Readonly<
  Record<DnsRecord["type"], (record: DnsRecord, resolver: RecordResolver) => Promise<Verdict>>
> = { MX: verifyMx, TXT: verifyTxt, CNAME: verifyCname, TLSA: verifyTlsa };

async function verifyCname({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records: [alias] } = await resolver.cname(name);
  if (alias !== undefined) {
    return alias === plain(value) ? { state: "ok", found: "" } : { state: "other", found: alias };
  }
  // Addresses do as well, and may be those of another web server.
  const addresses = (await Promise.all([resolver.a(name), resolver.aaaa(name)])).flatMap(({ records }) => records);
  return { state: addresses.length === 0 ? "missing" : "other", found: addresses.join(", ") };
}

async function verifyTlsa({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records, security } = await resolver.tlsa(name);
  const all = records.map(({ usage, selector, matchingType, data }) =>
    `${usage} ${selector} ${matchingType} ${data.toHex()}`
  );
  const found = all.join(", ");
  // RFC 7672 §2.1.1: what is not signed is not looked at. Without DNSSEC there is nothing to publish, either.
  if (security !== "secure") {
    const unsigned = "the answer is not signed, or the name server does not validate";
    return all.length === 0 ? { state: "other", found: unsigned } : { state: "wrong", found: `${unsigned}: ${found}` };
  }
  // Others may be there, for the next key.
  if (all.includes(value)) return { state: "ok", found: "" };
  return { state: all.length === 0 ? "missing" : "wrong", found };
}

function plain(name: string): string {
  return name.replace(/\.$/, "").toLowerCase();
}

async function verifyMx({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records } = await resolver.mx(name);
  const wanted = plain(value.split(" ").at(-1) ?? "");
  if (records.some(({ exchange }) => exchange === wanted)) return { state: "ok", found: "" };
  const found = records.map(({ preference, exchange }) => `${preference} ${exchange}.`).join(", ");
  // Mail may come through somebody else on purpose.
  return { state: records.length === 0 ? "missing" : "other", found };
}

async function verifyTxt({ name, value }: DnsRecord, resolver: RecordResolver): Promise<Verdict> {
  const { records } = await resolver.txt(name);
  const kind = purposeOf(value);
  const alike = records.filter((text) => purposeOf(text) === kind);
  if (alike.some((text) => normal(text) === normal(value))) {
    // RFC 7208 §4.5, RFC 7489 §6.6.3, RFC 8461 §3.1, RFC 8460 §3: two of them count as none.
    const many = alike.length > 1 && kind !== "key";
    return { state: many ? "wrong" : "ok", found: many ? `${alike.length} such records: ${alike.join(" | ")}` : "" };
  }
  const [first] = alike;
  if (first === undefined) return { state: "missing", found: "" };
  if (kind === "key") return { state: tag(first, "p") === tag(value, "p") ? "ok" : "wrong", found: first };
  return { state: "other", found: first };
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
    output.print(JSON.stringify(results.map(({ record, state, found }) => ({ ...record, state, found }))));
  } else {
    const rows = results.map(({ record, state, found }) => [state, record.type, record.name, found || record.purpose]);
    for (const line of table(["state", "type", "name", "found, or what it is for"], rows, output)) output.print(line);
  }
  return results.every(({ state }) => state === "ok" || state === "other") ? 0 : 1;
}
