/** Reports as other programs pack, send and write them, read here. */

import assert from "node:assert/strict";
import { postfix } from "../../scripts/bench/postfix.ts";
import { freePort } from "../../scripts/bench/server.ts";
import { findReports } from "../../src/report/analysis/examine.ts";
import type { ReportDetail, ReportView } from "../../src/report/mod.ts";
import { feedback, mail } from "../unit/report/analysis/samples.ts";
import { eventually, run, type ServerSettings, type TestServer, withServer } from "./server.ts";
import { smtplib } from "./smtplib.ts";

/** Reports come to bob. */
const SETTINGS: ServerSettings = {
  toml: `[report.analysis]\naddresses = ["bob@example.net"]\nforward = false\n`,
};

const XML = feedback([
  { ip: "192.0.2.1", count: 12, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" },
  { ip: "203.0.113.9", count: 4, disposition: "reject", dkim: "fail", spf: "fail", from: "example.org" },
]);

async function get<T>({ ports }: TestServer, path: string): Promise<T> {
  return await (await fetch(`http://127.0.0.1:${ports.http}/api/reports/${path}`)).json();
}

/** The reports that the server has, once there are so many. */
async function received(server: TestServer, count: number): Promise<readonly ReportView[]> {
  return await eventually(`${count} reports are there`, async () => {
    const { reports } = await get<{ readonly reports: readonly ReportView[] }>(server, "incoming");
    return reports.length >= count ? reports : undefined;
  });
}

/** How others pack `report.xml` in the folder that they are run in: a name for the result, its type, the command. */
const PACKERS: readonly (readonly [name: string, type: string, command: string])[] = [
  ["report.xml.gz", "application/gzip", "gzip -k report.xml"],
  ["report.zip", "application/zip", "zip -q report.zip report.xml"],
  // Sizes stand behind the data, as the archive goes to a pipe.
  ["piped.zip", "application/x-zip-compressed", "cat report.xml | zip -q - - | cat > piped.zip"],
  [
    "python.zip",
    "application/octet-stream",
    `python3 -c 'import sys, zipfile
z = zipfile.ZipFile(sys.stdout.buffer, "w", zipfile.ZIP_DEFLATED)
z.write("report.xml"); z.close()' | cat > python.zip`,
  ],
  ["report.xml", "text/xml", "true"],
];

Deno.test("swaks brings what gzip, zip and Python have packed", async () => {
  await withServer(SETTINGS, async (server) => {
    for (const [index, [name, type, command]] of PACKERS.entries()) {
      // Each with an id of its own: the same report twice would count once.
      await Deno.writeTextFile(`${server.folder}/report.xml`, XML.replace("1234567890", `${index}`));
      await run("sh", ["-c", `cd ${server.folder} && rm -f report.xml.gz && ${command}`]);
      await run("swaks", [
        ...["--server", `127.0.0.1:${server.ports.mx}`, "--from", "noreply@big.example", "--to", "bob@example.net"],
        ...["--attach-type", type, "--attach-name", name, "--attach", `@${server.folder}/${name}`],
      ]);
    }
    const reports = await received(server, PACKERS.length);
    assert.deepEqual(
      reports.map(({ kind, passed, failed }) => [kind, passed, failed]),
      PACKERS.map(() => ["dmarc", 12, 4]),
    );
    const details = await Promise.all(reports.map(({ id }) => get<ReportDetail>(server, `incoming/${id}`)));
    assert.deepEqual(
      details.map(({ report }) => report.kind === "dmarc" && report.reportId).toSorted(),
      PACKERS.map((_, index) => `${index}`),
    );
  });
});

const PERL = `use strict; use warnings;
use Mail::DMARC::Report::Aggregate;
use Mail::DMARC::Report::Aggregate::Record;
use Mail::DMARC::Policy;
my $report = Mail::DMARC::Report::Aggregate->new;
my $about = $report->metadata;
$about->org_name("Perl & Co"); $about->email('dmarc\@perl.example'); $about->report_id("77");
$about->begin(1764028800); $about->end(1764115199);
my $policy = Mail::DMARC::Policy->new('v=DMARC1; p=reject; sp=none; rua=mailto:r\@example.org');
$policy->domain("example.org");
$report->policy_published($policy);
for (["192.0.2.1", 12, "pass", "none"], ["2001:db8::9", 4, "fail", "reject"]) {
  my ($ip, $count, $result, $done) = @$_;
  my $record = Mail::DMARC::Report::Aggregate::Record->new;
  my $evaluated = { disposition => $done, dkim => $result, spf => $result,
    reason => [{ type => "other", comment => "a < b" }] };
  $record->row(source_ip => $ip, count => $count, policy_evaluated => $evaluated);
  $record->identifiers(header_from => "example.org", envelope_from => "example.org");
  $record->auth_results->dkim({ domain => "example.org", selector => "s1", result => $result });
  $record->auth_results->spf({ domain => "example.org", scope => "mfrom", result => $result });
  $report->record($record);
}
print $report->as_xml;
`;

Deno.test("what Perl's Mail::DMARC writes has the numbers that it was given", async () => {
  const xml = await run("perl", ["-"], PERL);
  const bytes = mail([{ type: "text/xml", content: new TextEncoder().encode(xml) }]);
  const { reports, unreadable } = await findReports(bytes, { pause: () => Promise.resolve() });
  assert.deepEqual(unreadable, []);
  const report = reports[0]?.report;
  assert.ok(report?.kind === "dmarc");
  assert.deepEqual(report.problems, []);
  assert.equal(report.reporter, "Perl & Co");
  assert.deepEqual([report.policy.p, report.policy.sp], ["reject", "none"]);
  assert.deepEqual([report.totals.messages, report.totals.passed, report.totals.rejected], [16, 12, 4]);
  assert.deepEqual(report.failing, [{ source: "2001:db8::9", failed: 4 }]);
  assert.deepEqual(report.records[0]!.reasons, [{ type: "other", comment: "a < b" }]);
  assert.deepEqual(report.records[0]!.spfResults, [{ domain: "example.org", part: "mfrom", result: "pass", text: "" }]);
});

Deno.test("what Postfix cannot hand on comes back as a notification that is read", async () => {
  await withServer(SETTINGS, async (server) => {
    const folder = await Deno.makeTempDir({ prefix: "godwit-postfix-" });
    const port = freePort();
    const { mx } = server.ports;
    const running = await postfix.start({ folder, port, nextHop: mx, httpPort: 0, deferAll: false });
    try {
      await smtplib(
        `smtp = connect(port)
smtp.sendmail("bob@example.net", ["nobody@example.net"], "Subject: hello\\nMessage-ID: <1@example.net>\\n\\nhello", ["ENVID=QQ1"])`,
        { port },
      );
      const [view] = await received(server, 1);
      const { report, mail: carrier } = await get<ReportDetail>(server, `incoming/${view!.id}`);
      assert.equal(carrier.from, "");
      assert.ok(report.kind === "dsn");
      assert.equal(report.reporter, "postfix.bench.example");
      assert.equal(report.envelopeId, "QQ1");
      assert.equal(report.original.subject, "hello");
      assert.equal(report.original.messageId, "<1@example.net>");
      const [recipient, ...others] = report.recipients;
      assert.equal(others.length, 0);
      assert.equal(recipient!.recipient, "nobody@example.net");
      assert.equal(recipient!.action, "failed");
      assert.equal(recipient!.status, "5.1.1");
      assert.match(recipient!.diagnostic, /^550 5\.1\.1 Mailbox does not exist/);
    } finally {
      await running.stop();
      await Deno.remove(folder, { recursive: true });
    }
  });
});
