import assert from "node:assert/strict";
import {
  type AuthResults,
  type DkimResult,
  type DmarcResult,
  evaluateDmarc,
} from "../../../../src/authentication/mod.ts";
import { checkContext, received } from "../../../support/signed_message.ts";
import type { ZoneEntry } from "../../../support/zone.ts";

type Results = Pick<AuthResults, "spfMailFrom" | "dkim">;
type Zone = Readonly<Record<string, ZoneEntry>>;

function dkim(domain: string, result: DkimResult["result"] = "pass"): Results {
  const named = { domain, selector: "s", algorithm: "rsa-sha256", auid: `@${domain}`, signature: "" };
  return { dkim: [{ method: "dkim", result, ...named, testing: false, reportRequested: false }] };
}

function spf(domain: string, result: "pass" | "temperror" | "fail" = "pass"): Results {
  return { spfMailFrom: { method: "spf", result, identity: "mailfrom", domain, sender: `a@${domain}` } };
}

/** Policies by domain. */
function policies(records: Readonly<Record<string, string>>): Zone {
  return Object.fromEntries(Object.entries(records).map(([name, text]) => [`_dmarc.${name}`, { txt: [text] }]));
}

async function evaluate(
  from: string | readonly string[],
  results: Results,
  zone: Zone,
  random = 0,
): Promise<DmarcResult> {
  const fields = [from].flat().map((value) => `From: ${value}\r\n`).join("");
  return await evaluateDmarc(received(`${fields}\r\n`).header, results, checkContext(zone, random));
}

const verdict = ({ result, policy, disposition }: DmarcResult) => `${result} ${policy} ${disposition}`;

const REJECT = policies({ "example.org": "v=DMARC1; p=reject; sp=quarantine" });

Deno.test("RFC 7489 appendix B.1.1: SPF in alignment", async () => {
  const zone = policies({ "example.com": "v=DMARC1; p=reject" });
  const strict = policies({ "example.com": "v=DMARC1; p=reject; aspf=s" });
  // Example 1: the same domain. 2: the parent's mail from a child's return path. 3: another organization.
  for (const records of [zone, strict]) {
    assert.equal((await evaluate("sender@example.com", spf("example.com"), records)).spfAligned, true);
  }
  assert.equal((await evaluate("sender@example.com", spf("child.example.com"), zone)).result, "pass");
  assert.equal((await evaluate("sender@example.com", spf("child.example.com"), strict)).result, "fail");
  assert.equal((await evaluate("sender@child.example.com", spf("sample.net"), zone)).result, "fail");
});

Deno.test("RFC 7489 appendix B.1.2: DKIM in alignment", async () => {
  const zone = policies({ "example.com": "v=DMARC1; p=reject" });
  const strict = policies({ "example.com": "v=DMARC1; p=reject; adkim=s" });
  for (const records of [zone, strict]) {
    assert.equal((await evaluate("sender@example.com", dkim("example.com"), records)).dkimAligned, true);
  }
  assert.equal((await evaluate("sender@child.example.com", dkim("example.com"), zone)).result, "pass");
  assert.equal((await evaluate("sender@child.example.com", dkim("example.com"), strict)).result, "fail");
  assert.equal((await evaluate("sender@child.example.com", dkim("sample.net"), zone)).result, "fail");
});

Deno.test("RFC 7489 appendix B.2: records of a domain that watches, then acts on a part of its mail", async () => {
  const watched = policies({ "example.com": "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com" });
  const result = await evaluate("a@example.com", {}, watched);
  assert.equal(verdict(result), "fail none none");
  assert.deepEqual(result.record?.aggregateReports, ["mailto:dmarc-feedback@example.com"]);
  const quarter = policies({ "test.example.com": "v=DMARC1; p=quarantine; rua=mailto:a@example.com; pct=25" });
  assert.equal(verdict(await evaluate("a@test.example.com", {}, quarter, 0.2)), "fail quarantine quarantine");
  assert.equal(verdict(await evaluate("a@test.example.com", {}, quarter, 0.25)), "fail quarantine none");
  // The parent's mail is not the test's.
  assert.equal(verdict(await evaluate("a@example.com", {}, quarter)), "none none none");
});

