/** Reports of single messages that failed authentication, through the whole program. */

import assert from "node:assert/strict";
import { verifySignatures } from "../../src/authentication/mod.ts";
import { memoryContent, parseHeader, parseMime } from "../../src/message/mod.ts";
import { connectClient, submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type FakePeer, startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, testConfiguration, type TestServer } from "../support/server.ts";
import { octets, publicKeyText, signingKey } from "../support/signing_keys.ts";
import { until } from "../support/store.ts";
import { createZone } from "../support/zone.ts";

const key = signingKey("ed25519-sha256", "k1");
const MX = { mx: [[10, "mx.peer.example"]] as [number, string][] };

const ZONE = createZone({
  "127.0.0.1": { ptr: ["mail.example.net"] },
  "mail.example.net": { a: ["127.0.0.1"] },
  "mx.peer.example": { a: ["127.0.0.1"] },
  "bad.example": { txt: ["v=spf1 -all"], ...MX },
  "_dmarc.bad.example": {
    txt: ["v=DMARC1; p=reject; ruf=mailto:fail@bad.example,mailto:x@outside.example,mailto:small@bad.example!10"],
  },
  "part.example": { txt: ["v=spf1 ip4:127.0.0.1 -all"], ...MX },
  "_dmarc.part.example": { txt: ["v=DMARC1; p=none; fo=1; ruf=mailto:fail@part.example"] },
  "fine.example": { txt: ["v=spf1 ip4:127.0.0.1 -all"], ...MX },
  "_dmarc.fine.example": { txt: ["v=DMARC1; p=none; ruf=mailto:fail@fine.example"] },
  "spf.example": { txt: ["v=spf1 include:more.example -all ra=spf=2Ereports rr=f"], ...MX },
  "more.example": { txt: ["v=spf1 ip4:192.0.2.1 -all"] },
  "soft.example": { txt: ["v=spf1 ~all ra=spf rr=f"], ...MX },
  "signed.example": { ...MX },
  "k1._domainkey.signed.example": { txt: [publicKeyText(key)] },
  "_report._domainkey.signed.example": { txt: ["ra=dkim-errors; rr=v:x; rs=write=20to=20postmaster"] },
  "other.example": { ...MX },
  "k1._domainkey.other.example": { txt: [publicKeyText(key)] },
  "_report._domainkey.other.example": { txt: ["ra=dkim-errors; rr=x"] },
  "k1._domainkey.example.org": { txt: [publicKeyText(key)] },
});

const SETTINGS = `
report.dkim.send = "10/1d"
report.spf.send = "10/1d"
report.dmarc.send = "2/1d"
session.rcpt.relay = true
`;

async function start(peer: FakePeer, more = ""): Promise<TestServer> {
  const clock = new FakeClock(Date.UTC(2026, 0, 5, 12));
  return await startTestServer(SETTINGS + more, { checks: true, clock, resolver: ZONE, mxPort: peer.port });
}

const signature = (domain: string, tags = "r=y; ") =>
  `DKIM-Signature: v=1; a=ed25519-sha256; ${tags}d=${domain}; s=k1; h=from:to;\r\n bh=${btoa("x".repeat(32))}; b=${
    btoa("y".repeat(64))
  }\r\n`;

const message = (from: string, more = "") => ({
  from,
  to: ["ana@example.org"],
  content:
    `${more}From: <${from}>\r\nTo: Ana <ana@example.org>, bo@example.com\r\nSubject: secret of ana@example.org\r\n` +
    `\r\nthe body\r\n`,
});

interface Report {
  readonly mail: string;
  readonly rcpt: readonly string[];
  readonly subject: string;
  readonly feedback: (name: string) => string | undefined;
  readonly header: string;
  readonly content: string;
}

