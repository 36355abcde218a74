/** DMARC reports of ours, as programs read them that domain owners use. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { createDmarcRecorder, makeDmarcReport, reportMessage } from "../../src/report/mod.ts";
import { claimDue } from "../../src/report/aggregate/ledger.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../support/store.ts";
import { createZone } from "../support/zone.ts";
import { dkim, observation, type ObservationParts, spf } from "../unit/report/dmarc/observation.ts";
import { run } from "./server.ts";

/** Messages and how many of each. */
const MESSAGES: readonly (readonly [number, ObservationParts])[] = [
  [5, { ip: "192.0.2.1", dkim: [dkim("example.org", "s1")] }],
  [3, {
    ip: "2001:db8::5",
    spf: spf("other.example", "softfail"),
    refused: true,
    dmarc: { result: "fail", spfAligned: false, disposition: "reject" },
  }],
  [1, {
    ip: "198.51.100.7",
    spf: spf("other.example", "fail"),
    dmarc: { result: "fail", spfAligned: false, disposition: "reject" },
  }],
];

/** The report about {@link MESSAGES}: the whole mail, and the name and octets of what is attached. */
async function makeReport() {
  await using folder = await temporaryFolder();
  const store = await openTemporaryStore(folder.path);
  const clock = new FakeClock();
  const recorder = createDmarcRecorder({ store, clock, reporter: "example.net", intervalOf: () => "daily" });
  for (const [count, parts] of MESSAGES) for (let i = 0; i < count; i++) recorder.observe(observation(parts));
  await recorder.close();
  const now = clock.now() + 2 * 86_400_000;
  const [due] = await claimDue(store, { owner: "a", now, until: now, limit: 1 });
  assert.ok(due);
  const reporter = {
    submitter: "mx.example.net",
    from: { name: "DMARC Report", address: "noreply-dmarc@example.net" },
    orgName: "Example & Co",
    maxSize: 1_000_000,
    sign: [],
  };
  const world = { store, resolver: createZone({}), domain: "example.net", generator: "godwit", emit: () => {} };
  const made = await makeDmarcReport(due, reporter, world);
  await store.close();
  assert.ok(made.kind === "made" && made.mails[0] !== undefined);
  const { mail } = made.mails[0];
  const message = reportMessage(mail, { id: 1, now, random: () => 0.5, domain: "example.net" });
  const attached = mail.parts[1];
  assert.ok(attached?.filename);
  const octets = Uint8Array.fromBase64(new TextDecoder().decode(attached.body).replace(/\s/g, ""));
  return { mail: message.content.head, filename: attached.filename, octets };
}

Deno.test("dmarc-cat finds domain, policy and each source of a report", async () => {
  await using folder = await temporaryFolder();
  const { filename, octets } = await makeReport();
  const path = join(folder.path, filename);
  await Deno.writeFile(path, octets);
  const shown = (await run("dmarc-cat", ["-N", path])).replace(/ +/g, " ");
  assert.match(shown, /Reporting by: Example & Co — noreply-dmarc@example\.net/);
  assert.match(shown, /From 2026-01-05 00:00:00 \+0000 UTC to 2026-01-05 23:59:59 \+0000 UTC/);
  assert.match(shown, /Domain: example\.org\nPolicy: p=reject; dkim=r; spf=r/);
  assert.match(shown, /Reports\(3\):/);
  assert.match(shown, /^192\.0\.2\.1 5 example\.org example\.org pass pass/m);
  assert.match(shown, /^2001:db8::5 3 example\.org other\.example softfail/m);
  assert.match(shown, /^198\.51\.100\.7 1 example\.org other\.example fail/m);
});

const SETTINGS = `[organization]
domain = example.com
org_name = Receiver
email = a@example.com
[dns]
timeout = 1
retrans = 1
public_suffix_list = /usr/share/publicsuffix/public_suffix_list.dat
[report_store]
backend = SQL
dsn = dbi:SQLite:dbname=dmarc.sqlite
[imap]
[report_sending]
[smtp]
[http]
[https]
`;

/** What it has stored, one record a line. */
const QUERY = `
import sqlite3
database = sqlite3.connect("dmarc.sqlite")
database.text_factory = bytes
print(database.execute("SELECT uuid FROM report").fetchone()[0].decode())
for count, disposition, dkim, spf in database.execute(
    "SELECT count, disposition, dkim, spf FROM report_record ORDER BY count"):
    print(count, disposition.decode(), dkim.decode(), spf.decode())
for result, selector in database.execute("SELECT result, selector FROM report_record_dkim ORDER BY result"):
    print(result.decode(), selector.decode())
`;

Deno.test("Mail::DMARC takes a report out of its mail and stores what it says", async () => {
  await using folder = await temporaryFolder();
  const { mail, filename } = await makeReport();
  await Deno.writeFile(join(folder.path, "report.eml"), mail);
  await Deno.writeTextFile(join(folder.path, "mail-dmarc.ini"), SETTINGS);
  const inFolder = async (program: string, args: readonly string[]) => {
    const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd: folder.path }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  };
  await inFolder("dmarc_receive", ["--file", "report.eml"]);
  const id = /!([0-9a-f]{32})\.xml\.gz$/.exec(filename)?.[1];
  assert.deepEqual((await inFolder("/usr/bin/python3", ["-c", QUERY])).trim().split("\n"), [
    id,
    "1 none fail fail",
    "3 reject fail fail",
    "5 none fail pass",
    "pass s1",
  ]);
});
