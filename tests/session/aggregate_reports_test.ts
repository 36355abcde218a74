/** Aggregate reports through the whole program: messages in, sessions out, and the reports in the hands of who asked. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { verifySignatures } from "../../src/authentication/mod.ts";
import { memoryContent, type MimePart, parseHeader, parseMime } from "../../src/message/mod.ts";
import type { Row } from "../../src/store/mod.ts";
import { submit } from "../support/client.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type FakePeer, startFakePeer } from "../support/fake_peer.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { octets, publicKeyText, signingKey } from "../support/signing_keys.ts";
import { openTemporaryStore, temporaryFolder, until } from "../support/store.ts";
import { createZone } from "../support/zone.ts";

const DAY = 24 * 3_600_000;

const key = signingKey("ed25519-sha256", "r1");

const ZONE = createZone({
  "127.0.0.1": { ptr: ["mail.example.net"] },
  "mail.example.net": { a: ["127.0.0.1"] },
  "good.example": { txt: ["v=spf1 ip4:127.0.0.1 -all"], mx: [[10, "mx.good.example"]] },
  "_dmarc.good.example": { txt: ["v=DMARC1; p=reject; rua=mailto:dmarc@good.example,mailto:x@outside.example"] },
  "bad.example": { txt: ["v=spf1 -all"], mx: [[10, "mx.good.example"]] },
  "_dmarc.bad.example": { txt: ["v=DMARC1; p=reject; rua=mailto:dmarc@bad.example"] },
  "quiet.example": { txt: ["v=spf1 ip4:127.0.0.1 -all"], mx: [[10, "mx.good.example"]] },
  "_dmarc.quiet.example": { txt: ["v=DMARC1; p=reject"] },
  "mx.good.example": { a: ["127.0.0.1"] },
  "_smtp._tls.good.example": { txt: ["v=TLSRPTv1; rua=mailto:tls@good.example"] },
  "r1._domainkey.example.org": { txt: [publicKeyText(key)] },
});

const settings = (more = "") => `
signature.own = { private-key = """${key.pem}""", domain = "example.org", selector = "r1", algorithm = "ed25519-sha256", set-body-length = true }
report.dmarc.aggregate.sign = "'own'"
report.tls.aggregate.sign = "'own'"
session.rcpt.relay = true
${more}`;

async function start(peer: FakePeer, more = ""): Promise<{ test: TestServer; clock: FakeClock }> {
  const clock = new FakeClock(Date.UTC(2026, 0, 5, 12));
  const test = await startTestServer(settings(more), { checks: true, clock, resolver: ZONE, mxPort: peer.port });
  return { test, clock };
}

const message = (from: string, to = "ana@example.org") => ({
  from,
  to: [to],
  content: `From: ${from}\r\nSubject: x\r\n\r\nbody\r\n`,
});

/**
 * Waits until `counted` results are in the store, moves time on, so far that reports of the day are due, and waits for the
 * peer to have them.
 */
async function untilReported(
  test: TestServer,
  clock: FakeClock,
  peer: FakePeer,
  { counted, sent }: { readonly counted: number; readonly sent: number },
): Promise<void> {
  // Small steps: what the store is asked meanwhile has its time limit by the same clock.
  const step = async (condition: () => boolean | Promise<boolean>, what: string) =>
    await until(async () => {
      await clock.advance(1_000);
      return await condition();
    }, what);
  const store = await openTemporaryStore(join(test.folder, "data"), { name: "godwit.db" });
  await step(async () => {
    const { rows } = await store.read("SELECT coalesce(sum(count), 0) FROM aggregate_results");
    return rows[0]?.[0] === counted;
  }, `${counted} results in the store`);
  await store.close();
  await clock.advance(DAY);
  await step(() => reports(peer).length === sent, `${sent} reports at the peer`);
}

const reports = (peer: FakePeer) => peer.messages.filter(({ mail }) => /FROM:<>/.test(mail));

interface Report {
  readonly rcpt: readonly string[];
  readonly field: (name: string) => string;
  readonly parts: readonly MimePart[];
  readonly content: string;
}

