import assert from "node:assert/strict";
import { type DkimResult, verifySignatures } from "../../../../src/authentication/mod.ts";
import {
  checkContext,
  ed25519Key,
  received,
  rsaKey,
  sign,
  type Tags,
  type TestKey,
} from "../../../support/signed_message.ts";
import type { ZoneEntry } from "../../../support/zone.ts";

const RSA = rsaKey();
const SHORT = rsaKey(512);
const ED25519 = ed25519Key();

const MESSAGE = [
  "From: Alice <alice@example.org>",
  "To: bob@example.net",
  "Subject: The harvest",
  "",
  "It rained.",
  "",
].join("\r\n");

const KEY = "mail._domainkey.example.org";

type Zone = Readonly<Record<string, ZoneEntry>>;

async function verify(message: string, zone: Zone = publish(RSA), strict = false): Promise<readonly DkimResult[]> {
  const checks = { dkim: true, arc: false, strict };
  const { dkim } = await verifySignatures(received(message), checks, checkContext(zone));
  return dkim ?? [];
}

async function verifyOne(message: string, zone?: Zone, strict?: boolean): Promise<string> {
  const [result, ...others] = await verify(message, zone, strict);
  assert.equal(others.length, 0);
  return result === undefined ? "" : result.reason === undefined ? result.result : `${result.result}: ${result.reason}`;
}

function publish(key: TestKey, more = ""): Zone {
  return { [KEY]: { txt: [key.record + more] } };
}

/** What becomes of a signature with these tags. */
const signed = (tags: Tags, zone?: Zone, strict?: boolean) => verifyOne(sign(MESSAGE, RSA, tags), zone, strict);

Deno.test("a message without signatures has the one result none", async () => {
  const [result] = await verify(MESSAGE);
  assert.equal(result?.result, "none");
  assert.equal(result?.domain, "");
});

Deno.test("signatures by RSA and Ed25519 pass, and say whose they are", async () => {
  const message = sign(sign(MESSAGE, RSA), ED25519, { s: "ed", d: "Mail.Example.ORG", i: "alice@a.mail.example.org" });
  const results = await verify(message, {
    ...publish(RSA),
    "ed._domainkey.mail.example.org": { txt: [ED25519.record] },
  });
  assert.deepEqual(
    results.map(({ result, domain, selector, algorithm, auid }) => [result, domain, selector, algorithm, auid]),
    [
      ["pass", "mail.example.org", "ed", "ed25519-sha256", "alice@a.mail.example.org"],
      ["pass", "example.org", "mail", "rsa-sha256", "@example.org"],
    ],
  );
  assert.match(results[0]?.signature ?? "", /^[A-Za-z0-9+/]{86}==$/);
});

for (
  const c of ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed", "simple", "relaxed", undefined]
) {
  Deno.test(`canonicalization ${c} verifies, and notices a change`, async () => {
    const message = sign(MESSAGE, RSA, { c });
    assert.equal(await verifyOne(message), "pass");
    assert.equal(await verifyOne(message.replace("rained", "snowed")), "fail: the body has changed");
    assert.equal(await verifyOne(message.replace("harvest", "storm")), "fail: the signature does not fit");
    assert.equal(await verifyOne(message.replace("s=mail", "s=mail; added=1")), "fail: the signature does not fit");
  });
}

Deno.test("blanks may change where the relaxed form says so, and nowhere else", async () => {
  const changed = (message: string) => message.replace("Subject: The harvest", "subject:The\r\n\t harvest ");
  assert.equal(await verifyOne(changed(sign(MESSAGE, RSA))), "pass");
  assert.equal(await verifyOne(changed(sign(MESSAGE, RSA, { c: "simple" }))), "fail: the signature does not fit");
  const spaced = (message: string) => message.replace("It rained.", "It  rained.\t") + "\r\n\r\n";
  assert.equal(await verifyOne(spaced(sign(MESSAGE, RSA))), "pass");
  assert.equal(await verifyOne(spaced(sign(MESSAGE, RSA, { c: "relaxed" }))), "fail: the body has changed");
});

