import assert from "node:assert/strict";
import { DnsError } from "../../../../src/dns/mod.ts";
import type { SpfResult } from "../../../../src/authentication/mod.ts";
import { StoreUnavailable } from "../../../../src/queue/mod.ts";
import { bytesOf, createFailureReports, type FailureCase, type ReportMail } from "../../../../src/report/mod.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { until } from "../../../support/store.ts";
import { createZone, type Zone } from "../../../support/zone.ts";

const FAILED = {
  ip: "192.0.2.1",
  sender: "ann@bad.example",
  recipients: ["bob@example.org"],
  envelopeId: undefined,
  head: bytesOf("Subject: x\r\n\r\nbody\r\n"),
  arrived: Date.UTC(2026, 0, 5),
  fate: "accepted",
} as const;

const SETTINGS = {
  from: { name: "Reports", address: "noreply@example.org" },
  subject: "Failure",
  rate: { count: 2, period: 1000 },
  sign: [],
};

const SPF: SpfResult = {
  method: "spf",
  result: "fail",
  identity: "mailfrom",
  domain: "bad.example",
  sender: "ann@bad.example",
};

const toSpf: FailureCase = {
  kind: "spf",
  failure: { type: "spf", spf: SPF },
  domain: "bad.example",
  wishes: { from: "spf", address: "r@bad.example" },
};

const toRuf = (...uris: string[]): FailureCase => ({ ...toSpf, kind: "dmarc", wishes: { from: "dmarc", uris } });

function start(
  { resolver = createZone({}), send, allow = () => true }: {
    readonly resolver?: Pick<Zone, "txt">;
    readonly send?: () => Promise<readonly string[]>;
    readonly allow?: (key: string, rate: { readonly count: number }) => boolean;
  },
) {
  const clock = new FakeClock();
  const events: { readonly name: string; readonly fields: Record<string, unknown> }[] = [];
  const mails: ReportMail[] = [];
  const reports = createFailureReports({
    resolver,
    clock,
    rates: { take: allow },
    send: (mail) => {
      mails.push(mail);
      return send === undefined ? Promise.resolve(["1"]) : send();
    },
    hostname: "mx.example.org",
    userAgent: "godwit/1",
    redactionKey: () => undefined,
    random: () => 0,
    emit: (name, fields = {}) => events.push({ name, fields }),
  });
  const seen = async (count: number) => {
    await until(() => events.length >= count);
    return events.map(({ name, fields }) => `${name.replace("outgoing-report.", "")} ${fields.to ?? fields.reason}`);
  };
  return { reports, clock, events, mails, seen };
}

Deno.test("while the store is away a report is left out, and the next one goes out", async () => {
  let away = true;
  const test = start({
    send: () => away ? Promise.reject(new StoreUnavailable("locked", false)) : Promise.resolve(["1"]),
  });
  test.reports.report(FAILED, toSpf, SETTINGS);
  assert.match((await test.seen(1))[0] ?? "", /^submission-error StoreUnavailable: locked$/);
  away = false;
  test.reports.report(FAILED, toSpf, SETTINGS);
  assert.equal((await test.seen(2))[1], "spf-report r@bad.example");
});

Deno.test("a hundred reports are made at a time, and DNS that does not answer is told", async () => {
  const answer = Promise.withResolvers<never>();
  const test = start({ resolver: { txt: () => answer.promise } });
  for (let i = 0; i < 101; i++) test.reports.report(FAILED, toRuf("mailto:r@outside.example"), SETTINGS);
  assert.deepEqual(await test.seen(1), ["submission-error too many reports are being made"]);
  answer.reject(new DnsError("no answer", "timeout"));
  const told = await test.seen(1 + 200);
  assert.match(told[1] ?? "", /^submission-error DNS could not say for now whether mailto:r@outside\.example may get/);
});

Deno.test("what is told of a message is told as it was when it came", async () => {
  const test = start({});
  const head = bytesOf("Subject: first\r\n\r\nbody\r\n");
  test.reports.report({ ...FAILED, head }, toSpf, SETTINGS);
  head.fill(0x41);
  await test.seen(1);
  assert.equal(new TextDecoder().decode(test.mails[0]?.parts[2]?.body), "Subject: first\r\n");
});

Deno.test("five addresses get a report at most, and what has been sent to one limits that one", async () => {
  const uris = Array.from({ length: 9 }, (_, index) => `mailto:r${index}@bad.example`);
  const test = start({ allow: (key) => !key.endsWith("r1@bad.example") });
  test.reports.report(FAILED, toRuf("https://bad.example/x", ...uris), SETTINGS);
  assert.deepEqual(await test.seen(5), [
    "dmarc-report r0@bad.example",
    "dmarc-rate-limited r1@bad.example",
    "dmarc-report r2@bad.example",
    "dmarc-report r3@bad.example",
    "dmarc-report r4@bad.example",
  ]);
});

Deno.test("whoever names one address after the other gets five times as many as one address", async () => {
  const taken = new Map<string, number>();
  const test = start({
    allow: (key, { count }) => {
      const before = taken.get(key) ?? 0;
      taken.set(key, before + 1);
      return before < count;
    },
  });
  // Two a second for an address: ten for all of bad.example and what is below it.
  for (let i = 0; i < 12; i++) {
    const address = `r${i}@m${i}.bad.example`;
    test.reports.report(FAILED, { ...toSpf, wishes: { from: "spf", address } }, SETTINGS);
  }
  const told = await test.seen(12);
  assert.equal(told.filter((one) => one.startsWith("spf-report ")).length, 10);
  assert.equal(told.filter((one) => one.startsWith("spf-rate-limited ")).length, 2);
});

Deno.test("the end of the program waits two seconds for DNS, and no more reports are begun", async () => {
  const test = start({ resolver: { txt: () => new Promise(() => {}) } });
  test.reports.report(FAILED, toRuf("mailto:r@outside.example"), SETTINGS);
  let isClosed = false;
  const closing = test.reports.close().then(() => isClosed = true);
  test.reports.report(FAILED, toSpf, SETTINGS);
  assert.deepEqual(await test.seen(1), ["submission-error the server stops"]);
  await test.clock.advance(1_999);
  assert.equal(isClosed, false);
  await test.clock.advance(1);
  await closing;
  // Nothing under way, nothing to wait for.
  await start({}).reports.close();
});
