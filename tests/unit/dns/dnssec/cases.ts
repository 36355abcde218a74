/** Questions about the zones that `record_answers.ts` makes, and what their answers are worth. */

import type { TYPE } from "../../../../src/dns/dnssec/mod.ts";

/** One question. */
export interface Case {
  readonly name: string;
  readonly type: keyof typeof TYPE;
  readonly becomes: "secure" | "insecure" | "bogus" | "indeterminate";
  /** Whether the name exists, where there are no records and that is proven. */
  readonly exists?: boolean;
}

/** One zone for each algorithm, with NSEC and NSEC3 in turn. */
export const SIGNED = ["rsa256", "rsa512", "p256", "p384", "ed"].map((name) => `${name}.example`);

export const CASES: readonly Case[] = [
  ...[...SIGNED, "example"].flatMap((zone): Case[] => [
    { name: zone, type: "MX", becomes: "secure" },
    { name: `mx.${zone}`, type: "A", becomes: "secure" },
    { name: `_25._tcp.mx.${zone}`, type: "TLSA", becomes: "secure" },
    // The zone has capitals in these names, the signature covers small letters (RFC 4034 §6.2).
    { name: `mixed.${zone}`, type: "MX", becomes: "secure" },
    { name: `mx.${zone}`, type: "AAAA", becomes: "secure", exists: true },
    { name: `_26._tcp.mx.${zone}`, type: "TLSA", becomes: "secure", exists: false },
    { name: `none.${zone}`, type: "MX", becomes: "secure", exists: false },
    { name: `a.b.none.${zone}`, type: "A", becomes: "secure", exists: false },
    { name: `empty.${zone}`, type: "A", becomes: "secure", exists: true },
    // RFC 4592: a wildcard stands for what is not there, any number of labels.
    { name: `q.wild.${zone}`, type: "A", becomes: "secure" },
    { name: `q.r.wild.${zone}`, type: "A", becomes: "secure" },
    { name: `q.wild.${zone}`, type: "TLSA", becomes: "secure", exists: true },
    { name: `there.wild.${zone}`, type: "A", becomes: "secure", exists: true },
    { name: `near.${zone}`, type: "A", becomes: "secure" },
    { name: `near.${zone}`, type: "TLSA", becomes: "secure", exists: true },
    { name: `near.${zone}`, type: "CNAME", becomes: "secure" },
    { name: `far.${zone}`, type: "A", becomes: "insecure" },
    { name: `far.${zone}`, type: "CNAME", becomes: "secure" },
    { name: `wildalias.${zone}`, type: "A", becomes: "secure" },
    { name: `q.renamed.${zone}`, type: "A", becomes: "secure" },
  ]),
  ...["sha1.example", "plain.example"].flatMap((zone): Case[] => [
    { name: zone, type: "MX", becomes: "insecure" },
    { name: `none.${zone}`, type: "A", becomes: "insecure" },
    { name: `_25._tcp.mx.${zone}`, type: "TLSA", becomes: "insecure" },
  ]),
  { name: "broken.example", type: "MX", becomes: "bogus" },
  { name: "none.broken.example", type: "A", becomes: "bogus" },
  { name: "costly.example", type: "MX", becomes: "secure" },
  { name: "none.costly.example", type: "A", becomes: "insecure" },
  { name: "optout.example", type: "MX", becomes: "secure" },
  // Nothing that is signed can say whether an unsigned zone begins there (RFC 5155 §9.2).
  { name: "none.optout.example", type: "A", becomes: "insecure" },
  { name: "mx.below.optout.example", type: "A", becomes: "insecure" },
];
