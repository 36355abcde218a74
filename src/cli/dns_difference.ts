/** Says in words how a DNS record that was found differs from the one that is wanted, and what that means for mail. Pure. */

import { type DnsRecord, zoneLine } from "./dns_record.ts";

/** What was found in place of a record. */
export interface Found {
  readonly state: "other" | "wrong" | "missing" | "unknown";
  /** Texts of the records that stand there; untrusted. */
  readonly found: readonly string[];
  /** Why more cannot be said: DNS has not answered, or an answer does not count. */
  readonly reason?: string | undefined;
}

/** The difference in a sentence. */
export function differenceOf(record: DnsRecord, { state, found, reason }: Found): string {
  if (state === "unknown") return `could not be looked up: ${reason ?? "no answer"}`;
  const { type, value } = record;
  const parts = reason === undefined ? [] : [reason];
  if (state === "missing") parts.push(`there is none; ${ABSENT[kindOf(record)]}; publish: ${zoneLine(record)}`);
  else if (type === "TXT") parts.push(...textDifference(record, found));
  else if (type === "MX") {
    parts.push(`mail goes to ${found.join(", ")} instead, which has to pass it on to ${value.split(" ").at(-1)}`);
  } else if (type === "CNAME") {
    parts.push(`the name leads to ${found.join(", ")}; whatever answers there has to serve the policy`);
  } else if (found.length > 0) {
    const many = found.length > 1;
    parts.push(
      `${many ? "none of the records there is" : "the record there is not"} for this key: senders that use DANE keep ` +
        `their mail back; publish: ${zoneLine(record)}`,
    );
  }
  return parts.join("; ");
}

type Kind = "mx" | "spf" | "dkim" | "atps" | "dmarc" | "sts" | "sts-host" | "tlsrpt" | "dkim-reports" | "tlsa";

const ABSENT: Readonly<Record<Kind, string>> = {
  mx: "mail goes to the address of the domain itself, if it has one",
  spf: "receivers cannot tell who may send",
  dkim: "signatures with this key do not verify",
  atps: "signatures of the other domain do not count for this one",
  dmarc: "receivers do not look whether mail is the domain's own",
  sts: "senders do not look for the policy",
  "sts-host": "senders cannot fetch the policy",
  tlsrpt: "nobody reports how TLS with the domain goes",
  "dkim-reports": "nobody reports signatures that fail",
  tlsa: "senders that use DANE keep their mail back when this key comes into use",
};

function kindOf({ type, value }: DnsRecord): Kind {
  if (type === "MX") return "mx";
  if (type === "TLSA") return "tlsa";
  if (type === "CNAME") return "sts-host";
  const version = /^v=([A-Za-z0-9]+)/.exec(value)?.[1]?.toUpperCase();
  switch (version) {
    case "SPF1":
      return "spf";
    case "DMARC1":
      return "dmarc";
    case "STSV1":
      return "sts";
    case "TLSRPTV1":
      return "tlsrpt";
    case "ATPS1":
      return "atps";
    case "DKIM1":
      return "dkim";
    default:
      return "dkim-reports";
  }
}

function textDifference(record: DnsRecord, found: readonly string[]): string[] {
  const [first = ""] = found;
  const kind = kindOf(record);
  if (found.length > 1 && kind !== "dkim") {
    return [`there are ${found.length} such records, which receivers take for none; keep one`];
  }
  if (kind === "spf") return [termDifference(record.value, first)];
  const changed = tagDifference(record.value, first);
  const all = changed.length === 0 ? "it is written in another way" : changed.join(", ");
  switch (kind) {
    case "dkim":
      return [`${all}: signatures that are made here do not verify; publish: ${zoneLine(record)}`];
    case "sts":
      return [`${all}: senders go on with the policy they have until it ends; publish the new id`];
    default:
      return [all];
  }
}

/** SPF (RFC 7208): which terms are proposed and not there, or there and not proposed. */
function termDifference(wanted: string, found: string): string {
  const terms = (text: string) => text.toLowerCase().trim().split(/\s+/).slice(1);
  const isLast = (term: string) => /^[-~?+]?all$/.test(term);
  const [want, have] = [terms(wanted), terms(found)];
  const lacking = want.filter((term) => !isLast(term) && !have.includes(term));
  const besides = have.filter((term) => !isLast(term) && !want.includes(term));
  const [wantedEnd, foundEnd] = [want.find(isLast), have.find(isLast)];
  const parts = [
    ...(lacking.length === 0 ? [] : [`it lacks ${lacking.join(" ")}, so mail of this server may fail`]),
    ...(besides.length === 0 ? [] : [`it has ${besides.join(" ")} besides`]),
    ...(wantedEnd === foundEnd ? [] : [`it ends in ${foundEnd ?? "nothing"}, ${wantedEnd} is proposed`]),
  ];
  return parts.length === 0 ? "the order differs" : parts.join(", ");
}

/** Lists of `tag=value`, in any order. */
function tagDifference(wanted: string, found: string): string[] {
  const [want, have] = [tagsOf(wanted), tagsOf(found)];
  const parts: string[] = [];
  for (const [name, value] of want) {
    const other = have.get(name);
    if (other === undefined) parts.push(`it has no ${name}=${shown(value)}`);
    else if (other !== value && (isBase64(name, want) || other.toLowerCase() !== value.toLowerCase())) {
      parts.push(`it has ${name}=${shown(other)}, not ${shown(value)}`);
    }
  }
  for (const [name, value] of have) if (!want.has(name)) parts.push(`it has ${name}=${shown(value)} besides`);
  return parts;
}

/** Whether capitals count in a tag: in the key of a DKIM record. */
function isBase64(name: string, tags: ReadonlyMap<string, string>): boolean {
  return name === "p" && tags.get("v") === "DKIM1";
}

function tagsOf(text: string): ReadonlyMap<string, string> {
  const tags = new Map<string, string>();
  for (const part of text.split(";")) {
    const [, name, value] = /^\s*([^=\s]+)\s*=\s*([\s\S]*?)\s*$/.exec(part) ?? [];
    if (name !== undefined && value !== undefined) tags.set(name.toLowerCase(), value);
  }
  return tags;
}

/** Keys are long, and two of them differ somewhere in the middle. */
function shown(value: string): string {
  return value.length > 40 ? `${value.slice(0, 12)}...${value.slice(-12)}` : value;
}
