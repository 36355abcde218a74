/** Macros (RFC 7208 §7) and explanations (§6.2). */

import assert from "node:assert/strict";
import { ask, type Question, zoneOf } from "./asking.ts";

/** The name that a target expands to, for a message of strong-bad@email.example.com (RFC 7208 §7.4). */
async function expansion(macro: string, question: Question = {}): Promise<string | undefined> {
  const zone = zoneOf({ "email.example.com": `v=spf1 exists:${macro}.%{v}.x -all` });
  await ask(zone, { ip: "192.0.2.3", sender: "strong-bad@email.example.com", ...question });
  const asked = zone.asked.find((line) => line.startsWith("A "));
  return asked?.replace(/^A /, "").replace(/\.(?:in-addr|ip6)\.x$/, "");
}

for (
  const [macro, wanted] of [
    ["%{s}", "strong-bad@email.example.com"],
    ["%{o}", "email.example.com"],
    ["%{d}", "email.example.com"],
    ["%{d4}", "email.example.com"],
    ["%{d3}", "email.example.com"],
    ["%{d2}", "example.com"],
    ["%{d1}", "com"],
    ["%{dr}", "com.example.email"],
    ["%{d2r}", "example.email"],
    ["%{l}", "strong-bad"],
    ["%{l-}", "strong.bad"],
    ["%{lr}", "strong-bad"],
    ["%{lr-}", "bad.strong"],
    ["%{l1r-}", "strong"],
    ["%{i}", "192.0.2.3"],
    ["%{ir}", "3.2.0.192"],
    ["%{h}", "mail.example.net"],
    ["%{H}", "mail.example.net"],
    ["%{d999999999999999999999}", "email.example.com"],
  ] as const
) {
  Deno.test(`${macro} is ${wanted} (RFC 7208 §7.4)`, async () => {
    assert.equal(await expansion(macro), wanted);
  });
}

Deno.test("IPv6 addresses expand to nibbles (RFC 7208 §7.4)", async () => {
  assert.equal(
    await expansion("%{ir}", { ip: "2001:db8::cb01" }),
    "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2",
  );
});

Deno.test("capital letters escape for URIs; the delimiters are any of those named", async () => {
  assert.equal(await expansion("%{S}"), "strong-bad%40email.example.com".toLowerCase());
  assert.equal(await expansion("%{l+-=}", { sender: "a+b-c=d@email.example.com" }), "a.b.c.d");
});

Deno.test("%% %_ and %- are percent, space and an escaped space (RFC 7208 §7.1)", async () => {
  assert.equal(await expansion("a%%b"), "a%b");
  assert.equal(await expansion("a%-b"), "a%20b");
});

Deno.test("names that grow too long lose labels on the left (RFC 7208 §7.3)", async () => {
  const sender = `${"x.".repeat(20)}x@email.example.com`;
  const labels = ["%{l}", "%{l}", "%{l}", "%{l}", "%{l}", "%{l}", "%{l}", "%{l}"].join(".");
  const zone = zoneOf({ "email.example.com": `v=spf1 exists:${labels}.example -all` });
  await ask(zone, { sender });
  const name = zone.asked.at(-1)?.slice(2) ?? "";
  assert.ok(name.length <= 253 && name.length > 240, name);
  assert.match(name, /^x\.x\..*\.x\.example$/);
});

Deno.test("a target that is no name matches nothing and is not looked up", async () => {
  const zone = zoneOf({ "email.example.com": "v=spf1 exists:%{l}.example a:%{l}.example ptr:%{l}.example ~all" });
  const { result } = await ask(zone, { sender: `${"y".repeat(64)}@email.example.com` });
  assert.equal(result, "softfail");
  assert.deepEqual(zone.asked, ["TXT email.example.com"]);
  const including = zoneOf({ "email.example.com": "v=spf1 include:%{l}.example ~all" });
  assert.equal((await ask(including, { sender: `a..b@email.example.com` })).result, "permerror");
});