function read(peer: FakePeer, subject: RegExp): Report {
  const found = reports(peer).find(({ content }) => subject.test(content.replace(/\r\n[ \t]+/g, " ")));
  assert.ok(found, `no report ${subject}`);
  const bytes = octets(found.content);
  const header = parseHeader(bytes);
  return {
    rcpt: found.rcpt,
    content: found.content,
    field: (name) => header.fields.find(({ lower }) => lower === name)?.value() ?? "",
    parts: parseMime(bytes, { parts: 10, depth: 3 }).root.children,
  };
}

const unpacked = (part: MimePart | undefined) =>
  new TextDecoder().decode(gunzipSync(part?.content() ?? new Uint8Array()));

async function assertSigned({ content }: Report): Promise<void> {
  const bytes = memoryContent(octets(content));
  const { dkim = [] } = await verifySignatures(
    { content: bytes, header: parseHeader(bytes.head) },
    { dkim: true, arc: false, strict: true },
    { resolver: ZONE, now: () => Date.UTC(2026, 0, 6), random: () => 0.5 },
  );
  // A strict check lets no signature pass that leaves a part of the body open.
  assert.deepEqual(dkim.map(({ domain, result }) => [domain, result]), [["example.org", "pass"]]);
}

/** Stops a server, and asks what it has written. */
async function ledgerOf(test: TestServer, query: string): Promise<readonly Row[]> {
  await test.server.stop();
  await using folder = await temporaryFolder();
  await Deno.copyFile(join(test.folder, "data", "godwit.db"), join(folder.path, "queue.db"));
  const store = await openTemporaryStore(folder.path);
  const { rows } = await store.read(query);
  await store.close();
  return rows;
}

Deno.test("who publishes rua is told what DMARC came to, the day after", async () => {
  await using peer = await startFakePeer();
  const { test, clock } = await start(peer, `report.dmarc.aggregate.contact-info = "'https://example.org/contact'"\n`);
  await using _ = test;
  for (let i = 0; i < 3; i++) await submit(test.address("smtp"), message("smith@good.example"));
  await submit(test.address("smtp"), message("smith@bad.example"));
  await submit(test.address("smtp"), message("smith@quiet.example"));
  await untilReported(test, clock, peer, { counted: 4, sent: 2 });

  const report = read(peer, /Report Domain: good\.example/);
  assert.deepEqual(report.rcpt.map((rcpt) => /<(.*)>/.exec(rcpt)?.[1]), ["dmarc@good.example"]);
  assert.match(
    report.field("subject"),
    /^Report Domain: good\.example Submitter: mx\.example\.org Report-ID: <[0-9a-f]{32}>$/,
  );
  assert.equal(report.field("from"), "DMARC Report <noreply-dmarc@example.org>");
  assert.equal(report.field("auto-submitted"), "auto-generated");
  const [text, attachment] = report.parts;
  assert.equal(text?.contentType.value, "text/plain");
  assert.equal(attachment?.contentType.value, "application/gzip");
  const id = /Report-ID: <(.*)>/.exec(report.field("subject"))?.[1];
  assert.ok(report.content.includes(`filename="mx.example.org!good.example!1767571200!1767657599!${id}.xml.gz"`));
  const xml = unpacked(attachment).replaceAll("\n", "");
  assert.match(xml, /<source_ip>127\.0\.0\.1<\/source_ip><count>3<\/count>/);
  assert.match(xml, /<disposition>none<\/disposition><dkim>fail<\/dkim><spf>pass<\/spf>/);
  assert.match(xml, new RegExp(`<report_id>${id}</report_id>`));
  assert.match(xml, /<extra_contact_info>https:\/\/example\.org\/contact</);
  await assertSigned(report);

  const failed = unpacked(read(peer, /Report Domain: bad\.example/).parts[1]).replaceAll("\n", "");
  assert.match(failed, /<disposition>none<\/disposition><dkim>fail<\/dkim><spf>fail<\/spf><reason><type>local_policy/);

  const sent = test.events.filter(({ name }) => name === "outgoing-report.dmarc-aggregate-report");
  assert.deepEqual(sent.map(({ fields }) => fields.domain).sort(), ["bad.example", "good.example"]);
  // Reports have a virtual queue of their own.
  const delivered = await test.event("delivery.delivered", ({ fields }) => fields.to === "dmarc@good.example");
  assert.equal(delivered.fields.queue, "report");
  const refused = await test.event("outgoing-report.unauthorized-reporting-address");
  assert.equal(refused.fields.uri, "mailto:x@outside.example");
});

