import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { claimDue, type DueReport } from "../../../../src/report/aggregate/ledger.ts";
import type { MadeReport, MakingWorld, Reporter } from "../../../../src/report/aggregate/made.ts";
import { createDmarcRecorder, makeDmarcReport, reportMessage } from "../../../../src/report/mod.ts";
import type { Store } from "../../../../src/store/mod.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { eventLog, openTemporaryStore, temporaryFolder } from "../../../support/store.ts";
import { createZone, type ZoneEntry } from "../../../support/zone.ts";
import { observation, type ObservationParts } from "./observation.ts";

const reporter: Reporter = {
  submitter: "mx.example.net",
  from: { name: "DMARC Report", address: "noreply-dmarc@example.net" },
  orgName: "Example",
  maxSize: 25_000_000,
  sign: [],
};

interface Made {
  readonly made: MadeReport;
  readonly due: DueReport;
  readonly events: ReturnType<typeof eventLog>;
  readonly store: Store;
}

/** Makes the report of a day with these messages. */
async function make(
  messages: Iterable<ObservationParts>,
  use: (made: Made) => void | Promise<void>,
  { zone = {}, handed = [], ...more }:
    & { zone?: Readonly<Record<string, ZoneEntry>>; handed?: readonly string[] }
    & Partial<Reporter> = {},
): Promise<void> {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const recorder = createDmarcRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });
  for (const parts of messages) recorder.observe(observation(parts));
  await recorder.close();
  const now = clock.now() + 2 * 86_400_000;
  const [claimed] = await claimDue(store, { owner: "a", now, until: now, limit: 1 });
  assert.ok(claimed);
  const due = { ...claimed, handed };
  const events = eventLog();
  const world: MakingWorld = {
    store,
    resolver: createZone(zone),
    domain: "example.net",
    generator: "godwit",
    emit: events.emit,
  };
  try {
    await use({ made: await makeDmarcReport(due, { ...reporter, ...more }, world), due, events, store });
  } finally {
    await store.close();
  }
}

/** For each mail to whom it goes, how large it is, and its XML. */
function mailsOf(made: MadeReport) {
  assert.ok(made.kind === "made", JSON.stringify(made));
  return made.mails.map(({ mail, uris }) => {
    const body = new TextDecoder().decode(mail.parts[1]?.body).replace(/\s/g, "");
    const size = reportMessage(mail, { id: 1, now: 0, random: () => 0.5, domain: "example.net" }).content.size;
    return {
      to: mail.to,
      uris,
      size,
      mail,
      xml: gunzipSync(Uint8Array.fromBase64(body)).toString().replaceAll("\n", ""),
    };
  });
}

const rua = (...uris: string[]): ObservationParts => ({ record: `v=DMARC1; p=reject; rua=${uris.join(",")}` });
const counts = (xml: string) => [...xml.matchAll(/<count>(\d+)<\/count>/g)].map(([, count]) => Number(count));

/** Messages of so many addresses, from the first of them one, from the second two and so on. */
function* fromAddresses(addresses: number, parts: ObservationParts): Generator<ObservationParts> {
  for (let i = 0; i < addresses; i++) {
    const [high, low] = [i >> 8, i & 255];
    for (let times = 0; times <= i % 50; times++) yield { ...parts, ip: `198.51.${high}.${low}` };
  }
}

Deno.test("a report goes to every place in one mail, with one id in subject, file name and text", () =>
  make([rua("mailto:a@example.org", "mailto:b@example.org"), {}, { ip: "192.0.2.9" }], ({ made }) => {
    const [only, ...others] = mailsOf(made);
    assert.equal(others.length, 0);
    assert.ok(only);
    // What was published last counts.
    assert.deepEqual(only.to, ["r@example.org"]);
    assert.deepEqual(counts(only.xml), [2, 1]);
    const id = /<report_id>([0-9a-f]{32})<\/report_id>/.exec(only.xml)?.[1];
    assert.equal(only.mail.subject, `Report Domain: example.org Submitter: mx.example.net Report-ID: <${id}>`);
    assert.equal(only.mail.parts[1]?.filename, `mx.example.net!example.org!1767571200!1767657599!${id}.xml.gz`);
    assert.equal(only.mail.messageId, id);
  }));

Deno.test("a domain that asks for no reports is not counted", async () => {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const recorder = createDmarcRecorder({
    store,
    clock: new FakeClock(),
    reporter: "example.net",
    intervalOf: () => "daily",
  });
  recorder.observe(observation({ record: "v=DMARC1; p=reject" }));
  recorder.observe(observation({ record: "v=DMARC1; p=reject; ruf=mailto:r@example.org" }));
  await recorder.close();
  assert.deepEqual((await store.read("SELECT count(*) FROM aggregate_reports")).rows, [[0]]);
  await store.close();
});