Deno.test("a local part outside ASCII makes terms that name it match nothing (RFC 8616 §4)", async () => {
  const zone = zoneOf({ "email.example.com": "v=spf1 exists:%{l}.x.example exists:%{s}.x.example -all" });
  assert.equal((await ask(zone, { sender: "jürgen@email.example.com" })).result, "fail");
  assert.deepEqual(zone.asked, ["TXT email.example.com"]);
});

Deno.test("%{p} is a validated name of the client: the domain, one below it, any, or unknown (RFC 7208 §7.3)", async () => {
  const text = async (names: readonly string[], addresses = ["192.0.2.7"]) => {
    const zone = zoneOf({
      "example.net": "v=spf1 exp=why.example -all",
      "why.example": "from %{p}",
      "192.0.2.7": { ptr: names },
      ...Object.fromEntries(names.filter((name) => name !== "example.net").map((name) => [name, { a: addresses }])),
    });
    return (await ask(zone)).explanation;
  };
  assert.equal(await text(["a.example.org", "b.example.net"]), "from b.example.net");
  assert.equal(await text(["a.example.org", "b.example.org"]), "from a.example.org");
  assert.equal(await text(["a.example.org"], ["192.0.2.8"]), "from unknown");
  assert.equal(await text([]), "from unknown");
});

Deno.test("%{p} in a target counts as one lookup, however often it stands there", async () => {
  const terms = (count: number) => Array.from({ length: count }, () => "a:host.example").join(" ");
  const zone = (count: number) =>
    zoneOf({
      "example.net": `v=spf1 exists:%{p}.%{p}.example ${terms(count)} -all`,
      "host.example": { a: ["198.51.100.1"] },
      "unknown.unknown.example": {},
    });
  assert.equal((await ask(zone(8))).result, "fail");
  assert.equal((await ask(zone(9))).result, "permerror");
});

/** What the domain explains when it refuses. */
async function explanation(
  record: string,
  records: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  return (await ask({ "example.net": record, ...records })).explanation;
}

Deno.test("exp= explains a fail, in the words of the domain that decided (RFC 7208 §6.2)", async () => {
  const why = { "why.example": "%{i} is not one of %{d}'s: see http://%{r}/why?s=%{S}&t=%{t}" };
  assert.equal(
    await explanation("v=spf1 exp=why.example -all", why),
    "192.0.2.7 is not one of example.net's: see http://mx.example.org/why?s=ana%40example.net&t=1700000000",
  );
  assert.equal(await explanation("v=spf1 exp=why.example ~all", why), undefined);
  const other = { ...why, "other.example": "v=spf1 exp=theirs.example -all", "theirs.example": "by %{d} of %{o}" };
  assert.equal(
    await explanation("v=spf1 exp=why.example redirect=other.example", other),
    "by other.example of example.net",
  );
  assert.equal(
    await explanation("v=spf1 -include:pass.example exp=why.example", {
      "why.example": "ours",
      "theirs.example": "theirs",
      "pass.example": "v=spf1 exp=theirs.example +all",
    }),
    "ours",
  );
});

Deno.test("an explanation that is missing, doubled, malformed or not ASCII is left out", async () => {
  assert.equal(await explanation("v=spf1 exp=nowhere.example -all"), undefined);
  for (const text of ["%{x}", "100%", "caf\u00e9", "a\r\nb", "%{i"]) {
    const { result, explanation: given } = await ask({ "example.net": "v=spf1 exp=w.example -all", "w.example": text });
    assert.deepEqual([result, given], ["fail", undefined], text);
  }
  const doubled = { "example.net": "v=spf1 exp=w.example -all", "w.example": { txt: ["a", "b"] } };
  assert.equal((await ask(doubled)).explanation, undefined);
  const down = { "example.net": "v=spf1 exp=w.example -all", "w.example": { error: "timeout" as const } };
  const { result, explanation: given } = await ask(down);
  assert.deepEqual([result, given], ["fail", undefined]);
});

Deno.test("a long explanation is cut to what fits into a reply", async () => {
  const text = await explanation("v=spf1 exp=w.example -all", { "w.example": "x".repeat(60_000) });
  assert.equal(text, "x".repeat(450));
});