Deno.test("what a strict policy refused is told as refused", async () => {
  await using peer = await startFakePeer();
  const { test, clock } = await start(peer, 'auth.dmarc.verify = "strict"\n');
  await using _ = test;
  const [refused] = await submit(test.address("smtp"), message("smith@bad.example"));
  assert.match(refused ?? "", /^550 /);
  await untilReported(test, clock, peer, { counted: 1, sent: 1 });
  const xml = unpacked(read(peer, /Report Domain: bad\.example/).parts[1]);
  assert.match(
    xml.replaceAll("\n", ""),
    /<disposition>reject<\/disposition><dkim>fail<\/dkim><spf>fail<\/spf><\/policy/,
  );
});

Deno.test("a report is sent by a server that was not there when its results came, and only once", async () => {
  await using peer = await startFakePeer();
  const clock = new FakeClock(Date.UTC(2026, 0, 5, 12));
  const options = { checks: true, clock, resolver: ZONE, mxPort: peer.port };
  await using first = await startTestServer(settings(), options);
  await submit(first.address("smtp"), message("smith@good.example"));
  await first.server.stop();
  {
    await using second = await startTestServer(settings(), { ...options, folder: first.folder });
    await untilReported(second, clock, peer, { counted: 1, sent: 1 });
    await second.event("outgoing-report.dmarc-aggregate-report");
    await second.server.stop();
    await using third = await startTestServer(settings(), { ...options, folder: first.folder });
    await submit(third.address("smtp"), message("smith@good.example"));
    await untilReported(third, clock, peer, { counted: 1, sent: 2 });
  }
  const ids = reports(peer).map(({ content }) => /Report-ID:\s+<(\w+)>/.exec(content)?.[1]);
  assert.equal(new Set(ids).size, 2);
});

Deno.test("who publishes a TLSRPT record is told how sessions went, but not of those that brought the report", async () => {
  await using peer = await startFakePeer();
  const { test, clock } = await start(peer);
  await using _ = test;
  await submit(test.address("smtp"), message("ana@example.org", "someone@good.example"));
  await test.event("delivery.delivered");
  await untilReported(test, clock, peer, { counted: 1, sent: 1 });
  const report = read(peer, /Report Domain: good\.example/);
  assert.match(
    report.field("subject"),
    /^Report Domain: good\.example Submitter: mx\.example\.org Report-ID: <[0-9a-f]{32}@example\.org>$/,
  );
  assert.equal(report.field("tls-report-domain"), "good.example");
  assert.equal(report.field("tls-report-submitter"), "example.org");
  assert.equal(report.field("tls-required"), "No");
  assert.match(report.field("content-type"), /^multipart\/report; report-type=tlsrpt; boundary=/);
  assert.equal(report.parts[1]?.contentType.value, "application/tlsrpt+gzip");
  assert.match(report.content, /filename="example\.org!good\.example!1767571200!1767657599![0-9a-f]{32}\.json\.gz"/);
  await assertSigned(report);
  assert.match(report.field("dkim-signature"), /TLS-Report-Domain: ?TLS-Report-Submitter/);
  const json = JSON.parse(unpacked(report.parts[1]));
  assert.deepEqual(json.policies.map((one: { summary: unknown }) => one.summary), [
    { "total-successful-session-count": 0, "total-failure-session-count": 1 },
  ]);
  assert.equal(json.policies[0]["failure-details"][0]["result-type"], "starttls-not-supported");
  const told = test.events.filter(({ name }) => name === "outgoing-report.tls-aggregate");
  assert.deepEqual(told.map(({ fields }) => fields.domain), ["good.example"]);
  // The report went in clear text, too; the next one has nothing to tell of it.
  assert.deepEqual(await ledgerOf(test, "SELECT domain, state FROM aggregate_reports WHERE kind = 'tls'"), [
    ["good.example", 1],
  ]);
});

