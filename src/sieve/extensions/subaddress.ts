/** `:user` and `:detail` (RFC 5233). */

import type { AddressPart, Extension } from "../definition.ts";
import type { Run } from "../run.ts";

/** The characters that may stand between user and detail; the first that is in the address counts. */
function separator(local: string, run: Run): number {
  const characters = run.settings.get("recipient_delimiter") ?? "+";
  for (let i = 0; i < local.length; i++) if (characters.includes(local[i] as string)) return i;
  return -1;
}

const PARTS: readonly AddressPart[] = [
  {
    tag: "user",
    read({ local }, run) {
      const at = separator(local, run);
      return at < 0 ? local : local.slice(0, at);
    },
  },
  {
    tag: "detail",
    // RFC 5233 §4: without a separator there is no detail, which is not the same as an empty one.
    read({ local }, run) {
      const at = separator(local, run);
      return at < 0 ? undefined : local.slice(at + 1);
    },
  },
];

export const subaddress: readonly Extension[] = [{ capability: "subaddress", addressParts: PARTS }];
