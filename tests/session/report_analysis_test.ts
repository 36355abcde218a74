/** Reports of others on their way in: recognised, kept before they are acknowledged, delivered or not. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock/mod.ts";
import type { Config } from "../../src/config/mod.ts";
import { listReports, showReport } from "../../src/report/mod.ts";
import { closeStores, openStores } from "../../src/server/mod.ts";
import { submit } from "../support/client.ts";
import { baseConfiguration, startTestServer, testConfiguration, type TestServer } from "../support/server.ts";
import { feedback, gzip, mail, METADATA, zip } from "../unit/report/analysis/samples.ts";

const ADDRESSES = 'report.analysis.addresses = ["dmarc-in@*", "tls@example.org"]\n';
/** Accounts that take what is for these addresses. */
const ACCOUNTS = `
[[directory.staff.principals]]
name = "reports"
secret = "reading"
email = ["dmarc-in@example.org", "tls@example.org"]
`;

const ROWS = [
  { ip: "192.0.2.1", count: 12, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" },
  { ip: "198.51.100.9", count: 4, disposition: "reject", dkim: "fail", spf: "fail", from: "example.org" },
];
/** About today, so that the sums of the last days hold it. */
const TODAY = Math.floor(Date.now() / 86_400_000) * 86_400;
const PERIOD = METADATA.replace("1764028800", String(TODAY)).replace("1764115199", String(TODAY + 1));
const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const REPORT = text(
  mail([{ type: "application/gzip", name: "r.xml.gz", content: gzip(feedback(ROWS, { metadata: PERIOD })) }]),
);
const LETTER = text(mail([{ type: "text/plain", content: "Hello,\r\n\r\nwho reads this?\r\n" }]));

/** A server whose configuration ends with the accounts, as tables have to. */
async function start(settings: string): Promise<TestServer> {
  const folder = await Deno.makeTempDir({ prefix: "godwit_test_" });
  const configuration = ADDRESSES + settings + baseConfiguration(folder) + ACCOUNTS;
  const server = await startTestServer(configuration, { base: false, folder });
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function configOf(server: TestServer): Config {
  return testConfiguration("", { folder: server.folder, certificate: server.certificate });
}

/** What is in the store, seen from another process. */
async function reportsOf(server: TestServer) {
  const config = configOf(server);
  const stores = await openStores(config, { emit: () => {}, clock: systemClock }, ["data"]);
  try {
    const store = stores.get("data")!;
    return await Promise.all((await listReports(store, { limit: 100 })).map(({ id }) => showReport(store, id)));
  } finally {
    await closeStores(stores);
  }
}

const send = (server: TestServer, to: readonly string[], content: string, lmtp = false) =>
  submit(server.address(lmtp ? "lmtp" : "smtp"), { from: "noreply@big.example", to, content, lmtp });

Deno.test("a report is kept, told of and delivered", async () => {
  await using server = await start("");
  const [answer] = await send(server, ["dmarc-in@example.org"], REPORT);
  const id = /^250 2\.0\.0 Message queued with id (\w+)$/.exec(answer!)![1]!;
  // By the time of the reply it is in the store.
  const [report, ...others] = await reportsOf(server);
  assert.equal(others.length, 0);
  assert.equal(report!.id, id);
  assert.equal(report!.passed, 12);
  assert.equal(report!.failed, 4);
  assert.equal(report!.mail.from, "noreply@big.example");
  assert.equal(report!.mail.to, "dmarc-in@example.org");
  const event = await server.event("incoming-report.dmarc-report-with-warnings");
  assert.equal(event.fields.id, id);
  assert.deepEqual(event.fields.failures, ["198.51.100.9: 4"]);
  await server.event("delivery.delivered");
  assert.equal((await server.mail("example.org/dmarc-in")).length, 1);
});

Deno.test("with forward false a report is not delivered, other mail for the address is", async () => {
  await using server = await start("report.analysis.forward = false\n");
  assert.match((await send(server, ["dmarc-in@example.org"], REPORT))[0]!, /^250 2\.0\.0 /);
  assert.equal((await reportsOf(server)).length, 1);
  assert.match((await send(server, ["dmarc-in@example.org"], LETTER))[0]!, /^250 2\.0\.0 /);
  const event = await server.event("incoming-report.message-parse-failed");
  assert.equal(event.fields.reason, "it holds no report");
  await server.event("delivery.delivered");
  const [letter, ...others] = await server.mail("example.org/dmarc-in");
  assert.match(letter!, /who reads this/);
  assert.equal(others.length, 0);
  assert.equal((await server.server.queue.stats()).messages, 0);
});

Deno.test("others among the recipients get the report all the same, in LMTP with a reply for each", async () => {
  await using server = await start("report.analysis.forward = false\n");
  const answers = await send(server, ["dmarc-in@example.org", "ana@example.org"], REPORT, true);
  assert.equal(answers.length, 2);
  for (const answer of answers) assert.match(answer, /^250 2\.0\.0 /);
  const delivered = await server.event("delivery.delivered");
  assert.equal(delivered.fields.to, "ana@example.org");
  await assert.rejects(server.mail("example.org/dmarc-in"), Deno.errors.NotFound);
});

Deno.test("mail for other addresses is not looked into", async () => {
  await using server = await start("");
  await send(server, ["ana@example.org"], REPORT);
  await server.event("delivery.delivered");
  assert.deepEqual(server.events.filter(({ name }) => name.startsWith("incoming-report.")), []);
  assert.deepEqual(await reportsOf(server), []);
});

Deno.test("an address that takes no mail takes no reports", async () => {
  await using server = await start('session.rcpt.errors.wait = "0s"\n');
  await assert.rejects(send(server, ["dmarc-in@elsewhere.example"], REPORT));
  assert.deepEqual(await reportsOf(server), []);
});

Deno.test("a report that is sent twice is kept once", async () => {
  await using server = await start("report.analysis.forward = false\n");
  await send(server, ["dmarc-in@example.org"], REPORT);
  await send(server, ["tls@example.org"], REPORT);
  assert.equal((await reportsOf(server)).length, 1);
  const first = await server.event("incoming-report.dmarc-report-with-warnings");
  const second = await server.event("incoming-report.dmarc-report-with-warnings");
  assert.deepEqual([first.fields.duplicate, second.fields.duplicate], [undefined, true]);
});

Deno.test("with store false a report is told of and not kept", async () => {
  await using server = await start("report.analysis.store = false\n");
  await send(server, ["dmarc-in@example.org"], REPORT);
  await server.event("incoming-report.dmarc-report-with-warnings");
  assert.deepEqual(await reportsOf(server), []);
});

Deno.test("a bomb is told of and delivered as it came", async () => {
  await using server = await start("report.analysis.forward = false\n");
  const bomb = text(mail([{ type: "application/zip", name: "r.zip", content: zip({ "r.xml": new Uint8Array(8e6) }) }]));
  assert.match((await send(server, ["dmarc-in@example.org"], bomb))[0]!, /^250 /);
  const event = await server.event("incoming-report.decompress-error");
  assert.equal(event.fields.reason, "r.zip: it unpacks to more than 250 times its size");
  assert.equal(event.fields.remoteIp, "127.0.0.1");
  await server.event("delivery.delivered");
});

Deno.test("a report that is too large for memory is read from where it was spilled", async () => {
  await using server = await start("report.analysis.forward = false\n");
  // 3 MB of XML that is not packed.
  const rows = Array.from({ length: 15_000 }, (_, i) => ({ ...ROWS[0]!, ip: `192.0.2.${i % 250}`, count: 1 }));
  const large = text(mail([{ type: "text/xml", content: feedback(rows).replaceAll("\n", "\r\n") }]));
  assert.match((await send(server, ["dmarc-in@example.org"], large))[0]!, /^250 /);
  const [report] = await reportsOf(server);
  assert.equal(report!.passed, 15_000);
  assert.ok(report!.report.kind === "dmarc");
  assert.equal(report!.report.recordsLeftOut, 10_000);
  // Nobody gets the mail, so nothing of it stays.
  await server.server.stop();
  const stores = await openStores(configOf(server), { emit: () => {}, clock: systemClock }, ["data"]);
  const left = await stores.get("data")!.read("SELECT (SELECT count(*) FROM blobs), (SELECT count(*) FROM spills)");
  assert.deepEqual(left.rows.map((row) => row.map(Number)), [[0, 0]]);
  await closeStores(stores);
});

Deno.test("what was reported is on the status page, in the API and among the metrics", async () => {
  await using server = await start(
    'server.listener.web = { bind = "127.0.0.1:0", protocol = "http" }\nmetrics.prometheus.enable = true\n',
  );
  await send(server, ["dmarc-in@example.org"], REPORT);
  const { hostname, port } = server.address("web");
  const get = async (path: string) => await (await fetch(`http://${hostname}:${port}${path}`)).text();
  const { reports: [report] } = JSON.parse(await get("/api/reports/incoming?domain=example.org"));
  assert.deepEqual([report.passed, report.failed], [12, 4]);
  assert.equal(JSON.parse(await get(`/api/reports/incoming/${report.id}`)).report.records.length, 2);
  assert.match(await get("/reports"), /big\.example/);
  const { failingSources } = JSON.parse(await get("/api/reports/trends?days=2"));
  assert.deepEqual(failingSources, [
    { source: "198.51.100.9", domain: "example.org", detail: "", failed: 4, reports: 1 },
  ]);
  const metrics = await get("/metrics");
  for (
    const line of [
      'godwit_received_report_results{kind="dmarc",domain="example.org",result="passed"} 12',
      'godwit_received_report_reporter{kind="dmarc",reporter="big.example",result="failed"} 4',
      'godwit_received_report_failures{kind="dmarc",source="198.51.100.9",domain="example.org"} 4',
      'godwit_events_total{event="incoming-report.dmarc-report-with-warnings"} 1',
    ]
  ) assert.ok(metrics.includes(`${line}\n`), line);
});
