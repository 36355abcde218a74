/** What SPF comes to (RFC 7208 §4 to §6). */

import assert from "node:assert/strict";
import { DnsError } from "../../../../src/dns/mod.ts";
import { ask, verdict, zoneOf } from "./asking.ts";

Deno.test("the first directive that matches decides, by its qualifier (RFC 7208 §4.6.2)", async () => {
  assert.equal(await verdict("v=spf1 +all"), "pass");
  assert.equal(await verdict("v=spf1 all"), "pass");
  assert.equal(await verdict("v=spf1 -all"), "fail");
  assert.equal(await verdict("v=spf1 ~all"), "softfail");
  assert.equal(await verdict("v=spf1 ?all"), "neutral");
  assert.equal(await verdict("v=spf1 ip4:198.51.100.1 -ip4:192.0.2.7 +all"), "fail");
});

Deno.test("a record that says nothing about the client is neutral (RFC 7208 §4.7)", async () => {
  const { result, mechanism } = await ask({ "example.net": "v=spf1 ip4:198.51.100.1" });
  assert.deepEqual([result, mechanism], ["neutral", undefined]);
  assert.equal(await verdict("v=spf1"), "neutral");
});

Deno.test("the directive that decided is told as written", async () => {
  const { mechanism } = await ask({ "example.net": "v=spf1 a:mail.example.net -ALL", "mail.example.net": {} });
  assert.equal(mechanism, "-ALL");
});

Deno.test("no record, or one for something else, is none; two records are an error (RFC 7208 §4.5)", async () => {
  assert.equal((await ask({})).result, "none");
  assert.equal((await ask({ "example.net": { txt: ["v=spf1x", "hello"] } })).result, "none");
  assert.equal((await ask({ "example.net": { txt: ["caf\u00e9", "v=spf1 -all"] } })).result, "fail");
  assert.equal((await ask({ "example.net": { txt: ["v=spf1 -all", "v=spf1 -all"] } })).result, "permerror");
});

for (
  const [domain, why] of [
    ["localhost", "one label"],
    ["[192.0.2.7]", "an address literal"],
    ["a..example", "an empty label"],
    [`${"a".repeat(64)}.example`, "a label of 64 characters"],
    [`${"a.".repeat(126)}example`, "more than 253 characters"],
    ["exa mple.net", "a blank"],
  ] as const
) {
  Deno.test(`a name that is no domain (${why}) is none, without a lookup (RFC 7208 §4.3)`, async () => {
    const zone = zoneOf({});
    assert.equal((await ask(zone, { helo: domain, identity: "helo" })).result, "none");
    assert.deepEqual(zone.asked, []);
  });
}

Deno.test("the null sender is postmaster at the EHLO name, and so is the EHLO identity (RFC 7208 §2.3, §2.4)", async () => {
  const records = {
    "mail.example.net": "v=spf1 exists:%{l}.%{o}.%{h}.example -all",
    "postmaster.mail.example.net.mail.example.net.example": { a: ["127.0.0.2"] },
  };
  const ofNull = await ask(records, { sender: "" });
  assert.deepEqual([ofNull.result, ofNull.identity, ofNull.sender], [
    "pass",
    "mailfrom",
    "postmaster@mail.example.net",
  ]);
  const ofHelo = await ask(records, { identity: "helo" });
  assert.deepEqual([ofHelo.result, ofHelo.identity, ofHelo.domain], ["pass", "helo", "mail.example.net"]);
});

Deno.test("a domain in capitals, with a final dot or with U-labels is asked for as DNS has it", async () => {
  assert.equal((await ask({ "example.net": "v=spf1 -all" }, { sender: "a@EXAMPLE.net" })).result, "fail");
  assert.equal(
    (await ask({ "mail.example.net": "v=spf1 -all" }, { helo: "mail.example.net.", identity: "helo" })).result,
    "fail",
  );
  const found = await ask({ "xn--bcher-kva.example": "v=spf1 -all" }, { sender: "a@bücher.example" });
  assert.deepEqual([found.result, found.domain], ["fail", "xn--bcher-kva.example"]);
});

