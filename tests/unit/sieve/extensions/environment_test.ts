/** Items of the environment (RFC 5183). */

import assert from "node:assert/strict";
import { holds } from "../script.ts";

const before = 'require ["environment", "relational", "comparator-i;ascii-numeric"];';
const ITEMS: Readonly<Record<string, string>> = { location: "MTA", "remote-host": "" };
const options = { before, host: { environment: (item: string) => ITEMS[item] } };
const count = (number: number, item: string) =>
  `environment :count "eq" :comparator "i;ascii-numeric" "${item}" "${number}"`;

Deno.test("an item that is known matches, an empty one is none to count, and one that is not known is nothing", async () => {
  assert.equal(await holds('environment "LOCATION" "mta"', options), true);
  assert.equal(await holds('environment :contains "remote-host" ""', options), true);
  assert.equal(await holds('environment :contains "vnd.none" ""', options), false);
  assert.equal(await holds(count(1, "location"), options), true);
  assert.equal(await holds(count(0, "remote-host"), options), true);
  assert.equal(await holds(count(0, "vnd.none"), options), false);
});