Deno.test("a message that nothing vouches for fails, and the policy is applied", async () => {
  const result = await evaluate("Alice <alice@example.org>", {}, REJECT);
  assert.equal(verdict(result), "fail reject reject");
  assert.equal(result.fromDomain, "example.org");
  assert.equal(result.override, undefined);
});

Deno.test("what did not pass vouches for nothing", async () => {
  for (const result of ["fail", "policy", "neutral", "permerror", "none"] as const) {
    assert.equal((await evaluate("a@example.org", dkim("example.org", result), REJECT)).result, "fail");
  }
  assert.equal((await evaluate("a@example.org", spf("example.org", "fail"), REJECT)).result, "fail");
});

Deno.test("one of several signatures in alignment is enough", async () => {
  const results = {
    ...spf("example.com"),
    dkim: [...dkim("example.com").dkim ?? [], ...dkim("a.b.example.org").dkim ?? [], ...dkim("example.net").dkim ?? []],
  };
  const result = await evaluate("a@example.org", results, REJECT);
  assert.deepEqual([verdict(result), result.spfAligned, result.dkimAligned], ["pass reject none", false, true]);
});

Deno.test("subdomains without a record have that of the organization, with its sp=", async () => {
  assert.equal(verdict(await evaluate("a@b.c.example.org", {}, REJECT)), "fail quarantine quarantine");
  const own = { ...REJECT, ...policies({ "c.example.org": "v=DMARC1; p=none" }) };
  assert.equal(verdict(await evaluate("a@c.example.org", {}, own)), "fail none none");
  // RFC 7489 knows the domain itself and the organization, nothing in between.
  assert.equal(verdict(await evaluate("a@b.c.example.org", {}, own)), "fail quarantine quarantine");
});

Deno.test("organizations are those of the public suffix list, private suffixes too", async () => {
  const zone = policies({ "example.co.uk": "v=DMARC1; p=reject", "a.github.io": "v=DMARC1; p=reject" });
  assert.equal((await evaluate("a@mail.example.co.uk", dkim("example.co.uk"), zone)).result, "pass");
  assert.equal((await evaluate("a@mail.example.co.uk", dkim("other.co.uk"), zone)).result, "fail");
  assert.equal((await evaluate("a@a.github.io", dkim("b.github.io"), zone)).result, "fail");
  assert.equal((await evaluate("a@a.github.io", dkim("github.io"), zone)).result, "fail");
  assert.equal((await evaluate("a@a.github.io", dkim("x.a.github.io"), zone)).result, "pass");
});

Deno.test("international domains are compared as A-labels", async () => {
  const zone = policies({ "xn--bcher-kva.example": "v=DMARC1; p=reject; adkim=s" });
  assert.equal((await evaluate("a@xn--bcher-kva.example", dkim("xn--bcher-kva.example"), zone)).result, "pass");
  const utf8 = String.fromCharCode(...new TextEncoder().encode("a@b\u00fccher.example"));
  assert.equal((await evaluate(utf8, dkim("xn--bcher-kva.example"), zone)).result, "pass");
});

Deno.test("without a record there is no result, and no more is asked than needed", async () => {
  const context = checkContext({});
  const result = await evaluateDmarc(received("From: a@b.example.org\r\n\r\n").header, dkim("example.org"), context);
  assert.equal(verdict(result), "none none none");
  assert.deepEqual(context.zone.asked, ["TXT _dmarc.b.example.org", "TXT _dmarc.example.org", "TXT _dmarc.org"]);
  const found = checkContext(REJECT);
  await evaluateDmarc(received("From: a@example.org\r\n\r\n").header, dkim("mail.example.org"), found);
  assert.deepEqual(found.zone.asked, ["TXT _dmarc.example.org"]);
});

