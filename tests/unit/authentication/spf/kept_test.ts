/** Outcomes of SPF that hold for as long as DNS says, and for whom. */

import assert from "node:assert/strict";
import type { ZoneEntry } from "../../../support/zone.ts";
import { ask, type Question, type Records, zoneOf } from "./asking.ts";

const NOW = 1_700_000_000_000;

/** How many questions go to DNS for a second check, and its result. */
async function again(
  records: Records,
  first: Question,
  second: Question,
): Promise<{ readonly questions: number; readonly result: string }> {
  const zone = zoneOf(records);
  await ask(zone, first);
  const before = zone.asked.length;
  const { result } = await ask(zone, second);
  return { questions: zone.asked.length - before, result };
}

const lasting = (seconds: number, entry: ZoneEntry): ZoneEntry => ({ ...entry, until: NOW + seconds * 1000 });
const txt = (seconds: number, text: string) => lasting(seconds, { txt: [text] });

const RECORDS: Records = {
  "example.net": txt(300, "v=spf1 mx include:b.example -all"),
  "b.example": txt(60, "v=spf1 ip4:192.0.2.7 -all"),
};

Deno.test("an outcome holds for as long as every record it rests on", async () => {
  const mx = {
    ...RECORDS,
    "example.net": lasting(300, { txt: ["v=spf1 mx include:b.example -all"], mx: [[10, "m.example"]] }),
  };
  const records = { ...mx, "m.example": lasting(3600, { a: ["192.0.2.1"] }) };
  const at = (seconds: number) => again(records, {}, { now: () => NOW + seconds * 1000 });
  assert.deepEqual(await at(0), { questions: 0, result: "pass" });
  assert.deepEqual(await at(59.999), { questions: 0, result: "pass" });
  assert.deepEqual(await at(60), { questions: 4, result: "pass" });
});

Deno.test("it holds for every sender from the domain at the address, and for no other", async () => {
  const records = { ...RECORDS, "example.net": txt(300, "v=spf1 include:b.example -all") };
  assert.equal((await again(records, {}, { sender: "bo@example.net", helo: "other.example.net" })).questions, 0);
  assert.equal((await again(records, {}, { helo: "example.net", identity: "helo" })).questions, 0);
  assert.deepEqual(await again(records, {}, { ip: "192.0.2.8" }), { questions: 2, result: "fail" });
  assert.deepEqual(await again(records, {}, { sender: "ana@b.example" }), { questions: 1, result: "pass" });
});

Deno.test("who is asked about is told, not who was asked about first", async () => {
  const zone = zoneOf({ "example.net": txt(300, "v=spf1 ra=reports -all") });
  await ask(zone, { sender: "ana@example.net" });
  const known = await ask(zone, { helo: "EXAMPLE.net", identity: "helo", sender: "" });
  assert.deepEqual(known, {
    method: "spf",
    result: "fail",
    identity: "helo",
    domain: "example.net",
    sender: "postmaster@example.net",
    mechanism: "-all",
    reports: { address: "reports@example.net", percent: 100, wanted: ["all"] },
    records: [{ domain: "example.net", text: "v=spf1 ra=reports -all" }],
  });
});

for (const letter of ["s", "l", "h", "S", "L1r-"]) {
  Deno.test(`a record with %{${letter}} is asked about again for each sender`, async () => {
    const records = { "example.net": txt(300, `v=spf1 exists:%{${letter}}.b.example -all`) };
    const zone = zoneOf(records);
    await ask(zone, { sender: "ana@example.net", helo: "ana.example.net" });
    await ask(zone, { sender: "bo@example.net", helo: "bo.example.net" });
    assert.equal(zone.asked.length, 4);
    assert.notEqual(zone.asked[1], zone.asked[3]);
  });
}

Deno.test("a local part outside ASCII does not decide for others what a macro with it would have matched", async () => {
  const records: Records = {
    "example.net": txt(300, "v=spf1 exists:%{l}.b.example -all"),
    "bo.b.example": lasting(300, { a: ["127.0.0.2"] }),
  };
  assert.equal((await again(records, { sender: "josé@example.net" }, { sender: "bo@example.net" })).result, "pass");
});

Deno.test("macros about the domain and the address let it hold", async () => {
  const records: Records = {
    "example.net": txt(300, "v=spf1 exists:%{ir}.%{v}.%{o}.%{d} -all"),
    "7.2.0.192.in-addr.example.net.example.net": lasting(300, { a: ["127.0.0.2"] }),
  };
  assert.deepEqual(await again(records, {}, { sender: "bo@example.net" }), { questions: 0, result: "pass" });
});

Deno.test("the names of the client count with the time they hold, and not at all if one cannot be looked up", async () => {
  const records = (of: ZoneEntry): Records => ({
    "example.net": txt(300, "v=spf1 ptr -all"),
    "192.0.2.7": lasting(200, { ptr: ["mail.example.net", "a.example"] }),
    "mail.example.net": lasting(100, { a: ["192.0.2.7"] }),
    "a.example": of,
  });
  const good = records(lasting(100, { a: ["192.0.2.9"] }));
  assert.deepEqual(await again(good, {}, { now: () => NOW + 99_999 }), { questions: 0, result: "pass" });
  assert.equal((await again(good, {}, { now: () => NOW + 100_000 })).questions, 4);
  assert.equal((await again(records({ error: "timeout" }), {}, {})).questions, 4);
});

Deno.test("what may not be kept, or could not be looked up, is asked for each time", async () => {
  assert.equal((await again({ "example.net": "v=spf1 -all" }, {}, {})).questions, 1);
  assert.equal((await again({ ...RECORDS, "b.example": "v=spf1 -all" }, {}, {})).questions, 3);
  const failing: Records = { "example.net": txt(300, "v=spf1 a:b.example -all"), "b.example": { error: "servfail" } };
  assert.deepEqual(await again(failing, {}, {}), { questions: 2, result: "temperror" });
});

Deno.test("errors in records hold like other outcomes", async () => {
  const records = { "example.net": txt(300, "v=spf1 ip4:x -all") };
  assert.deepEqual(await again(records, {}, {}), { questions: 0, result: "permerror" });
});

Deno.test("an explanation is made for each sender", async () => {
  const zone = zoneOf({
    "example.net": txt(300, "v=spf1 exp=why.example.net -all"),
    "why.example.net": txt(300, "%{s} may not"),
  });
  assert.equal((await ask(zone, { sender: "ana@example.net" })).explanation, "ana@example.net may not");
  assert.equal((await ask(zone, { sender: "bo@example.net" })).explanation, "bo@example.net may not");
});