const SHAPES: Readonly<Record<string, string>> = {
  "an empty body": "From: a@example.org\r\n\r\n",
  "no body at all": "From: a@example.org\r\n",
  "no line end at the end": "From: a@example.org\r\n\r\nno end",
  "many empty lines at the end": "From: a@example.org\r\n\r\nend\r\n\r\n \r\n\r\n",
  "a body of empty lines": "From: a@example.org\r\n\r\n\r\n\r\n",
  "tabs and blanks": "From:\ta@example.org\t\r\nSubject: \t x\ty  z \r\n\r\n\ta \t b \r\n \r\n\tc\r\n",
  "a long folded header": `From: a@example.org\r\nSubject: ${"word \r\n\t".repeat(400)}end\r\n\r\nx\r\n`,
  "8-bit octets":
    "From: =?latin1?q?J=FCrg?= <a@example.org>\r\nSubject: Gr\xfc\xdfe \xff\x80\r\n\r\n\xe4\xf6\xfc\xa0\r\n",
  "UTF-8": "From: J\xc3\xbcrg <j\xc3\xbcrg@example.org>\r\nSubject: \xe2\x82\xac\r\n\r\n\xf0\x9f\x98\x80\r\n",
  "an empty field": "From: a@example.org\r\nSubject:\r\nTo: \r\n\r\nx\r\n",
  "dots and NUL": "From: a@example.org\r\n\r\n.\r\n..\r\n\0\r\n",
};
for (const [what, message] of Object.entries(SHAPES)) {
  for (const c of ["relaxed/relaxed", "simple/simple"]) {
    Deno.test(`a message with ${what} verifies (${c})`, async () => {
      assert.equal(await verifyOne(sign(message, RSA, { c })), "pass");
    });
  }
}

Deno.test("of fields with one name the last are signed first", async () => {
  const twice = MESSAGE.replace("To:", "Comments: one\r\nComments: two\r\nTo:");
  const message = sign(twice, RSA, { h: "from:comments" });
  assert.equal(await verifyOne(message.replace("Comments: one", "Comments: other")), "pass");
  assert.equal(
    await verifyOne(message.replace("Comments: two", "Comments: other")),
    "fail: the signature does not fit",
  );
  const both = sign(twice, RSA, { h: "from:comments:comments" });
  assert.equal(await verifyOne(both.replace("Comments: one", "Comments: other")), "fail: the signature does not fit");
});

Deno.test("a field that is signed once more than it is there cannot be added", async () => {
  const message = sign(MESSAGE, RSA, { h: "From:Subject:From:Subject:Reply-To" });
  assert.equal(await verifyOne(message), "pass");
  for (const added of ["From: mallory@example.com", "Subject: Changed", "Reply-To: mallory@example.com"]) {
    assert.equal(await verifyOne(`${added}\r\n${message}`), "fail: the signature does not fit");
  }
  assert.equal(await verifyOne(`X-Other: field\r\n${message}`), "pass");
});

Deno.test("a signature may cover another signature, never itself", async () => {
  const first = sign(MESSAGE, RSA);
  const second = sign(first, ED25519, { s: "ed", h: "from:dkim-signature" });
  const zone = { ...publish(RSA), "ed._domainkey.example.org": { txt: [ED25519.record] } };
  assert.deepEqual((await verify(second, zone)).map(({ result }) => result), ["pass", "pass"]);
  const touched = second.replace("h=from:to:subject", "h=from:to:subject ");
  assert.deepEqual((await verify(touched, zone)).map(({ result }) => result), ["fail", "fail"]);
  // With no other signature there the name stands for nothing.
  assert.equal(await signed({ h: "from:dkim-signature:dkim-signature" }), "pass");
});

Deno.test("names in h= are told apart without case, and blanks around them do not count", async () => {
  assert.equal(await signed({ h: "FROM : tO :\r\n\tSubject" }), "pass");
});

Deno.test("a signature that cannot be read is neutral", async () => {
  const reasons: readonly (readonly [Tags, RegExp])[] = [
    [{ v: "2" }, /version 1/],
    [{ v: undefined }, /version 1/],
    [{ a: "rsa-md5" }, /a= is unknown/],
    [{ a: "constructor" }, /a= is unknown/],
    [{ a: undefined }, /a= is missing/],
    [{ d: undefined }, /d= is missing/],
    [{ d: "not a domain" }, /d= is not/],
    [{ d: "[192.0.2.1]" }, /d= is not/],
    [{ s: undefined }, /s= is missing/],
    [{ s: "" }, /s= is not/],
    [{ h: undefined }, /h= is missing/],
    [{ bh: undefined }, /bh= is missing/],
    [{ bh: "a-b" }, /bh= is not/],
    [{ c: "relaxed/other" }, /c= is unknown/],
    [{ c: "" }, /c= is unknown/],
    [{ c: "relaxed/relaxed/relaxed" }, /c= is unknown/],
    [{ q: "http" }, /q= names no/],
    [{ l: "-1" }, /l= is not/],
    [{ l: "9".repeat(77) }, /l= is not/],
    [{ t: "yesterday" }, /t= is not/],
    [{ x: "" }, /x= is not/],
    [{ t: "200", x: "100" }, /expires before/],
    [{ t: "200", x: "200" }, /expires before/],
    [{ i: "example.org" }, /i= is not/],
    [{ "a b": "c" }, /malformed/],
    [{ n: "a;a=b" }, /malformed: the tag a stands twice/],
  ];
  for (const [tags, reason] of reasons) {
    const result = await signed(tags);
    assert.match(result, /^neutral: /, JSON.stringify(tags));
    assert.match(result, reason);
  }
});