Deno.test("other TXT records beside the policy do no harm, two policies are an error", async () => {
  const spfToo = { "_dmarc.example.org": { txt: ["v=spf1 -all", "v=DMARC1; p=reject", "v=DMARC2"] } };
  assert.equal(verdict(await evaluate("a@example.org", {}, spfToo)), "fail reject reject");
  const two = { "_dmarc.example.org": { txt: ["v=DMARC1; p=reject", "v=DMARC1; p=none"] } };
  assert.equal(verdict(await evaluate("a@example.org", {}, two)), "permerror none none");
  assert.equal(
    verdict(await evaluate("a@example.org", {}, policies({ "example.org": "v=DMARC1" }))),
    "permerror none none",
  );
});

Deno.test("trouble with DNS is temporary, unless something passed", async () => {
  const lost = { "_dmarc.example.org": { error: "timeout" } } as const;
  const result = await evaluate("a@b.example.org", {}, lost);
  assert.equal(verdict(result), "temperror none none");
  assert.equal(result.reason, "the policy of example.org could not be looked up: timeout");
  assert.equal((await evaluate("a@example.org", dkim("example.org", "temperror"), REJECT)).result, "temperror");
  assert.equal((await evaluate("a@example.org", spf("example.org", "temperror"), REJECT)).result, "temperror");
  const both = { ...spf("example.org", "temperror"), ...dkim("example.org") };
  assert.equal((await evaluate("a@example.org", both, REJECT)).result, "pass");
  // A stranger's trouble says nothing about the author.
  assert.equal((await evaluate("a@example.org", dkim("example.com", "temperror"), REJECT)).result, "fail");
  assert.equal((await evaluate("a@example.org", spf("example.com", "temperror"), REJECT)).result, "fail");
});

Deno.test("pct= takes a part of the mail; the rest gets the next milder policy (RFC 7489 §6.6.4)", async () => {
  const zone = policies({ "example.org": "v=DMARC1; p=reject; pct=30" });
  assert.equal(verdict(await evaluate("a@example.org", {}, zone, 0.29)), "fail reject reject");
  const spared = await evaluate("a@example.org", {}, zone, 0.3);
  assert.deepEqual([verdict(spared), spared.override], ["fail reject quarantine", "sampled_out"]);
  const never = policies({ "example.org": "v=DMARC1; p=quarantine; pct=0" });
  assert.equal(verdict(await evaluate("a@example.org", {}, never)), "fail quarantine none");
});

Deno.test("t=y makes a policy one step milder (RFC 9989)", async () => {
  const zone = policies({ "example.org": "v=DMARC1; p=reject; sp=quarantine; t=y" });
  const result = await evaluate("a@example.org", {}, zone);
  assert.deepEqual([verdict(result), result.override], ["fail reject quarantine", "other"]);
  assert.equal(verdict(await evaluate("a@b.example.org", {}, zone)), "fail quarantine none");
});

Deno.test("np= is for domains that do not exist", async () => {
  const zone: Zone = {
    ...policies({ "example.org": "v=DMARC1; p=none; sp=quarantine; np=reject" }),
    "there.example.org": { mx: [[10, "mx.example.org"]] },
    "lost.example.org": { error: "servfail" },
  };
  assert.equal(verdict(await evaluate("a@gone.example.org", {}, zone)), "fail reject reject");
  assert.equal(verdict(await evaluate("a@there.example.org", {}, zone)), "fail quarantine quarantine");
  assert.equal(verdict(await evaluate("a@lost.example.org", {}, zone)), "fail quarantine quarantine");
  assert.equal(verdict(await evaluate("a@example.org", {}, zone)), "fail none none");
});

