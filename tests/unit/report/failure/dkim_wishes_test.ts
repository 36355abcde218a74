import assert from "node:assert/strict";
import { readDkimWishes, wantsToHear } from "../../../../src/report/failure/dkim_wishes.ts";

const read = (text: string) => readDkimWishes(text, "example.com");

Deno.test("the example of RFC 6651 appendix B.2", () => {
  const wishes = read("ra=dkim-errors; rp=100; rr=v:x");
  assert.deepEqual(wishes, { address: "dkim-errors@example.com", percent: 100, wanted: ["v", "x"] });
  const hears = (fault: Parameters<typeof wantsToHear>[1]) =>
    wishes !== undefined && wantsToHear(wishes, fault, () => 0.999);
  assert.deepEqual([hears("signature"), hears("body"), hears("expired")], [true, true, true]);
  assert.deepEqual([hears("dns"), hears("policy"), hears("syntax"), hears("revoked")], [false, false, false, false]);
});

Deno.test("defaults: all failures, always; without ra= nobody gets a report (RFC 6651 §3.2)", () => {
  assert.deepEqual(read("ra=a"), { address: "a@example.com", percent: 100, wanted: ["all"] });
  assert.equal(read("rr=v; rs=x")?.address, undefined);
  assert.equal(read("ra=")?.address, undefined);
});

Deno.test("values are dkim-quoted-printable, and stay local parts", () => {
  assert.equal(read("ra=a=2Eb; x=1")?.address, "a.b@example.com");
  assert.equal(read("rs=write=20to=20us=0D=0A250 ok")?.smtpText, "write to us?250ok");
  assert.equal(read("ra=victim=40other.example")?.address, undefined);
});

Deno.test("a record that breaks the rules asks for nothing", () => {
  for (const text of ["ra", "ra=a; ra=b", "ra=a; rp=101", "ra=a; rp=many", "ra=a; rr=v,x", "=a"]) {
    assert.equal(read(text), undefined, text);
  }
});

Deno.test("rp= is a percentage", () => {
  const wishes = { percent: 25, wanted: ["all"] };
  assert.equal(wantsToHear(wishes, "body", () => 0.249), true);
  assert.equal(wantsToHear(wishes, "body", () => 0.25), false);
  assert.equal(wantsToHear({ ...wishes, percent: 0 }, "body", () => 0), false);
});