Deno.test("ip4 and ip6 match networks, each only its own kind (RFC 7208 §5.6)", async () => {
  for (
    const [term, ip, wanted] of [
      ["ip4:192.0.2.0/24", "192.0.2.255", "pass"],
      ["ip4:192.0.2.0/24", "192.0.3.0", "fail"],
      ["ip4:192.0.2.8/29", "192.0.2.15", "pass"],
      ["ip4:192.0.2.8/29", "192.0.2.16", "fail"],
      ["ip4:192.0.2.9/29", "192.0.2.8", "pass"],
      ["ip4:192.0.2.7", "192.0.2.7", "pass"],
      ["ip4:0.0.0.0/0", "203.0.113.1", "pass"],
      ["ip4:0.0.0.0/0", "2001:db8::1", "fail"],
      ["ip6:2001:db8::/32", "2001:db8:ffff::1", "pass"],
      ["ip6:2001:db8::/33", "2001:db8:8000::1", "fail"],
      ["ip6:::/0", "2001:db8::1", "pass"],
      ["ip6:::/0", "192.0.2.7", "fail"],
      // RFC 7208 §5: a mapped address is an IPv4 address.
      ["ip4:192.0.2.7", "::ffff:192.0.2.7", "pass"],
      ["ip6:::ffff:192.0.2.7", "::ffff:192.0.2.7", "fail"],
    ] as const
  ) {
    assert.equal(await verdict(`v=spf1 ${term} -all`, {}, { ip }), wanted, `${term} for ${ip}`);
  }
});

Deno.test("a matches the addresses of the domain or another, within a prefix (RFC 7208 §5.3)", async () => {
  const hosts = {
    "host.example.net": { a: ["198.51.100.1", "192.0.2.9"], aaaa: ["2001:db8::9"] },
    "alias.example.net": { cname: "host.example.net" },
  };
  for (
    const [term, ip, wanted] of [
      ["a:host.example.net", "192.0.2.9", "pass"],
      ["a:host.example.net", "192.0.2.7", "fail"],
      ["a:host.example.net/29", "192.0.2.15", "pass"],
      ["a:host.example.net//64", "192.0.2.7", "fail"],
      ["a:host.example.net", "2001:db8::9", "pass"],
      ["a:host.example.net/0//64", "2001:db8::1:2", "pass"],
      ["a:host.example.net/0", "2001:db8::1:2", "fail"],
      ["a:alias.example.net", "192.0.2.9", "pass"],
      ["a:nowhere.example.net", "192.0.2.9", "fail"],
    ] as const
  ) {
    assert.equal(await verdict(`v=spf1 ${term} -all`, hosts, { ip }), wanted, `${term} for ${ip}`);
  }
  const own = { "example.net": { txt: ["v=spf1 a -all"], a: ["192.0.2.7"] } };
  assert.equal((await ask(own)).result, "pass");
});

Deno.test("mx matches the addresses of mail hosts, and never the domain itself (RFC 7208 §5.4)", async () => {
  const records = {
    "example.net": { txt: ["v=spf1 mx/28 -all"], a: ["192.0.2.7"], mx: [[10, "mx.example.net"], [20, "."]] as const },
    "mx.example.net": { a: ["203.0.113.1"] },
  };
  assert.equal((await ask(records, { ip: "203.0.113.14" })).result, "pass");
  assert.equal((await ask(records, { ip: "203.0.113.16" })).result, "fail");
  const without = { "example.net": { txt: ["v=spf1 mx -all"], a: ["192.0.2.7"] } };
  assert.equal((await ask(without)).result, "fail");
});

Deno.test("a target may end in a dot; the host of a null MX is not asked for", async () => {
  assert.equal(await verdict("v=spf1 a:mail.example.net. -all", { "mail.example.net": { a: ["192.0.2.7"] } }), "pass");
  const zone = zoneOf({ "example.net": { txt: ["v=spf1 mx -all"], mx: [[0, "."]] } });
  assert.equal((await ask(zone)).result, "fail");
  assert.deepEqual(zone.asked, ["TXT example.net", "MX example.net"]);
});