Deno.test("psd=y: the record of a public suffix holds for who has none (RFC 9091)", async () => {
  const zone = policies({ "example": "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y" });
  assert.equal(
    verdict(await evaluate("a@shop.example", {}, { ...zone, "shop.example": {} })),
    "fail quarantine quarantine",
  );
  assert.equal(verdict(await evaluate("a@gone.example", {}, zone)), "fail reject reject");
  // Two who registered there are strangers to each other.
  assert.equal((await evaluate("a@shop.example", dkim("other.example"), zone)).result, "fail");
  assert.equal((await evaluate("a@shop.example", dkim("example"), zone)).result, "fail");
  assert.equal((await evaluate("a@shop.example", dkim("mail.shop.example"), zone)).result, "pass");
  // Whoever has a record of his own is not asked about his suffix.
  const own = { ...zone, ...policies({ "shop.example": "v=DMARC1; p=none" }) };
  assert.equal(verdict(await evaluate("a@shop.example", {}, own)), "fail none none");
});

Deno.test("a record above that does not say psd=y is none for RFC 7489", async () => {
  const zone = policies({ "example": "v=DMARC1; p=reject", "b.shop.example": "v=DMARC1; p=reject" });
  assert.equal(verdict(await evaluate("a@a.b.shop.example", {}, zone)), "none none none");
});

Deno.test("psd=n: a domain that is nobody's subdomain", async () => {
  const zone = policies({
    "example.org": "v=DMARC1; p=reject; psd=u",
    "students.example.org": "v=DMARC1; p=quarantine; psd=n",
  });
  assert.equal(
    verdict(await evaluate("a@students.example.org", dkim("example.org"), zone)),
    "fail quarantine quarantine",
  );
  assert.equal((await evaluate("a@students.example.org", dkim("x.students.example.org"), zone)).result, "pass");
  assert.equal((await evaluate("a@example.org", dkim("students.example.org"), zone)).result, "fail");
  assert.equal((await evaluate("a@example.org", dkim("staff.example.org"), zone)).result, "pass");
  assert.equal(verdict(await evaluate("a@x.students.example.org", {}, zone)), "fail quarantine quarantine");
});

Deno.test("the tree walk asks for at most eight names, however many labels there are", async () => {
  const labels = Array.from({ length: 40 }, (_, i) => `l${i}`).join(".");
  const context = checkContext(policies({ "example.org": "v=DMARC1; p=reject; psd=n" }));
  const header = received(`From: a@${labels}.example.org\r\n\r\n`).header;
  assert.equal(verdict(await evaluateDmarc(header, {}, context)), "fail reject reject");
  const walked = ["l35.l36.l37.l38.l39", "l36.l37.l38.l39", "l37.l38.l39", "l38.l39", "l39"];
  // The organization of the public suffix list is asked for first, and not again.
  assert.deepEqual(context.zone.asked.filter((question) => question.startsWith("TXT")), [
    `TXT _dmarc.${labels}.example.org`,
    "TXT _dmarc.example.org",
    ...walked.map((name) => `TXT _dmarc.${name}.example.org`),
  ]);
});

Deno.test("the walk ends at a public suffix, whatever stands above it", async () => {
  const zone = policies({
    "b.example": "v=DMARC1; p=reject; psd=y",
    "example": "v=DMARC1; p=none; psd=y",
  });
  assert.equal(verdict(await evaluate("a@a.shop.b.example", {}, zone)), "fail reject reject");
  assert.equal((await evaluate("a@a.shop.b.example", dkim("other.b.example"), zone)).result, "fail");
  assert.equal((await evaluate("a@a.shop.b.example", dkim("shop.b.example"), zone)).result, "pass");
  // A suffix that sends itself.
  assert.equal(verdict(await evaluate("a@b.example", {}, zone)), "fail reject reject");
  assert.equal((await evaluate("a@b.example", dkim("shop.b.example"), zone)).result, "fail");
});

