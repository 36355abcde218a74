/** `:all`, `:localpart`, `:domain` (RFC 5228 §2.7.4). */

import type { AddressPart } from "../definition.ts";

export const ADDRESS_PARTS: readonly AddressPart[] = [
  { tag: "all", read: ({ local, domain }) => domain === "" ? local : `${local}@${domain}` },
  { tag: "localpart", read: ({ local }) => local },
  { tag: "domain", read: ({ domain }) => domain },
];