Deno.test("more than ten MX records are an error (RFC 7208 §4.6.4)", async () => {
  const mx = Array.from({ length: 11 }, (_, index) => [10, `mx${index}.example.net`] as const);
  const hosts = Object.fromEntries(mx.map(([, name]) => [name, { a: ["192.0.2.7"] }]));
  assert.equal((await ask({ "example.net": { txt: ["v=spf1 mx -all"], mx }, ...hosts })).result, "permerror");
  const ten = { txt: ["v=spf1 mx -all"], mx: mx.slice(1) };
  assert.equal((await ask({ "example.net": ten, ...hosts })).result, "pass");
});

Deno.test("ptr wants a name of the client that leads back to it and lies in the domain (RFC 7208 §5.5)", async () => {
  const ptr = (names: readonly string[], addresses: readonly string[]) => ({
    "192.0.2.7": { ptr: names },
    ...Object.fromEntries(names.map((name) => [name, { a: addresses }])),
  });
  assert.equal(await verdict("v=spf1 ptr -all", ptr(["mail.example.net"], ["192.0.2.7"])), "pass");
  assert.equal(await verdict("v=spf1 ptr -all", ptr(["mail.example.net"], ["192.0.2.8"])), "fail");
  assert.equal(await verdict("v=spf1 ptr -all", ptr(["mail.badexample.net"], ["192.0.2.7"])), "fail");
  assert.equal(await verdict("v=spf1 ptr:EXAMPLE.org -all", ptr(["example.org"], ["192.0.2.7"])), "pass");
  assert.equal(await verdict("v=spf1 ptr -all", {}), "fail");
  // Only ten names are looked at.
  const many = Array.from({ length: 10 }, (_, index) => `h${index}.example.org`);
  assert.equal(await verdict("v=spf1 ptr -all", ptr([...many, "mail.example.net"], ["192.0.2.7"])), "fail");
  assert.equal(await verdict("v=spf1 ptr -all", ptr([...many.slice(1), "mail.example.net"], ["192.0.2.7"])), "pass");
});

Deno.test("trouble with reverse names only means that ptr does not match (RFC 7208 §5.5)", async () => {
  assert.equal(await verdict("v=spf1 ptr -all", { "192.0.2.7": { error: "timeout" } }), "fail");
  const half = {
    "192.0.2.7": { ptr: ["down.example.net", "mail.example.net"] },
    "down.example.net": { error: "servfail" as const },
    "mail.example.net": { a: ["192.0.2.7"] },
  };
  assert.equal(await verdict("v=spf1 ptr -all", half), "pass");
});

Deno.test("exists asks for A, for clients with IPv6 too (RFC 7208 §5.7)", async () => {
  const list = { "a.example.org": { a: ["127.0.0.2"] }, "b.example.org": { aaaa: ["::1"] } };
  assert.equal(await verdict("v=spf1 exists:a.example.org -all", list, { ip: "2001:db8::1" }), "pass");
  assert.equal(await verdict("v=spf1 exists:b.example.org -all", list, { ip: "2001:db8::1" }), "fail");
});

Deno.test("include matches if what it includes passes; its errors are errors (RFC 7208 §5.2)", async () => {
  for (
    const [included, wanted] of [
      ["v=spf1 ip4:192.0.2.7 -all", "pass"],
      ["v=spf1 -all", "softfail"],
      ["v=spf1 ~all", "softfail"],
      ["v=spf1 ?all", "softfail"],
      ["v=spf1 moo -all", "permerror"],
      ["no record", "permerror"],
    ] as const
  ) {
    assert.equal(await verdict("v=spf1 include:other.example ~all", { "other.example": included }), wanted, included);
  }
  assert.equal(
    await verdict("v=spf1 include:other.example ~all", { "other.example": { error: "timeout" } }),
    "temperror",
  );
  assert.equal(await verdict("v=spf1 -include:other.example", { "other.example": "v=spf1 +all" }), "fail");
});

