/** Comparators (RFC 4790). */

import type { Comparator, Extension } from "../definition.ts";
import { ASCII_CASEMAP, OCTET, UNICODE_CASEMAP } from "../match.ts";

// Greater than every number: what begins with no digit (RFC 4790 §9.1.1).
const INFINITY = "∞";

/** `i;ascii-numeric`: digits at the beginning count, nothing else does. */
export const ASCII_NUMERIC: Comparator = {
  name: "i;ascii-numeric",
  fold: (text) => /^0*(\d+)/.exec(text)?.[1] ?? INFINITY,
  substring: false,
  octets: true,
  compare(a, b) {
    if (a === b) return 0;
    if (a === INFINITY || b === INFINITY) return a === INFINITY ? 1 : -1;
    return a.length === b.length ? (a < b ? -1 : 1) : a.length - b.length;
  },
};

export const comparators: readonly Extension[] = [OCTET, ASCII_CASEMAP, ASCII_NUMERIC, UNICODE_CASEMAP].map(
  (comparator) => ({ capability: `comparator-${comparator.name}`, comparators: [comparator] }),
);