Deno.test("mail of subdomains is told to where their policy stands (RFC 7489 section 7.2)", () =>
  make([{ dmarc: { fromDomain: "a.example.org" } }, { dmarc: { fromDomain: "b.example.org" } }], ({ made, due }) => {
    assert.equal(due.domain, "example.org");
    const [{ xml } = { xml: "" }] = mailsOf(made);
    assert.deepEqual([...xml.matchAll(/<header_from>(.*?)</g)].map(([, from]) => from), [
      "a.example.org",
      "b.example.org",
    ]);
    assert.match(xml, /<policy_published><domain>example\.org<\/domain>/);
  }));

Deno.test("a place that takes less gets the most frequent records, and is told how many are missing", async () => {
  const limits = rua("mailto:all@example.org", "mailto:some@example.org!8k", "mailto:few@example.org!6k");
  await make(fromAddresses(2_000, limits), ({ made }) => {
    const mails = mailsOf(made);
    assert.deepEqual(mails.map(({ to }) => to), [["all@example.org"], ["some@example.org"], ["few@example.org"]]);
    const [all, some, few] = mails;
    assert.equal(counts(all!.xml).length, 2_000);
    assert.ok(!all!.xml.includes("<error>"));
    for (const [mail, limit] of [[some!, 8_192], [few!, 6_144]] as const) {
      assert.ok(mail.size <= limit, `${mail.size} octets`);
      const kept = counts(mail.xml);
      assert.ok(kept.length > 20, `${kept.length} records`);
      assert.equal(
        /<error>(.*?)<\/error>/.exec(mail.xml)?.[1],
        `${2_000 - kept.length} of 2000 records are left out for the size of the report`,
      );
      // 40 addresses have each of the counts up to 50.
      assert.ok(Math.min(...kept) >= 50 - Math.ceil(kept.length / 40));
      assert.ok(mail.xml.endsWith("</record></feedback>"));
    }
    assert.ok(counts(few!.xml).length < counts(some!.xml).length);
  });
});

Deno.test("max-size holds for everybody", () =>
  make(fromAddresses(1_000, {}), ({ made }) => {
    const [only] = mailsOf(made);
    assert.ok(only!.size <= 10_000);
    assert.ok(counts(only!.xml).length < 1_000);
  }, { maxSize: 10_000 }));

Deno.test("a place that takes next to nothing gets nothing; where all are like that nobody wants it", async () => {
  await make([rua("mailto:a@example.org!100", "mailto:b@example.org")], ({ made }) => {
    assert.deepEqual(mailsOf(made).map(({ to }) => to), [["b@example.org"]]);
  });
  await make([rua("mailto:a@example.org!100")], ({ made }) => {
    assert.deepEqual(made, { kind: "nobody", reason: "it is larger than anybody takes" });
  });
});

Deno.test("places outside the organization are asked; those that do not agree are left out", () =>
  make([rua("mailto:a@red.example", "mailto:b@blue.example", "mailto:c@example.org")], ({ made, events }) => {
    assert.deepEqual(mailsOf(made).map(({ to }) => to), [["a@red.example", "c@example.org"]]);
    assert.deepEqual(
      events.events.filter(({ name }) => name === "outgoing-report.unauthorized-reporting-address")
        .map(({ fields }) => fields?.uri),
      ["mailto:b@blue.example"],
    );
  }, { zone: { "example.org._report._dmarc.red.example": { txt: ["v=DMARC1;"] } } }));

Deno.test("where DNS does not answer the others get the report, and it comes back for the rest", async () => {
  const zone = { "example.org._report._dmarc.red.example": { error: "timeout" } } as const;
  const places = rua("mailto:a@red.example", "mailto:c@example.org");
  await make([places], ({ made }) => {
    assert.deepEqual(mailsOf(made).map(({ uris }) => uris), [["mailto:c@example.org"]]);
    assert.ok(made.kind === "made" && /mailto:a@red\.example/.test(made.later ?? ""));
  }, { zone });
  await make([places], ({ made }) => assert.equal(made.kind, "later"), { zone, handed: ["mailto:c@example.org"] });
});

Deno.test("a record that names no place to mail to is of no use", () =>
  make([rua("https://example.org/reports", "ftp://example.org")], ({ made }) => {
    assert.deepEqual(made, { kind: "nobody", reason: "no place can be mailed to" });
  }));