Deno.test("redirect= takes over what is left open (RFC 7208 §6.1)", async () => {
  const other = { "other.example": "v=spf1 ip4:192.0.2.7 -all" };
  assert.equal(await verdict("v=spf1 redirect=other.example", other), "pass");
  assert.equal(await verdict("v=spf1 redirect=other.example", other, { ip: "192.0.2.8" }), "fail");
  assert.equal(await verdict("v=spf1 redirect=other.example ip4:192.0.2.0/24", other, { ip: "192.0.2.8" }), "pass");
  assert.equal(await verdict("v=spf1 redirect=other.example ?all", other, { ip: "192.0.2.8" }), "neutral");
  assert.equal(await verdict("v=spf1 redirect=nowhere.example"), "permerror");
  assert.equal(await verdict("v=spf1 redirect=other.example", { "other.example": { error: "servfail" } }), "temperror");
});

Deno.test("trouble with DNS is temporary, what it finds wrong is not (RFC 7208 §2.6.6, §2.6.7)", async () => {
  assert.equal((await ask({ "example.net": { error: "timeout" } })).result, "temperror");
  for (const term of ["a:down.example", "mx:down.example", "exists:down.example"]) {
    assert.equal(await verdict(`v=spf1 ${term} -all`, { "down.example": { error: "servfail" } }), "temperror", term);
  }
  assert.equal(await verdict("v=spf1 ip4:192.0.2.7 a:down.example", { "down.example": { error: "servfail" } }), "pass");
  // Which server was asked is nobody's business who reads the header.
  const zone = { ...zoneOf({}), txt: () => Promise.reject(new DnsError("10.0.0.53 port 53: SERVFAIL", "servfail")) };
  assert.equal((await ask(zone)).reason, "example.net could not be looked up: servfail");
  const { reason } = await ask({ "example.net": "v=spf1 ip4:1.2.3 -all" });
  assert.match(reason ?? "", /example\.net.*ip4:1\.2\.3/);
});

Deno.test("ten terms may need DNS, the eleventh is an error (RFC 7208 §4.6.4)", async () => {
  const terms = (count: number) => Array.from({ length: count }, () => "a:host.example").join(" ");
  const host = { "host.example": { a: ["198.51.100.1"] } };
  assert.equal(await verdict(`v=spf1 ${terms(10)} -all`, host), "fail");
  assert.equal(await verdict(`v=spf1 ${terms(11)} -all`, host), "permerror");
  // ip4, ip6, all and exp= are free; includes count themselves and what they hold.
  const nested = { ...host, "inner.example": `v=spf1 ${terms(9)} -all` };
  assert.equal(await verdict("v=spf1 ip4:198.51.100.1 include:inner.example -all", nested), "fail");
  assert.equal(await verdict("v=spf1 include:inner.example a:host.example -all", nested), "permerror");
  assert.equal(await verdict(`v=spf1 ${terms(10)} redirect=inner.example`, nested), "permerror");
});

Deno.test("two lookups may find nothing, the third is an error (RFC 7208 §4.6.4)", async () => {
  const none = (count: number) => Array.from({ length: count }, (_, index) => `exists:n${index}.example`).join(" ");
  assert.equal(await verdict(`v=spf1 ${none(2)} -all`), "fail");
  assert.equal(await verdict(`v=spf1 ${none(3)} -all`), "permerror");
  assert.equal(
    await verdict("v=spf1 a:e.example mx:e.example exists:e.example -all", { "e.example": {} }),
    "permerror",
  );
});

Deno.test("hosts behind an MX that have no address of the client's kind count once at most", async () => {
  const hosts = Object.fromEntries([1, 2, 3, 4].map((n) => [`mx${n}.example.net`, { aaaa: [`2001:db8::${n}`] }]));
  const mx = [1, 2, 3, 4].map((n) => [n, `mx${n}.example.net`] as const);
  assert.equal((await ask({ "example.net": { txt: ["v=spf1 mx -all"], mx }, ...hosts })).result, "fail");
});