async function reports(peer: FakePeer, count: number): Promise<readonly Report[]> {
  await until(() => peer.messages.length >= count);
  return peer.messages.map(({ mail, rcpt, content }) => {
    const bytes = octets(content);
    const { root } = parseMime(bytes, { parts: 10, depth: 3 });
    const [, feedback, header] = root.children;
    const decode = (part: Uint8Array = new Uint8Array()) => new TextDecoder().decode(part);
    const fields = parseHeader(feedback?.content() ?? new Uint8Array()).fields;
    return {
      mail,
      rcpt: rcpt.map((line) => /<(.*?)>/.exec(line)?.[1] ?? ""),
      subject: parseHeader(bytes).fields.find(({ lower }) => lower === "subject")?.value() ?? "",
      feedback: (name) => fields.find(({ lower }) => lower === name.toLowerCase())?.value(),
      header: decode(header?.content()),
      content,
    };
  });
}

Deno.test("DMARC: a message that fails is reported at once to those in ruf who may get it", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  await submit(test.address("smtp"), message("smith@bad.example"));
  const [report, ...others] = await reports(peer, 1);
  assert.ok(report);
  assert.equal(others.length, 0);
  assert.match(report.mail, /FROM:<>/);
  assert.deepEqual(report.rcpt, ["fail@bad.example"]);
  assert.equal(report.subject, "DMARC Authentication Failure Report");
  assert.match(report.content, /^From: Report Subsystem <noreply-dmarc@example\.org>\r$/m);
  assert.match(report.content, /^Auto-Submitted: auto-generated\r$/m);
  assert.match(report.content, /^Content-Type: multipart\/report; report-type=feedback-report;\r$/m);
  assert.equal(report.feedback("Feedback-Type"), "auth-failure");
  assert.equal(report.feedback("Version"), "1");
  assert.equal(report.feedback("Auth-Failure"), "dmarc");
  assert.equal(report.feedback("Identity-Alignment"), "none");
  assert.equal(report.feedback("Reported-Domain"), "bad.example");
  assert.equal(report.feedback("Source-IP"), "127.0.0.1");
  assert.equal(report.feedback("Original-Mail-From"), "<smith@bad.example>");
  assert.match(
    report.feedback("Authentication-Results") ?? "",
    /^mx\.example\.org;\s+dmarc=fail .*header\.from=bad\.example/,
  );
  assert.equal(report.feedback("Delivery-Result"), "delivered");
  await until(() => test.events.some(({ name }) => name === "outgoing-report.submission-error"));
  // Two of the three places get nothing: one is outside and has not agreed, one takes ten octets.
  const told = test.events.filter(({ name }) => name.startsWith("outgoing-report."));
  assert.deepEqual(told.map(({ name, fields }) => [name, fields.uri ?? fields.to]).toSorted(), [
    ["outgoing-report.dmarc-report", "fail@bad.example"],
    ["outgoing-report.submission-error", "small@bad.example"],
    ["outgoing-report.unauthorized-reporting-address", "mailto:x@outside.example"],
  ]);
});

Deno.test("recipients are kept out of it, their domains are not; without redaction the header is as it came", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer, `report.redact-key = "k"\n`);
  await submit(test.address("smtp"), message("smith@bad.example"));
  const [report] = await reports(peer, 1);
  // The first 16 characters of HMAC-SHA256 with the key "k" in base64url, worked out with OpenSSL.
  assert.match(report?.header ?? "", /^To: EC_9-6Z1LvoKWLWM@example\.org, 3-B-YpNNBHiBsNOw@example\.com\r$/m);
  assert.match(report?.header ?? "", /^Subject: secret of EC_9-6Z1LvoKWLWM@example\.org\r$/m);
  assert.doesNotMatch(report?.content ?? "", /\bana\b|Ana|the body/);

  await using plainPeer = await startFakePeer();
  await using plain = await start(plainPeer, "report.redact = false\n");
  await submit(plain.address("smtp"), message("smith@bad.example"));
  const [whole] = await reports(plainPeer, 1);
  assert.match(whole?.header ?? "", /^To: Ana <ana@example\.org>, bo@example\.com\r$/m);
});

Deno.test("DMARC: fo=1 asks for what passes only in part; what passes as asked is not reported", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  await submit(test.address("smtp"), message("smith@fine.example"));
  await submit(test.address("smtp"), message("smith@part.example"));
  const [report, ...others] = await reports(peer, 1);
  assert.deepEqual([report?.rcpt, others.length], [["fail@part.example"], 0]);
  assert.equal(report?.feedback("Identity-Alignment"), "spf");
});

