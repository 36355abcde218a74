/** What signing domains want to hear about signatures that fail (RFC 6651 §3.2). */

import type { DkimFault } from "../../authentication/types.ts";
import { DnsError, type Resolver } from "../../dns/mod.ts";
import { asAddress } from "../../smtp/mod.ts";

/** The record of a domain. */
export interface DkimWishes {
  /** `ra=` at the domain; absent if nobody is to get reports. */
  readonly address?: string;
  /** `rp=`, 0 to 100. */
  readonly percent: number;
  /** `rr=`: `all`, or letters. */
  readonly wanted: readonly string[];
  /** `rs=`: what clients are to be told of a refusal. Printable ASCII. */
  readonly smtpText?: string;
}

const LONGEST_TEXT = 200;
const NAME = "_report._domainkey.";

/** Reads the wishes of a signing domain; undefined if it has none, or they cannot be had now. */
export async function findDkimWishes(
  domain: string,
  resolver: Pick<Resolver, "txt">,
): Promise<DkimWishes | undefined> {
  if (NAME.length + domain.length > 253) return undefined;
  try {
    const { records: [text, ...others] } = await resolver.txt(NAME + domain);
    return text === undefined || others.length > 0 ? undefined : readDkimWishes(text, domain);
  } catch (error) {
    if (error instanceof DnsError) return undefined;
    throw error;
  }
}

/** Reads a record. Undefined if it breaks the rules (RFC 6651 §3.3, step 5). */
export function readDkimWishes(text: string, domain: string): DkimWishes | undefined {
  const tags = new Map<string, string>();
  for (const part of text.split(";")) {
    if (part.trim() === "") continue;
    const [, name = "", value = ""] = /^\s*([a-z][a-z0-9_]*)\s*=\s*(.*?)\s*$/is.exec(part) ?? [];
    if (name === "" || tags.has(name)) return undefined;
    tags.set(name, value);
  }
  const percent = tags.get("rp") ?? "100";
  const wanted = (tags.get("rr") ?? "all").split(":").map((letter) => letter.trim().toLowerCase());
  if (!/^\d{1,3}$/.test(percent) || Number(percent) > 100 || wanted.some((word) => !/^[a-z0-9]+$/.test(word))) {
    return undefined;
  }
  const local = quotedPrintableText(tags.get("ra"));
  const address = local === undefined || local === "" ? undefined : asAddress(`${local}@${domain}`);
  const smtpText = quotedPrintableText(tags.get("rs"))?.replace(/[^ -~]+/g, "?").slice(0, LONGEST_TEXT);
  return {
    ...(address === undefined ? {} : { address }),
    percent: Number(percent),
    wanted,
    ...(smtpText === undefined || smtpText === "" ? {} : { smtpText }),
  };
}

/** dkim-quoted-printable (RFC 6376 §2.11): blanks mean nothing. */
function quotedPrintableText(value: string | undefined): string | undefined {
  return value?.replace(/\s+/g, "").replace(
    /=([0-9A-F]{2})/gi,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 16)),
  );
}

/** RFC 6651 §5.1 */
const LETTERS: Readonly<Record<DkimFault, string>> = {
  dns: "d",
  revoked: "o",
  policy: "p",
  syntax: "s",
  body: "v",
  signature: "v",
  expired: "x",
  other: "o",
};

/** Whether the domain wants to hear of this. Draws by the percentage it asks for; `random` gives numbers in [0, 1). */
export function wantsToHear({ wanted, percent }: DkimWishes, fault: DkimFault, random: () => number): boolean {
  return (wanted.includes("all") || wanted.includes(LETTERS[fault])) && random() * 100 < percent;
}