Deno.test("records that include each other end at the limit of lookups", async () => {
  const zone = zoneOf({
    "example.net": "v=spf1 include:other.example -all",
    "other.example": "v=spf1 include:example.net -all",
    "self.example": "v=spf1 redirect=self.example",
  });
  assert.equal((await ask(zone)).result, "permerror");
  assert.equal(zone.asked.length, 11);
  assert.equal((await ask(zone, { sender: "a@self.example" })).result, "permerror");
  assert.equal(zone.asked.length, 22);
});

Deno.test("a check that takes more than twenty seconds ends (RFC 7208 §4.6.4)", async () => {
  let now = 0;
  // Each look at the clock is three seconds later.
  const slow = () => (now += 3000);
  const zone = zoneOf({
    "example.net": `v=spf1 ${"a:host.example ".repeat(9)} -all`,
    "host.example": { a: ["198.51.100.1"] },
  });
  assert.equal((await ask(zone, { now: slow })).result, "temperror");
  assert.ok(zone.asked.length < 9);
});

Deno.test("a domain says whom it wants told of which results (RFC 6652 §3)", async () => {
  const reports = async (record: string, others = {}) => (await ask({ "example.net": record, ...others })).reports;
  assert.deepEqual(await reports("v=spf1 -all ra=postmaster"), {
    address: "postmaster@example.net",
    percent: 100,
    wanted: ["all"],
  });
  assert.deepEqual(await reports("v=spf1 RA=spf.reports rp=5 rr=S:f:x -all"), {
    address: "spf.reports@example.net",
    percent: 5,
    wanted: ["f", "s"],
  });
  assert.equal((await reports("v=spf1 ra=spf=2Ereports -all"))?.address, "spf.reports@example.net");
  // Also where the check ends in an error, and never by what is only included.
  assert.equal((await reports("v=spf1 ra=a include:nowhere.example -all"))?.address, "a@example.net");
  assert.equal(await reports("v=spf1 include:b.example -all", { "b.example": "v=spf1 ra=b +all" }), undefined);
  assert.equal(
    (await reports("v=spf1 ra=a redirect=b.example", { "b.example": "v=spf1 ra=b -all" }))?.address,
    "b@b.example",
  );
  assert.equal(await reports("v=spf1 ra=a redirect=b.example", { "b.example": "v=spf1 -all" }), undefined);
  for (
    const modifiers of ["rr=f", "ra= rr=f", "ra=a..b", "ra=a@b", "ra=a rp=101", "ra=a rp=x", "ra=a rr=", "ra=a rr=q"]
  ) {
    assert.equal(await reports(`v=spf1 ${modifiers} -all`), undefined, modifiers);
  }
});

Deno.test("the records that led to a result are there for a report (RFC 6591 §3.2.6)", async () => {
  const zone = { "example.net": "v=spf1 include:b.example -all ra=a", "b.example": "v=spf1 -all" };
  assert.deepEqual((await ask(zone)).records, [
    { domain: "example.net", text: "v=spf1 include:b.example -all ra=a" },
    { domain: "b.example", text: "v=spf1 -all" },
  ]);
  assert.equal((await ask({ "a.example": "v=spf1 -all" })).records, undefined);
});

Deno.test("records are there whoever asks for the report, and long ones of strangers are not kept", async () => {
  const text = "v=spf1 include:more.example -all";
  const found = await ask({ "example.net": text, "more.example": "v=spf1 -all" });
  assert.deepEqual(found.records, [{ domain: "example.net", text }, { domain: "more.example", text: "v=spf1 -all" }]);

  const long = `v=spf1 ${"ip4:192.0.2.1 ".repeat(400)}-all`;
  const others = await ask({ "example.net": text, "more.example": long });
  assert.deepEqual([others.result, others.records], ["fail", [{ domain: "example.net", text }]]);
});

Deno.test("a client without an IP address is not checked", async () => {
  assert.equal((await ask({ "example.net": "v=spf1 -all" }, { ip: "" })).result, "none");
});
