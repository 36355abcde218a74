/** The envelope test (RFC 5228 §5.4). */

import assert from "node:assert/strict";
import { holds } from "../script.ts";

const before = 'require ["envelope", "relational", "comparator-i;ascii-numeric"];';
const count = (number: number, part: string) =>
  `envelope :count "eq" :comparator "i;ascii-numeric" ${part} "${number}"`;

Deno.test("the null sender is the empty text whatever part is asked for, and is not counted as an address", async () => {
  const envelope = { from: "", to: "bob@example.net" };
  for (const part of ["", ":all", ":localpart", ":domain"]) {
    assert.equal(await holds(`envelope ${part} "from" ""`, { before, envelope }), true, part);
  }
  assert.equal(await holds(count(0, '"from"'), { before, envelope }), true);
  assert.equal(await holds(count(1, '["from", "to"]'), { before, envelope }), true);
  assert.equal(await holds(count(2, '["from", "to"]'), { before }), true);
});

Deno.test("names of parts have no case, local parts do not lose theirs", async () => {
  const envelope = { from: "Ann@example.org", to: "bob@example.net" };
  assert.equal(await holds('envelope :comparator "i;octet" :localpart "FROM" "Ann"', { before, envelope }), true);
  assert.equal(await holds('envelope :comparator "i;octet" :localpart "From" "ann"', { before, envelope }), false);
});
