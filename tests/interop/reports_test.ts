/** DMARC reports of ours, as programs read them that domain owners use. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { createDmarcRecorder, makeDmarcReport, reportMessage } from "../../src/report/mod.ts";
import { claimDue } from "../../src/report/aggregate/ledger.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { openTemporaryStore, temporaryFolder } from "../support/store.ts";
import { startTestServer } from "../support/server.ts";
import { publicKeyText, signingKey } from "../support/signing_keys.ts";
import { createZone } from "../support/zone.ts";
import { submit } from "../support/client.ts";
import { withSmtpSink } from "./peer.ts";
import { dkim, observation, type ObservationParts, spf } from "../unit/report/dmarc/observation.ts";
import { eventually, run } from "./server.ts";

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

/** Says for each file whether its signature verifies, and what DMARC-aware receivers look at. */
const VERIFY = `
import dkim, email, gzip, json, sys
given = json.load(sys.stdin)
for path in given["files"]:
    octets = open(path, "rb").read()
    # The dump begins with fields about the envelope.
    message = octets[octets.index(b"DKIM-Signature:"):].replace(b"\\r\\n", b"\\n").replace(b"\\n", b"\\r\\n")
    verified = dkim.verify(message, dnsfunc=lambda name, timeout=5: given["txt"].encode())
    mail = email.message_from_bytes(message)
    part = mail.get_payload()[1]
    content = gzip.decompress(part.get_payload(decode=True))
    print(json.dumps([verified, mail["From"], mail.get_content_type(), part.get_content_type(), content.decode()]))
`;

Deno.test("reports arrive at smtp-sink signed so that dkimpy accepts them, and Python finds the report in its mail", async () => {
  await using folder = await temporaryFolder();
  await Deno.chmod(folder.path, 0o777);
  const key = signingKey("rsa-sha256", "r1");
  await withSmtpSink(["-d", join(folder.path, "mail.")], async (port) => {
    // Reports are made days later, which must not be in the future: dkimpy does not believe such signatures.
    const clock = new FakeClock(Date.now() - 4 * 86_400_000);
    const resolver = createZone({
      "good.example": { txt: ["v=spf1 ip4:127.0.0.1 -all"], mx: [[10, "mx.good.example"]] },
      "mx.good.example": { a: ["127.0.0.1"] },
      "_dmarc.good.example": { txt: ["v=DMARC1; p=reject; rua=mailto:dmarc@good.example"] },
      "_smtp._tls.good.example": { txt: ["v=TLSRPTv1; rua=mailto:tls@good.example"] },
    });
    const settings = `
signature.own = { private-key = """${key.pem}""", domain = "example.org", selector = "r1", algorithm = "rsa-sha256" }
report.dmarc.aggregate.sign = "'own'"
report.tls.aggregate.sign = "'own'"
session.rcpt.relay = true
`;
    await using test = await startTestServer(settings, { checks: true, clock, resolver, mxPort: port });
    const from = "smith@good.example";
    const content = `From: ${from}\r\nSubject: x\r\n\r\nbody\r\n`;
    await submit(test.address("smtp"), { from, to: ["someone@good.example"], content });
    await test.event("delivery.delivered");
    // In small steps while the store is at work: it has its time limits by the same clock.
    const store = await openTemporaryStore(join(test.folder, "data"), { name: "godwit.db" });
    await eventually("both results are stored", async () => {
      await clock.advance(2_000);
      const { rows } = await store.read("SELECT count(*) FROM aggregate_results");
      return rows[0]?.[0] === 2 ? true : undefined;
    });
    await store.close();
    await clock.advance(2 * 86_400_000);
    const reports = await eventually("two reports arrive", async () => {
      await clock.advance(2_000);
      const queued = test.events.filter(({ name, fields }) =>
        name === "delivery.delivered" && fields.queue === "report"
      );
      return queued.length === 2 ? queued : undefined;
    });
    assert.equal(reports.length, 2);
    const files: string[] = [];
    for await (const { name } of Deno.readDir(folder.path)) {
      const path = join(folder.path, name);
      if ((await Deno.readTextFile(path)).includes("DKIM-Signature:")) files.push(path);
    }
    const output = await run("/usr/bin/python3", ["-c", VERIFY], JSON.stringify({ files, txt: publicKeyText(key) }));
    const read = output.trim().split("\n").map((line): string[] => JSON.parse(line)).toSorted();
    assert.deepEqual(read.map((one) => one.slice(0, 4)), [
      [true, "DMARC Report <noreply-dmarc@example.org>", "multipart/mixed", "application/gzip"],
      [true, "TLS Report <noreply-tls@example.org>", "multipart/report", "application/tlsrpt+gzip"],
    ]);
    assert.match(read[0]?.[4] ?? "", /<count>1<\/count>/);
    assert.equal(JSON.parse(read[1]?.[4] ?? "").policies[0].summary["total-failure-session-count"], 1);
  });
});

