/** What NSEC3 records prove of wildcards, where not all that is there is signed (RFC 5155 §6, §9.2) or a proof is dear. */

import assert from "node:assert/strict";
import { denialOf, nsec3Hash, wildcardProof } from "../../../../src/dns/dnssec/denial.ts";
import { type RecordSet, TYPE } from "../../../../src/dns/dnssec/record.ts";

const ZONE = "example.net";
const NAME = "host.wild.example.net";

/** The range from just before `first` to just behind `last`, or at a name itself; both count as signed. */
function range(
  names: { readonly around: string } | { readonly at: string },
  { optOut = false, iterations = 0 } = {},
): RecordSet {
  const hash = nsec3Hash("at" in names ? names.at : names.around, new Uint8Array(0), iterations);
  const beside = (by: number) => {
    const octets = Uint8Array.from(hash);
    octets[19] = ((octets[19] ?? 0) + by) & 0xff;
    return octets;
  };
  const owner = "at" in names ? hash : beside(-1);
  const bits = owner.reduce((text, octet) => text + octet.toString(2).padStart(8, "0"), "");
  const label = (bits.match(/.{5}/g) ?? []).map((five) => "0123456789abcdefghijklmnopqrstuv"[parseInt(five, 2)]);
  // Types: A.
  const types = [0, 1, 0x40];
  const head = [1, optOut ? 1 : 0, iterations >> 8, iterations & 0xff, 0, 20];
  return {
    name: `${label.join("")}.${ZONE}`,
    type: TYPE.NSEC3,
    ttl: 300,
    data: [Uint8Array.from([...head, ...beside(1), ...types])],
    signatures: [],
  };
}

Deno.test("a wildcard stands for a name if its range is there, and is not known to if that leaves room for others", () => {
  const proof = (...sets: RecordSet[]) => wildcardProof(NAME, 3, sets, ZONE);
  assert.equal(proof(range({ around: NAME })), "proven");
  assert.equal(proof(range({ around: NAME }, { optOut: true })), "unsigned");
  assert.equal(proof(range({ around: "other.wild.example.net" })), undefined);
  assert.equal(proof(range({ at: NAME })), undefined);
});

Deno.test("a proof that costs too many rounds proves no wildcard, and is no contradiction either (RFC 9276 §3.2)", () => {
  const dear = { iterations: 101 };
  assert.equal(wildcardProof(NAME, 3, [range({ around: NAME }, dear)], ZONE), "unsigned");
  assert.deepEqual(denialOf(NAME, TYPE.TLSA, [range({ around: NAME }, dear)], ZONE), { kind: "unsigned" });
  assert.equal(wildcardProof(NAME, 3, [range({ around: NAME }, { iterations: 100 })], ZONE), "proven");
});

Deno.test("where delegations need no signature nothing is known of a name below a wildcard without the type", () => {
  const denial = (optOut: boolean) =>
    denialOf(
      NAME,
      TYPE.TLSA,
      [range({ at: "wild.example.net" }), range({ around: NAME }, { optOut }), range({ at: "*.wild.example.net" })],
      ZONE,
    );
  assert.deepEqual(denial(false), { kind: "no-data", delegation: false });
  assert.deepEqual(denial(true), { kind: "unsigned" });
  const none = (optOut: boolean) =>
    denialOf(
      NAME,
      TYPE.TLSA,
      [range({ at: "wild.example.net" }), range({ around: NAME }, { optOut }), range({ around: "*.wild.example.net" })],
      ZONE,
    );
  assert.deepEqual(none(false), { kind: "no-name" });
  assert.deepEqual(none(true), { kind: "unsigned" });
});