Deno.test("what is refused is reported as refused, what is put off is not reported", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer, `auth.dmarc.verify = "strict"\n`);
  const replies = await submit(test.address("smtp"), message("smith@bad.example"));
  assert.match(replies.at(-1) ?? "", /^550 5\.7\.1 /);
  const [report] = await reports(peer, 1);
  assert.equal(report?.feedback("Delivery-Result"), "reject");
});

Deno.test("settings say who reports and how it is called; what is computed and no address is told and not used", async () => {
  await using peer = await startFakePeer();
  await using test = await start(
    peer,
    `report.dmarc.from-name = "'Reports of ' + sender_domain"
report.dmarc.from-address = "if_then(sender_domain == 'bad.example', 'dmarc@example.org', sender_domain)"
report.dmarc.subject = "'Failed: ' + sender_domain"
`,
  );
  await submit(test.address("smtp"), message("smith@bad.example"));
  const [report] = await reports(peer, 1);
  assert.match(report?.content ?? "", /^From: "Reports of bad\.example" <dmarc@example\.org>\r$/m);
  assert.equal(report?.subject, "Failed: bad.example");
  await submit(test.address("smtp"), message("smith@part.example"));
  const [, other] = await reports(peer, 2);
  assert.match(other?.content ?? "", /^From: "Reports of part\.example" <noreply-dmarc@example\.org>\r$/m);
  const wrong = test.events.find(({ name }) => name === "eval.wrong-value");
  assert.equal(wrong?.fields.key, "report.dmarc.from-address");
});

Deno.test("not more reports to an address than report.dmarc.send says", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  for (let i = 0; i < 3; i++) await submit(test.address("smtp"), message("smith@bad.example"));
  await until(() => test.events.some(({ name }) => name === "outgoing-report.dmarc-rate-limited"));
  assert.equal((await reports(peer, 2)).length, 2);
});

Deno.test("nobody hears of mail of users, of automatic mail and of reports", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  await submit(test.address("smtp"), message("smith@bad.example", "Auto-Submitted: auto-replied\r\n"));
  await submit(test.address("smtp"), message("smith@bad.example", "Content-Type: multipart/report; boundary=x\r\n"));
  await submit(test.address("smtp"), { ...message("smith@bad.example"), from: "" });
  await submit(test.address("smtp"), message("smith@part.example"));
  assert.deepEqual((await reports(peer, 1)).map(({ rcpt }) => rcpt), [["fail@part.example"]]);
});

Deno.test("SPF: the domain that publishes ra= hears of the results it names, with the records that were read", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  await submit(test.address("smtp"), message("smith@soft.example"));
  await submit(test.address("smtp"), message("smith@spf.example"));
  const [report, ...others] = await reports(peer, 1);
  assert.deepEqual([report?.rcpt, others.length], [["spf.reports@spf.example"], 0]);
  assert.equal(report?.subject, "SPF Authentication Failure Report");
  assert.equal(report?.feedback("Auth-Failure"), "spf");
  assert.match(report?.feedback("Authentication-Results") ?? "", /spf=fail smtp\.mailfrom=smith@spf\.example$/);
  const records = [...report?.content.matchAll(/^SPF-DNS: (.*(?:\r\n .*)*)\r$/gm) ?? []].map(([, text]) =>
    text?.replace(/\r\n/g, "")
  );
  assert.deepEqual(records, [
    'txt : spf.example : "v=spf1 include:more.example -all ra=spf=2Ereports rr=f"',
    'txt : more.example : "v=spf1 ip4:192.0.2.1 -all"',
  ]);
});

Deno.test("SPF: who is refused at MAIL is reported as well, without a header", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer, `auth.spf.verify.mail-from = "strict"\n`);
  using client = await connectClient(test.address("smtp"));
  await client.reply();
  await client.say("EHLO mail.example.net");
  assert.match(await client.say("MAIL FROM:<smith@spf.example>"), /^550-5\.7\.23 |^550 5\.7\.23 /);
  const [report] = await reports(peer, 1);
  assert.equal(report?.feedback("Delivery-Result"), "reject");
  assert.equal(report?.header.trim(), "");
});