/** Reads a failure report with the parsers of Python, the results in it with authres. */
const READ_FAILURE = `
import authres, dkim, email, json, sys
from email.utils import parsedate_to_datetime
given = json.load(sys.stdin)
octets = open(given["file"], "rb").read()
message = octets[octets.index(b"DKIM-Signature:"):].replace(b"\\r\\n", b"\\n").replace(b"\\n", b"\\r\\n")
verified = dkim.verify(message, dnsfunc=lambda name, timeout=5: given["txt"].encode())
mail = email.message_from_bytes(message)
human, feedback, header = mail.get_payload()
fields = feedback.get_payload()[0]
results = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + " ".join(fields["Authentication-Results"].split()))
print(json.dumps({
    "verified": verified,
    "type": [mail.get_content_type(), mail.get_param("report-type"), human.get_content_type(), feedback.get_content_type(), header.get_content_type()],
    "fields": {name: fields[name] for name in ["Feedback-Type", "Version", "Auth-Failure", "Reported-Domain", "Source-IP", "Delivery-Result", "Identity-Alignment", "DKIM-Domain", "SPF-DNS"]},
    "arrived": parsedate_to_datetime(fields["Arrival-Date"]).isoformat(),
    "result": [results.results[0].method, results.results[0].result],
    "subject": email.message_from_string(header.get_payload())["Subject"],
    "defects": len(mail.defects) + sum(len(part.defects) for part in mail.walk()),
}))
`;

Deno.test("a failure report arrives signed so that dkimpy accepts it, and Python and authres read it", async () => {
  await using folder = await temporaryFolder();
  await Deno.chmod(folder.path, 0o777);
  const key = signingKey("rsa-sha256", "r1");
  await withSmtpSink(["-d", join(folder.path, "mail.")], async (port) => {
    const clock = new FakeClock(Date.UTC(2026, 0, 5, 12));
    const resolver = createZone({
      "bad.example": { txt: ["v=spf1 -all"], mx: [[10, "mx.bad.example"]] },
      "mx.bad.example": { a: ["127.0.0.1"] },
      "_dmarc.bad.example": { txt: ["v=DMARC1; p=none; ruf=mailto:fail@bad.example"] },
    });
    const settings = `
signature.own = { private-key = """${key.pem}""", domain = "example.org", selector = "r1", algorithm = "rsa-sha256" }
report.dmarc = { send = "5/1d", sign = "'own'" }
`;
    await using test = await startTestServer(settings, { checks: true, clock, resolver, mxPort: port });
    const content = `From: smith@bad.example\r\nSubject: odd one\r\n\r\nbody\r\n`;
    await submit(test.address("smtp"), { from: "smith@bad.example", to: ["ana@example.org"], content });
    await test.event("delivery.delivered", ({ fields }) => fields.queue === "report");
    const [file] = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => join(folder.path, name));
    const output = await run(
      "/usr/bin/python3",
      ["-c", READ_FAILURE],
      JSON.stringify({ file, txt: publicKeyText(key) }),
    );
    assert.deepEqual(JSON.parse(output), {
      verified: true,
      type: [
        "multipart/report",
        "feedback-report",
        "text/plain",
        "message/feedback-report",
        "text/rfc822-headers",
      ],
      fields: {
        "Feedback-Type": "auth-failure",
        "Version": "1",
        "Auth-Failure": "dmarc",
        "Reported-Domain": "bad.example",
        "Source-IP": "127.0.0.1",
        "Delivery-Result": "delivered",
        "Identity-Alignment": "none",
        "DKIM-Domain": null,
        "SPF-DNS": 'txt : bad.example : "v=spf1 -all"',
      },
      arrived: "2026-01-05T12:00:00+00:00",
      result: ["dmarc", "fail"],
      subject: "odd one",
      defects: 0,
    });
  });
});