Deno.test("trouble with DNS further up does not take a domain's own record away (RFC 9989 §4.10.1)", async () => {
  const zone: Zone = { ...policies({ "example.org": "v=DMARC1; p=reject; t=n" }), "_dmarc.org": { error: "servfail" } };
  assert.equal((await evaluate("a@example.org", dkim("example.org"), zone)).result, "pass");
  assert.equal(verdict(await evaluate("a@example.org", {}, zone)), "fail reject reject");
  // Whether these belong together cannot be told.
  assert.equal((await evaluate("a@example.org", dkim("mail.example.org"), zone)).result, "temperror");
  assert.equal((await evaluate("a@mail.example.org", dkim("mail.example.org"), zone)).result, "temperror");
  // Nor can it where the trouble is with the name that has signed.
  const signer: Zone = {
    ...policies({ "example.org": "v=DMARC1; p=reject; t=n" }),
    "_dmarc.mail.example.org": { error: "timeout" },
  };
  assert.equal((await evaluate("a@example.org", dkim("mail.example.org"), signer)).result, "temperror");
});

Deno.test("several authors: the worst result counts (RFC 7489 §6.6.1)", async () => {
  const zone = policies({ "example.org": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=reject" });
  const result = await evaluate("a@example.org, b@example.com", dkim("example.org"), zone);
  assert.deepEqual([verdict(result), result.fromDomain], ["fail reject reject", "example.com"]);
  const both = { ...dkim("example.org"), ...spf("example.com") };
  assert.equal((await evaluate("a@example.org, b@example.com", both, zone)).result, "pass");
  assert.equal((await evaluate("a@example.org, b@unknown.example", dkim("example.org"), zone)).result, "none");
});

Deno.test("several From fields never pass", async () => {
  const fields = ["a@example.org", "b@example.org"];
  const result = await evaluate(fields, dkim("example.org"), REJECT);
  assert.deepEqual([verdict(result), result.reason], ["permerror reject none", "there are several From fields"]);
  assert.equal(verdict(await evaluate(fields, {}, REJECT)), "fail reject reject");
  assert.equal((await evaluate(["a@example.com", "b@example.org"], dkim("example.com"), REJECT)).result, "fail");
});

Deno.test("a message whose author is in doubt is told apart from one that nothing can be said of (RFC 7489 §6.6.1)", async () => {
  const zone = { ...REJECT, ...policies({ "example.com": "v=DMARC1; p=none" }) };
  const inDoubt = async (from: string | readonly string[]) =>
    (await evaluate(from, dkim("example.com"), zone)).improperFrom ?? false;
  assert.equal(await inDoubt(["a@example.com", "a@example.com"]), true);
  assert.equal(await inDoubt(["a@example.com", "b@example.net"]), true);
  assert.equal(await inDoubt([]), true);
  assert.equal(await inDoubt("a@example.com, b@[192.0.2.1]"), true);
  assert.equal(await inDoubt('"a@example.org'), true);
  assert.equal(await inDoubt("a@example.org <>"), true);
  assert.equal(await inDoubt("a@example.org <root>, a@example.com"), true);
  // The fifth domain is not looked at, so nothing can pass.
  assert.equal(await inDoubt("a@a.info, a@b.info, a@c.info, a@d.info, a@example.org"), true);
  // A policy that fails without asking for a refusal does not take the doubt away.
  assert.equal((await evaluate(["a@example.com", "b@example.com"], {}, zone)).improperFrom, true);
  for (const from of ["a@example.com", "a@example.com, b@example.net", "Undisclosed:;", "root"]) {
    assert.equal(await inDoubt(from), false, from);
  }
});

Deno.test("without an author there is nothing to hold results against", async () => {
  const missing = await evaluateDmarc(received("To: a@example.org\r\n\r\n").header, {}, checkContext(REJECT));
  assert.deepEqual([verdict(missing), missing.reason], ["permerror none none", "there is no From field"]);
  const empty = await evaluate("Undisclosed:;", {}, REJECT);
  assert.deepEqual([verdict(empty), empty.reason], ["permerror none none", "the From field names no domain"]);
});

Deno.test("an author who cannot be read keeps a message from passing", async () => {
  const result = await evaluate("a@example.org, b@[192.0.2.1]", dkim("example.org"), REJECT);
  assert.equal(verdict(result), "permerror reject none");
});
