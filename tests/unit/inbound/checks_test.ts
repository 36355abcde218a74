/** Checks of who sends, seen from a session: what is refused when, what is written, what is told. */

import assert from "node:assert/strict";
import {
  type ArcResult,
  type AuthResults,
  type DkimResult,
  evaluateDmarc,
  verifySignatures,
} from "../../../src/authentication/mod.ts";
import { type Answer, DnsError } from "../../../src/dns/mod.ts";
import type { Filter } from "../../../src/filter/mod.ts";
import {
  type ClientOptions,
  dialogue,
  greeted,
  openSession,
  sendMessage,
  type SessionWorld,
  sessionWorld,
} from "../../support/session.ts";
import { createZone, type ZoneEntry } from "../../support/zone.ts";

type Records = Readonly<Record<string, ZoneEntry>>;

/** The client 192.0.2.7 is mail.example.net and may send for example.net. */
const GOOD: Records = {
  "192.0.2.7": { ptr: ["mail.example.net"] },
  "mail.example.net": { a: ["192.0.2.7"] },
  "client.example.net": { txt: ["v=spf1 ip4:192.0.2.7 -all"] },
  "example.net": { txt: ["v=spf1 ip4:192.0.2.7 -all"] },
};

interface Options {
  readonly settings?: string;
  readonly records?: Records;
  /** What verifying signatures gives; as they are in the message if left out. */
  readonly signatures?: Pick<AuthResults, "dkim" | "arc">;
  readonly filters?: readonly Filter[];
}

/** A world whose sessions check, with their questions to DNS. */
function checkingWorld(options: Options = {}): SessionWorld & { readonly asked: readonly string[] } {
  const zone = createZone(options.records ?? GOOD);
  const { signatures } = options;
  const world = sessionWorld({
    ...(options.settings === undefined ? {} : { settings: options.settings }),
    ...(options.filters === undefined ? {} : { filters: options.filters }),
    checks: {
      context: { resolver: zone, now: () => Date.UTC(2026, 0, 5, 12), random: () => 0 },
      verifySignatures: signatures === undefined ? verifySignatures : () => Promise.resolve(signatures),
      evaluateDmarc,
    },
  });
  return { ...world, asked: zone.asked };
}

const eventNames = (world: SessionWorld) => world.events.map(({ name }) => name);

