/** `:all`, `:localpart`, `:domain` (RFC 5228 §2.7.4). */

import { quoteLocalPart } from "../../smtp/mod.ts";
import type { AddressPart } from "../definition.ts";

/** A local part as it stands in an address: quoted if it holds anything but letters, marks and dots. */
function written(local: string): string {
  return /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.\u00a0-\uffff]*$/.test(local) ? local : quoteLocalPart(local);
}

export const ADDRESS_PARTS: readonly AddressPart[] = [
  { tag: "all", read: ({ local, domain }) => domain === "" ? written(local) : `${written(local)}@${domain}` },
  { tag: "localpart", read: ({ local }) => local },
  { tag: "domain", read: ({ domain }) => domain },
];
