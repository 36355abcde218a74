/** The reverse lookup (RFC 8601 §2.7.3 and §3). */

import assert from "node:assert/strict";
import { checkIprev } from "../../../src/authentication/mod.ts";
import { DnsError } from "../../../src/dns/mod.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";

async function lookUp(records: Readonly<Record<string, ZoneEntry>>, ip = "192.0.2.7") {
  const { result, name } = await checkIprev(ip, { resolver: createZone(records), now: () => 0, random: () => 0 });
  return [result, name];
}

Deno.test("a name that leads back passes, whichever of the names it is", async () => {
  assert.deepEqual(await lookUp({ "192.0.2.7": { ptr: ["a.example"] }, "a.example": { a: ["192.0.2.7"] } }), [
    "pass",
    "a.example",
  ]);
  const second = {
    "192.0.2.7": { ptr: ["a.example", "b.example"] },
    "a.example": { a: ["192.0.2.8"] },
    "b.example": { a: ["192.0.2.9", "192.0.2.7"] },
  };
  assert.deepEqual(await lookUp(second), ["pass", "b.example"]);
});

Deno.test("an IPv6 client is found by AAAA alone", async () => {
  const names = { "2001:db8::1": { ptr: ["a.example"] } };
  const six = { ...names, "a.example": { aaaa: ["2001:db8::1"] } };
  assert.deepEqual(await lookUp(six, "2001:db8::1"), ["pass", "a.example"]);
  assert.deepEqual(await lookUp({ ...names, "a.example": { a: ["2001:db8::1"] } }, "2001:db8::1"), [
    "fail",
    "a.example",
  ]);
});

Deno.test("names that lead elsewhere or nowhere fail", async () => {
  const names = { "192.0.2.7": { ptr: ["a.example", "b.example"] } };
  assert.deepEqual(await lookUp({ ...names, "a.example": { a: ["192.0.2.8"] } }), ["fail", "a.example"]);
  assert.deepEqual(await lookUp(names), ["fail", "a.example"]);
});

Deno.test("an address without a name cannot be checked for good", async () => {
  assert.deepEqual(await lookUp({}), ["permerror", ""]);
  assert.deepEqual(await lookUp({ "192.0.2.7": {} }), ["permerror", ""]);
});

Deno.test("trouble with DNS is temporary unless another name passes", async () => {
  assert.deepEqual(await lookUp({ "192.0.2.7": { error: "timeout" } }), ["temperror", ""]);
  const names = { "192.0.2.7": { ptr: ["a.example", "b.example"] }, "a.example": { error: "servfail" as const } };
  assert.deepEqual(await lookUp({ ...names, "b.example": { a: ["192.0.2.8"] } }), ["temperror", "a.example"]);
  assert.deepEqual(await lookUp({ ...names, "b.example": { a: ["192.0.2.7"] } }), ["pass", "b.example"]);
});

Deno.test("the reason says what could not be looked up, not which server was asked", async () => {
  const failing = (name: string) => () =>
    Promise.reject(new DnsError(`${name}: 10.0.0.53 port 53: no answer within 5 s`, "timeout"));
  const zone = createZone({ "192.0.2.7": { ptr: ["a.example"] } });
  const context = { resolver: { ...zone, ptr: failing("PTR") }, now: () => 0, random: () => 0 };
  const { reason } = await checkIprev("192.0.2.7", context);
  assert.equal(reason, "the name of the address could not be looked up: timeout");
  const forward = await checkIprev("192.0.2.7", { ...context, resolver: { ...zone, a: failing("A") } });
  assert.equal(forward.reason, "a.example could not be looked up: timeout");
});

Deno.test("only ten names are looked at", async () => {
  const names = Array.from({ length: 11 }, (_, index) => `h${index}.example`);
  assert.deepEqual(await lookUp({ "192.0.2.7": { ptr: names }, "h10.example": { a: ["192.0.2.7"] } }), [
    "fail",
    "h0.example",
  ]);
});