function fieldsOf(text: string, name: string): string[] {
  const head = text.slice(0, text.indexOf("\r\n\r\n") + 2).replace(/\r\n(?=[ \t])/g, "");
  return head.split("\r\n").filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`));
}

Deno.test("results stand above Received, which names the client as DNS does", async () => {
  const world = checkingWorld();
  assert.match(await sendMessage(await greeted(world)), /^250 /);
  const text = world.queue.text(0).replace(/\r\n(?=[ \t])/g, "");
  assert.match(
    text,
    /^Authentication-Results: mx\.example\.org;\tdkim=none;\tspf=pass smtp\.mailfrom=a@example\.net;\tspf=pass smtp\.helo=client\.example\.net;\tarc=none;\tdmarc=[a-z]+.*;\tiprev=pass \(mail\.example\.net\) policy\.iprev=192\.0\.2\.7\r\nReceived-SPF: pass .*\r\nReceived: from client\.example\.net \(mail\.example\.net \[192\.0\.2\.7\]\)/,
  );
});

Deno.test("a name that does not lead back to the client is not shown in Received", async () => {
  const world = checkingWorld({ records: { ...GOOD, "mail.example.net": { a: ["192.0.2.8"] } } });
  await sendMessage(await greeted(world));
  assert.match(world.queue.text(0), /iprev=fail \(mail\.example\.net\)/);
  assert.match(world.queue.text(0), /^Received: from client\.example\.net \(\[192\.0\.2\.7\]\)/m);
});

Deno.test("a failing sender is accepted where checks are relaxed, and told", async () => {
  const world = checkingWorld({ records: { "example.net": { txt: ["v=spf1 -all"] } } });
  assert.match(await sendMessage(await greeted(world)), /^250 /);
  const text = world.queue.text(0);
  assert.match(fieldsOf(text, "Authentication-Results")[0] ?? "", /spf=fail smtp\.mailfrom=a@example\.net/);
  assert.match(fieldsOf(text, "Authentication-Results")[0] ?? "", /iprev=permerror/);
  assert.match(fieldsOf(text, "Received-SPF")[0] ?? "", /^Received-SPF: fail .*mechanism=-all$/);
  const fail = world.events.find(({ name }) => name === "spf.fail");
  assert.equal(fail?.fields?.domain, "example.net");
  assert.equal(fail?.fields?.remoteIp, "192.0.2.7");
  assert.ok(eventNames(world).includes("smtp.spf-from-fail"));
});

Deno.test("without SPF of the sender Received-SPF tells of the EHLO name, without either there is none", async () => {
  const helo = checkingWorld({ settings: 'auth.spf.verify.mail-from = "disable"' });
  await sendMessage(await greeted(helo));
  assert.match(fieldsOf(helo.queue.text(0), "Received-SPF")[0] ?? "", /identity=helo/);
  const none = checkingWorld({ settings: 'auth.spf.verify = { mail-from = "disable", ehlo = "disable" }' });
  await sendMessage(await greeted(none));
  assert.deepEqual(fieldsOf(none.queue.text(0), "Received-SPF"), []);
});

Deno.test("each header is added only if wanted", async () => {
  const quiet = checkingWorld({
    settings: "session.data.add-headers = { received-spf = false, auth-results = false }",
  });
  await sendMessage(await greeted(quiet));
  assert.match(quiet.queue.text(0), /^Received: /);
});

Deno.test("on other ports than MX only signatures are looked at, and nothing is written", async () => {
  const world = checkingWorld({
    settings: "session.auth.require = false",
  });
  assert.match(await sendMessage(await greeted(world, { listener: "other", localPort: 2525 })), /^250 /);
  assert.match(world.queue.text(0), /^Received: /);
  assert.deepEqual(world.asked, []);
});

Deno.test("the null sender is checked as postmaster at the EHLO name", async () => {
  const world = checkingWorld();
  await sendMessage(await greeted(world), { from: "" });
  assert.match(
    fieldsOf(world.queue.text(0), "Authentication-Results")[0] ?? "",
    /spf=pass smtp\.mailfrom=postmaster@client\.example\.net/,
  );
});

Deno.test("the return path that was given is checked, not the rewritten one", async () => {
  const world = checkingWorld({ settings: "session.mail.rewrite = \"'x@other.example'\"" });
  await sendMessage(await greeted(world));
  assert.ok(world.asked.includes("TXT example.net"));
  assert.ok(!world.asked.includes("TXT other.example"));
});

Deno.test("what was found out about one sender says nothing of the next, who is not checked", async () => {
  const world = checkingWorld({
    settings: `auth.spf.verify = { ehlo = "disable", mail-from = [
  { if = "sender_domain == 'example.net'", then = "relaxed" }, { else = "disable" }
] }`,
  });
  const client = await greeted(world);
  await sendMessage(client);
  await sendMessage(client, { from: "a@other.example" });
  assert.match(world.queue.text(0), /spf=pass smtp\.mailfrom=a@example\.net/);
  assert.doesNotMatch(world.queue.text(1), /spf=|Received-SPF/);
});

const STRICT_SPF = 'auth.spf.verify.mail-from = "strict"';

for (
  const [record, reply] of [
    ["v=spf1 ip4:192.0.2.7 -all", /^250 /],
    ["v=spf1 ~all", /^250 /],
    ["v=spf1 ?all", /^250 /],
    ["other", /^250 /],
    ["v=spf1 -all", /^550 5\.7\.23 .*example\.net/],
    ["v=spf1 moo", /^550 5\.7\.24 .*moo/],
    [undefined, /^451 4\.7\.24 .*example\.net/],
  ] as const
) {
  Deno.test(`strict SPF of the sender: ${record ?? "no answer"} (RFC 7372)`, async () => {
    const entry: ZoneEntry = record === undefined ? { error: "timeout" } : { txt: [record] };
    const world = checkingWorld({ settings: STRICT_SPF, records: { "example.net": entry } });
    const client = await greeted(world);
    assert.match(await client.say("MAIL FROM:<a@example.net>"), reply);
    // A refusal leaves no transaction behind.
    if (reply.source !== "^250 ") await dialogue(client, ["RCPT TO:<ana@example.org>", "503"]);
  });
}

Deno.test("a refusal by SPF shows what the domain has to say, as the words of that domain", async () => {
  const records = {
    "example.net": { txt: ["v=spf1 exp=why.example.net -all"] },
    "why.example.net": { txt: ["Go to %{d}."] },
  };
  const client = await greeted(checkingWorld({ settings: STRICT_SPF, records }));
  assert.match(
    await client.say("MAIL FROM:<a@example.net>"),
    /^550-5\.7\.23 SPF validation failed.*\n550-5\.7\.23 example\.net explains:\n550 5\.7\.23 Go to example\.net\.$/,
  );
});

Deno.test("a sender after one that was refused is judged by itself", async () => {
  const world = checkingWorld({ settings: STRICT_SPF, records: { ...GOOD, "bad.example": { txt: ["v=spf1 -all"] } } });
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@bad.example>", "550 5.7.23"]);
  assert.ok(eventNames(world).includes("smtp.mail-from-not-allowed"));
  assert.match(await sendMessage(client), /^250 /);
  assert.doesNotMatch(world.queue.text(0), /bad\.example/);
  await sendMessage(client, { from: "" });
  assert.match(fieldsOf(world.queue.text(1), "Received-SPF")[0] ?? "", /postmaster@client\.example\.net/);
});

Deno.test("strict SPF of the EHLO name refuses EHLO, and another name may be tried", async () => {
  const records = { ...GOOD, "bad.example": { txt: ["v=spf1 -all"] } };
  const world = checkingWorld({ settings: 'auth.spf.verify.ehlo = "strict"', records });
  const client = openSession(world);
  await client.reply();
  await dialogue(
    client,
    ["EHLO bad.example", "550 5.7.23"],
    ["MAIL FROM:<a@example.net>", "503"],
    ["EHLO client.example.net", "250"],
  );
  assert.match(await sendMessage(client), /^250 /);
  assert.match(fieldsOf(world.queue.text(0), "Authentication-Results")[0] ?? "", /smtp\.helo=client\.example\.net/);
});

const STRICT_IPREV = 'auth.iprev.verify = "strict"';

for (
  const [records, reply, event] of [
    [GOOD, /^250 /, "iprev.pass"],
    [{}, /^550 5\.7\.25 192\.0\.2\.7 has no name/, "iprev.none"],
    [{ "192.0.2.7": { ptr: ["x.example"] } }, /^550 5\.7\.25 x\.example does not lead back/, "iprev.fail"],
    [{ "192.0.2.7": { error: "timeout" } }, /^451 4\.7\.25 /, "iprev.temp-error"],
  ] as const
) {
  Deno.test(`a strict reverse lookup refuses MAIL: ${event}`, async () => {
    const world = checkingWorld({ settings: STRICT_IPREV, records });
    const client = await greeted(world);
    assert.match(await client.say("MAIL FROM:<a@example.net>"), reply);
    assert.ok(eventNames(world).includes(event));
  });
}

Deno.test("nobody waits for lookups before the message is there, where checks are relaxed", async () => {
  const answers = Promise.withResolvers<never>();
  const silent = () => answers.promise;
  const world = sessionWorld({
    checks: {
      context: {
        resolver: { a: silent, aaaa: silent, mx: silent, txt: silent, ptr: silent },
        now: () => 0,
        random: () => 0,
      },
      verifySignatures,
      evaluateDmarc,
    },
  });
  const client = await greeted(world);
  await dialogue(client, ["MAIL FROM:<a@example.net>", "250"], ["RCPT TO:<ana@example.org>", "250"], ["QUIT", "221"]);
  await client.ended;
});

for (
  const [what, unchecked, commands] of [
    ["many senders", "ehlo", ["EHLO client.example", "MAIL FROM:<a@d#.example>", "RSET"]],
    ["itself by many names", "mail-from", ["EHLO d#.example"]],
  ] as const
) {
  Deno.test(`a client that names ${what} has one of them looked up at a time`, async () => {
    let open = 0;
    let most = 0;
    let all = 0;
    const txt = async (name: string): Promise<Answer<string>> => {
      all++;
      most = Math.max(most, ++open);
      // A turn of the event loop, in which the session gets as far as it can.
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
      open--;
      return { records: [], exists: false, security: "insecure", name };
    };
    const none = () => Promise.reject(new DnsError("no answer", "timeout"));
    const world = sessionWorld({
      settings: `auth.spf.verify.${unchecked} = "disable"`,
      checks: {
        context: { resolver: { a: none, aaaa: none, mx: none, txt, ptr: none }, now: () => 0, random: () => 0 },
        verifySignatures,
        evaluateDmarc,
      },
    });
    const client = openSession(world);
    const lines = Array.from({ length: 9 }, (_, n) => commands.map((line) => line.replace("#", String(n)))).flat();
    client.send(`${lines.join("\r\n")}\r\nQUIT\r\n`);
    await client.ended;
    assert.match(client.unread, /^221 /m);
    assert.deepEqual([all, most], [9, 1]);
  });
}

Deno.test("a resolver that breaks costs the session, not the process, and only where it is needed", async () => {
  const broken = () => Promise.reject(new TypeError("a bug"));
  const world = sessionWorld({
    checks: {
      context: {
        resolver: { a: broken, aaaa: broken, mx: broken, txt: broken, ptr: broken },
        now: () => 0,
        random: () => 0,
      },
      verifySignatures,
      evaluateDmarc,
    },
  });
  const gone = await greeted(world);
  await dialogue(gone, ["MAIL FROM:<a@example.net>", "250"], ["QUIT", "221"]);
  await gone.ended;
  assert.match(await sendMessage(await greeted(world)), /^421 4\.3\.0 /);
  assert.equal(world.queue.messages.length, 0);
  assert.equal(world.queue.pending, 0);
});

const DKIM: DkimResult = {
  method: "dkim",
  result: "pass",
  domain: "example.net",
  selector: "s",
  algorithm: "rsa-sha256",
  auid: "@example.net",
  signature: "abcdefgh",
  testing: false,
  reportRequested: false,
};
const ARC: ArcResult = {
  method: "arc",
  result: "pass",
  instance: 1,
  domain: "example.net",
  selector: "s",
  oldestPass: 0,
  temporary: false,
};
const of = (...results: readonly (DkimResult["result"] | "testing")[]): Options["signatures"] => ({
  dkim: results.map((result) =>
    result === "testing" ? { ...DKIM, result: "fail", testing: true } as const : { ...DKIM, result }
  ),
});

for (
  const [what, signatures, reply] of [
    ["no signature", of("none"), /^250 /],
    ["one that passes beside one that fails", of("fail", "pass"), /^250 /],
    ["one that fails", of("fail"), /^550 5\.7\.20 /],
    ["one that cannot be read", of("neutral", "permerror"), /^550 5\.7\.20 /],
    ["one that proves too little", of("policy", "policy"), /^550 5\.7\.21 /],
    ["one whose key cannot be looked up", of("fail", "temperror"), /^451 4\.7\.20 /],
    ["one of a domain that is trying it out", of("testing"), /^250 /],
  ] as const
) {
  Deno.test(`strict DKIM: ${what} (RFC 7372 §3.1)`, async () => {
    const world = checkingWorld({
      settings: 'auth.dkim.verify = "strict"',
      ...(signatures === undefined ? {} : { signatures }),
    });
    assert.match(await sendMessage(await greeted(world)), reply);
    const isRefused = reply.source !== "^250 ";
    assert.equal(world.queue.messages.length, isRefused ? 0 : 1);
    assert.equal(world.queue.pending, 0);
  });
}

for (
  const [what, arc, reply] of [
    ["none", { ...ARC, result: "none", instance: 0 }, /^250 /],
    ["a whole chain", ARC, /^250 /],
    ["a broken chain", { ...ARC, result: "fail" }, /^550 5\.7\.29 /],
    ["a chain with a key that cannot be looked up", { ...ARC, result: "fail", temporary: true }, /^451 4\.7\.29 /],
  ] as const
) {
  Deno.test(`strict ARC: ${what} (RFC 8617 §10.3)`, async () => {
    const world = checkingWorld({ settings: 'auth.arc.verify = "strict"', signatures: { arc } });
    assert.match(await sendMessage(await greeted(world)), reply);
  });
}

const FROM = { content: "From: a@example.net\r\nSubject: x\r\n\r\nbody\r\n" };
const dmarcRecords = (record: string | undefined, spf: string): Records => ({
  "example.net": { txt: [spf] },
  "_dmarc.example.net": record === undefined ? { error: "servfail" } : { txt: [record] },
});

for (
  const [record, spf, reply] of [
    ["v=DMARC1; p=reject", "v=spf1 -all", /^550 5\.7\.1 .*DMARC.*example\.net/],
    ["v=DMARC1; p=quarantine", "v=spf1 -all", /^250 /],
    ["v=DMARC1; p=none", "v=spf1 -all", /^250 /],
    ["v=DMARC1; p=reject", "v=spf1 ip4:192.0.2.7 -all", /^250 /],
    [undefined, "v=spf1 -all", /^451 4\.7\.1 /],
  ] as const
) {
  Deno.test(`strict DMARC: ${record ?? "no answer"}, ${spf}`, async () => {
    const world = checkingWorld({ settings: 'auth.dmarc.verify = "strict"', records: dmarcRecords(record, spf) });
    assert.match(await sendMessage(await greeted(world), FROM), reply);
  });
}

for (
  const [what, from, reply] of [
    ["two From fields", "From: a@example.net\r\nFrom: a@example.net", /^550 5\.7\.1 .*one From field/],
    ["no From field", "To: a@example.net", /^550 5\.7\.1 .*one From field/],
    ["authors that cannot be read", "From: a@example.net, b@[192.0.2.1]", /^550 5\.7\.1 .*domains can be read/],
    ["five domains", `From: ${["net", "org", "com", "edu", "info"].map((top) => `a@example.${top}`)}`, /^550 5\.7\.1 /],
    ["several authors, and all pass", "From: a@example.net, b@example.net", /^250 /],
    ["an empty group", "From: Undisclosed:;", /^250 /],
  ] as const
) {
  Deno.test(`DMARC of a message with ${what}: only strict refuses (RFC 7489 §6.6.1)`, async () => {
    const records = dmarcRecords("v=DMARC1; p=reject", "v=spf1 ip4:192.0.2.7 -all");
    const message = { content: `${from}\r\nSubject: x\r\n\r\nbody\r\n` };
    const strict = checkingWorld({ settings: 'auth.dmarc.verify = "strict"', records });
    assert.match(await sendMessage(await greeted(strict), message), reply);
    assert.match(await sendMessage(await greeted(checkingWorld({ records })), message), /^250 /);
  });
}

Deno.test("a message that passes DMARC has the source dmarc_pass, one with a login never", async () => {
  const records = dmarcRecords("v=DMARC1; p=reject", "v=spf1 ip4:192.0.2.7 -all");
  const world = checkingWorld({ records });
  await sendMessage(await greeted(world), FROM);
  assert.equal(world.queue.messages[0]?.source, "dmarc_pass");
  const event = world.events.find(({ name }) => name === "dmarc.pass");
  assert.deepEqual(
    [event?.fields?.fromDomain, event?.fields?.spfAligned, event?.fields?.dkimAligned, event?.fields?.from],
    ["example.net", true, false, "a@example.net"],
  );
  const failing = checkingWorld({ records: dmarcRecords("v=DMARC1; p=reject", "v=spf1 -all") });
  await sendMessage(await greeted(failing), FROM);
  assert.equal(failing.queue.messages[0]?.source, "unauthenticated");
  const settings = "session.auth = { mechanisms = \"['plain']\", allow-plain-text = true, must-match-sender = false }";
  const login = checkingWorld({ records, settings });
  await sendMessage(await greeted(login, { login: true }), FROM);
  assert.equal(login.queue.messages[0]?.source, "authenticated");
});

Deno.test("each signature is an event, and all of them together are one", async () => {
  const world = checkingWorld({ signatures: { ...of("fail", "pass"), arc: ARC } });
  await sendMessage(await greeted(world));
  const names = eventNames(world).filter((name) => /^(?:smtp\.)?(?:dkim|arc)/.test(name));
  assert.deepEqual(names, ["dkim.fail", "dkim.pass", "smtp.dkim-pass", "smtp.arc-pass"]);
});

Deno.test("a signature that counts for nothing is neutral, and there is no event for a chain that is not there", async () => {
  const none = { ...ARC, result: "none", instance: 0 } as const;
  const world = checkingWorld({ signatures: { ...of("policy", "neutral"), arc: none } });
  await sendMessage(await greeted(world));
  const names = eventNames(world).filter((name) => /^(?:smtp\.)?(?:dkim|arc)/.test(name));
  assert.deepEqual(names, ["dkim.neutral", "dkim.neutral", "smtp.dkim-fail"]);
});

const FORGED = "Authentication-Results: MX.example.org; dkim=pass header.d=bank.example\r\n" +
  "Subject: x\r\n" +
  "authentication-results: other.example;\r\n\tspf=pass\r\n" +
  'Authentication-Results: (x) "mx.example.org" 1;\r\n none\r\n' +
  "To: ana\r\n\r\nAuthentication-Results: mx.example.org; none\r\n";

Deno.test("results that others wrote in our name are taken away, the rest stays octet for octet (RFC 8601 §5)", async () => {
  const world = checkingWorld();
  assert.match(await sendMessage(await greeted(world), { content: FORGED }), /^250 /);
  const text = world.queue.text(0);
  const end = "Subject: x\r\nauthentication-results: other.example;\r\n\tspf=pass\r\nTo: ana\r\n\r\n" +
    "Authentication-Results: mx.example.org; none\r\n";
  assert.ok(text.endsWith(end), text);
  assert.equal(fieldsOf(text, "Authentication-Results").length, 2);
});

Deno.test("results are forged in the name of the listener and in that of the server", async () => {
  const world = checkingWorld({ settings: "session.connect.hostname = \"'in.example.org'\"" });
  const forged = (name: string) => `Authentication-Results: ${name}; dkim=pass header.d=bank.example\r\n`;
  const content = `${forged("in.example.org")}${forged("mx.example.org")}${forged("out.example.org")}\r\nx\r\n`;
  assert.match(await sendMessage(await greeted(world), { content }), /^250 /);
  const [own, ...others] = fieldsOf(world.queue.text(0), "Authentication-Results");
  assert.match(own ?? "", /^Authentication-Results: in\.example\.org;/);
  assert.deepEqual(others, [forged("out.example.org").trimEnd()]);
});

Deno.test("forged results are taken away also where no check is carried out", async () => {
  const world = sessionWorld();
  assert.match(await sendMessage(await greeted(world), { content: FORGED }), /^250 /);
  const text = world.queue.text(0);
  assert.deepEqual(fieldsOf(text, "Authentication-Results"), ["authentication-results: other.example;\tspf=pass"]);
  const silent = sessionWorld({ settings: "session.data.add-headers.auth-results = false" });
  await sendMessage(await greeted(silent), { content: FORGED });
  assert.ok(silent.queue.text(0).endsWith(FORGED));
});

Deno.test("a first line that begins with a blank goes on with no field of ours", async () => {
  const last = "received received-spf message-id date return-path".split(" ");
  const settings = last.map((name) => `session.data.add-headers.${name} = false`).join("\n");
  for (const blank of [" ", "\t"]) {
    const content = `${blank}; dkim=pass header.d=bank.example\r\nFrom: ana@bank.example\r\n\r\nx\r\n`;
    const world = checkingWorld({ settings });
    assert.match(await sendMessage(await greeted(world), { content }), /^250 /);
    const text = world.queue.text(0);
    assert.match(text, /^Authentication-Results: mx\.example\.org;/);
    const [own = ""] = fieldsOf(text, "Authentication-Results");
    assert.ok(!own.includes("bank"), own);
    // What came is the body, octet for octet.
    assert.equal(text.slice(text.indexOf("\r\n\r\n") + 4), content);
    const bare = sessionWorld({ settings: `${settings}\nsession.data.add-headers.auth-results = false` });
    await sendMessage(await greeted(bare), { content });
    assert.equal(bare.queue.text(0), `\r\n${content}`);
  }
});

Deno.test("where ours are not added, as behind a content filter, none are taken away", async () => {
  const world = checkingWorld({ settings: "session.data.add-headers.auth-results = false" });
  await sendMessage(await greeted(world), { content: FORGED });
  assert.ok(world.queue.text(0).endsWith(FORGED));
});

Deno.test("filters see the message without forged results, ours beside it, and can ask for them", async () => {
  const seen: string[] = [];
  const filter: Filter = {
    id: "f",
    kind: "milter",
    stages: new Set(["mail", "data"]),
    open: (view) => ({
      async judge(stage, transaction) {
        const results = await view.authResults?.();
        seen.push(`${stage} ${results?.spfMailFrom?.result} ${results?.dkim?.[0]?.result}`);
        const message = transaction?.message;
        if (message !== undefined) {
          seen.push(new TextDecoder().decode(message.content.head));
          seen.push(message.serverFields.map((bytes) => new TextDecoder().decode(bytes)).join(""));
        }
        return { verdict: { kind: "accept" } };
      },
    }),
  };
  const world = checkingWorld({ filters: [filter] });
  await sendMessage(await greeted(world), { content: FORGED });
  assert.equal(seen[0], "mail pass undefined");
  assert.equal(seen[1], "data pass none");
  assert.doesNotMatch(seen[2] ?? "", /bank\.example/);
  assert.match(seen[3] ?? "", /^Authentication-Results: mx\.example\.org;/);
});

Deno.test("after STARTTLS the EHLO name is checked again", async () => {
  const world = checkingWorld();
  const options: ClientOptions = {};
  const client = await greeted(world, options);
  await dialogue(client, ["STARTTLS", "220"], ["EHLO client.example.net", "250"]);
  await sendMessage(client);
  assert.equal(world.asked.filter((line) => line === "TXT client.example.net").length, 2);
});
