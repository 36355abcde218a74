/** What is written here is read here: reports that are sent give back the numbers that they were made of. */

import assert from "node:assert/strict";
import { memoryContent } from "../../../src/message/mod.ts";
import type { TlsResult } from "../../../src/outbound/mod.ts";
import { claimDue } from "../../../src/report/aggregate/ledger.ts";
import type { MadeReport, MakingWorld, Reporter } from "../../../src/report/aggregate/made.ts";
import { findReports } from "../../../src/report/analysis/examine.ts";
import type { IncomingReport } from "../../../src/report/analysis/incoming.ts";
import { failureReport } from "../../../src/report/failure/feedback.ts";
import {
  createDmarcRecorder,
  createDsnBuilder,
  createTlsResultRecorder,
  makeDmarcReport,
  makeTlsReport,
  reportMessage,
} from "../../../src/report/mod.ts";
import type { Store } from "../../../src/store/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../../support/store.ts";
import { createZone } from "../../support/zone.ts";
import { dkim, observation, type ObservationParts, spf } from "./dmarc/observation.ts";

const reporter: Reporter = {
  submitter: "mx.example.net",
  from: { name: "Reports & <more>", address: "noreply@example.net" },
  orgName: "Example & Söhne <org>",
  contactInfo: "postmaster@example.net",
  maxSize: 25_000_000,
  sign: [],
};

/** Reads the only mail of what was made. */
async function readBack(made: MadeReport): Promise<IncomingReport> {
  assert.ok(made.kind === "made", JSON.stringify(made));
  const [mail, ...others] = made.mails;
  assert.equal(others.length, 0);
  const { content } = reportMessage(mail!.mail, { id: 1, now: 0, random: () => 0.5, domain: "example.net" });
  assert.ok(content.complete);
  const { reports, unreadable } = await findReports(content.head, { pause: () => Promise.resolve() });
  assert.deepEqual(unreadable, []);
  assert.equal(reports.length, 1);
  return reports[0]!.report;
}

/** Counts what `record` does on the fifth of January 2026, and reads the report of that day. */
async function roundTrip(
  zone: Parameters<typeof createZone>[0],
  record: (store: Store, clock: FakeClock) => Promise<void>,
  make: typeof makeDmarcReport,
): Promise<IncomingReport> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  try {
    const clock = new FakeClock();
    await record(store, clock);
    const now = clock.now() + 2 * 86_400_000;
    const [due] = await claimDue(store, { owner: "a", now, until: now, limit: 1 });
    assert.ok(due);
    const resolver = createZone(zone);
    const world: MakingWorld = { store, resolver, domain: "example.net", generator: "godwit", emit: () => {} };
    return await readBack(await make(due, reporter, world));
  } finally {
    await store.close();
  }
}

Deno.test("a DMARC report has the numbers of the messages it was made of", async () => {
  // What is done 7 times: passed by SPF; 3: by DKIM; 5: failed and rejected; 2: failed and let in.
  const kinds: readonly (readonly [times: number, parts: ObservationParts])[] = [
    [7, { ip: "192.0.2.1" }],
    [3, {
      ip: "2001:db8::7",
      dkim: [dkim("example.org", "s&1")],
      spf: spf("list.example", "softfail"),
      dmarc: { spfAligned: false, dkimAligned: true },
    }],
    [5, {
      ip: "203.0.113.9",
      refused: true,
      spf: spf("evil.example", "fail"),
      dkim: [dkim("evil.example", "x", "fail")],
      dmarc: { result: "fail", disposition: "reject", spfAligned: false, dkimAligned: false },
    }],
    [2, {
      ip: "198.51.100.3",
      spf: spf("evil.example", "none"),
      dmarc: { result: "fail", disposition: "quarantine", spfAligned: false, dkimAligned: false },
    }],
  ];
  const report = await roundTrip({}, async (store, clock) => {
    const recorder = createDmarcRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });
    for (const [times, parts] of kinds) {
      for (let i = 0; i < times; i++) {
        recorder.observe(observation({ record: "v=DMARC1; p=reject; sp=none; rua=mailto:r@example.org", ...parts }));
      }
    }
    await recorder.close();
  }, makeDmarcReport);
  assert.ok(report.kind === "dmarc");
  assert.deepEqual(report.problems, []);
  assert.equal(report.totals.messages, 17);
  assert.equal(report.totals.passed, 10);
  assert.equal(report.totals.failed, 7);
  assert.equal(report.totals.spfPassed, 7);
  assert.equal(report.totals.dkimPassed, 3);
  assert.equal(report.totals.rejected, 5);
  assert.deepEqual(report.failing, [{ source: "203.0.113.9", failed: 5 }, { source: "198.51.100.3", failed: 2 }]);
  assert.equal(report.reporter, reporter.orgName);
  assert.equal(report.policy.domain, "example.org");
  assert.equal(report.policy.p, "reject");
  assert.equal(report.policy.sp, "none");
  assert.equal(report.begin, Date.UTC(2026, 0, 5));
  assert.equal(report.end, Date.UTC(2026, 0, 5, 23, 59, 59));
  const byDkim = report.records.find(({ source }) => source === "2001:db8::7");
  assert.deepEqual(byDkim?.dkimResults, [{ domain: "example.org", part: "s&1", result: "pass", text: "" }]);
  assert.equal(byDkim?.spfResults[0]?.result, "softfail");
});