Deno.test("a signature that can never be right is a permanent error", async () => {
  assert.equal(await signed({ h: "to:subject" }), "permerror: the From field is not signed");
  assert.equal(await signed({ i: "a@example.com" }), "permerror: the domain of i= is not d= or under it");
  assert.equal(await signed({ i: "a@notexample.org" }), "permerror: the domain of i= is not d= or under it");
  const [result] = await verify(sign(MESSAGE, RSA, { h: "to" }));
  assert.deepEqual([result?.domain, result?.selector, result?.algorithm], ["example.org", "mail", "rsa-sha256"]);
});

Deno.test("unknown tags, and dns/txt among other query methods, do no harm", async () => {
  assert.equal(await signed({ q: "x-http : dns/txt", z: "From:a=20b|To:c", new: "tag" }), "pass");
});

Deno.test("a signature has expired after x=, and not before", async () => {
  const noon = Date.UTC(2026, 0, 5, 12) / 1000;
  assert.equal(await signed({ t: String(noon - 3600), x: String(noon) }), "pass");
  assert.equal(await signed({ t: String(noon - 3600), x: String(noon - 1) }), "fail: the signature has expired");
  assert.equal(await signed({ t: String(noon + 3600) }), "pass");
});

Deno.test("l= covers the beginning of the body, and only that", async () => {
  const message = sign(MESSAGE, RSA, { l: "12" });
  assert.equal(await verifyOne(message + "added\r\n"), "pass");
  assert.equal(await verifyOne(message.replace("rained", "snowed")), "fail: the body has changed");
  assert.equal(await verifyOne(sign(MESSAGE, RSA, { l: "0" }).replace("rained", "snowed")), "pass");
  assert.equal(await signed({ l: "13" }), "fail: the body is shorter than l=");
  assert.equal(await signed({ l: "9".repeat(76) }), "fail: the body is shorter than l=");
});

Deno.test("strict: signatures that prove little are refused by policy without asking DNS", async () => {
  const context = checkContext(publish(RSA));
  const checks = { dkim: true, arc: false, strict: true };
  for (const tags of [{ l: "12" }, { a: "rsa-sha1" }]) {
    const { dkim } = await verifySignatures(received(sign(MESSAGE, RSA, tags)), checks, context);
    assert.equal(dkim?.[0]?.result, "policy");
    assert.equal(dkim?.[0]?.domain, "example.org");
  }
  assert.deepEqual(context.zone.asked, []);
  assert.equal(await verifyOne(sign(MESSAGE, SHORT), publish(SHORT), true), "policy: the key has only 512 bits");
  assert.equal(await signed({}, publish(RSA), true), "pass");
});

Deno.test("not strict: SHA-1 and short keys count", async () => {
  assert.equal(await signed({ a: "rsa-sha1" }), "pass");
  assert.equal(await verifyOne(sign(MESSAGE, SHORT), publish(SHORT)), "pass");
});

Deno.test("keys that are missing, revoked or meant for something else are permanent errors", async () => {
  const pass = await signed({}, publish(RSA, "; h=sha1:sha256; s=tlsrpt:email; t=s; n=note; g=*"));
  assert.equal(pass, "pass");
  const cases: readonly (readonly [Zone, RegExp])[] = [
    [{}, /there is no key/],
    [{ [KEY]: {} }, /there is no key/],
    [{ [KEY]: { txt: ["v=DKIM1; p="] } }, /revoked/],
    [publish(ED25519), /another type/],
    [publish(RSA, "; h=sha1"), /not meant for this hash/],
    [publish(RSA, "; s=tlsrpt"), /not meant for email/],
  ];
  for (const [zone, reason] of cases) {
    const result = await signed({}, zone);
    assert.match(result, /^permerror: /);
    assert.match(result, reason);
  }
});