Deno.test("DKIM: who signs with r=y and publishes ra= hears of signatures that fail as it asks", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  // Nobody asked; the domain wants to hear of expired signatures only; and one that is told, once for two signatures.
  await submit(test.address("smtp"), message("smith@quiet.example", signature("signed.example", "")));
  await submit(test.address("smtp"), message("smith@quiet.example", signature("other.example")));
  const twice = signature("signed.example") + signature("signed.example");
  await submit(test.address("smtp"), message("smith@quiet.example", twice));
  const [report, ...others] = await reports(peer, 1);
  assert.deepEqual([report?.rcpt, others.length], [["dkim-errors@signed.example"], 0]);
  assert.equal(report?.subject, "DKIM Authentication Failure Report");
  assert.equal(report?.feedback("Auth-Failure"), "bodyhash");
  assert.equal(report?.feedback("DKIM-Domain"), "signed.example");
  assert.equal(report?.feedback("DKIM-Selector"), "k1");
  await until(() => test.events.some(({ name }) => name === "outgoing-report.dkim-report"));
  const told = test.events.filter(({ name }) => name === "outgoing-report.dkim-report");
  assert.deepEqual(told.map(({ fields }) => [fields.domain, fields.to]), [
    ["signed.example", "dkim-errors@signed.example"],
  ]);
  assert.equal(report?.feedback("DKIM-Identity"), "@signed.example");
  assert.equal(report?.feedback("Reported-Domain"), "signed.example");
});

Deno.test("DKIM: a refusal says what the signer wants to be said (rs=)", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer, `auth.dkim.verify = "strict"\n`);
  const replies = await submit(test.address("smtp"), message("smith@quiet.example", signature("signed.example")));
  assert.match(
    replies.at(-1) ?? "",
    /^550-5\.7\.20 [\s\S]*signed\.example explains:\n550 5\.7\.20 write to postmaster$/,
  );

  await using quiet = await startTestServer(
    `${SETTINGS.replace(/^report\.dkim.*$/m, "")}auth.dkim.verify = "strict"\n`,
    {
      checks: true,
      clock: new FakeClock(Date.UTC(2026, 0, 5, 12)),
      resolver: ZONE,
    },
  );
  const plain = await submit(quiet.address("smtp"), message("smith@quiet.example", signature("signed.example")));
  assert.match(plain.at(-1) ?? "", /^550 5\.7\.20 [^\n]*$/);
});

Deno.test("DMARC: the SPF records that were read are shown (RFC 7489 §7.3.1)", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  await submit(test.address("smtp"), message("smith@bad.example"));
  const [report] = await reports(peer, 1);
  assert.equal(report?.feedback("SPF-DNS"), 'txt : bad.example : "v=spf1 -all"');
});

Deno.test("DMARC: signatures that a forger adds do not crowd the report out", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  const forged = ["a", "b", "c", "d", "e", "f"].map((name) => signature(`${name}.example`)).join("");
  await submit(test.address("smtp"), message("smith@bad.example", forged));
  const [report] = await reports(peer, 1);
  assert.deepEqual([report?.rcpt, report?.feedback("Auth-Failure")], [["fail@bad.example"], "dmarc"]);
});

Deno.test("a report is signed as its settings say, and a receiver finds the signature good", async () => {
  await using peer = await startFakePeer();
  const signing = `report.dmarc.sign = "'s_' + sender_domain"
signature."s_bad.example" = { private-key = """${key.pem}""", domain = "example.org", selector = "k1", algorithm = "ed25519-sha256", headers = ["From"] }
`;
  await using test = await start(peer, signing);
  await submit(test.address("smtp"), message("smith@bad.example"));
  const [report] = await reports(peer, 1);
  const content = memoryContent(octets(report?.content ?? ""));
  const verified = await verifySignatures(
    { content, header: parseHeader(content.head) },
    { dkim: true, arc: false, strict: true },
    { resolver: ZONE, now: () => Date.UTC(2026, 0, 5, 12), random: () => 0.5 },
  );
  assert.deepEqual(verified.dkim?.map(({ domain, result }) => [domain, result]), [["example.org", "pass"]]);
  assert.match(report?.content ?? "", /^DKIM-Signature: (?:.*\r\n[ \t])*.*\bh=[^;]*\bAuto-Submitted\b/im);
});