Deno.test("a TLS report has the numbers of the sessions it was made of", async () => {
  const sts = {
    type: "sts",
    domain: "d.example",
    strings: ["version: STSv1", "mode: testing", "mx: *.d.example", "max_age: 86400"],
    mxHosts: ["*.d.example"],
  } as const;
  const tlsa = { type: "tlsa", domain: "d.example", strings: ["3 1 1 1F85"] } as const;
  const failed: TlsResult = {
    policy: sts,
    failure: {
      type: "certificate-expired",
      localIp: "2001:db8::1",
      host: "mx1.d.example",
      remoteIp: "203.0.113.56",
      details: 'expired "yesterday"',
    },
  };
  const results: readonly TlsResult[] = [
    ...Array.from({ length: 11 }, () => ({ policy: sts })),
    ...Array.from({ length: 4 }, () => failed),
    ...Array.from({ length: 6 }, () => ({ policy: tlsa })),
  ];
  const report = await roundTrip(
    { "_smtp._tls.d.example": { txt: ["v=TLSRPTv1; rua=mailto:tls@d.example"] } },
    async (store, clock) => {
      const recorder = createTlsResultRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });
      for (const result of results) recorder.record(result);
      await recorder.close();
    },
    makeTlsReport,
  );
  assert.ok(report.kind === "tls");
  assert.deepEqual(report.problems, []);
  assert.equal(report.reporter, reporter.orgName);
  assert.equal(report.begin, Date.UTC(2026, 0, 5));
  assert.deepEqual(
    report.policies.map(({ type, domain, succeeded, failed }) => [type, domain, succeeded, failed])
      .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
    [["sts", "d.example", 11, 4], ["tlsa", "d.example", 6, 0]],
  );
  const [failure, ...others] = report.policies.flatMap(({ failures }) => failures);
  assert.equal(others.length, 0);
  assert.deepEqual([failure?.result, failure?.mx, failure?.receivingIp, failure?.sendingIp, failure?.sessions], [
    "certificate-expired",
    "mx1.d.example",
    "203.0.113.56",
    "2001:db8::1",
    4,
  ]);
});

