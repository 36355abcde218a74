/** Asking DNS for the key of a signature (RFC 6376 §6.1.2). */

import { DnsError } from "../../dns/mod.ts";
import type { CheckResolver, DkimFault } from "../types.ts";
import { type DkimKey, readKeyRecord, type UnusableKey } from "./key_record.ts";
import type { SignatureBase } from "./signature.ts";

/** Keys of a signature, or why there is none: for now (`temporary`) or at all. */
export type KeyLookup =
  | { readonly kind: "keys"; readonly keys: readonly DkimKey[] }
  | { readonly kind: "unusable" | "temporary"; readonly fault: DkimFault; readonly reason: string };

/** Records at one name that are read; there should be one (RFC 6376 §3.6.2.2). */
const MOST_RECORDS = 3;

/** Looks up the key that a signature names. Never rejects because of DNS. */
export async function lookUpKeys(
  resolver: CheckResolver,
  { selector, domain }: Pick<SignatureBase, "selector" | "domain">,
): Promise<KeyLookup> {
  const name = `${selector}._domainkey.${domain}`;
  if (name.length > 253) return { kind: "unusable", fault: "syntax", reason: "the name of the key is too long" };
  let records: readonly string[];
  try {
    records = (await resolver.txt(name)).records;
  } catch (error) {
    if (error instanceof DnsError) {
      return { kind: "temporary", fault: "dns", reason: `the key could not be looked up: ${error.reason}` };
    }
    throw error;
  }
  const keys: DkimKey[] = [];
  let unusable: UnusableKey | undefined;
  for (const record of records.slice(0, MOST_RECORDS)) {
    const key = readKeyRecord(record);
    if (key.kind === "key") keys.push(key);
    else unusable ??= key;
  }
  if (keys.length > 0) return { kind: "keys", keys };
  return unusable ?? { kind: "unusable", fault: "dns", reason: "there is no key for the signature" };
}
