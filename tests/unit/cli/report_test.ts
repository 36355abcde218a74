/** `godwit report` on the database of a stopped server. */

import assert from "node:assert/strict";
import { contentOf } from "../../../src/queue/mod.ts";
import { createReportAnalysis } from "../../../src/report/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { feedback, gzip, mail, TLS_REPORT } from "../report/analysis/samples.ts";
import { columns, type Godwit, withStoppedServer } from "./stopped_server.ts";

const DAY = 86_400_000;

/** Yesterday, as reports write it. */
const yesterday = new Date(Date.now() - DAY).toISOString().slice(0, 10);
const begin = Date.parse(yesterday) / 1000;

const DMARC = mail([{
  type: "application/gzip",
  content: gzip(feedback([
    { ip: "192.0.2.1", count: 12, disposition: "none", dkim: "pass", spf: "pass", from: "example.org" },
    {
      ip: "198.51.100.9",
      count: 4,
      disposition: "reject",
      dkim: "fail",
      spf: "fail",
      from: "news.example.org",
      reason: "<reason><type>local_policy</type><comment>a\u001b[31mred</comment></reason>",
    },
  ], {
    metadata:
      `<report_metadata><org_name>Big &#9888; Mail</org_name><report_id>77</report_id><date_range><begin>${begin}` +
      `</begin><end>${begin + 86_399}</end></date_range></report_metadata>`,
  })),
}]);
const TLS = mail([{
  type: "application/tlsrpt+json",
  content: JSON.stringify({
    ...TLS_REPORT,
    "date-range": { "start-datetime": `${yesterday}T00:00:00Z`, "end-datetime": `${yesterday}T23:59:59Z` },
  }),
}]);

/** Keeps two reports, and lets `body` run commands on them. */
const withReports = (body: (godwit: Godwit) => Promise<void>): Promise<void> =>
  withStoppedServer(async (store) => {
    let id = 2_000_000;
    const analysis = createReportAnalysis({
      addresses: ["*"],
      forward: true,
      keep: DAY,
      store,
      clock: new FakeClock(Date.now()),
      nextId: () => ++id,
      emit: () => {},
    })!;
    const carrier = { from: "noreply@big.example", to: "in@example.org", remoteIp: "192.0.2.50", dmarc: "" };
    for (const bytes of [DMARC, TLS]) await analysis.examine({ id: ++id, content: contentOf(bytes), carrier });
  }, body);

Deno.test("list shows the latest first, and what filters ask for", async () => {
  await withReports(async (godwit) => {
    const { status, lines } = await godwit("report", "list");
    assert.equal(status, 0);
    assert.deepEqual(columns(lines[0]), ["ID", "KIND", "RECEIVED", "DOMAIN", "REPORTER", "PASSED", "FAILED"]);
    assert.deepEqual(columns(lines[1]).toSpliced(0, 1).toSpliced(1, 1), [
      "tls",
      "example.org",
      "Big Mail",
      "5326",
      "303",
    ]);
    assert.deepEqual(columns(lines[2]).toSpliced(0, 1).toSpliced(1, 1), [
      "dmarc",
      "example.org",
      "Big ⚠ Mail",
      "12",
      "4",
    ]);
    assert.equal(lines.length, 3);
    const kinds = async (...args: string[]) =>
      JSON.parse((await godwit("report", "list", "--json", ...args)).lines[0]!).map(({ kind }: { kind: string }) =>
        kind
      );
    assert.deepEqual(await kinds("--kind", "DMARC"), ["dmarc"]);
    assert.deepEqual(await kinds("--domain", "example.net"), []);
    assert.deepEqual(await kinds("--source", "mx1.example.org", "--failing"), ["tls"]);
    assert.deepEqual(await kinds("--reporter", "big mail"), ["tls"]);
    assert.deepEqual(await kinds("--younger-than", "1h"), ["tls", "dmarc"]);
    assert.deepEqual(await kinds("--older-than", "1h"), []);
    const page = await godwit("report", "list", "--limit", "1");
    const last = /--after (\w+)/.exec(page.lines.at(-1)!)![1]!;
    assert.deepEqual(await kinds("--after", last), ["dmarc"]);
  });
});

