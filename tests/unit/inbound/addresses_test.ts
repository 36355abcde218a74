/** Addresses as clients write them: what is taken, as what, and what is refused (RFC 5321 §4.1.2, §4.5.3.1; RFC 6531). */

import assert from "node:assert/strict";
import { dialogue, greeted, sessionWorld, type TestClient } from "../../support/session.ts";

const SETTINGS = `session.rcpt.errors = { wait = "0s", total = 1000000 }\nsession.rcpt.relay = true`;

async function openTransaction(utf8 = false): Promise<{ client: TestClient; world: ReturnType<typeof sessionWorld> }> {
  const world = sessionWorld({ settings: SETTINGS });
  const client = await greeted(world);
  await dialogue(client, [`MAIL FROM:<>${utf8 ? " SMTPUTF8" : ""}`, "250"]);
  return { client, world };
}

/** The recipient that the session makes of a path, or the code that refuses it. */
async function recipientOf(path: string, utf8 = false): Promise<string> {
  const { client, world } = await openTransaction(utf8);
  const reply = await client.say(`RCPT TO:${path}`);
  if (!reply.startsWith("250")) return reply.slice(0, 9);
  await dialogue(client, ["DATA", "354"]);
  client.send("A: b\r\n\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  return world.queue.messages[0]!.recipients[0]!.address;
}

const label = "d".repeat(63);
// 191 octets; "<x@" and "." and ">" make 196.
const long = `${label}.${label}.${label}`;

// [what, path, outcome, with SMTPUTF8]
const CASES: readonly (readonly [string, string, string, boolean?])[] = [
  ["plain", "<x@elsewhere.example>", "x@elsewhere.example"],
  ["case of the local part is kept, of the domain not", "<Xy@ElseWhere.EXAMPLE>", "Xy@elsewhere.example"],
  ["blanks before the bracket", " <x@elsewhere.example>", "x@elsewhere.example"],
  ["no brackets", "x@elsewhere.example", "501 5.1.3"],
  ["no domain", "<x>", "501 5.1.3"],
  ["no local part", "<@elsewhere.example>", "501 5.1.3"],
  ["null path as recipient", "<>", "501 5.1.3"],
  ["blank path", "< >", "501 5.1.3"],
  ["two at signs", "<x@y@elsewhere.example>", "501 5.1.3"],
  ["dot first", "<.x@elsewhere.example>", "501 5.1.3"],
  ["dot last", "<x.@elsewhere.example>", "501 5.1.3"],
  ["two dots", "<x..y@elsewhere.example>", "501 5.1.3"],
  ["all of atext", "<!#$%&'*+-/=?^_`{|}~@elsewhere.example>", "!#$%&'*+-/=?^_`{|}~@elsewhere.example"],
  ["a percent sign relays nothing", "<x%y.example@elsewhere.example>", "x%y.example@elsewhere.example"],
  ["domain: empty label", "<x@elsewhere..example>", "501 5.1.3"],
  ["domain: dot first", "<x@.example>", "501 5.1.3"],
  ["domain: hyphen first", "<x@-a.example>", "501 5.1.3"],
  ["domain: hyphen last", "<x@a-.example>", "501 5.1.3"],
  ["domain: colon", "<x@a:b>", "501 5.1.3"],
  ["closing bracket missing", "<x@elsewhere.example", "501 5.1.3"],
  ["text behind the bracket", "<x@elsewhere.example>y", "501 5.5.4"],
  // Length limits, RFC 5321 §4.5.3.1.
  ["local part of 64", `<${"l".repeat(64)}@elsewhere.example>`, `${"l".repeat(64)}@elsewhere.example`],
  ["local part of 65", `<${"l".repeat(65)}@elsewhere.example>`, "501 5.1.3"],
  [
    "quoted local part of 64",
    `<"${"l l".repeat(20)}xx"@elsewhere.example>`,
    `"${"l l".repeat(20)}xx"@elsewhere.example`,
  ],
  ["quoted local part of 65", `<"${"l l".repeat(21)}"@elsewhere.example>`, "501 5.1.3"],
  ["label of 63", `<x@${label}.example>`, `x@${label}.example`],
  ["label of 64", `<x@${label}d.example>`, "501 5.1.3"],
  ["path of 256", `<x@${long}.${"d".repeat(60)}>`, `x@${long}.${"d".repeat(60)}`],
  ["path of 257", `<x@${long}.${"d".repeat(61)}>`, "501 5.1.3"],
  ["64 octets of UTF-8", `<${"ä".repeat(32)}@elsewhere.example>`, `${"ä".repeat(32)}@elsewhere.example`, true],
  ["66 octets of UTF-8", `<${"ä".repeat(33)}@elsewhere.example>`, "501 5.1.3", true],
  // Quoted local parts.
  ["quotes that are not needed", '<"x.y"@elsewhere.example>', "x.y@elsewhere.example"],
  ["a quoted blank", '<"x y"@elsewhere.example>', '"x y"@elsewhere.example'],
  ["a quoted at sign", '<"x@y"@elsewhere.example>', '"x@y"@elsewhere.example'],
  ["a quoted bracket", '<"x>y"@elsewhere.example>', '"x>y"@elsewhere.example'],
  ["quoted pairs", '<"x\\"y\\\\z"@elsewhere.example>', '"x\\"y\\\\z"@elsewhere.example'],
  ["a quoted pair that is not needed", '<"x\\y"@elsewhere.example>', "xy@elsewhere.example"],
  ["an empty quoted string", '<""@elsewhere.example>', '""@elsewhere.example'],
  ["a quote that is not closed", '<"x@elsewhere.example>', "501 5.1.3"],
  ["a quote in the middle", '<x"y"@elsewhere.example>', "501 5.1.3"],
  ["quoting tells no two mailboxes apart", '<"ana"@example.org>', "ana@example.org"],
  // Address literals, RFC 5321 §4.1.3.
  ["IPv4 literal", "<x@[192.0.2.1]>", "x@[192.0.2.1]"],
  ["IPv4 literal out of range", "<x@[192.0.2.256]>", "501 5.1.3"],
  ["IPv4 literal too short", "<x@[192.0.2]>", "501 5.1.3"],
  ["IPv6 literal", "<x@[IPv6:2001:db8::1]>", "x@[ipv6:2001:db8::1]"],
  ["IPv6 literal with IPv4 part", "<x@[IPv6:::ffff:192.0.2.1]>", "x@[ipv6:::ffff:192.0.2.1]"],
  ["IPv6 literal without tag is a general one by the grammar", "<x@[2001:db8::1]>", "x@[2001:db8::1]"],
  ["IPv6 literal of nonsense", "<x@[IPv6:2001::db8::1]>", "501 5.1.3"],
  ["general literal", "<x@[tag:content]>", "x@[tag:content]"],
  ["literal not closed", "<x@[192.0.2.1>", "501 5.1.3"],
  ["empty literal", "<x@[]>", "501 5.1.3"],
  // Source routes, RFC 5321 appendix C and F.2.
  ["source route", "<@a.example:x@elsewhere.example>", "x@elsewhere.example"],
  ["long source route", "<@a.example,@[192.0.2.1],@b.example:x@elsewhere.example>", "x@elsewhere.example"],
  ["source route without colon", "<@a.example,x@elsewhere.example>", "501 5.1.3"],
  ["empty hop", "<@a.example,:x@elsewhere.example>", "501 5.1.3"],
  ["source route to nowhere", "<@a.example:>", "501 5.1.3"],
  // Comments belong to RFC 5322, not here.
  ["comment in front", "<(who)x@elsewhere.example>", "501 5.1.3"],
  ["comment in the domain", "<x@elsewhere.example(where)>", "501 5.1.3"],
  ["display name", "Ana <x@elsewhere.example>", "501 5.1.3"],
  ["postmaster without domain, an alias of Ana", "<PostMaster>", "ana@example.org"],
  // International domains, RFC 5890 and RFC 5893.
  ["U-labels without SMTPUTF8", "<x@bücher.invalid>", "553 5.6.7"],
  ["U-labels", "<x@Bücher.invalid>", "x@bücher.invalid", true],
  ["A-labels need nothing", "<x@xn--bcher-kva.invalid>", "x@xn--bcher-kva.invalid"],
  ["A-label of a local domain", "<ana@XN--BCHER-KVA.example>", "ana@bücher.example"],
  ["U-label decomposed", "<x@bu\u0308cher.invalid>", "x@bücher.invalid", true],
  ["ideographic full stop", "<x@a\u3002example>", "x@a.example", true],
  ["right to left", "<x@אבג.example>", "x@אבג.example", true],
  ["bidi: both directions in a label", "<x@aאב.example>", "501 5.1.3", true],
  ["bidi: digit first", "<x@1אב.example>", "501 5.1.3", true],
  ["invisible override", "<x@a\u202eb.example>", "501 5.1.3", true],
  ["zero-width joiner out of place", "<x@a\u200db.example>", "501 5.1.3", true],
  ["mixed scripts are nobody's spoof here", "<x@bаnk.example>", "x@bаnk.example", true],
  ["U-label too long as A-label", `<x@${"ü".repeat(60)}.example>`, "501 5.1.3", true],
  ["international local part", "<größe@elsewhere.example>", "größe@elsewhere.example", true],
  ["quoted international local part", '<"grö ße"@elsewhere.example>', '"grö ße"@elsewhere.example', true],
];

for (const [what, path, expected, utf8] of CASES) {
  Deno.test(`recipient, ${what}: ${path.slice(0, 60)}`, async () => {
    assert.equal(await recipientOf(path, utf8), expected);
  });
}

Deno.test("the null path is a sender, and so are others that are no recipients", async () => {
  const client = await greeted(sessionWorld({ settings: SETTINGS }));
  for (
    const [path, expected] of [["<>", "250"], ["<@a.example:x@b.example>", "250"], [
      "<postmaster>",
      "501 5.1.7",
    ]] as const
  ) {
    assert.ok((await client.say(`MAIL FROM:${path}`)).startsWith(expected), path);
    await client.say("RSET");
  }
});

Deno.test("EHLO takes names and literals; what is neither is refused on port 25 only", async () => {
  for (
    const [name, mx, elsewhere] of [
      ["client.example.net", "250", "250"],
      ["[192.0.2.7]", "250", "250"],
      ["[IPv6:2001:db8::7]", "250", "250"],
      ["localhost", "550 5.5.0", "250"],
      ["192.0.2.7", "550 5.5.0", "250"],
      ["under_score.example", "250", "250"],
      ["[300.0.0.1]", "550 5.5.0", "250"],
      ["a b", "501 5.5.4", "501 5.5.4"],
      ["x".repeat(256), "501 5.5.4", "501 5.5.4"],
      ["bücher.example", "501 5.5.4", "501 5.5.4"],
    ] as const
  ) {
    for (const [expected, options] of [[mx, {}], [elsewhere, { listener: "lan", localPort: 2525 }]] as const) {
      const client = await greeted(sessionWorld(), options);
      const reply = await client.say(`EHLO ${name}`);
      assert.ok(reply.startsWith(expected), `${name} on ${options}: ${reply}`);
    }
  }
});