Deno.test("a notification tells of the recipients that it was made for", async () => {
  const now = Date.UTC(2026, 0, 5, 12);
  const build = createDsnBuilder({
    hostname: "mx.example.net",
    reportDomain: "example.net",
    from: () => ({ name: "Mail Delivery Subsystem", address: "MAILER-DAEMON@example.net" }),
    clock: new FakeClock(now),
    emit: () => {},
    random: () => 0.5,
    largestReturned: 1000,
  });
  const original = memoryContent(
    new TextEncoder().encode("From: ann@example.org\r\nSubject: Plans\r\nMessage-ID: <m1@example.org>\r\n\r\nx\r\n"),
  );
  const notice = await build(
    {
      id: 5,
      envelope: { sender: "ann@example.org", parameters: { envid: "QQ+1" } },
      source: "authenticated",
      priority: 0,
      created: now - 3_600_000,
      size: original.size,
      content: original,
      receivedFromIp: "192.0.2.1",
      receivedViaPort: 587,
      allRecipients: ["bob@example.com"],
    },
    [{
      recipient: {
        id: 1,
        address: "bob@example.com",
        domain: "example.com",
        parameters: {},
        attempts: 1,
        notified: 0,
        lastError: "none",
        lastStatus: 0,
      },
      action: "failed",
      detail: {
        lastError: "unexpected-reply",
        status: 550,
        enhanced: "5.1.1",
        text: "mx.example.com said: 550 5.1.1 No such user",
        host: "mx.example.com",
        reply: "550 5.1.1 No such user",
      },
    }],
    6,
  );
  assert.ok(notice?.content.complete);
  const { reports } = await findReports(notice.content.head, { pause: () => Promise.resolve() });
  const report = reports[0]?.report;
  assert.ok(report?.kind === "dsn");
  assert.equal(report.reporter, "mx.example.net");
  assert.equal(report.arrived, now - 3_600_000);
  assert.equal(report.original.subject, "Plans");
  assert.deepEqual(report.recipients, [{
    recipient: "bob@example.com",
    originalRecipient: "",
    action: "failed",
    status: "5.1.1",
    remoteMta: "mx.example.com",
    diagnostic: "550 5.1.1 No such user",
  }]);
});

Deno.test("the report of a message that failed DMARC says what was seen of it", async () => {
  const arrived = Date.UTC(2026, 0, 5, 12, 0, 7);
  const { results } = observation({
    record: "v=DMARC1; p=reject; fo=1; ruf=mailto:r@example.org",
    dkim: [dkim("example.org", "s1", "fail")],
    dmarc: { result: "fail", disposition: "reject", spfAligned: false, dkimAligned: false },
  });
  assert.ok(results.dmarc !== undefined);
  const mail = failureReport(
    {
      ip: "2001:db8::9",
      sender: "bounce@evil.example",
      recipients: ["bob@example.net"],
      envelopeId: "QQ+1",
      head: new TextEncoder().encode(
        "From: Ann <ann@example.org>\r\nSubject: =?utf-8?q?Pl=C3=A4ne?=\r\nMessage-ID: <m@x>\r\n\r\nbody\r\n",
      ),
      arrived,
      fate: "refused",
    },
    {
      kind: "dmarc",
      failure: {
        type: "dmarc",
        dmarc: results.dmarc,
        dkim: results.dkim?.[0],
        spf: {
          ...spf("evil.example", "fail"),
          records: [
            { domain: "evil.example", text: "v=spf1 include:_a.evil.example -all" },
            { domain: "_a.evil.example", text: 'v=spf1 exp="x" -all' },
          ],
        },
      },
      domain: "example.org",
      wishes: { from: "dmarc", uris: ["mailto:r@example.org"] },
    },
    ["r@example.org"],
    {
      hostname: "mx.example.net",
      userAgent: "godwit/1",
      from: { name: "Reports", address: "noreply-dmarc@example.net" },
      subject: "DMARC Authentication Failure Report",
    },
    undefined,
  );
  const { content } = reportMessage(mail, { id: 1, now: arrived, random: () => 0.5, domain: "example.net" });
  const { reports, unreadable } = await findReports(content.head, { pause: () => Promise.resolve() });
  assert.deepEqual(unreadable, []);
  const report = reports[0]?.report;
  assert.ok(report?.kind === "auth-failure");
  assert.deepEqual(report.problems, []);
  assert.equal(report.reporter, "mx.example.net");
  assert.deepEqual(report.domains, ["example.org"]);
  assert.equal(report.source, "2001:db8::9");
  assert.equal(report.arrived, arrived);
  assert.equal(report.envelopeFrom, "bounce@evil.example");
  assert.equal(report.envelopeId, "QQ+1");
  assert.deepEqual([report.authFailure, report.deliveryResult, report.identityAlignment], ["dmarc", "reject", "none"]);
  assert.deepEqual([report.dkimDomain, report.dkimSelector], ["example.org", "s1"]);
  assert.match(report.spfDns, /^txt : evil\.example : "v=spf1 [^;]*"; txt : _a\.evil\.example : /);
  assert.match(report.authenticationResults[0]!, /^mx\.example\.net;.*dmarc=fail/);
  assert.equal(report.original.from, "Ann <ann@example.org>");
  assert.equal(report.original.subject, "Pläne");
});