Deno.test("what is wrong with a signature is told apart (RFC 6591 §3.3, RFC 6651 §5.1)", async () => {
  const message = sign(MESSAGE, RSA);
  const faultOf = async (text: string, zone: Zone = publish(RSA)) => (await verify(text, zone))[0]?.fault;
  assert.equal(await faultOf(message), undefined);
  assert.equal(await faultOf(message.replace("rained", "snowed")), "body");
  assert.equal(await faultOf(message.replace("harvest", "storm")), "signature");
  assert.equal(await faultOf(message, {}), "dns");
  assert.equal(await faultOf(message, { [KEY]: { txt: ["v=DKIM1; p="] } }), "revoked");
  assert.equal(await faultOf(message, { [KEY]: { txt: ["v=DKIM1; p=?"] } }), "syntax");
  assert.equal(await faultOf(message, publish(RSA, "; s=tlsrpt")), "policy");
  assert.equal(await faultOf(message.replace("v=1;", "v=2;")), "syntax");
});

Deno.test("t=s keeps a key to its very domain", async () => {
  assert.equal(await signed({ i: "a@example.org" }, publish(RSA, "; t=y:s")), "pass");
  const result = await signed({ i: "a@sub.example.org" }, publish(RSA, "; t=y:s"));
  assert.equal(result, "permerror: the key is not meant for domains under d=");
  assert.equal(await signed({ i: "a@sub.example.org" }, publish(RSA, "; t=y")), "pass");
});

Deno.test("t=y is told, whether the signature passes or not", async () => {
  const message = sign(MESSAGE, RSA);
  for (const text of [message, message.replace("rained", "snowed"), message.replace("harvest", "storm")]) {
    const [result] = await verify(text, publish(RSA, "; t=y"));
    assert.equal(result?.testing, true);
  }
  assert.equal((await verify(message))[0]?.testing, false);
});

Deno.test("r=y asks for reports", async () => {
  assert.equal((await verify(sign(MESSAGE, RSA, { r: "y" })))[0]?.reportRequested, true);
  assert.equal((await verify(sign(MESSAGE, RSA)))[0]?.reportRequested, false);
});

Deno.test("trouble with DNS is temporary", async () => {
  for (const error of ["timeout", "servfail", "bogus"] as const) {
    assert.equal(await signed({}, { [KEY]: { error } }), `temperror: the key could not be looked up: ${error}`);
  }
});

Deno.test("of several keys at one name any may fit", async () => {
  const other = rsaKey();
  assert.equal(await signed({}, { [KEY]: { txt: ["v=spf1 -all", other.record, RSA.record] } }), "pass");
  assert.equal(await signed({}, { [KEY]: { txt: [other.record] } }), "fail: the signature does not fit");
  // The first three are looked at, and the first of them says what is wrong if none is a key.
  const more = ["v=spf1 -all", "x", "v=DKIM1; p="];
  assert.equal(
    await signed({}, { [KEY]: { txt: [...more, RSA.record] } }),
    "permerror: the key record is not of version DKIM1",
  );
});

Deno.test("names may be U-labels in an internationalized message", async () => {
  const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  const domain = utf8("r\u00e4ksm\u00f6rg\u00e5s.example");
  const message = sign(MESSAGE, RSA, { d: domain, i: utf8("j\u00fcrg@l\u00e5da.r\u00e4ksm\u00f6rg\u00e5s.example") });
  const [result] = await verify(message, {
    "mail._domainkey.xn--rksmrgs-5wao1o.example": { txt: [RSA.record] },
  });
  assert.equal(result?.result, "pass");
  assert.equal(result?.domain, "xn--rksmrgs-5wao1o.example");
});

Deno.test("the first ten signatures are looked at, and no key is asked for twice as often", async () => {
  let message = MESSAGE;
  for (let i = 0; i < 100; i++) message = sign(message, ED25519, { s: `s${i}` });
  const zone: Record<string, ZoneEntry> = {};
  for (let i = 0; i < 100; i++) zone[`s${i}._domainkey.example.org`] = { txt: [ED25519.record] };
  const context = checkContext(zone);
  const { dkim } = await verifySignatures(received(message), { dkim: true, arc: false, strict: true }, context);
  assert.deepEqual(dkim?.map(({ result, selector }) => `${result} ${selector}`), [
    ...Array.from({ length: 10 }, (_, i) => `pass s${99 - i}`),
  ]);
  assert.equal(context.zone.asked.length, 10);
});