Deno.test("where nobody is to get reports nothing is counted", async () => {
  await using peer = await startFakePeer();
  const { test } = await start(
    peer,
    'report.dmarc.aggregate.send = "never"\nreport.tls.aggregate.send = "never"\n',
  );
  await using _ = test;
  await submit(test.address("smtp"), message("smith@good.example", "someone@good.example"));
  await test.event("delivery.delivered");
  assert.deepEqual(await ledgerOf(test, "SELECT count(*) FROM aggregate_reports"), [[0]]);
});

Deno.test("settings say who reports, for each domain", async () => {
  await using peer = await startFakePeer();
  const { test, clock } = await start(
    peer,
    `report.submitter = "'reports.' + config_get('report.domain')"
report.dmarc.aggregate.from-name = "'About ' + rcpt_domain"
report.dmarc.aggregate.from-address = "'dmarc@example.org'"
report.dmarc.aggregate.org-name = "'Org & Co'"
report.tls.aggregate.from-name = "'TLS about ' + rcpt_domain"
report.tls.aggregate.from-address = "'tls@example.org'"
report.tls.aggregate.org-name = "'Org'"
report.tls.aggregate.contact-info = "'postmaster@example.org'"
report.dmarc.aggregate.max-size = [{ if = "rcpt_domain == 'bad.example'", then = 10 }, { else = 100000 }]
`,
  );
  await using _ = test;
  await submit(test.address("smtp"), message("smith@good.example", "someone@good.example"));
  await submit(test.address("smtp"), message("smith@bad.example"));
  await test.event("delivery.delivered", ({ fields }) => String(fields.to).includes("someone"));
  await untilReported(test, clock, peer, { counted: 3, sent: 2 });
  const dmarc = read(peer, /^Content-Type: multipart\/mixed/m);
  assert.equal(dmarc.field("from"), '"About good.example" <dmarc@example.org>');
  assert.match(dmarc.field("subject"), / Submitter: reports\.example\.org /);
  const xml = unpacked(dmarc.parts[1]).replaceAll("\n", "");
  assert.match(xml, /<org_name>Org &amp; Co<\/org_name><email>dmarc@example\.org<\/email>/);
  const tls = read(peer, /^Content-Type: multipart\/report; report-type=tlsrpt/m);
  assert.equal(tls.field("from"), '"TLS about good.example" <tls@example.org>');
  const json = JSON.parse(unpacked(tls.parts[1]));
  assert.deepEqual([json["organization-name"], json["contact-info"]], ["Org", "postmaster@example.org"]);
  const nobody = await test.event("outgoing-report.no-recipients-found");
  assert.deepEqual([nobody.fields.domain, nobody.fields.reason], ["bad.example", "it is larger than anybody takes"]);
});

Deno.test("a domain that is told hourly gets its report within the hour", async () => {
  await using peer = await startFakePeer();
  const { test, clock } = await start(
    peer,
    'report.dmarc.aggregate.send = [{ if = "rcpt_domain == \'good.example\'", then = "hourly" }, { else = "weekly" }]\n',
  );
  await using _ = test;
  await submit(test.address("smtp"), message("smith@good.example"));
  await submit(test.address("smtp"), message("smith@bad.example"));
  // Until the day after, when the week is not over yet.
  await untilReported(test, clock, peer, { counted: 2, sent: 1 });
  const report = read(peer, /Report Domain: good\.example/);
  const xml = unpacked(report.parts[1]);
  // 2026-01-05, 12:00 to 13:00.
  assert.match(xml, /<begin>1767614400<\/begin>\s*<end>1767617999<\/end>/);
});