Deno.test("what a script refuses after the data was refused, what it drops is told neither way", async () => {
  const verdicts: readonly (readonly [script: string, result: string])[] = [
    ["reject 'no';", "reject"],
    ["discard;", "other"],
    ["keep;", "delivered"],
  ];
  for (const [action, result] of verdicts) {
    await using peer = await startFakePeer();
    const script = `session.data.script = "'s'"\nsieve.trusted.scripts.s.contents = "require 'reject'; ${action}"\n`;
    await using test = await start(peer, script.replace(/'(no|reject)'/g, '\\"$1\\"'));
    await submit(test.address("smtp"), message("smith@bad.example"));
    const [report] = await reports(peer, 1);
    assert.equal(report?.feedback("Delivery-Result"), result, action);
  }
});

Deno.test("LMTP: a message for several is reported once", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer, `auth.dmarc.verify = "relaxed"\nauth.spf.verify.mail-from = "relaxed"\n`);
  const replies = await submit(test.address("lmtp"), {
    ...message("smith@bad.example"),
    to: ["ana@example.org", "bob@example.org"],
    lmtp: true,
  });
  assert.equal(replies.length, 2);
  await submit(test.address("smtp"), message("smith@part.example"));
  const told = await reports(peer, 2);
  assert.deepEqual(told.map(({ rcpt }) => rcpt[0]).toSorted(), ["fail@bad.example", "fail@part.example"]);
  assert.equal(told[0]?.feedback("Delivery-Result"), "delivered");
});

Deno.test("aggregate reports that fail are not reported, whatever they are sent as", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  const aggregate = message("noreply@bad.example");
  await submit(test.address("smtp"), {
    ...aggregate,
    content: aggregate.content.replace(
      /^Subject: .*$/m,
      "Subject: Report Domain: example.org Submitter: x Report-ID: 1\r",
    ),
  });
  await submit(test.address("smtp"), message("smith@part.example"));
  assert.deepEqual((await reports(peer, 1)).map(({ rcpt }) => rcpt), [["fail@part.example"]]);
});

Deno.test("a return path that names the recipient is redacted wherever it is told", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer);
  await submit(test.address("smtp"), message("back-ana=example.org@bad.example"));
  const [report] = await reports(peer, 1);
  assert.match(report?.feedback("Original-Mail-From") ?? "", /^<back-[\w-]{16}=example\.org@bad\.example>$/);
  await submit(test.address("smtp"), message("back-ana=example.org@spf.example"));
  const [, spf] = await reports(peer, 2);
  assert.match(
    spf?.feedback("Authentication-Results") ?? "",
    /smtp\.mailfrom=back-[\w-]{16}=example\.org@spf\.example/,
  );
  assert.doesNotMatch(spf?.content ?? "", /\bana\b/);
});

Deno.test("a reload begins and ends it, with the same count of what was sent", async () => {
  await using peer = await startFakePeer();
  await using test = await start(peer, "");
  const { folder, certificate } = test;
  const reload = (send: string) =>
    test.server.reload(
      testConfiguration(SETTINGS.replace(/^report\.dmarc\.send.*$/m, `report.dmarc.send = ${send}`), {
        folder,
        certificate,
        checks: true,
      }),
    );
  await reload("false");
  await submit(test.address("smtp"), message("smith@bad.example"));
  await reload('"1/1d"');
  await submit(test.address("smtp"), message("smith@bad.example"));
  await submit(test.address("smtp"), message("smith@bad.example"));
  await until(() => test.events.some(({ name }) => name === "outgoing-report.dmarc-rate-limited"));
  assert.equal((await reports(peer, 1)).length, 1);
});