Deno.test("show prints what a report says, with nothing that a terminal would obey", async () => {
  await withReports(async (godwit) => {
    const [id] = JSON.parse((await godwit("report", "list", "--json", "--kind", "dmarc")).lines[0]!)
      .map((view: { id: string }) => view.id);
    const { status, lines } = await godwit("report", "show", id);
    assert.equal(status, 0);
    assert.ok(lines.includes("reporter  Big ⚠ Mail"));
    assert.ok(lines.includes("policy    domain=example.org p=quarantine sp=none adkim=r aspf=r pct=100"));
    assert.ok(lines.includes("aligned   DKIM 12, SPF 12 of 16"));
    assert.ok(lines.includes("done      accepted 12, quarantined 0, rejected 4"));
    assert.ok(lines.includes("sent by   noreply@big.example from 192.0.2.50, DMARC not checked"));
    const row = lines.find((line) => line.startsWith("198.51.100.9"));
    assert.deepEqual(columns(row).slice(1, 6), ["4", "reject", "fail", "fail", "news.example.org"]);
    assert.match(row!, /local_policy \(a.*\[31mred\)$/);
    assert.ok(!lines.join("").includes("\u001b"));
    const json = JSON.parse((await godwit("report", "show", id, "--json")).lines[0]!);
    assert.equal(json.report.records.length, 2);
  });
});

Deno.test("trends add up by day and place", async () => {
  await withReports(async (godwit) => {
    const { status, lines } = await godwit("report", "trends", "--days", "3");
    assert.equal(status, 0);
    const rows = lines.map(columns);
    assert.deepEqual(rows.slice(0, 3), [
      ["DAY", "KIND", "PASSED", "FAILED"],
      [yesterday, "dmarc", "12", "4"],
      [yesterday, "tls", "5326", "303"],
    ]);
    assert.ok(rows.some((row) => row[0] === "198.51.100.9" && row[1] === "example.org" && row[2] === "4"));
    assert.ok(rows.some((row) => row[0] === "mx2.example.org" && row[4] === "starttls-not-supported"));
    assert.deepEqual((await godwit("report", "trends", "--domain", "x.example")).lines, [
      "no reports about these days",
    ]);
  });
});

Deno.test("cancel deletes a report; what is not there is said", async () => {
  await withReports(async (godwit) => {
    const [tls] = JSON.parse((await godwit("report", "list", "--json")).lines[0]!);
    assert.deepEqual((await godwit("report", "cancel", tls.id)).lines, [`report ${tls.id} is deleted`]);
    assert.equal((await godwit("report", "list")).lines.length, 2);
    for (const command of ["show", "cancel"]) {
      const { status, errors } = await godwit("report", command, tls.id);
      assert.equal(status, 1);
      assert.deepEqual(errors, [`no report ${tls.id}; godwit report list shows what there is`]);
    }
  });
});

Deno.test("options that make no sense are refused with what is expected", async () => {
  await withReports(async (godwit) => {
    for (
      const [args, expected] of [
        [["list", "--kind", "mail"], "--kind mail: expected one of dmarc, tls, abuse, auth-failure, dsn"],
        [["list", "--limit", "0"], "--limit 0: expected a whole number from 1 to 10000"],
        [["trends", "--days", "1000"], "--days 1000: expected a whole number from 1 to 400"],
      ] as const
    ) {
      const { status, errors } = await godwit("report", ...args);
      assert.equal(status, 2);
      assert.deepEqual(errors, [expected]);
    }
    assert.match((await godwit("report", "list", "--older-than", "soon")).errors[0]!, /^--older-than soon: expected /);
  });
});
